//! A flow as written: `flows/<name>.yaml`, one trigger, then steps (design section 4).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub mod approval;

pub use approval::Approval;

use super::connector::request::Method;
use super::{Duration, Inputs};

/// One trigger, then steps.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// Its name, the same as its file's.
    pub flow: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The name that it had before; its cursor and its runs come along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
    /// Given in `tidegate.yaml` under `flows.<name>.inputs`, or by `--set`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: Inputs,
    /// Connector to connection; may be left out when a connector has just one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub connections: BTreeMap<String, String>,
    /// What starts it.
    pub trigger: Trigger,
    /// How many runs work at once.
    #[serde(default)]
    pub concurrency: Concurrency,
    /// What is done for each item.
    pub steps: Vec<Step>,
    /// What is done when a run fails; sees `error`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on_failure: Vec<Step>,
}

/// What starts a flow: `poll`, a bare `every` or `cron`, or `manual`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// `<connector>.<trigger>`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll: Option<String>,
    /// The trigger's inputs; templates over the flow's `inputs`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub with: Map<String, Value>,
    /// A condition over `item` and `inputs`; other items are recorded as filtered.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// How often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Duration>,
    /// When: five or six fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// The IANA zone of `cron`; UTC unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Which items count as new when the flow is first enabled.
    #[serde(default)]
    pub start: Start,
    /// Whether each item that a poll finds starts a run, or all of them one.
    #[serde(default, skip_serializing_if = "Emit::is_each")]
    pub emit: Emit,
    /// Started by `tidegate run` alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub manual: bool,
    /// What happens to schedules that passed while the host was down.
    #[serde(default)]
    pub missed: Missed,
}

/// What the items that a poll finds start.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Emit {
    /// A run each.
    #[default]
    Each,
    /// One run for all that one reading finds: its item is `{items, count}`, at most 500 at once.
    Batch,
}

impl Emit {
    fn is_each(&self) -> bool {
        *self == Emit::Each
    }
}

/// Which items count as new when a flow is first enabled.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(untagged, deny_unknown_fields)]
pub enum Start {
    /// `now` or `all`
    Word(StartWord),
    /// `{since: 2026-11-01T00:00:00Z}`
    Since {
        /// RFC 3339.
        since: String,
    },
    /// `{last: 5}`
    Last {
        /// How many of the newest.
        last: u32,
    },
}

impl Default for Start {
    fn default() -> Self {
        Start::Word(StartWord::Now)
    }
}

/// `now` or `all`
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum StartWord {
    /// What is dated after the moment of enabling.
    Now,
    /// Everything that the service still lists.
    All,
}

/// What happens to schedules that passed while the host was down.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// One run for all of them.
    #[default]
    RunOnce,
    /// None.
    Skip,
    /// One run for each; polls coalesce into one all the same.
    RunAll,
}

/// How many runs of a flow work at once.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Concurrency {
    /// Per key; 16 unless given. 1 is first in, first out, and holds its slot through retries and waits.
    #[serde(default = "default_limit")]
    pub limit: u32,
    /// A template over `item` and `inputs`; one key for all unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What happens to an item that comes while the limit is reached.
    #[serde(default)]
    pub on_busy: OnBusy,
}

fn default_limit() -> u32 {
    16
}

impl Default for Concurrency {
    fn default() -> Self {
        Concurrency { limit: default_limit(), key: None, on_busy: OnBusy::Queue }
    }
}

/// What happens to an item that comes while the limit is reached.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum OnBusy {
    /// It waits.
    #[default]
    Queue,
    /// It gets a `skipped` run.
    Skip,
    /// The older run is cancelled, unless it is sending.
    Replace,
}

/// One step: exactly one of the keywords `action http set if/then foreach repeat wait stop`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Needed only where something refers to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// A condition: with `then` the step form; beside another keyword a guard.
    #[serde(default, rename = "if", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Steps for a true condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then: Option<Vec<Step>>,
    /// Steps for a false condition.
    #[serde(default, rename = "else", skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<Vec<Step>>,
    /// `<connector>.<action>`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// The action's inputs; templates.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub with: Map<String, Value>,
    /// An ad-hoc request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<Http>,
    /// Values for later steps, as `steps.<id>.output.<name>`; templates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<Map<String, Value>>,
    /// A list or a template of one: its `steps` are done for each element in turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreach: Option<Value>,
    /// What the steps call the element; `element` unless given. Its place is `<name>_index`; what `collect` made
    /// of the turn before is `<name>_before`.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Does its `steps` again and again, until a condition holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<Repeat>,
    /// The steps of `foreach` and `repeat`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<Vec<Step>>,
    /// What each element leaves in the output's list; a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collect: Option<Value>,
    /// Asks people, and waits for what they answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Box<Approval>>,
    /// A pause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Wait>,
    /// Ends the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// How often a failed attempt is repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Of one attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Of the step with its waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Duration>,
    /// What a failure of it means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_error: Option<OnError>,
}

/// `repeat: {until: ..., every: 5s, limit: 60}`. Its output is `{turns, <id>: <output of that step's last turn>}`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Repeat {
    /// A condition, asked after each turn; it sees the turn's steps and `turn`, which counts from 1.
    pub until: String,
    /// The pause between two turns, or a template of one; none unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<String>,
    /// The most turns; when the condition does not hold after the last, the step fails.
    pub limit: u32,
}

/// An ad-hoc request. Its output is `{status, headers, body}`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// `GET` unless given.
    #[serde(default)]
    pub method: Method,
    /// Absolute; a template whose values are percent-encoded.
    pub url: String,
    /// Query parameters.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub query: Map<String, Value>,
    /// Request headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Value>,
    /// A JSON body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
    /// A form body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<Map<String, Value>>,
    /// A body as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
    /// The connection that signs it; the URL must be on one of its connector's hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// What makes a repeat safe: `read` for GET and HEAD, `natural` for PUT and DELETE, `none` otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<super::connector::PlainEffect>,
}

/// `wait: 10m`, or `wait: {until: "{{...}}"}`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(untagged, deny_unknown_fields)]
pub enum Wait {
    /// A length of time, or a template of one.
    For(String),
    /// A point in time.
    Until {
        /// A template that gives RFC 3339 or epoch milliseconds.
        until: Value,
    },
}

/// `stop: {}` or `stop: {status: failed, message: "..."}`
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// How the run ends; `succeeded` unless given.
    #[serde(default)]
    pub status: StopStatus,
    /// Why; a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How a `stop` ends the run.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum StopStatus {
    /// Well.
    #[default]
    Succeeded,
    /// As a failure; `on_failure` is done.
    Failed,
}

/// How often a failed attempt is repeated.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Tries in all, the first included; 5 unless given.
    #[serde(default = "default_attempts")]
    pub attempts: u32,
    /// How the waits grow.
    #[serde(default)]
    pub backoff: Backoff,
    /// The first wait; 10 s unless given.
    #[serde(default = "default_initial")]
    pub initial: Duration,
    /// The longest wait; 10 minutes unless given.
    #[serde(default = "default_max")]
    pub max: Duration,
}

fn default_attempts() -> u32 {
    5
}
fn default_initial() -> Duration {
    Duration::from_secs(10)
}
fn default_max() -> Duration {
    Duration::from_secs(600)
}

impl Default for Retry {
    fn default() -> Self {
        Retry {
            attempts: default_attempts(),
            backoff: Backoff::default(),
            initial: default_initial(),
            max: default_max(),
        }
    }
}

/// How the waits between attempts grow.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Backoff {
    /// Doubled each time, with jitter.
    #[default]
    Exponential,
    /// The same each time.
    Fixed,
}

/// What a failure of a step means.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// The run fails.
    #[default]
    Fail,
    /// The run goes on; `steps.<id>.error` says what happened.
    Continue,
}

/// The names of the step keywords, for messages.
pub const KEYWORDS: &[&str] = &["action", "http", "set", "if", "foreach", "repeat", "approval", "wait", "stop"];

impl Step {
    /// The steps inside this one, each list with its pointer below this step's.
    pub fn inner(&self) -> Vec<(&'static str, &[Step])> {
        let lists = [("then", &self.then), ("else", &self.otherwise), ("steps", &self.steps)];
        let mut inner: Vec<_> = lists.into_iter().filter_map(|(name, steps)| Some((name, steps.as_deref()?))).collect();
        inner.extend(self.approval.as_ref().map(|approval| ("approval/send", approval.sends())));
        inner
    }

    /// The keywords that this step uses; `if` counts only where nothing else is there, as it may be a guard.
    pub fn keywords(&self) -> Vec<&'static str> {
        let mut used = Vec::new();
        for (is_used, name) in [
            (self.action.is_some(), "action"),
            (self.http.is_some(), "http"),
            (self.set.is_some(), "set"),
            (self.foreach.is_some(), "foreach"),
            (self.repeat.is_some(), "repeat"),
            (self.approval.is_some(), "approval"),
            (self.wait.is_some(), "wait"),
            (self.stop.is_some(), "stop"),
            (self.then.is_some() || self.otherwise.is_some(), "if"),
        ] {
            if is_used {
                used.push(name);
            }
        }
        if used.is_empty() && self.condition.is_some() {
            used.push("if");
        }
        used
    }
}
