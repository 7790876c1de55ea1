//! Where a run stands: a frame per block that it is in, and the step that is under way outside. Saved as small
//! JSON of positions and counters; lists and results come back from the journal.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Failure, Flow, StepFailure};
use crate::steps::{Block, Step};

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
}

impl Frame {
    pub(super) fn root(section: Section) -> Self {
        Frame {
            prefix: match section {
                Section::Steps => String::new(),
                Section::OnFailure => "on_failure.".to_owned(),
            },
            ..Frame::default()
        }
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
            self.scope = scope.to_owned();
            self.prefix = format!("{key}.{label}.");
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

/// The step that is under way outside.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Underway {
    pub phase: Phase,
    /// The attempt that is being made or comes next; 1 for the first.
    pub attempt: u32,
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
