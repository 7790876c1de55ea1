//! The auth schemes of a connector: templates over `connection` in, credentials out. A scheme can be used when
//! every field that it reads (other than forgivingly) is given.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::auth::Credentials;
use crate::engine::Failure;
use crate::manifest::connector::{Auth, ConnectionSpec};
use crate::manifest::problem::Problem;
use crate::template::{Scope, Segment, Template};

/// The compiled schemes, by name.
#[derive(Debug, Default)]
pub struct Schemes {
    schemes: Vec<(String, Scheme)>,
}

/// A scheme and the templates of its members, by the member's name.
#[derive(Debug)]
struct Scheme {
    written: Auth,
    templates: BTreeMap<&'static str, Template>,
}

impl Schemes {
    /// Reads the schemes of a connector.
    pub fn compile(written: &ConnectionSpec, problems: &mut Vec<Problem>) -> Schemes {
        let schemes = written.auth.iter().map(|(name, auth)| {
            let scheme = Scheme::compile(auth, &format!("/connection/auth/{name}"), problems);
            (name.clone(), scheme)
        });
        Schemes { schemes: schemes.collect() }
    }

    /// The credentials of each scheme, or why there are none. `scope` holds all fields.
    pub fn resolve(&self, scope: &Scope) -> BTreeMap<String, Result<Arc<Credentials>, String>> {
        self.schemes.iter().map(|(name, scheme)| (name.clone(), scheme.resolve(scope).map(Arc::new))).collect()
    }
}

impl Scheme {
    fn compile(written: &Auth, pointer: &str, problems: &mut Vec<Problem>) -> Scheme {
        let mut templates = BTreeMap::new();
        // The copy is not needed here: going through the members is.
        let _ = mapped(written, |member, source| {
            match Template::compile(source) {
                Ok(template) => {
                    templates.insert(member, template);
                }
                Err(error) => problems.push(Problem::from_template(format!("{pointer}/{member}"), error)),
            }
            Ok(String::new())
        });
        Scheme { written: written.clone(), templates }
    }

    fn resolve(&self, scope: &Scope) -> Result<Credentials, String> {
        let mut lacking: Vec<&str> = self.templates.values().flat_map(|template| missing(template, scope)).collect();
        lacking.sort_unstable();
        lacking.dedup();
        if !lacking.is_empty() {
            return Err(format!("needs {}", lacking.join(", ")));
        }
        mapped(&self.written, |member, _| match self.templates.get(member) {
            Some(template) => template.render(scope).map_err(|error| super::super::template_failure(&error)),
            None => Ok(String::new()),
        })
        .and_then(|auth| Credentials::new(&auth))
        .map_err(|failure| failure.message)
    }
}

/// The scheme with each member replaced.
fn mapped(
    auth: &Auth,
    mut replace: impl FnMut(&'static str, &str) -> Result<String, Failure>,
) -> Result<Auth, Failure> {
    Ok(match auth {
        Auth::None {} => Auth::None {},
        Auth::Basic { username, password } => {
            Auth::Basic { username: replace("username", username)?, password: replace("password", password)? }
        }
        Auth::Bearer { token } => Auth::Bearer { token: replace("token", token)? },
        Auth::ApiKey { r#in, name, value } => {
            Auth::ApiKey { r#in: *r#in, name: replace("name", name)?, value: replace("value", value)? }
        }
        Auth::Oauth1 { consumer_key, consumer_secret, token, token_secret } => Auth::Oauth1 {
            consumer_key: replace("consumer_key", consumer_key)?,
            consumer_secret: replace("consumer_secret", consumer_secret)?,
            token: replace("token", token)?,
            token_secret: replace("token_secret", token_secret)?,
        },
    })
}

/// The fields of the connection that a template reads and that are not given.
fn missing<'t>(template: &'t Template, scope: &Scope) -> Vec<&'t str> {
    let given = scope.get("connection");
    let is_given = |field: &str| given.and_then(|fields| fields.get(field)).is_some_and(|value| !value.is_null());
    let fields =
        template.reads().iter().filter(|read| !read.forgiving && read.root() == "connection").filter_map(|read| {
            match read.path.get(1) {
                Some(Segment::Key(field)) => Some(field.as_str()),
                _ => None,
            }
        });
    fields.filter(|field| !is_given(field)).collect()
}
