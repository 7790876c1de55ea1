//! The auth schemes of a connector: templates over `connection` in, credentials out. A scheme can be used when
//! every field that it reads (other than forgivingly) is given; those that a sign-in gives need not be.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::auth::Credentials;
use super::super::grants::{GrantKey, Places, Source};
use super::super::mask::Mask;
use crate::engine::Failure;
use crate::manifest;
use crate::manifest::connector::Auth;
use crate::manifest::problem::Problem;
use crate::template::{Scope, Segment, Template};

/// The compiled schemes, by name.
#[derive(Debug, Default)]
pub struct Schemes {
    schemes: Vec<(String, Scheme)>,
    /// Where their endpoints are unless they say otherwise.
    pub(super) default_host: Option<String>,
}

/// A scheme and the templates of its members, by the member's JSON pointer.
#[derive(Debug)]
struct Scheme {
    written: Auth,
    templates: BTreeMap<String, Template>,
}

/// The account that schemes are resolved for.
#[derive(Clone, Copy)]
pub(super) struct Account<'a> {
    pub name: &'a str,
    /// Holds all fields, the secret ones too.
    pub scope: &'a Scope,
    pub places: &'a Places,
    pub mask: &'a Arc<Mask>,
}

impl Schemes {
    /// Reads the schemes of a connector.
    pub fn compile(written: &manifest::Connector, problems: &mut Vec<Problem>) -> Schemes {
        let schemes = written.connection.auth.iter().map(|(name, auth)| {
            let scheme = Scheme::compile(auth, &format!("/connection/auth/{name}"), problems);
            (name.clone(), scheme)
        });
        Schemes { schemes: schemes.collect(), default_host: written.defaults.host.clone() }
    }

    /// The schemes with a sign-in, by name.
    pub fn with_sign_in(&self) -> impl Iterator<Item = &str> {
        self.schemes.iter().filter(|(_, scheme)| scheme.written.has_sign_in()).map(|(name, _)| name.as_str())
    }

    /// The credentials of each scheme, or why there are none.
    pub(super) fn resolve(&self, account: Account<'_>) -> BTreeMap<String, Result<Arc<Credentials>, String>> {
        let schemes = self.schemes.iter();
        schemes.map(|(name, scheme)| (name.clone(), scheme.resolve(name, account).map(Arc::new))).collect()
    }
}

impl Scheme {
    fn compile(written: &Auth, pointer: &str, problems: &mut Vec<Problem>) -> Scheme {
        let mut templates = BTreeMap::new();
        for (member, source) in written.texts() {
            match Template::compile(&source) {
                Ok(template) => {
                    templates.insert(member, template);
                }
                Err(error) => problems.push(Problem::from_template(format!("{pointer}{member}"), error)),
            }
        }
        Scheme { written: written.clone(), templates }
    }

    fn resolve(&self, name: &str, account: Account<'_>) -> Result<Credentials, String> {
        let scope = account.scope;
        let lacks = |(_, template): &(&String, &Template)| !missing(template, scope).is_empty();
        let (by_sign_in, lacking): (Vec<_>, Vec<_>) =
            self.templates.iter().filter(lacks).partition(|(member, _)| self.comes_by_sign_in(member));
        let mut fields: Vec<&str> = lacking.iter().flat_map(|(_, template)| missing(template, scope)).collect();
        fields.sort_unstable();
        fields.dedup();
        if !fields.is_empty() {
            return Err(format!("needs {}", fields.join(", ")));
        }
        let resolved = self.written.replaced(&mut |member, _| match self.templates.get(member) {
            Some(template) if !by_sign_in.iter().any(|(absent, _)| *absent == member) => {
                template.render(scope).map_err(|error| super::super::template_failure(&error))
            }
            _ => Ok(String::new()),
        });
        let needs_token = !matches!(self.written, Auth::Oauth1 { .. }) || !by_sign_in.is_empty();
        resolved.and_then(|auth| credentials(name, &auth, account, needs_token)).map_err(|failure| failure.message)
    }

    /// Whether a member is what a sign-in gives.
    fn comes_by_sign_in(&self, member: &str) -> bool {
        matches!(self.written, Auth::Oauth1 { sign_in: Some(_), .. }) && matches!(member, "/token" | "/token_secret")
    }
}

fn credentials(name: &str, auth: &Auth, account: Account<'_>, needs_token: bool) -> Result<Credentials, Failure> {
    if needs_token {
        let key = GrantKey { connection: account.name.to_owned(), scheme: name.to_owned() };
        if let Some(source) = Source::new(key, auth, account.places, account.mask)? {
            return Ok(Credentials::Had(Arc::new(source)));
        }
    }
    Credentials::new(auth)
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
