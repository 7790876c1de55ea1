//! `tidegate.yaml` as written: where to listen, where the state is, which connections and flows there are.

mod vault;

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::manifest::{Duration, OneOrMany};
use crate::sealing::Sealed;

pub use vault::{AppRole, Reference, Vault};

/// The address that the host listens on unless told otherwise.
pub const LISTEN: &str = "127.0.0.1:7400";
/// The address that the public listener has unless told otherwise.
pub const PUBLIC: &str = "127.0.0.1:7401";
/// The kinds of what a person should know.
pub const NOTICES: [&str; 14] = [
    "unhealthy",
    "healthy",
    "attention",
    "suspended",
    "recovered",
    "poll_failed",
    "gap",
    "missed",
    "out_of_order",
    "unknown",
    "undecided",
    "store",
    "clock",
    "taken_over",
];

/// `tidegate.yaml`
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The host's own address for `/health` and the JSON API, or `off`; `127.0.0.1:7400` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
    /// What people outside can open: approval pages and the ends of sign-ins; nothing unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<Public>,
    /// Where the state is kept; `tidegate.db` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// The file of the key that stored connections are sealed with; `tidegate.key` beside the store unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<String>,
    /// What connections may reach.
    #[serde(default)]
    pub egress: Egress,
    /// Where `{vault: PATH#KEY}` is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault: Option<Vault>,
    /// The accounts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub connections: BTreeMap<String, Connection>,
    /// What the flows need here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub flows: BTreeMap<String, FlowSettings>,
    /// How long finished work is kept.
    #[serde(default)]
    pub retention: Retention,
    /// How much is done at once.
    #[serde(default)]
    pub worker: Worker,
    /// Flows that are started with what a person should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<Alert>,
    /// Folders below which actions may read and write files; the project's own `out` and `files` unless given.
    /// What is written to a relative path is below the first.
    #[serde(default, skip_serializing_if = "OneOrMany::is_empty")]
    pub files: OneOrMany<String>,
}

/// What people outside can open.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Public {
    /// How the public listener is reached from outside: `https://gate.example.org`. Links begin with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The address that it listens on, or `off`; `127.0.0.1:7401` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
}

/// What connections may reach.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Egress {
    /// Private addresses that are permitted all the same: `127.0.0.1:*`, `10.0.0.0/8:443`, `[::1]:8080`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
}

/// A named, configured account of a connector.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// The connector's name.
    pub connector: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it may be used; true unless given.
    #[serde(default = "yes")]
    pub active: bool,
    /// Its fields: a value, `{env: NAME}`, `{file: PATH}` or `{vault: PATH#KEY}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, Source>,
    /// Instead of the connector's hosts, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hosts: BTreeMap<String, String>,
    /// Action inputs to use where a step gives none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub defaults: BTreeMap<String, Value>,
    /// What it is held to, of the connector's `restrictions`.
    #[serde(default, skip_serializing_if = "OneOrMany::is_empty")]
    pub restrictions: OneOrMany<String>,
    /// A proxy for its requests: `http://host:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// Tests it on a schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// It was made with `connect` and is in the store, not in the file.
    #[serde(skip)]
    pub is_stored: bool,
}

impl Connection {
    /// Where its secrets may go beyond the connector's own hosts: a sealed secret opens for these alone.
    pub fn audience(&self) -> String {
        let mut audience = self.connector.clone();
        for (name, url) in &self.hosts {
            audience.push_str(&format!("\n{name}={url}"));
        }
        audience
    }
}

/// Whether a URL leads to this machine.
pub fn is_loopback(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn yes() -> bool {
    true
}

/// Where a field's value comes from.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(untagged, deny_unknown_fields)]
pub enum Source {
    /// An environment variable.
    Env {
        /// Its name.
        env: String,
    },
    /// A file's content, without the final line break.
    File {
        /// Its path.
        file: String,
    },
    /// A value of a secret in HashiCorp Vault or OpenBao.
    Vault {
        /// `PATH#KEY`, as in `secret/data/twilio#auth_token`.
        vault: String,
    },
    /// Sealed in the store; never in a file.
    #[serde(skip)]
    Sealed(Sealed),
    /// The value itself: text, a number, or true or false.
    Value(#[schemars(schema_with = "scalar")] Value),
}

fn scalar(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": ["string", "integer", "number", "boolean"]})
}

/// Scheduled tests of a connection.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// How often it is tested.
    pub every: Duration,
    /// After how many failures in a row a person is told; 3 unless given.
    #[serde(default = "three")]
    pub alert_after: u32,
}

fn three() -> u32 {
    3
}

/// A flow that is started with what a person should know: a run for each notice, which is its item.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    /// The flow.
    pub flow: String,
    /// The kinds of notices, as in `unhealthy`; all of them unless given.
    #[serde(default, skip_serializing_if = "OneOrMany::is_empty")]
    pub on: OneOrMany<String>,
    /// The connections that they are about; all, and what is about none, unless given.
    #[serde(default, skip_serializing_if = "OneOrMany::is_empty")]
    pub connections: OneOrMany<String>,
}

/// What a flow needs here.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlowSettings {
    /// Values for the flow's inputs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, Value>,
    /// Connector to connection, instead of the flow's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub connections: BTreeMap<String, String>,
    /// Whether it works; true unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Instead of the flow's own interval or cron.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Duration>,
}

/// How long finished work is kept.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Runs; 30 days unless given.
    pub runs: Duration,
    /// Requests, responses and filtered items; 7 days unless given.
    pub payloads: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Retention { runs: Duration::from_secs(30 * 86_400), payloads: Duration::from_secs(7 * 86_400) }
    }
}

/// How much is done at once.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Worker {
    /// Runs at once, over all flows; 64 unless given.
    pub runs: u32,
    /// Polls at once; 16 unless given.
    pub polls: u32,
    /// Polling waits while more runs than this are unfinished; 100,000 unless given.
    pub backlog: u64,
    /// How long a stop waits for what is under way; 20 s unless given.
    pub drain: Duration,
    /// With a PostgreSQL store: for how long after its last word a host counts as alive; 5 s unless given.
    pub lease: Duration,
}

impl Default for Worker {
    fn default() -> Self {
        Worker { runs: 64, polls: 16, backlog: 100_000, drain: Duration::from_secs(20), lease: Duration::from_secs(5) }
    }
}
