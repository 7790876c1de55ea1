//! Where a run stands: a frame per block that it is in, and the step that is under way outside. Saved as small
//! JSON of positions and counters; lists and results come back from the journal.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Failure, Flow, StepFailure};
use crate::steps::{Block, Step};
use crate::template::Scope;

/// What is saved of a run besides its journal.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Saved<Frames, Current, Failed> {
    pub section: Section,
    /// The run's clock: when the step before the current one was settled.
    pub clock_ms: i64,
    pub frames: Frames,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<Current>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<Failed>,
}

/// [`Saved`] as it is read back.
pub(super) type Loaded = Saved<Vec<Frame>, Underway, StepFailure>;

/// Which of a flow's lists of steps is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Section {
    Steps,
    OnFailure,
}

impl Section {
    pub(super) fn block(self, flow: &Flow) -> &Block {
        match self {
            Section::Steps => &flow.steps,
            Section::OnFailure => &flow.on_failure,
        }
    }

    /// The beginning of its steps' keys.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Section::Steps => "",
            Section::OnFailure => "on_failure.",
        }
    }
}

/// A block that is being done. The first one is the section's; every other one is a block of the step at
/// which the frame before it stands.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Frame {
    /// Which block of the step.
    pub block: usize,
    /// The step that comes next or is under way.
    pub at: usize,
    /// How often the block has been done before.
    pub turn: usize,
    /// When the step that the block belongs to began.
    pub started_ms: i64,
    /// The end of the pause after this turn, UTC epoch milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_ms: Option<i64>,
    /// Failures of its steps that were passed over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missed: Vec<Failure>,
    /// Whether a step of it was done; told in flows that ask people alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_done: bool,
    /// The beginning of its steps' keys.
    #[serde(skip)]
    pub prefix: String,
    /// The journal scope of its steps.
    #[serde(skip)]
    pub scope: String,
    /// What the step that the block belongs to was given.
    #[serde(skip)]
    pub input: Value,
    /// What earlier turns left.
    #[serde(skip)]
    pub collected: Vec<Value>,
    /// The names that this turn binds, and what they meant outside.
    #[serde(skip)]
    pub shadowed: Vec<(String, Option<Value>)>,
    /// What the steps around a composite action see.
    #[serde(skip)]
    pub outside: Option<Scope>,
}

impl Frame {
    pub(super) fn root(section: Section) -> Self {
        Frame { prefix: section.prefix().to_owned(), ..Frame::default() }
    }

    /// The key of the step at which it stands.
    pub(super) fn key(&self) -> String {
        format!("{}{}", self.prefix, self.at)
    }

    /// Sets prefix and scope, for a block of `step`, whose key is `key` and whose journal scope is `scope`.
    pub(super) fn place(&mut self, step: &Step, key: &str, scope: &str) {
        if step.form.is_loop() {
            self.scope = format!("{key}[{}]", self.turn);
            self.prefix = format!("{}.", self.scope);
        } else {
            let label = step.form.blocks().get(self.block).map_or("", |block| block.label);
            self.prefix = format!("{key}.{label}.");
            self.scope = match step.form.composite() {
                Some(_) => format!("{key}.{label}"),
                None => scope.to_owned(),
            };
        }
    }
}

/// The block of the innermost of these frames.
pub(super) fn block<'f>(flow: &'f Flow, section: Section, frames: &[Frame]) -> Option<&'f Block> {
    let mut block = section.block(flow);
    for pair in frames.windows(2) {
        if let [outer, inner] = pair {
            block = block.steps.get(outer.at)?.form.blocks().get(inner.block)?;
        }
    }
    Some(block)
}

/// The step at which the innermost of these frames stands.
pub(super) fn step<'f>(flow: &'f Flow, section: Section, frames: &[Frame]) -> Option<&'f Step> {
    block(flow, section, frames)?.steps.get(frames.last()?.at)
}

/// The steps that these frames are in, the outermost first, each with the frame of its block.
pub(super) fn containers<'f, 'r>(flow: &'f Flow, section: Section, frames: &'r [Frame]) -> Vec<(&'f Step, &'r Frame)> {
    let mut block = section.block(flow);
    let mut found = Vec::new();
    for pair in frames.windows(2) {
        let [outer, inner] = pair else { continue };
        let Some(step) = block.steps.get(outer.at) else { break };
        found.push((step, inner));
        let Some(within) = step.form.blocks().get(inner.block) else { break };
        block = within;
    }
    found
}

/// The step that is under way outside.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Underway {
    pub phase: Phase,
    /// The attempt that is being made or comes next; 1 for the first.
    pub attempt: u32,
    /// How many attempts the host's own end cut short: they use up none of those that the step has.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cut_short: u32,
    /// When the step began: its deadline counts from there.
    pub entered_ms: i64,
    /// Start of the first attempt whose outcome nobody knew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncertain_since_ms: Option<i64>,
    /// The place in the action's own list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub element: Option<usize>,
    #[serde(skip)]
    pub input: Arc<Value>,
    /// The action's own list.
    #[serde(skip)]
    pub elements: Vec<Value>,
    /// What its elements before this one gave.
    #[serde(skip)]
    pub results: Vec<ElementResult>,
    /// When the present attempt began.
    #[serde(skip)]
    pub sent_ms: i64,
    /// Why the last attempt failed.
    #[serde(skip)]
    pub failure: Option<Failure>,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// What an element of an action's own list gave.
pub(super) type ElementResult = Result<Value, Failure>;

/// What the step under way waits for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    /// Its request is made, or is to be made.
    Sending,
    /// The next attempt.
    Retrying { due_ms: i64 },
    /// The end of the service's limit; the attempt is not used up.
    RateLimited { due_ms: i64 },
    /// The end of a `wait`.
    Waiting { due_ms: i64 },
    /// Answers to an approval.
    Asking {
        /// When a reminder is due, or the time is over.
        due_ms: i64,
        /// When the time is over.
        expires_ms: i64,
    },
    /// The next look at what the attempt did.
    LookingUp {
        due_ms: i64,
        /// From then on a missing record means absence.
        until_ms: i64,
        looks: u32,
        /// Whether the last attempt was refused because it looks like a repeat.
        refused: bool,
    },
    /// A person.
    Unknown,
}

impl Underway {
    pub(super) fn new(phase: Phase, now_ms: i64) -> Self {
        Underway {
            phase,
            attempt: 1,
            cut_short: 0,
            entered_ms: now_ms,
            uncertain_since_ms: None,
            element: None,
            input: Arc::new(Value::Null),
            elements: Vec::new(),
            results: Vec::new(),
            sent_ms: now_ms,
            failure: None,
        }
    }

    /// Which of the attempts that its step has the present one is.
    pub(super) fn used_up(&self) -> u32 {
        self.attempt.saturating_sub(self.cut_short)
    }

    /// The key and the journal scope of its entries, given the step's own.
    pub(super) fn place(&self, key: String, scope: String) -> (String, String) {
        match self.element {
            Some(element) => (format!("{key}[{element}]"), format!("{key}[]")),
            None => (key, scope),
        }
    }

    /// The element that it is at.
    pub(super) fn element_value(&self) -> Option<&Value> {
        self.elements.get(self.element?)
    }
}
