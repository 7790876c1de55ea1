//! A connector as written: `connectors/<name>.yaml`, or the files of `connectors/<name>/` merged.
//! The words are those of design section 3; what they do is in `connector/`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::flow::Step;
use super::{Duration, Inputs, OneOrMany};

pub mod auth;
pub mod availability;
pub mod cursor;
pub mod errors;
pub mod paginate;
pub mod request;
pub mod resolve;
pub mod restriction;
pub mod table;

pub use auth::Auth;
pub use availability::Availability;
pub use cursor::{Cursor, CursorType, Key, Order};
pub use errors::{ErrorRule, Errors, Limit, Then};
pub use paginate::Paginate;
pub use request::{Expand, Format, Request, Response, Shape};
pub use resolve::Resolve;
pub use restriction::Restriction;
pub use table::Table;

/// One service.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Connector {
    /// Its name, the same as its file's.
    pub connector: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What it is for, in a sentence or two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The connector's own version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The only places that its secrets go: name to base URL; a connection may override each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hosts: BTreeMap<String, String>,
    /// What an account of it needs.
    #[serde(default)]
    pub connection: ConnectionSpec,
    /// What every action has unless it says otherwise.
    #[serde(default)]
    pub defaults: Defaults,
    /// What several actions share, named and explicit; an action takes them with `use`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, Part>,
    /// The operations that a step can call.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub actions: BTreeMap<String, Action>,
    /// The sources of items.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub triggers: BTreeMap<String, Trigger>,
    /// What records become, named, for `shape: <name>`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shapes: BTreeMap<String, Shape>,
    /// What connections can be held to, by name; a connection says which.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub restrictions: BTreeMap<String, Restriction>,
    /// How answers come back to what its actions ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replies: Option<Replies>,
    /// Named JSON Schemas, for `{$ref: "#/schemas/<name>"}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub schemas: BTreeMap<String, Value>,
}

/// How answers come back to what a connector's actions ask: an approval that is sent by one of them can be answered
/// by a message from who was asked, and no flow sees that message.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Replies {
    /// The trigger that finds them.
    pub trigger: String,
    /// Who sent a message: an expression over its `record`.
    pub from: String,
    /// What it says: an expression over its `record`.
    pub text: String,
    /// How such an answer comes, in a word: `sms`.
    pub kind: String,
    /// By action, whom it asks, as `from` would give it: an expression over `inputs` and the element's name.
    pub asks: BTreeMap<String, String>,
    /// Words that never arrive as an answer, because carriers take them for commands; in any case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub swallowed: Vec<String>,
}

/// What an account of a connector needs.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectionSpec {
    /// Its fields.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: Inputs,
    /// Named schemes; one can be used when every `connection` field that it reads is given.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub auth: BTreeMap<String, Auth>,
    /// The fields that name the app which its requests are counted for: the first that is given. Connections whose
    /// field has the same value share the limits of `scope: app`; without such a field all of the connector do.
    #[serde(default, skip_serializing_if = "OneOrMany::is_empty")]
    pub app: OneOrMany<String>,
    /// The actions that prove a connection: the first that the connection's auth allows.
    #[serde(default, skip_serializing_if = "OneOrMany::is_empty")]
    pub test: OneOrMany<String>,
}

/// What every action of a connector has unless it says otherwise.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// One of `hosts`; may be left out when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The schemes it accepts, best first.
    #[serde(default, skip_serializing_if = "OneOrMany::is_empty")]
    pub auth: OneOrMany<String>,
    /// Of one attempt; 30 s unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// How often the service may be asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit>,
    /// How the service says what went wrong.
    #[serde(default)]
    pub errors: Errors,
    /// Headers sent with every request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Value>,
}

/// What several actions share.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Merged below the action's own request, member by member.
    #[serde(default)]
    pub request: Request,
    /// Merged below the action's own response.
    #[serde(default)]
    pub response: Response,
    /// Used when the action has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paginate: Option<Paginate>,
    /// Its rules come after the action's own and before the connector's.
    #[serde(default)]
    pub errors: Errors,
    /// Added to the action's inputs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: Inputs,
    /// Asked before the action's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refuse: Vec<Refusal>,
}

/// Inputs that do not go together, refused before anything is sent.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// A condition over `inputs` and `connection`: refused where it is true.
    pub when: String,
    /// What is wrong, for people.
    pub message: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// One operation that a step can call.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What it does, in a sentence or two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What makes a repeat of it safe.
    pub effect: Effect,
    /// The schemes it accepts, best first; the connector's default otherwise.
    #[serde(default, skip_serializing_if = "OneOrMany::is_empty")]
    pub auth: OneOrMany<String>,
    /// One of `hosts`; the connector's default otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The parts that it takes.
    #[serde(default, rename = "use", skip_serializing_if = "OneOrMany::is_empty")]
    pub uses: OneOrMany<String>,
    /// What a step gives it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: Inputs,
    /// Inputs that do not go together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refuse: Vec<Refusal>,
    /// What is looked up before the request, by the names that its templates read below `resolved`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub resolve: BTreeMap<String, Resolve>,
    /// What is sent.
    #[serde(default)]
    pub request: Request,
    /// What is made of the answer.
    #[serde(default)]
    pub response: Response,
    /// Instead of a request: the steps that it is made of. An action without a dot is one of this connector's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<Vec<Step>>,
    /// What the steps leave as this action's output; templates over `inputs`, `connection`, `run` and `steps`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// How the next page is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paginate: Option<Paginate>,
    /// The most records to return; a number or a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Value>,
    /// How many records are passed over before the first that is returned; a number or a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip: Option<Value>,
    /// One request per element of a list, each journaled by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreach: Option<ForEach>,
    /// Its rules come before the connector's.
    #[serde(default)]
    pub errors: Errors,
    /// Instead of the connector's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Vec<Limit>>,
    /// Of one attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Who can use it, where not everybody can.
    #[serde(default, skip_serializing_if = "OneOrMany::is_empty")]
    pub availability: OneOrMany<Availability>,
    /// How people see its output.
    #[serde(default, skip_serializing_if = "OneOrMany::is_empty")]
    pub table: OneOrMany<Table>,
    /// The part of this program that does it instead of a request; only in embedded connectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builtin: Option<Builtin>,
}

/// What makes a repeat of an action safe (design section 6).
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(untagged)]
pub enum Effect {
    /// `effect: read`, `natural` or `none`
    Plain(PlainEffect),
    /// `effect: {class: key, ...}` or `{class: lookup, ...}`
    Classed(ClassedEffect),
}

/// The effects that need no more words.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum PlainEffect {
    /// Nothing changes.
    Read,
    /// It is an upsert or a delete.
    Natural,
    /// Nothing makes it safe.
    None,
}

/// The effects that say how.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(tag = "class", rename_all = "snake_case", deny_unknown_fields)]
pub enum ClassedEffect {
    /// The provider takes a key, the same for every attempt of a step.
    Key {
        /// The request header that carries it.
        header: String,
    },
    /// The provider can be asked.
    Lookup {
        /// How.
        reconcile: Reconcile,
    },
}

/// How an attempt whose outcome is not known is looked up.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Reconcile {
    /// A `read` action of this connector that lists what was done.
    pub action: String,
    /// Its inputs; templates over `inputs` of the uncertain action.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub with: Map<String, Value>,
    /// How long after the attempt the first look is worth it.
    pub after: Duration,
    /// How long after the attempt a missing record means absence.
    pub within: Duration,
    /// A condition over `record` and `inputs`: whether this record is what the attempt made.
    pub r#match: String,
    /// The record's own id at the provider, so that two equal texts are told apart.
    #[serde(default = "default_id")]
    pub id: String,
    /// A datetime field of the record: only records from the attempt on can be its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// What absence means.
    #[serde(default)]
    pub absent: Absent,
}

fn default_id() -> String {
    "id".to_owned()
}

/// What it means that a look-up found nothing.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Absent {
    /// Absence proves nothing: a person decides.
    #[default]
    Unknown,
    /// Absence proves that nothing was done: try again.
    Retry,
}

/// One request per element of a list.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ForEach {
    /// An expression, usually `inputs.<name>`; a value that is no list counts as a list of one.
    pub list: String,
    /// What the request's templates call the element.
    #[serde(default = "default_element", rename = "as")]
    pub name: String,
    /// Whether an element that failed ends the rest.
    #[serde(default)]
    pub on_partial: OnPartial,
}

fn default_element() -> String {
    "element".to_owned()
}

/// What a failed element means for the step.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum OnPartial {
    /// The others are still done, and the step succeeds when at least one did.
    #[default]
    Continue,
    /// The others are still done, and the step fails when one did.
    Fail,
}

/// The actions that cannot be YAML.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Builtin {
    /// Writes a line to the host's log.
    LogWrite,
    /// Appends a line to a file.
    FileAppend,
    /// Tells what a file is.
    FileDescribe,
    /// Sends an e-mail.
    EmailSend,
    /// Greets a mail server.
    EmailVerify,
    /// Sends nothing: what the request's `json` comes out as is the output.
    Answer,
}

/// A source of items: an action polled on a schedule with a cursor.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What it finds, in a sentence or two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The action that is polled.
    pub poll: String,
    /// What a flow gives it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: Inputs,
    /// The polled action's inputs; templates over `inputs` and `cursor`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub with: Map<String, Value>,
    /// How far it has read.
    #[serde(default)]
    pub cursor: Cursor,
    /// What "the same item" is.
    pub key: Key,
    /// A condition over `record` and `inputs`; other records are none of this trigger's.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// How long a key is remembered after it was last listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remember: Option<Duration>,
    /// How often it is polled unless the flow says otherwise; hourly unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Duration>,
}
