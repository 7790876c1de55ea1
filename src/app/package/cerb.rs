//! Packages of Cerb: its JSON with `package.configure.prompts` and records of connected services (OAuth 1.0a, three
//! URLs) and accounts becomes a package of ours. What is not understood (records and sections of other kinds) is refused,
//! not passed over.

mod prompts;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use self::prompts::{Answers, asked, ours};
use super::{Kind, Package, Prompt, invalid};
use crate::app::Result;
use crate::settings::{Connection, Source};

const SERVICE: &str = "connected_service";
const ACCOUNT: &str = "connected_account";
const OAUTH1: &str = "cerb.service.provider.oauth1";

/// A service, read.
struct Service<'a> {
    uid: &'a str,
    name: String,
    connector: String,
    key: String,
    secret: String,
    urls: [String; 3],
}

/// Fields of a connection, by name.
type Tokens = Vec<(&'static str, String)>;

/// Names that have been given, each with what has it: of two that come to the same, one would be lost.
struct Taken {
    what: &'static str,
    names: BTreeMap<String, String>,
}

impl Taken {
    fn of(what: &'static str) -> Taken {
        Taken { what, names: BTreeMap::new() }
    }

    fn take(&mut self, name: &str, title: &str) -> Result<()> {
        match self.names.insert(name.to_owned(), title.to_owned()) {
            None => Ok(()),
            Some(other) => {
                let message = format!("the {} `{other}` and `{title}` would both be `{name}` here", self.what);
                Err(invalid(&message).with_help("rename one of them in the package; nothing was added"))
            }
        }
    }
}

/// Reads what Cerb wrote, with what was answered to its prompts; before that, names and addresses that they stand in
/// are provisional.
///
/// # Errors
/// `package_invalid`, `prompt_unknown`, `prompt_misplaced`.
pub fn convert(written: &Value, given: Option<&BTreeMap<String, String>>) -> Result<Package> {
    refuse_others(written)?;
    let title = text(written, "/package/name").unwrap_or("Cerb package");
    let mut package = Package { package: name_of(title), title: Some(title.to_owned()), ..Package::default() };
    let mut prompts = Taken::of("prompts");
    for prompt in list(written, "/package/configure/prompts")? {
        let key = text(prompt, "/key").ok_or_else(|| invalid("a prompt has no `key`"))?;
        prompts.take(key, text(prompt, "/label").unwrap_or(key))?;
        package.prompts.insert(key.to_owned(), asked(prompt, key)?);
    }
    let answers = Answers { prompts: &package.prompts.clone(), given };
    let records = list(written, "/records")?;
    let (mut services, mut uids) = (Vec::new(), Taken::of("services"));
    for record in records {
        match context(record) {
            SERVICE => {
                let service = service(record, &answers)?;
                if !service.uid.is_empty() {
                    uids.take(service.uid, &service.name)?;
                }
                services.push(service);
            }
            ACCOUNT => {}
            other => return Err(invalid(&format!("records of the kind `{other}` are not understood"))),
        }
    }
    let mut connectors = Taken::of("services");
    for service in services.iter().filter(|service| service.connector != "x") {
        connectors.take(&service.connector, &service.name)?;
        package.connectors.insert(service.connector.clone(), connector(service)?);
    }
    let mut accounts: Vec<(&Service<'_>, String, Tokens)> = Vec::new();
    for record in records.iter().filter(|record| context(record) == ACCOUNT) {
        let of = text(record, "/service_id").unwrap_or_default();
        let named = services.iter().find(|service| uid(of) == Some(service.uid));
        let service = named.ok_or_else(|| invalid(&format!("the account's service `{of}` is not in the package")))?;
        let title = answers.name(text(record, "/name").unwrap_or(&service.connector))?;
        accounts.push((service, title, tokens(record)));
    }
    // A service alone is connected as itself.
    for service in &services {
        if !accounts.iter().any(|(of, ..)| of.uid == service.uid) {
            accounts.push((service, service.connector.clone(), Vec::new()));
        }
    }
    let mut names = Taken::of("accounts");
    for (service, title, tokens) in accounts {
        let name = name_of(&title);
        names.take(&name, &title)?;
        let field = |value: &str| Source::Value(Value::from(value));
        let mut fields = BTreeMap::from([
            ("consumer_key".to_owned(), field(&service.key)),
            ("consumer_secret".to_owned(), field(&service.secret)),
        ]);
        fields.extend(tokens.into_iter().map(|(name, value)| (name.to_owned(), field(&value))));
        let connection =
            Connection { connector: service.connector.clone(), active: true, fields, ..Connection::default() };
        package.connections.insert(name, connection);
    }
    Ok(package)
}

// An account that brings its tokens along needs no sign-in.
fn tokens(record: &Value) -> Tokens {
    let one_of = |names: [&str; 2]| names.iter().find_map(|name| text(record, &format!("/params/{name}"))).map(ours);
    let token = one_of(["oauth_token", "access_token"]).map(|token| ("access_token", token));
    let secret = one_of(["oauth_token_secret", "access_token_secret"]).map(|secret| ("access_token_secret", secret));
    token.zip(secret).map(|(token, secret)| vec![token, secret]).unwrap_or_default()
}

// Whatever else there is would be lost without a word.
fn refuse_others(written: &Value) -> Result<()> {
    let is_nothing = |value: &Value| match value {
        Value::Null => true,
        Value::Array(elements) => elements.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    };
    let sections = written.as_object().into_iter().flatten();
    let other = sections
        .into_iter()
        .find(|(name, value)| !matches!(name.as_str(), "package" | "records") && !is_nothing(value));
    let placeholders = written.pointer("/package/configure/placeholders").filter(|value| !is_nothing(value));
    let name = match (other, placeholders) {
        (Some((name, _)), _) => name.as_str(),
        (None, Some(_)) => "package.configure.placeholders",
        (None, None) => return Ok(()),
    };
    let message = format!("`{name}` of the package is not understood: prompts and `records` are");
    Err(invalid(&message).with_help("take it out of the package; nothing was added"))
}

fn service<'a>(record: &'a Value, answers: &Answers<'_>) -> Result<Service<'a>> {
    let name = answers.name(text(record, "/name").unwrap_or("service"))?;
    let extension = text(record, "/extension_id").unwrap_or_default();
    if extension != OAUTH1 {
        return Err(invalid(&format!("the service `{name}` is one of `{extension}`; `{OAUTH1}` is understood")));
    }
    let params = record.get("params").unwrap_or(&Value::Null);
    let one_of = |names: &[&str]| {
        let found = names.iter().find_map(|name| params.get(*name).and_then(Value::as_str));
        found.ok_or_else(|| invalid(&format!("the service `{name}` has no `{}`", names.first().unwrap_or(&""))))
    };
    let urls = [
        answers.address(one_of(&["request_token_url"])?)?,
        answers.address(one_of(&["authentication_url", "authorize_url"])?)?,
        answers.address(one_of(&["access_token_url"])?)?,
    ];
    let is_x = urls.iter().all(|url| {
        let host = url::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
        ["twitter.com", "x.com"].iter().any(|known| host == *known || host.ends_with(&format!(".{known}")))
    });
    let own = answers.name(text(record, "/uri").unwrap_or(&name))?;
    let (key, secret) =
        (ours(one_of(&["client_id", "consumer_key"])?), ours(one_of(&["client_secret", "consumer_secret"])?));
    Ok(Service {
        uid: text(record, "/uid").unwrap_or_default(),
        name,
        connector: if is_x { "x".to_owned() } else { name_of(&own) },
        key,
        secret,
        urls,
    })
}

// A service that is not known otherwise: people sign in at its three URLs, and `http` steps are signed with its
// accounts.
fn connector(service: &Service<'_>) -> Result<Value> {
    let mut hosts: BTreeMap<&str, String> = BTreeMap::new();
    let mut places = Vec::new();
    for (host, written) in ["api", "authorize", "access_token"].into_iter().zip(&service.urls) {
        let url = url::Url::parse(written).map_err(|error| invalid(&format!("`{written}` is no URL: {error}")))?;
        let origin = url.origin().ascii_serialization();
        let known = hosts.iter().find(|(_, known)| **known == origin).map(|(name, _)| *name);
        let host = known.unwrap_or(host);
        hosts.insert(host, origin);
        places.push(json!({"host": host, "path": url.path()}));
    }
    let field = |title: &str, is_secret: bool| json!({"type": "string", "title": title, "secret": is_secret});
    Ok(json!({
        "connector": service.connector,
        "title": service.connector,
        "version": "1.0.0",
        "hosts": hosts,
        "connection": {
            "fields": {
                "consumer_key": field("Consumer key", false),
                "consumer_secret": field("Consumer secret", true),
                "access_token": field("Access token", true),
                "access_token_secret": field("Access token secret", true),
            },
            "auth": {"user": {
                "type": "oauth1",
                "consumer_key": "{{connection.consumer_key}}",
                "consumer_secret": "{{connection.consumer_secret}}",
                "token": "{{connection.access_token}}",
                "token_secret": "{{connection.access_token_secret}}",
                "sign_in": {"request_token": places.first(), "authorize": places.get(1), "access_token": places.get(2)},
            }},
        },
        "defaults": {"host": "api", "auth": ["user"]},
    }))
}

// What should be a list and is something else was not meant to be nothing.
fn list<'a>(written: &'a Value, pointer: &str) -> Result<&'a [Value]> {
    match written.pointer(pointer) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(elements)) => Ok(elements),
        Some(_) => Err(invalid(&format!("`{}` is no list", pointer.trim_start_matches('/').replace('/', ".")))),
    }
}

// The uid in `{{{uid.service_twitter}}}`.
fn uid(reference: &str) -> Option<&str> {
    let inner = reference.trim().trim_start_matches('{').trim_end_matches('}').trim();
    inner.strip_prefix("uid.").filter(|uid| !uid.is_empty())
}

// `cerberusweb.contexts.connected_service`, or the short form of newer versions.
fn context(record: &Value) -> &str {
    let written = text(record, "/_context").unwrap_or_default();
    written.rsplit('.').next().unwrap_or(written)
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

// A name of ours: small letters, digits and dashes.
fn name_of(text: &str) -> String {
    let plain =
        text.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' });
    let plain: String = plain.collect();
    let parts: Vec<&str> = plain.split('-').filter(|part| !part.is_empty()).collect();
    let name = parts.join("-");
    if name.starts_with(|letter: char| letter.is_ascii_lowercase()) { name } else { format!("cerb-{name}") }
}
