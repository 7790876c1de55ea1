//! `tidegate connect`: a connection made by a person. What is missing is told first, so that whoever calls can
//! ask for it; what is complete is tested, then stored, its secrets sealed. Nothing is stored that does not work
//! unless that is wished.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::connections;
use super::{Error, Exit, Place, Project, Result, connectors, open, project, stored, value, vault};
use crate::check;
use crate::connector::executor::Proof;
use crate::manifest::diagnostic::did_you_mean;
use crate::manifest::{Connector, Input, Inputs, Severity};
use crate::sealing::Key;
use crate::secrets::Vaulted;
use crate::settings::{Connection, Health, Source};
use crate::store::accounts::Account;
use crate::worker::Accounts;

/// What a person wants to connect.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// The connector.
    pub connector: String,
    /// The connection's name; the connector's unless given.
    pub name: Option<String>,
    /// `field=value`, where the value may be `{env: NAME}` or another source.
    pub sets: Vec<String>,
    /// What it is for.
    pub description: Option<String>,
    /// A proxy for its requests.
    pub proxy: Option<String>,
    /// `name=url`, instead of the connector's hosts.
    pub hosts: Vec<String>,
}

/// A connection that is being made.
#[derive(Debug)]
pub struct Draft {
    /// Its name.
    pub name: String,
    /// What people call the connector.
    pub title: String,
    /// Whether a stored connection of that name is changed.
    pub is_change: bool,
    connection: Connection,
    fields: Inputs,
    project: Project,
}

/// What may be asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Question {
    /// The field.
    pub field: String,
    /// What people call it.
    pub title: String,
    /// What it is for.
    pub description: Option<String>,
    /// Whether it must be given.
    pub is_required: bool,
    /// Whether it must not be shown.
    pub is_secret: bool,
    /// What there is to choose from; nothing where anything can be given.
    pub choices: Vec<String>,
    /// What is used where nothing is given.
    pub default: Option<String>,
}

/// What became of it.
#[derive(Clone, Debug, Serialize)]
pub struct Connected {
    /// Its name.
    pub name: String,
    /// The connector.
    pub connector: String,
    /// Whether the service answered.
    pub works: bool,
    /// What the service said, in words.
    pub message: String,
    /// Whether a stored connection was changed.
    pub is_change: bool,
    /// Where the key is that its secrets are sealed under; none where it has no secrets.
    pub key: Option<String>,
    /// Whether that key was made just now.
    pub is_new_key: bool,
    /// Files of flows that name none of the connector's accounts, of which there are several by now: they stop until
    /// they do.
    pub in_doubt: Vec<String>,
}

/// Reads what was given, and says what is missing: see [`Draft::questions`].
///
/// # Errors
/// `connector_unknown`, `connection_exists`, `field_unknown`, `field_invalid`, `host_unknown`, ...
pub fn begin(place: &Place, wish: Wish) -> Result<Draft> {
    draft(project::settled(place)?, wish)
}

/// The same for a project that is loaded.
///
/// # Errors
/// As [`begin`].
pub(super) fn draft(project: Project, wish: Wish) -> Result<Draft> {
    let loaded = connectors::find(&project, &wish.connector)?;
    let connector = loaded.value.as_ref();
    let name = wish.name.clone().unwrap_or_else(|| connector.connector.clone());
    let known = known(&project, &name, connector)?;
    let mut connection = known.clone().unwrap_or_default();
    connection.connector.clone_from(&connector.connector);
    if known.is_none() {
        connection.active = true;
    }
    connection.description = wish.description.or(connection.description);
    connection.proxy = proxy(wish.proxy)?.or(connection.proxy);
    for given in &wish.hosts {
        let (host, url) = host(connector, given)?;
        connection.hosts.insert(host, url);
    }
    // Whoever sends secrets elsewhere must know them.
    if known.as_ref().is_some_and(|known| known.audience() != connection.audience()) {
        connection.fields.retain(|field, _| !connector.connection.fields.get(field).is_some_and(|field| field.secret));
    }
    let mut draft = Draft {
        title: connector.title.clone().unwrap_or_else(|| connector.connector.clone()),
        fields: connector.connection.fields.clone(),
        is_change: known.is_some(),
        name,
        connection,
        project,
    };
    for given in &wish.sets {
        let (field, text) = value::split(given)?;
        draft.answer(field, text)?;
    }
    Ok(draft)
}

impl Draft {
    /// What has not been given, what must be first.
    pub fn questions(&self) -> Vec<Question> {
        let missing = self.fields.iter().filter(|(name, _)| !self.connection.fields.contains_key(*name));
        // A default that is worked out from other fields is not a person's to give.
        let missing = missing.filter(|(_, field)| !default_of(field).is_some_and(|default| default.contains("{{")));
        let mut questions: Vec<Question> = missing.map(|(name, field)| question(name, field)).collect();
        questions.sort_by_key(|question| !question.is_required);
        questions
    }

    /// Takes the value of a field; an empty text where there is a choice means that it is not given.
    ///
    /// # Errors
    /// `field_unknown`, `field_invalid`; never with the value of a secret.
    pub fn answer(&mut self, name: &str, text: &str) -> Result<()> {
        let field = self.fields.get(name).ok_or_else(|| {
            let message = format!("a connection of {} has no field `{name}`", self.connection.connector);
            let names: Vec<&str> = self.fields.keys().map(String::as_str).collect();
            let help = match did_you_mean(name, names.iter().copied()) {
                Some(close) => format!("did you mean `{close}`?"),
                None => format!("its fields: {}", names.join(", ")),
            };
            Error::usage("field_unknown", message).with_help(help)
        })?;
        if text.is_empty() && !field.required {
            self.connection.fields.remove(name);
            return Ok(());
        }
        let source = match source(text) {
            Some(source) => source,
            None => Source::Value(checked(name, field, text, &self.project, &self.connection.connector)?),
        };
        self.connection.fields.insert(name.to_owned(), source);
        Ok(())
    }

    /// Lets a field be read from elsewhere.
    pub(super) fn point(&mut self, field: &str, source: Source) {
        self.connection.fields.insert(field.to_owned(), source);
    }

    /// Sets what a person is not asked for.
    pub(super) fn complete(&mut self, defaults: BTreeMap<String, Value>, health: Option<Health>) {
        self.connection.defaults = defaults;
        self.connection.health = health;
    }

    /// As it will be once it is stored.
    pub(super) fn as_stored(&self) -> Connection {
        Connection { is_stored: true, ..self.connection.clone() }
    }

    /// As the store keeps it.
    pub(super) fn sealed(&self, key: &Key) -> Result<Account> {
        let secrets = self.fields.iter().filter(|(_, field)| field.secret).map(|(name, _)| name.clone());
        stored::write(&self.name, &self.connection, &secrets.collect::<Vec<_>>(), key)
    }

    /// That it is complete and works; one that does not only where `untested` says so.
    pub(super) async fn prove(&self, place: &Place, untested: bool) -> Result<Proof> {
        let missing: Vec<Question> = self.questions().into_iter().filter(|question| question.is_required).collect();
        if !missing.is_empty() {
            return Err(fields_missing(self, &missing));
        }
        self.sound()?;
        let asked = ask(place, &self.project, &self.name, &self.connection).await?;
        if let (Err(failure), false) = (&asked.result, untested) {
            let error = Error::from(failure.clone());
            let help = match &error.help {
                Some(help) => format!("{help}; nothing was stored (--untested stores it all the same)"),
                None => "nothing was stored (--untested stores it all the same)".to_owned(),
            };
            return Err(error.with_help(help));
        }
        Ok(asked)
    }

    // What `check` would refuse in tidegate.yaml can never work, tested or not.
    fn sound(&self) -> Result<()> {
        let found = check::connection(&self.project.catalog, &self.name, &self.connection);
        match found.into_iter().find(|found| found.severity == Severity::Error) {
            None => Ok(()),
            Some(found) => {
                let message = format!("the connection `{}` cannot work: {}", self.name, found.message);
                let help = found.help.map(|help| format!("{help}; nothing was stored"));
                Err(Error::usage(found.code, message)
                    .with_help(help.unwrap_or_else(|| "nothing was stored".to_owned())))
            }
        }
    }

    /// Tests the connection and stores it; one that does not work only where `untested` says so.
    ///
    /// # Errors
    /// `fields_missing` with all of them; what the service said; the key's and the store's.
    pub async fn store(self, place: &Place, untested: bool) -> Result<Connected> {
        let asked = self.prove(place, untested).await?;
        let settings = &self.project.catalog.settings.value;
        let now_ms = place.clock.now_ms();
        let store = open::tool(&open::location(place, settings)?, &place.clock)?;
        let keys = open::keys(place, settings, &store)?;
        let is_new_key = store.key_id().await?.is_none();
        let key = keys.key(now_ms).await?;
        let account = self.sealed(&key)?;
        let has_secrets = !account.secrets.is_empty();
        store.put_accounts(vec![account], now_ms).await?;
        let Draft { name, connection, is_change, .. } = self;
        let view = open::view(place).await?;
        connections::record(&view, &store, &name, &asked.result).await?;
        store.close().await?;
        let in_doubt = view.project.diagnostics.iter().filter(|found| found.code == "connection_ambiguous");
        let mut in_doubt: Vec<String> = in_doubt.map(|found| found.file.display().to_string()).collect();
        in_doubt.dedup();
        let told = connections::tell(&name, asked.action, &asked.result, 0);
        Ok(Connected {
            connector: connection.connector,
            works: told.works,
            message: told.message,
            is_change,
            key: has_secrets.then(|| keys.place().to_string()),
            is_new_key: is_new_key && has_secrets,
            in_doubt,
            name,
        })
    }
}

async fn ask(place: &Place, project: &Project, name: &str, connection: &Connection) -> Result<Proof> {
    let executor = open::executor(&place.directory, &project.catalog.settings.value, &place.clock)?;
    // One that is switched off is tested all the same.
    let only = BTreeMap::from([(name.to_owned(), Connection { active: true, ..connection.clone() })]);
    let settings = &project.catalog.settings.value;
    let secrets = open::secrets(place, project).await?;
    let vaulted = vault::read(settings, only.values(), &secrets, &place.clock, &Vaulted::new()).await;
    let accounts = Accounts::new(only, secrets.with_vaulted(vaulted));
    Ok(connections::ask(project, &executor, &accounts, name).await)
}

// A stored connection of that name; one of the settings is a person's to edit there.
fn known(project: &Project, name: &str, connector: &Connector) -> Result<Option<Connection>> {
    if !check::is_identifier(name) {
        let message = format!("`{name}` cannot be a connection's name");
        return Err(Error::usage("bad_identifier", message)
            .with_help("use letters, digits, `_` and `-`, and begin with a letter"));
    }
    match project.catalog.settings.value.connections.get(name) {
        None => Ok(None),
        Some(known) if !known.is_stored => {
            let message = format!("there is a connection `{name}` in tidegate.yaml");
            Err(Error::problem("connection_exists", message).with_help("change it there, or give another --name"))
        }
        Some(known) if known.connector != connector.connector => {
            let message = format!("there is a connection `{name}` of {}", known.connector);
            Err(Error::problem("connection_exists", message).with_help("give another --name"))
        }
        Some(known) => Ok(Some(known.clone())),
    }
}

fn proxy(given: Option<String>) -> Result<Option<String>> {
    let Some(text) = given else { return Ok(None) };
    let invalid = |message: &str| {
        Err(Error::usage("proxy_invalid", message).with_help("write for example `http://proxy.example.org:3128`"))
    };
    match url::Url::parse(&text) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() => {
            invalid("this is no address of a proxy")
        }
        Ok(url) if url.password().is_some() => {
            invalid("a proxy's password would be stored as it is: only proxies without one can be stored")
        }
        Ok(_) => Ok(Some(text)),
        Err(_) => invalid("this is no address of a proxy"),
    }
}

fn host(connector: &Connector, given: &str) -> Result<(String, String)> {
    let (name, url) = given.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
        Error::usage("host_syntax", format!("`{given}` is no `name=url`"))
            .with_help("write for example api=https://api.example.com")
    })?;
    if !connector.hosts.contains_key(name) {
        let names: Vec<&str> = connector.hosts.keys().map(String::as_str).collect();
        let message = format!("`{}` has no host `{name}`", connector.connector);
        return Err(Error::usage("host_unknown", message).with_help(format!("its hosts: {}", names.join(", "))));
    }
    Ok((name.to_owned(), url.to_owned()))
}

// `{env: NAME}`, `{file: PATH}`, `{vault: PATH#KEY}`, as the settings have them.
fn source(text: &str) -> Option<Source> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let (kind, rest) = inner.split_once(':')?;
    let named = rest.trim().trim_matches(['"', '\'']).to_owned();
    match kind.trim() {
        "env" => Some(Source::Env { env: named }),
        "file" => Some(Source::File { file: named }),
        "vault" => Some(Source::Vault { vault: named }),
        _ => None,
    }
}

fn checked(name: &str, field: &Input, text: &str, project: &Project, connector: &str) -> Result<Value> {
    let none = BTreeMap::new();
    let schemas = project.catalog.connectors.get(connector).map_or(&none, |loaded| &loaded.value.schemas);
    let value = value::read(text, &Value::Object(field.schema.clone()), schemas);
    let one = Inputs::from([(name.to_owned(), field.clone())]);
    let problems = check::inputs(&Map::from_iter([(name.to_owned(), value.clone())]), &one, schemas);
    match problems.into_iter().next() {
        None => Ok(value),
        // What is wrong with a secret could repeat it.
        Some(_) if field.secret => {
            Err(Error::usage("field_invalid", format!("the value of `{name}` is not what {connector} takes")))
        }
        Some(problem) => {
            let error = Error::usage("field_invalid", format!("`{name}`: {}", problem.message));
            Err(match problem.help {
                Some(help) => error.with_help(help),
                None => error,
            })
        }
    }
}

fn question(name: &str, field: &Input) -> Question {
    let text = |keyword: &str| field.schema.get(keyword).and_then(Value::as_str).map(str::to_owned);
    let choices = field.schema.get("enum").and_then(Value::as_array);
    Question {
        field: name.to_owned(),
        title: text("title").unwrap_or_else(|| name.to_owned()),
        description: text("description"),
        is_required: field.required && field.default_value().is_none(),
        is_secret: field.secret,
        choices: choices.into_iter().flatten().map(plain).collect(),
        default: default_of(field),
    }
}

fn default_of(field: &Input) -> Option<String> {
    field.default_value().map(plain)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn fields_missing(draft: &Draft, missing: &[Question]) -> Error {
    let told: Vec<String> = missing.iter().map(|question| format!("{} ({})", question.field, question.title)).collect();
    let message = format!("the connection `{}` lacks {}", draft.name, told.join(", "));
    let example = missing.first().map_or("field", |question| question.field.as_str());
    Error::new(Exit::Connection, "fields_missing", message)
        .with_help(format!("give each as in --set {example}='{{env: NAME}}', or run this on a terminal to be asked"))
}
