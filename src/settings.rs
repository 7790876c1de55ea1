//! `tidegate.yaml` as written: where to listen, where the state is, which connections and flows there are.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::manifest::{Duration, OneOrMany};

/// `tidegate.yaml`
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The host's own address for `/health` and the JSON API, or `off`; `127.0.0.1:7400` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
    /// Where the state is kept; `tidegate.db` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// What connections may reach.
    #[serde(default)]
    pub egress: Egress,
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
    /// Folders that `file.append` may write below; the project's own `out` unless given.
    #[serde(default, skip_serializing_if = "OneOrMany::is_empty")]
    pub files: OneOrMany<String>,
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
    /// Its fields: a value, `{env: NAME}` or `{file: PATH}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, Source>,
    /// Instead of the connector's hosts, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hosts: BTreeMap<String, String>,
    /// Action inputs to use where a step gives none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub defaults: BTreeMap<String, Value>,
    /// A proxy for its requests: `http://host:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
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
    /// The value itself: text, a number, or true or false.
    Value(#[schemars(schema_with = "scalar")] Value),
}

fn scalar(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": ["string", "integer", "number", "boolean"]})
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
}

impl Default for Worker {
    fn default() -> Self {
        Worker { runs: 64, polls: 16, backlog: 100_000, drain: Duration::from_secs(20) }
    }
}
