//! A configured account: fields read and checked, hosts known, the credentials of every scheme ready. Secrets
//! are readable in `auth` and `hosts` templates only; requests see the other fields.

mod app;
mod schemes;
mod usable;

use self::schemes::Account;
pub use self::schemes::Schemes;

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;
use serde_json::{Map, Value, json};
use url::Url;

use super::Connector;
use super::action::Action;
use super::auth::Credentials;
use super::grants::Places;
use super::limits::{Asker, Keys, Limits};
use super::mask::Mask;
use super::message::HostSet;
use super::restriction::Restriction;
use crate::engine::Failure;
use crate::manifest::connector::Limit;
use crate::manifest::diagnostic::did_you_mean;
use crate::manifest::problem::Problem;
use crate::secrets::Secrets;
use crate::settings;
use crate::template::{Scope, Template};

/// Fields that nothing shows.
struct SecretFields(Map<String, Value>);

impl std::fmt::Debug for SecretFields {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SecretFields(..)")
    }
}

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
    /// What it is held to.
    restrictions: Vec<Arc<Restriction>>,
    /// The others.
    secret: SecretFields,
    /// What it has in common with the connections of the same app.
    app: Option<String>,
    /// By action, found when it is first called.
    limit_keys: RwLock<BTreeMap<String, Keys>>,
    credentials: BTreeMap<String, Result<Arc<Credentials>, String>>,
    /// Its hosts as grants remember them.
    pub(super) fingerprint: String,
}

/// The credentials that an action accepts and that the account has the fields for, best first. A token that is
/// not there yet leaves the place to the next.
pub(super) type Ways = Vec<Arc<Credentials>>;

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
        let secret = fields.iter().filter(|(field, _)| connector.secret_fields.contains(field));
        let secret = secret.map(|(field, value)| (field.clone(), value.clone())).collect();
        let secret_values: Vec<String> = connector
            .secret_fields
            .iter()
            .filter_map(|field| super::selector::scalar_text(fields.get(field)?))
            .collect();
        let app = app::of(&connector.app_fields, &fields);
        let mut scope = Scope::new();
        scope.set("connection", Value::Object(fields));
        let hosts = resolve_hosts(&connector, settings, &scope, &pointer, &mut problems);
        check_defaults(&connector, settings, &pointer, &mut problems);
        let restrictions = restrictions(&connector, settings, &pointer, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        let mask = Arc::new(Mask::new(secret_values.iter().map(String::as_str)));
        let places = Places::new(hosts.clone(), connector.schemes.default_host.clone());
        let account = Account { name, scope: &scope, places: &places, mask: &mask };
        Ok(Connection {
            name: name.to_owned(),
            active: settings.active,
            credentials: connector.schemes.resolve(account),
            fingerprint: places.fingerprint(),
            mask,
            restrictions,
            app,
            limit_keys: RwLock::default(),
            proxy: settings.proxy.clone(),
            allowed: HostSet::new(hosts.values().cloned()),
            hosts,
            defaults: settings.defaults.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            public: Value::Object(public),
            secret: SecretFields(secret),
            connector,
        })
    }

    /// What an action's templates see: the fields that are no secrets, and the secrets that it signs with.
    pub(super) fn fields(&self, action: &Action) -> Value {
        let mut fields = self.public.clone();
        if let Some(members) = fields.as_object_mut() {
            let keys = action.keys.iter();
            members.extend(keys.filter_map(|key| Some((key.clone(), self.secret.0.get(key)?.clone()))));
        }
        fields
    }

    /// The limits that an action counts against.
    pub(super) fn limit_keys(&self, action: &Action, limits: &Limits) -> Result<Keys, Failure> {
        if let Some(keys) = self.limit_keys.read().get(&action.name) {
            return Ok(keys.clone());
        }
        let asker = Asker {
            connector: &self.connector.name,
            connection: &self.name,
            app: self.app.as_deref(),
            action: &action.name,
        };
        let scheme = self.scheme(action);
        let counts = |limit: &&Limit| {
            limit.auth.is_empty() || limit.auth.as_slice().iter().any(|auth| Some(auth.as_str()) == scheme)
        };
        let held = self.restrictions.iter().flat_map(|restriction| &restriction.limits);
        let counting: Vec<Limit> = action.limits.iter().chain(held).filter(counts).cloned().collect();
        let keys = limits.keys(asker, &counting).map_err(|message| Failure::not_sent("limit_invalid", message))?;
        self.limit_keys.write().insert(action.name.clone(), keys.clone());
        Ok(keys)
    }

    /// The inputs of an action as its restrictions let them be given.
    pub(super) fn restrict(&self, action: &Action, inputs: Map<String, Value>) -> Result<Map<String, Value>, Failure> {
        self.restrictions.iter().try_fold(inputs, |inputs, restriction| restriction.apply(action, inputs))
    }

    /// Whose records it shows, where `action` is polled: its name, its hosts, the fields that are no secrets and that
    /// `read` (the texts of what is asked and of its auth) names, and what it gives and does to the action's inputs.
    /// Secrets are left out: they change while the account stays the same.
    pub fn identity(&self, action: Option<&str>, read: &str) -> Value {
        let fields = self.public.as_object().into_iter().flatten();
        let fields: Map<String, Value> = fields
            .filter(|(name, _)| read.contains(&format!("connection.{name}")))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let hosts: BTreeMap<&String, &str> = self.hosts.iter().map(|(name, url)| (name, url.as_str())).collect();
        let holds = |restriction: &&Arc<Restriction>| action.is_some_and(|name| restriction.actions.contains_key(name));
        let held: Vec<&str> = self.restrictions.iter().filter(holds).map(|held| held.name.as_str()).collect();
        let compiled = action.and_then(|name| self.connector.action(name));
        let defaults: BTreeMap<&String, &Value> =
            self.defaults.iter().filter(|(name, _)| compiled.is_some_and(|action| action.inputs.has(name))).collect();
        json!({"name": self.name, "hosts": hosts, "fields": fields, "defaults": defaults, "restrictions": held})
    }

    /// The most items that a trigger may find in one poll.
    pub fn most_items(&self, trigger: &str) -> Option<u32> {
        self.restrictions.iter().filter_map(|restriction| restriction.most.get(trigger).copied()).min()
    }

    /// The base URL that an action asks: always one of its connector's hosts, whatever the inputs say.
    pub(super) fn host(&self, action: &Action, scope: &Scope) -> Result<&Url, Failure> {
        let name = action.host.name(scope)?;
        self.hosts.get(name.as_ref()).ok_or_else(|| {
            let failure = Failure::not_sent("no_host", format!("the connection `{}` has no host `{name}`", self.name));
            let known: Vec<&str> = self.hosts.keys().map(String::as_str).collect();
            failure.with_help(format!("there are: {}", known.join(", ")))
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
                given.insert(field.clone(), as_meant(value, connector.fields.is_number(field)));
            }
            Err(message) => problems.push(Problem::new(place, "field_unreadable", message)),
        }
    }
    given
}

/// Settings write numbers where a field is text (an account's number): the text is what was meant. The
/// environment and files hold text where a field is a number.
fn as_meant(value: Value, is_number: bool) -> Value {
    match super::selector::scalar_text(&value) {
        Some(text) if is_number => text.trim().parse::<serde_json::Number>().map_or(value, Value::Number),
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

fn restrictions(
    connector: &Connector,
    settings: &settings::Connection,
    pointer: &str,
    problems: &mut Vec<Problem>,
) -> Vec<Arc<Restriction>> {
    let mut held = Vec::new();
    for name in settings.restrictions.as_slice() {
        match connector.restrictions.get(name) {
            Some(restriction) => held.push(Arc::clone(restriction)),
            None => {
                let message = format!("`{}` has no restriction `{name}`", connector.name);
                let problem = Problem::new(format!("{pointer}/restrictions"), "unknown_restriction", message);
                problems.push(match did_you_mean(name, connector.restrictions.keys().map(String::as_str)) {
                    Some(close) => problem.with_help(format!("did you mean `{close}`?")),
                    None => problem,
                });
            }
        }
    }
    held
}

fn check_defaults(connector: &Connector, settings: &settings::Connection, pointer: &str, problems: &mut Vec<Problem>) {
    for name in settings.defaults.keys() {
        if !connector.inputs.contains(name) {
            let message = format!("no action of `{}` has an input `{name}`", connector.name);
            let problem = Problem::new(format!("{pointer}/defaults/{name}"), "unknown_input", message);
            problems.push(match did_you_mean(name, connector.inputs.iter().map(String::as_str)) {
                Some(close) => problem.with_help(format!("did you mean `{close}`?")),
                None => problem,
            });
        }
    }
}

#[cfg(test)]
mod tests;
