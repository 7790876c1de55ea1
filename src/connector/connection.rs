//! A configured account: fields read and checked, hosts known, the credentials of every scheme ready. Secrets
//! are readable in `auth` and `hosts` templates only; requests see the other fields.

mod schemes;

pub use self::schemes::Schemes;

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;
use serde_json::{Map, Value};
use url::Url;

use super::Connector;
use super::action::Action;
use super::auth::Credentials;
use super::limits::{Asker, Keys, Limits};
use super::mask::Mask;
use super::message::HostSet;
use crate::engine::Failure;
use crate::manifest::diagnostic::did_you_mean;
use crate::manifest::problem::Problem;
use crate::secrets::Secrets;
use crate::settings;
use crate::template::{Scope, Template};

/// A configured account of a connector.
#[derive(Debug)]
pub struct Connection {
    /// Its name in the settings.
    pub name: String,
    /// What it is an account of.
    pub connector: Arc<Connector>,
    /// Whether it may be used.
    pub active: bool,
    /// Hides its secrets in texts.
    pub mask: Arc<Mask>,
    /// A proxy for its requests.
    pub proxy: Option<String>,
    /// Where its credentials may go.
    pub allowed: HostSet,
    pub(super) hosts: BTreeMap<String, Url>,
    /// Action inputs to use where a step gives none.
    pub(super) defaults: Map<String, Value>,
    /// The fields that requests see.
    pub(super) public: Value,
    /// By action, found when it is first called.
    limit_keys: RwLock<BTreeMap<String, Keys>>,
    credentials: BTreeMap<String, Result<Arc<Credentials>, String>>,
}

impl Connection {
    /// Binds an account, or tells everything that is wrong with it. Pointers are below `/connections/<name>`.
    pub fn bind(
        name: &str,
        connector: Arc<Connector>,
        settings: &settings::Connection,
        secrets: &Secrets,
    ) -> Result<Connection, Vec<Problem>> {
        let pointer = format!("/connections/{}", name.replace('~', "~0").replace('/', "~1"));
        let mut problems = Vec::new();
        let given = read_fields(&connector, settings, secrets, &pointer, &mut problems);
        let fields = match connector.fields.resolve(Value::Object(given), &Map::new(), &format!("connection `{name}`"))
        {
            Ok(fields) => derive(fields, &connector),
            Err(failure) => {
                if problems.is_empty() {
                    let problem = Problem::new(format!("{pointer}/fields"), "field_invalid", failure.message);
                    problems.push(Problem { help: failure.help, ..problem });
                }
                return Err(problems);
            }
        };
        let public = fields
            .iter()
            .filter(|(field, _)| !connector.secret_fields.contains(field))
            .map(|(field, value)| (field.clone(), value.clone()))
            .collect();
        let secret_values: Vec<String> = connector
            .secret_fields
            .iter()
            .filter_map(|field| super::selector::scalar_text(fields.get(field)?))
            .collect();
        let mut scope = Scope::new();
        scope.set("connection", Value::Object(fields));
        let hosts = resolve_hosts(&connector, settings, &scope, &pointer, &mut problems);
        check_defaults(&connector, settings, &pointer, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Connection {
            name: name.to_owned(),
            active: settings.active,
            mask: Arc::new(Mask::new(secret_values.iter().map(String::as_str))),
            limit_keys: RwLock::default(),
            proxy: settings.proxy.clone(),
            allowed: HostSet::new(hosts.values().cloned()),
            hosts,
            defaults: settings.defaults.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            public: Value::Object(public),
            credentials: connector.schemes.resolve(&scope),
            connector,
        })
    }

    /// The credentials of the best scheme that an action accepts and that this account has the fields for.
    pub fn credentials(&self, action: &Action) -> Result<Arc<Credentials>, Failure> {
        self.first_usable(&action.schemes, action)
    }

    /// The credentials for requests that no action describes: the connector's default schemes, or else any.
    pub(super) fn best_credentials(&self) -> Result<Arc<Credentials>, Failure> {
        self.first_usable(&self.connector.default_schemes, &"an http step")
    }

    fn first_usable(&self, schemes: &[String], what: &dyn std::fmt::Display) -> Result<Arc<Credentials>, Failure> {
        if schemes.is_empty() {
            return Ok(Arc::default());
        }
        let known = schemes.iter().filter_map(|scheme| Some((scheme, self.credentials.get(scheme)?)));
        let mut lacking = Vec::new();
        for (scheme, credentials) in known {
            match credentials {
                Ok(credentials) => return Ok(Arc::clone(credentials)),
                Err(why) => lacking.push(format!("`{scheme}` {why}")),
            }
        }
        Err(Failure::not_sent(
            "auth_missing",
            format!("the connection `{}` has no credentials that {what} accepts: {}", self.name, lacking.join("; ")),
        )
        .with_help("give the fields of one of them"))
    }

    /// The first of the connector's test actions that this account can call.
    pub fn test_action(&self) -> Option<&Arc<Action>> {
        let tests = self.connector.test.iter().filter_map(|name| self.connector.action(name));
        tests.into_iter().find(|action| self.credentials(action).is_ok())
    }

    /// The limits that an action counts against.
    pub(super) fn limit_keys(&self, action: &Action, limits: &Limits) -> Result<Keys, Failure> {
        if let Some(keys) = self.limit_keys.read().get(&action.name) {
            return Ok(keys.clone());
        }
        let asker = Asker { connector: &self.connector.name, connection: &self.name, action: &action.name };
        let keys = limits.keys(asker, &action.limits).map_err(|message| Failure::not_sent("limit_invalid", message))?;
        self.limit_keys.write().insert(action.name.clone(), keys.clone());
        Ok(keys)
    }

    /// The base URL that an action asks.
    pub(super) fn host(&self, action: &Action) -> Result<&Url, Failure> {
        self.hosts.get(&action.host).ok_or_else(|| {
            Failure::not_sent("no_host", format!("the connection `{}` has no host `{}`", self.name, action.host))
        })
    }
}

fn read_fields(
    connector: &Connector,
    settings: &settings::Connection,
    secrets: &Secrets,
    pointer: &str,
    problems: &mut Vec<Problem>,
) -> Map<String, Value> {
    let mut given = Map::new();
    for (field, source) in &settings.fields {
        let place = format!("{pointer}/fields/{field}");
        if !connector.fields.has(field) {
            let message = format!("`{}` has no field `{field}`", connector.name);
            let problem = Problem::new(place, "unknown_field", message);
            problems.push(match did_you_mean(field, connector.fields.names()) {
                Some(close) => problem.with_help(format!("did you mean `{close}`?")),
                None => problem,
            });
            continue;
        }
        match secrets.read(source) {
            Ok(value) => {
                given.insert(field.clone(), as_text(value));
            }
            Err(message) => problems.push(Problem::new(place, "field_unreadable", message)),
        }
    }
    given
}

/// Settings write numbers where a field is text (an account's number): the text is what was meant.
fn as_text(value: Value) -> Value {
    match super::selector::scalar_text(&value) {
        Some(text) if value.is_number() => Value::String(text),
        _ => value,
    }
}

/// Fills fields whose default is a template over the other fields (X's user id is the beginning of its access
/// token). What comes out as nothing leaves the field absent.
fn derive(mut fields: Map<String, Value>, connector: &Connector) -> Map<String, Value> {
    for name in connector.fields.names() {
        let Some(Value::String(source)) = fields.get(name) else {
            continue;
        };
        if !source.contains("{{") || !connector.fields.is_default(name, source) {
            continue;
        }
        let Ok(template) = Template::compile(source) else {
            continue;
        };
        let mut scope = Scope::new();
        scope.set("connection", Value::Object(fields.clone()));
        match template.evaluate(&scope) {
            Ok(Value::Null) | Err(_) => fields.shift_remove(name),
            Ok(value) => fields.insert(name.to_owned(), value),
        };
    }
    fields
}

fn resolve_hosts(
    connector: &Connector,
    settings: &settings::Connection,
    scope: &Scope,
    pointer: &str,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, Url> {
    for name in settings.hosts.keys() {
        if !connector.hosts.iter().any(|(known, _)| known == name) {
            let message = format!("`{}` has no host `{name}`", connector.name);
            let problem = Problem::new(format!("{pointer}/hosts/{name}"), "unknown_host", message);
            let known = connector.hosts.iter().map(|(known, _)| known.as_str());
            problems.push(match did_you_mean(name, known) {
                Some(close) => problem.with_help(format!("did you mean `{close}`?")),
                None => problem,
            });
        }
    }
    let mut hosts = BTreeMap::new();
    for (name, template) in &connector.hosts {
        let (text, place) = match settings.hosts.get(name) {
            Some(given) => (Ok(given.clone()), format!("{pointer}/hosts/{name}")),
            None => (template.render(scope), format!("{pointer}/fields")),
        };
        let url = text.map_err(|error| error.message).and_then(|text| base_url(&text));
        match url {
            Ok(url) => {
                hosts.insert(name.clone(), url);
            }
            Err(message) => {
                let problem =
                    Problem::new(place, "host_invalid", format!("the host `{name}` is not usable: {message}"));
                problems.push(problem.with_help("write a base URL such as https://api.example.com"));
            }
        }
    }
    hosts
}

fn base_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text.trim()).map_err(|error| format!("`{text}` is no URL ({error})"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("only http and https URLs with a host can be asked".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("credentials do not belong into a URL; use the connection's fields".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("a base URL has no query and no fragment".to_owned());
    }
    Ok(url)
}

fn check_defaults(connector: &Connector, settings: &settings::Connection, pointer: &str, problems: &mut Vec<Problem>) {
    for name in settings.defaults.keys() {
        if !connector.actions().any(|action| action.inputs.has(name)) {
            let message = format!("no action of `{}` has an input `{name}`", connector.name);
            let problem = Problem::new(format!("{pointer}/defaults/{name}"), "unknown_input", message);
            let known = connector.actions().flat_map(|action| action.inputs.names());
            problems.push(match did_you_mean(name, known) {
                Some(close) => problem.with_help(format!("did you mean `{close}`?")),
                None => problem,
            });
        }
    }
}

#[cfg(test)]
mod tests;
