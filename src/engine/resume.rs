//! Takes a run up again after a restart: its frames say where it stood, the journal what is still visible there.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::frame::{Frame, Loaded, Phase, Section, block, step};
use super::request::request;
use super::run::Mark;
use super::{Entry, EntryState, Facts, Failure, Flow, Run};
use crate::steps::Move;

impl Run {
    /// The journal scopes whose entries [`Run::resume`] needs; entries of other scopes are passed over.
    ///
    /// # Errors
    /// `frames_unreadable` where `frames` are not of this flow.
    pub fn visible_scopes(flow: &Flow, frames: &str) -> Result<Vec<String>, Failure> {
        let mut loaded = read(frames)?;
        place_all(flow, loaded.section, &mut loaded.frames)?;
        let mut scopes = vec![String::new()];
        for frame in &loaded.frames {
            scopes.push(frame.scope.clone());
            scopes.push(format!("{}[]", frame.key()));
        }
        scopes.dedup();
        Ok(scopes)
    }

    /// Whether `frames` say that an attempt of the step under way may have been done, and nobody knows yet.
    pub fn left_uncertain(frames: &str) -> bool {
        read(frames).is_ok_and(|loaded| loaded.current.is_some_and(|current| current.uncertain_since_ms.is_some()))
    }

    /// The run that `frames` were saved of; without frames one that has settled nothing, but may have left a
    /// mark. The next event is [`super::Event::Crashed`], which is right as well where nothing was under way.
    ///
    /// # Errors
    /// `frames_unreadable` where `frames` are not of this flow; `journal_incomplete` where entries that they
    /// need are missing; the failure of a step's templates where they
    /// no longer give what they gave, which pinned definitions exclude.
    pub fn resume(flow: &Flow, facts: Facts, frames: Option<&str>, entries: Vec<Entry>) -> Result<Run, Failure> {
        let mut run = Run::begin(flow, facts);
        run.mark = entries.iter().rfind(|entry| entry.state == EntryState::Sending).map(|entry| Mark {
            key: entry.key.clone(),
            attempt: entry.attempt,
            at_ms: entry.started_ms,
        });
        let Some(frames) = frames else {
            return Ok(run);
        };
        let mut loaded = read(frames)?;
        place_all(flow, loaded.section, &mut loaded.frames)?;
        if let Some(failed) = loaded.failed {
            run.begin_on_failure(failed);
        }
        run.section = loaded.section;
        run.clock_ms = loaded.clock_ms;
        let mut journal = Journal::new(entries);
        run.frames.clear();
        for mut frame in loaded.frames {
            let scope = frame.scope.clone();
            let is_new = run.frames.last().is_none_or(|outer| outer.scope != scope);
            if let (Some(outer), Some(container)) = (run.frames.last(), step(flow, run.section, &run.frames)) {
                let key = outer.key();
                frame.input = journal.input(&key).ok_or_else(|| incomplete(&key))?;
                frame.collected = journal.collected(&key, frame.turn);
                if container.form.collects() && frame.collected.len() < frame.turn {
                    return Err(incomplete(&key));
                }
                run.enter_turn(container, &key, frame);
            } else {
                run.frames.push(frame);
            }
            if is_new {
                journal.publish(&scope, &mut run);
            }
        }
        if let Some(mut current) = loaded.current {
            let step = step(flow, run.section, &run.frames).ok_or_else(unreadable)?;
            let key = run.frames.last().map(Frame::key).unwrap_or_default();
            if !matches!(current.phase, Phase::Waiting { .. } | Phase::Asking { .. }) {
                run.scope.set_now(run.clock_ms);
                let entered = step.form.enter(&run.scope)?;
                if entered.then != Move::Call {
                    return Err(unreadable());
                }
                let again = request(step, entered.input, current.entered_ms)?;
                current.input = again.input;
                current.elements = again.elements;
                let element = current.element.unwrap_or(0);
                current.results = journal.results(&key, element);
                if current.results.len() < element {
                    return Err(incomplete(&key));
                }
            }
            let (key, _) = current.place(key, String::new());
            current.sent_ms = current.entered_ms;
            for entry in journal.attempts(&key) {
                if entry.error.is_some() {
                    current.failure.clone_from(&entry.error);
                }
                if entry.attempt == current.attempt {
                    current.sent_ms = entry.started_ms;
                    if entry.state == EntryState::Sending {
                        current.phase = Phase::Sending;
                    }
                }
            }
            run.current = Some(current);
        }
        Ok(run)
    }
}

/// The entries by their keys, each key's in the order of its attempts.
struct Journal {
    by_key: HashMap<String, Vec<Entry>>,
    /// The keys as they came.
    order: Vec<String>,
}

impl Journal {
    fn new(entries: Vec<Entry>) -> Self {
        let mut by_key: HashMap<String, Vec<Entry>> = HashMap::new();
        let mut order = Vec::new();
        for entry in entries {
            let attempts = by_key.entry(entry.key.clone()).or_default();
            if attempts.is_empty() {
                order.push(entry.key.clone());
            }
            match attempts.iter_mut().find(|known| known.attempt == entry.attempt) {
                Some(known) => {
                    let input = entry.input.clone().or_else(|| known.input.take());
                    *known = Entry { input, ..entry };
                }
                None => attempts.push(entry),
            }
        }
        for attempts in by_key.values_mut() {
            attempts.sort_by_key(|entry| entry.attempt);
        }
        Journal { by_key, order }
    }

    fn attempts(&self, key: &str) -> &[Entry] {
        self.by_key.get(key).map_or(&[], Vec::as_slice)
    }

    /// How the step ended.
    fn final_entry(&mut self, key: &str) -> Option<&mut Entry> {
        let last = self.by_key.get_mut(key)?.last_mut()?;
        last.state.is_final().then_some(last)
    }

    /// Makes the ended steps of a scope visible.
    fn publish(&self, scope: &str, run: &mut Run) {
        let ended = self.order.iter().filter_map(|key| self.attempts(key).last());
        for entry in ended.filter(|entry| entry.scope == scope && entry.state.is_final()) {
            if let Some(id) = &entry.id {
                run.publish(id, entry.state, entry.output.clone(), entry.error.as_ref());
            }
        }
    }

    /// What the step with blocks was given.
    fn input(&mut self, key: &str) -> Option<Value> {
        let entry = self.by_key.get_mut(key)?.last_mut()?;
        entry.input.take().map(Arc::unwrap_or_clone)
    }

    /// What the turns before `turn` left.
    fn collected(&mut self, key: &str, turn: usize) -> Vec<Value> {
        (0..turn)
            .map_while(|turn| {
                let entry = self.final_entry(&format!("{key}[{turn}]"))?;
                Some(entry.output.take().unwrap_or(Value::Null))
            })
            .collect()
    }

    /// What the elements before `element` gave.
    fn results(&mut self, key: &str, element: usize) -> Vec<Result<Value, Failure>> {
        (0..element)
            .map_while(|element| {
                let entry = self.final_entry(&format!("{key}[{element}]"))?;
                Some(match entry.error.take() {
                    Some(failure) => Err(failure),
                    None => Ok(entry.output.take().unwrap_or(Value::Null)),
                })
            })
            .collect()
    }
}

fn read(frames: &str) -> Result<Loaded, Failure> {
    let loaded: Loaded = serde_json::from_str(frames).map_err(|_| unreadable())?;
    match loaded.frames.is_empty() {
        true => Err(unreadable()),
        false => Ok(loaded),
    }
}

/// Gives every frame its keys' prefix and its scope, and makes sure that it fits the flow.
fn place_all(flow: &Flow, section: Section, frames: &mut [Frame]) -> Result<(), Failure> {
    for index in 0..frames.len() {
        let (outer, inner) = frames.split_at_mut(index);
        let Some(frame) = inner.first_mut() else {
            continue;
        };
        match outer.last() {
            None => {
                let root = Frame::root(section);
                (frame.prefix, frame.scope) = (root.prefix, root.scope);
            }
            Some(container) => {
                let step = step(flow, section, outer).ok_or_else(unreadable)?;
                frame.place(step, &container.key(), &container.scope);
            }
        }
        let placed = frames.get(..=index).unwrap_or_default();
        let block = block(flow, section, placed).ok_or_else(unreadable)?;
        if placed.last().is_some_and(|frame| frame.at > block.steps.len()) {
            return Err(unreadable());
        }
    }
    Ok(())
}

/// Going on without these entries would do something twice or leave something out.
fn incomplete(key: &str) -> Failure {
    Failure::not_sent("journal_incomplete", format!("the journal of this run lacks entries of step {key}"))
        .with_help("replay the run: it starts over")
}

fn unreadable() -> Failure {
    Failure::not_sent(
        "frames_unreadable",
        "where this run stood cannot be read back with the definitions that it is pinned to",
    )
    .with_help("replay the run: it starts over with the present definitions")
}
