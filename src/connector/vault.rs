//! Reads secrets from HashiCorp Vault or OpenBao: KV version 2 and version 1, by token or AppRole. One look reads
//! what is named, a request per path; nothing is kept here, and no error repeats a secret. `app/vault.rs` calls it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use url::Url;

use super::auth::Credentials;
use super::egress::Egress;
use super::message::{Body, HostSet, HttpRequest, HttpResponse, Method};
use super::requester::{Requester, RequesterOptions};
use crate::clock::Clock;
use crate::manifest::diagnostic::did_you_mean;
use crate::secrets::{Secrets, Vaulted};
use crate::settings::{self, Reference, Source};

/// A vault answers at once or not at all; what starts waits for it.
const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// A vault, and how to be let in. Opens nothing before [`Vault::read`].
pub struct Vault {
    address: Url,
    namespace: Option<String>,
    entry: Entry,
    requester: Requester,
}

/// How to be let in.
enum Entry {
    Token(String),
    AppRole { mount: String, role_id: String, secret_id: String },
}

/// Why a secret is not there, in words; never a secret.
type Told = String;

impl Vault {
    /// The one that the settings and the environment name.
    ///
    /// # Errors
    /// What is missing or wrong, in words.
    pub fn of(settings: &settings::Vault, secrets: &Secrets, clock: &Clock, user_agent: &str) -> Result<Vault, Told> {
        let written = settings.address.clone().or_else(|| secrets.variable("VAULT_ADDR")).ok_or(
            "there is no address of a vault: write `vault: {address: ...}` in tidegate.yaml, or set VAULT_ADDR",
        )?;
        let address = address(&written)?;
        let namespace = settings.namespace.clone().or_else(|| secrets.variable("VAULT_NAMESPACE"));
        let ca = match settings.ca.clone().or_else(|| secrets.variable("VAULT_CACERT")) {
            Some(path) => Some(secrets.file(&path)?),
            None => None,
        };
        let entry = entry(settings, secrets)?;
        // Whoever runs this chose the address, and nothing that came from outside is in a request: any will do.
        let port = address.port_or_known_default().unwrap_or_default();
        let allow = [format!("0.0.0.0/0:{port}"), format!("[::]/0:{port}")];
        let egress = Egress::new(&allow).map_err(|_| format!("{address} is no address that can be reached"))?;
        let requester = Requester::new(RequesterOptions {
            egress,
            clock: clock.clone(),
            max_response_bytes: MAX_ANSWER_BYTES,
            user_agent: user_agent.to_owned(),
            ca,
        })
        .map_err(|failure| failure.message)?;
        Ok(Vault { address, namespace, entry, requester })
    }

    /// Reads what `PATH#KEY` texts name, each path once.
    pub async fn read(&self, references: &BTreeSet<String>) -> Vaulted {
        let token = match self.token().await {
            Ok(token) => token,
            Err(told) => return references.iter().map(|text| (text.clone(), Err(told.clone()))).collect(),
        };
        let mut known: BTreeMap<String, Result<Map<String, Value>, Told>> = BTreeMap::new();
        let mut read = Vaulted::new();
        for text in references {
            let value = match Reference::parse(text) {
                Err(wrong) => Err(wrong),
                Ok(Reference { path, key }) => {
                    if !known.contains_key(path) {
                        known.insert(path.to_owned(), self.secret(&token, path).await);
                    }
                    match known.get(path) {
                        Some(Ok(secret)) => pick(secret, path, key),
                        Some(Err(told)) => Err(told.clone()),
                        None => Err(format!("the secret `{path}` was not read")),
                    }
                }
            };
            read.insert(text.clone(), value);
        }
        read
    }

    async fn token(&self) -> Result<String, Told> {
        let (mount, role_id, secret_id) = match &self.entry {
            Entry::Token(token) => return Ok(token.clone()),
            Entry::AppRole { mount, role_id, secret_id } => (mount, role_id, secret_id),
        };
        let path = format!("auth/{mount}/login");
        let body = json!({"role_id": role_id, "secret_id": secret_id}).to_string();
        let answer = self.ask(Method::POST, &path, None, Body::Json(Bytes::from(body))).await?;
        if answer.status != 200 {
            return Err(self.refused("logging in by AppRole", &path, &answer));
        }
        let token = object(&answer).and_then(|body| Some(body.get("auth")?.get("client_token")?.as_str()?.to_owned()));
        token.ok_or_else(|| self.not_a_vault("the answer to a login has no token"))
    }

    /// The values of a secret. A path as `vault kv get` takes it is found, too, where the engine keeps versions.
    async fn secret(&self, token: &str, path: &str) -> Result<Map<String, Value>, Told> {
        let what = format!("the secret `{path}` cannot be read");
        let answer = self.ask(Method::GET, path, Some(token), Body::Empty).await?;
        match answer.status {
            200 => self.values(&answer, path),
            404 => {
                let longer = self.versioned(token, path).await?;
                let Some(longer) = longer else { return Err(self.refused(&what, path, &answer)) };
                let answer = self.ask(Method::GET, &longer, Some(token), Body::Empty).await?;
                match answer.status {
                    200 => self.values(&answer, &longer),
                    _ => Err(self.refused(&what, &longer, &answer)),
                }
            }
            _ => Err(self.refused(&what, path, &answer)),
        }
    }

    /// The path with the `data` that version 2 of the engine wants behind its mount, where that was left out.
    async fn versioned(&self, token: &str, path: &str) -> Result<Option<String>, Told> {
        let asked = format!("sys/internal/ui/mounts/{path}");
        let answer = self.ask(Method::GET, &asked, Some(token), Body::Empty).await?;
        let Some(body) = object(&answer).filter(|_| answer.status == 200) else { return Ok(None) };
        let data = body.get("data");
        let mount = data.and_then(|data| data.get("path")?.as_str()).map(|mount| mount.trim_matches('/'));
        let version = data.and_then(|data| data.get("options")?.get("version")?.as_str());
        let rest = mount.and_then(|mount| path.strip_prefix(mount)?.strip_prefix('/').map(|rest| (mount, rest)));
        Ok(match (version, rest) {
            (Some("2"), Some((mount, rest))) if !rest.starts_with("data/") => Some(format!("{mount}/data/{rest}")),
            _ => None,
        })
    }

    /// `data.data` of version 2, `data` of version 1.
    fn values(&self, answer: &HttpResponse, path: &str) -> Result<Map<String, Value>, Told> {
        let data = object(answer).and_then(|mut body| match body.remove("data") {
            Some(Value::Object(data)) => Some(data),
            _ => None,
        });
        let Some(mut data) = data else {
            return Err(self.not_a_vault(&format!("the answer for `{path}` has no data")));
        };
        // A secret of version 1 may have values of these names, but no such object beside them.
        match (data.get("metadata").is_some_and(Value::is_object), data.remove("data")) {
            (true, Some(Value::Object(values))) => Ok(values),
            (true, _) => Err(format!("the newest version of the secret `{path}` was deleted")),
            (false, Some(value)) => {
                data.insert("data".to_owned(), value);
                Ok(data)
            }
            (false, None) => Ok(data),
        }
    }

    async fn ask(&self, method: Method, path: &str, token: Option<&str>, body: Body) -> Result<HttpResponse, Told> {
        let mut url = self.address.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(path.split('/'));
        }
        let mut headers = vec![("X-Vault-Request".to_owned(), "true".to_owned())];
        headers.extend(token.map(|token| ("X-Vault-Token".to_owned(), token.to_owned())));
        headers.extend(self.namespace.clone().map(|namespace| ("X-Vault-Namespace".to_owned(), namespace)));
        let request = HttpRequest { method, url, headers, body };
        let hosts = HostSet::new([self.address.clone()]);
        let answer = self.requester.send_here(&request, &Credentials::None, &hosts, TIMEOUT, None).await;
        answer.map_err(|failure| match failure.help {
            Some(help) => format!("the vault at {} is not reached: {}; {help}", self.origin(), failure.message),
            None => format!("the vault at {} is not reached: {}", self.origin(), failure.message),
        })
    }

    fn refused(&self, what: &str, path: &str, answer: &HttpResponse) -> Told {
        let said = said(answer);
        let why = match answer.status {
            400 | 403 if said.contains("invalid token") => "its token is not valid any more: renew it".to_owned(),
            403 => format!(
                "its token may not read it: a policy with `path \"{path}\" {{ capabilities = [\"read\"] }}` lets it"
            ),
            404 => format!("there is nothing at `{path}`"),
            429 | 472 | 473 | 501 => "it is no active server".to_owned(),
            503 => "it is sealed or in maintenance".to_owned(),
            status => format!("it answers with {status}"),
        };
        let said = if said.is_empty() { String::new() } else { format!(" ({said})") };
        format!("{what}: the vault at {} answered {}{said}: {why}", self.origin(), answer.status)
    }

    fn not_a_vault(&self, why: &str) -> Told {
        format!("what answers at {} is no vault: {why}", self.origin())
    }

    fn origin(&self) -> String {
        self.address.origin().ascii_serialization()
    }
}

fn address(written: &str) -> Result<Url, Told> {
    let url = Url::parse(written).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.ok_or_else(|| {
        format!("`{written}` is no address of a vault: write for example https://vault.example.org:8200")
    })?;
    if url.scheme() == "http" && !settings::is_loopback(&url) {
        return Err(format!("secrets would travel in the clear from {written}: write https"));
    }
    Ok(url)
}

fn entry(settings: &settings::Vault, secrets: &Secrets) -> Result<Entry, Told> {
    if let Some(role) = &settings.approle {
        let mount = role.mount.as_deref().unwrap_or("approle").trim_matches('/').to_owned();
        let (role_id, secret_id) = (text(secrets, &role.role_id)?, text(secrets, &role.secret_id)?);
        return Ok(Entry::AppRole { mount, role_id, secret_id });
    }
    if let Some(source) = &settings.token {
        return Ok(Entry::Token(text(secrets, source)?));
    }
    let found = secrets.variable("VAULT_TOKEN").or_else(|| {
        let home = secrets.variable("HOME")?;
        secrets.file(&format!("{home}/.vault-token")).ok().map(|text| text.trim().to_owned())
    });
    found.filter(|token| !token.is_empty()).map(Entry::Token).ok_or_else(|| {
        "there is no token for the vault: write `vault: {token: {file: PATH}}` in tidegate.yaml, or set VAULT_TOKEN"
            .to_owned()
    })
}

fn text(secrets: &Secrets, source: &Source) -> Result<String, Told> {
    match secrets.read(source)? {
        Value::String(text) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
        _ => Err("what the vault is to be asked with is empty, or no text".to_owned()),
    }
}

fn pick(secret: &Map<String, Value>, path: &str, key: &str) -> Result<Value, Told> {
    match secret.get(key) {
        Some(value @ (Value::String(_) | Value::Number(_) | Value::Bool(_))) => Ok(value.clone()),
        Some(_) => Err(format!("`{key}` of the secret `{path}` is no single value")),
        None => {
            let close = did_you_mean(key, secret.keys().map(String::as_str));
            let close = close.map_or_else(String::new, |close| format!("; did you mean `{close}`?"));
            Err(format!("the secret `{path}` has no value `{key}`{close}"))
        }
    }
}

fn object(answer: &HttpResponse) -> Option<Map<String, Value>> {
    serde_json::from_slice(&answer.body).ok()
}

/// The vault's own words: `{"errors": ["permission denied"]}`. They name paths, and no secrets.
fn said(answer: &HttpResponse) -> String {
    let body = object(answer).unwrap_or_default();
    let list = |name: &str| body.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let told = list("errors").into_iter().chain(list("warnings"));
    let told: Vec<String> = told.filter_map(|one| Some(one.as_str()?.trim().replace('\n', " "))).collect();
    told.join("; ")
}
