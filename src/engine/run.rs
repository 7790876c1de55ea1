//! A live run: its frames and its scope. Made at its beginning or from the journal; changed by `advance` alone.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::frame::{Frame, Phase, Saved, Section, Underway, step};
use super::{Composites, Ending, Entry, EntryState, Failure, Flow, Outcome, StepFailure};
use crate::clock::rfc3339;
use crate::template::Scope;

/// What a run is about.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Its id.
    pub run_id: String,
    /// The run that the line of retries began with, itself unless it is one: what is derived from an id (keys
    /// for the provider, `uuid`) stays the same in every retry.
    pub root_id: String,
    /// What the trigger found.
    pub item: Value,
    /// The flow's inputs, resolved and valid.
    pub inputs: Value,
    /// When it began, UTC epoch milliseconds; the same after every restart.
    pub started_ms: i64,
    /// Completes what composite actions are given.
    pub composites: Arc<dyn Composites>,
}

/// A live run.
#[derive(Debug)]
pub struct Run {
    pub(super) id: String,
    pub(super) root_id: String,
    pub(super) composites: Arc<dyn Composites>,
    pub(super) scope: Scope,
    pub(super) section: Section,
    /// What `now` gives: the beginning, then the time at which the last step was settled. So a step that is
    /// entered once more after a restart gets the same input.
    pub(super) clock_ms: i64,
    pub(super) frames: Vec<Frame>,
    pub(super) current: Option<Underway>,
    pub(super) failed: Option<StepFailure>,
    pub(super) ended: Option<Ending>,
    /// What the journal says is being sent.
    pub(super) mark: Option<Mark>,
    /// What requests and waits gave in the run that this one is a retry of, by key.
    pub(super) known: HashMap<String, Value>,
    /// What that run never found out, by key.
    pub(super) uncertain: HashMap<String, Uncertain>,
}

/// Attempts of a run that is over, of which nobody knows whether they were done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Uncertain {
    /// When the first was made, UTC epoch milliseconds.
    pub since_ms: i64,
    /// When the last was made.
    pub last_ms: i64,
}

/// A mark in the journal: a request that may have left.
#[derive(Debug)]
pub(super) struct Mark {
    pub key: String,
    pub attempt: u32,
    pub at_ms: i64,
}

impl Run {
    /// A run that has done nothing yet.
    pub fn begin(flow: &Flow, facts: Facts) -> Run {
        let mut scope = Scope::new();
        scope.set("item", facts.item);
        scope.set("inputs", facts.inputs);
        scope.set("steps", Value::Object(Map::new()));
        scope.set("flow", flow.root.clone());
        // What `uuid` derives its ids from: the same for every attempt, and for every retry.
        scope.set("seed", Value::from(facts.root_id.as_str()));
        scope.set("run", json!({"id": facts.run_id, "started_at": rfc3339(facts.started_ms)}));
        Run {
            id: facts.run_id,
            root_id: facts.root_id,
            composites: facts.composites,
            scope,
            section: Section::Steps,
            clock_ms: facts.started_ms,
            frames: vec![Frame::root(Section::Steps)],
            current: None,
            failed: None,
            ended: None,
            mark: None,
            known: HashMap::new(),
            uncertain: HashMap::new(),
        }
    }

    /// Makes this run a retry: what the journal of the run before says was done is not done again, down to the
    /// single elements of an action's own list; what it never found out, or was about to send when it was ended, is
    /// uncertain here, too: looked up, or left to a person. What it did because it failed is its own: a retry that
    /// fails does that again. To be called again after a [`Run::resume`]; where that run was a retry itself, first
    /// with the journals of those before it.
    pub fn reuse(&mut self, entries: impl IntoIterator<Item = Entry>) {
        for entry in entries {
            if entry.key.starts_with(Section::OnFailure.prefix()) {
                continue;
            }
            if entry.state == EntryState::Succeeded {
                self.uncertain.remove(&entry.key);
                self.known.insert(entry.key, entry.output.unwrap_or(Value::Null));
            } else if entry.state == EntryState::Sending
                || entry.error.is_some_and(|failure| failure.outcome == Outcome::Unknown)
            {
                let at_ms = entry.started_ms;
                let left = self.uncertain.entry(entry.key).or_insert(Uncertain { since_ms: at_ms, last_ms: at_ms });
                left.since_ms = left.since_ms.min(at_ms);
                left.last_ms = left.last_ms.max(at_ms);
            }
        }
    }

    /// A person said of the step at `key` what became of it: what runs before the one that was settled so did not
    /// find out counts no more. To be called before [`Run::reuse`] with the journal of that run.
    pub fn is_told(&mut self, key: &str) {
        self.uncertain.remove(key);
    }

    /// The run whose doing the step under way is, for all that recognises its repeats: the one that the line of
    /// retries began with, or this one alone for what it does because it failed.
    pub fn origin(&self) -> &str {
        match self.section {
            Section::Steps => &self.root_id,
            Section::OnFailure => &self.id,
        }
    }

    /// Whether an attempt of the step under way may have been done, and nobody knows yet.
    pub fn is_uncertain(&self) -> bool {
        self.current.as_ref().is_some_and(|current| current.uncertain_since_ms.is_some())
    }

    /// The key and the attempt of which it waits for a person to say what became.
    pub fn unknown(&self) -> Option<(String, u32)> {
        let current = self.current.as_ref().filter(|current| current.phase == Phase::Unknown)?;
        let (key, _) = current.place(self.frames.last()?.key(), String::new());
        Some((key, current.attempt))
    }

    /// Where it stands, as small JSON: positions and counters, never a list. To be committed with every
    /// decision and given to [`Run::resume`].
    pub fn frames(&self) -> String {
        let saved = Saved {
            section: self.section,
            clock_ms: self.clock_ms,
            frames: &self.frames,
            current: self.current.as_ref(),
            failed: self.failed.as_ref(),
        };
        #[expect(clippy::expect_used, reason = "plain data with string keys always serialises")]
        serde_json::to_string(&saved).expect("frames are plain data")
    }

    /// The entry that must be committed before the request of the current call leaves, after its permit.
    /// `None` where nothing is about to be sent.
    pub fn mark(&mut self, flow: &Flow, now_ms: i64) -> Option<Entry> {
        let step = step(flow, self.section, &self.frames)?;
        let frame = self.frames.last()?;
        let current = self.current.as_mut()?;
        current.sent_ms = now_ms;
        let (key, scope) = current.place(frame.key(), frame.scope.clone());
        self.mark = Some(Mark { key: key.clone(), attempt: current.attempt, at_ms: now_ms });
        Some(Entry {
            key,
            scope,
            id: step.id.clone(),
            attempt: current.attempt,
            form: step.form_name.into(),
            state: EntryState::Sending,
            input: Some(current.input.clone()),
            output: None,
            error: None,
            started_ms: now_ms,
            ended_ms: None,
        })
    }

    /// The scope that templates of this run read, for what is evaluated beside its steps.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Makes `steps.<id>` say how a step ended.
    pub(super) fn publish(&mut self, id: &str, state: EntryState, output: Option<Value>, error: Option<&Failure>) {
        let mut told = Map::new();
        told.insert("status".to_owned(), Value::from(state.as_str()));
        if let Some(output) = output {
            told.insert("output".to_owned(), output);
        }
        if let Some(failure) = error {
            told.insert("error".to_owned(), failure.told());
        }
        if let Some(Value::Object(steps)) = self.scope.get_mut("steps") {
            steps.insert(id.to_owned(), Value::Object(told));
        }
    }

    /// Takes the ids of a loop's turn out of sight.
    pub(super) fn withdraw(&mut self, ids: &[String]) {
        if let Some(Value::Object(steps)) = self.scope.get_mut("steps") {
            for id in ids {
                steps.shift_remove(id);
            }
        }
    }

    /// Binds what `locals` gives in the innermost frame.
    pub(super) fn bind(&mut self, locals: Vec<(String, Value)>) {
        let Some(frame) = self.frames.last_mut() else {
            return;
        };
        for (name, value) in locals {
            let outer = self.scope.set(&name, value);
            frame.shadowed.push((name, outer));
        }
    }

    /// Gives the names of a turn the meaning that they have outside it.
    pub(super) fn unbind(&mut self, shadowed: Vec<(String, Option<Value>)>) {
        for (name, outer) in shadowed.into_iter().rev() {
            match outer {
                Some(value) => self.scope.set(&name, value),
                None => self.scope.take(&name),
            };
        }
    }
}
