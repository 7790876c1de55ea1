//! The engine without a host: a world that answers calls from a table, keeps the journal as the store would,
//! and can lose the process at any point.

mod composites;
mod elements;
mod failures;
mod forms;
mod laws;
mod repeats;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::manifest;

pub(super) const START_MS: i64 = 1_790_000_000_000;

pub(super) const SERVICE: &str = r#"
connector: service
actions:
  read: {effect: read}
  upsert: {effect: natural}
  keyed: {effect: {class: key, header: Idempotency-Key}}
  post: {effect: none}
  tweet: {effect: {class: lookup, reconcile: {action: read, after: 5s, within: 60s, match: "eq record.text inputs.text", absent: retry}}}
  shy: {effect: {class: lookup, reconcile: {action: read, after: 5s, within: 60s, match: "eq record.text inputs.text"}}}
  send: {effect: none, inputs: {to: {type: array, default: ["0"]}}, foreach: {list: inputs.to, as: to}}
  send_all: {effect: {class: key, header: K}, foreach: {list: inputs.to, as: to, on_partial: fail}}
  thread:
    effect: none
    inputs: {texts: {type: array}, stop: {type: boolean}}
    steps:
      - {id: first, action: upsert, with: {text: "{{inputs.texts.0}}", by: "{{connection.account}}", at: "{{now}}"}}
      - id: rest
        foreach: inputs.texts
        as: text
        collect: "{{steps.one.output.text}}"
        steps: [{id: one, action: keyed, with: {text: "{{text}}", first: "{{steps.first.output.text}}"}}]
      - id: poll
        repeat: {until: gte turn 3, every: 5s, limit: 4}
        steps:
          - {id: look, action: read, with: {turn: "{{turn}}", run: "{{run.id}}", id: "{{uuid 'look'}}"}}
      - {if: default inputs.stop false, stop: {}}
      - {id: last, action: upsert, with: {look: "{{steps.poll.output.look.turn}}"}}
    output: {texts: "{{steps.rest.output}}", turns: "{{steps.poll.output.turns}}", last: "{{maybe steps.last.output.look}}"}
  twice:
    effect: none
    steps:
      - {id: one, action: thread, with: {texts: ["{{inputs.text}}"]}}
      - {action: service.thread, with: {texts: ["{{steps.one.output.turns}}"]}}
    output: "{{steps.one.output}}"
  careful:
    effect: none
    steps:
      - {id: try, action: post, with: {n: "{{inputs.n}}"}, on_error: continue}
      - {wait: "{{default inputs.wait '0s'}}"}
      - {id: again, action: upsert, with: {error: "{{default steps.try.error.code 'none'}}"}}
    output: "{{steps.again.output.error}}"
  strict: {effect: none, steps: [{action: post}, {stop: {status: failed, message: "not {{inputs.n}}"}}]}
"#;

/// Gives composites what their callers give, and an account.
#[derive(Debug)]
pub(super) struct Given;

impl Composites for Given {
    fn begin(&self, target: &Target, given: Value) -> Result<Value, Failure> {
        match given.get("refuse") {
            Some(_) => Err(Failure::not_sent("input_invalid", format!("{target} has no input `refuse`"))),
            None => Ok(json!({"inputs": given, "connection": {"account": "me"}})),
        }
    }
}

pub(super) fn connectors() -> BTreeMap<String, Arc<manifest::Connector>> {
    let service: manifest::Connector = serde_yaml::from_str(SERVICE).unwrap();
    BTreeMap::from([("service".to_owned(), Arc::new(service))])
}

/// A flow with these `steps:` (and whatever else is written at the top level).
pub(super) fn flow(yaml: &str) -> Flow {
    let written = format!("flow: test\ntitle: A test\ntrigger: {{manual: true}}\n{yaml}");
    let flow: manifest::Flow = serde_yaml::from_str(&written).unwrap();
    Flow::compile(&flow, &connectors()).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

pub(super) fn problems(yaml: &str) -> Vec<manifest::Problem> {
    let written = format!("flow: test\ntrigger: {{manual: true}}\n{yaml}");
    let flow: manifest::Flow = serde_yaml::from_str(&written).unwrap();
    Flow::compile(&flow, &connectors()).err().unwrap_or_default()
}

pub(super) fn facts(item: Value) -> Facts {
    Facts {
        run_id: "run-1".to_owned(),
        root_id: "run-1".to_owned(),
        item,
        inputs: json!({"to": "+41"}),
        started_ms: START_MS,
        composites: Arc::new(Given),
    }
}

pub(super) fn failure(code: &str, outcome: Outcome, verdict: Verdict) -> Failure {
    Failure { outcome, verdict, ..Failure::not_sent(code, format!("it failed with {code}")) }
}

pub(super) fn refused() -> Failure {
    failure("http_400", Outcome::NotDone, Verdict::Fail)
}

pub(super) fn busy() -> Failure {
    failure("busy", Outcome::NotDone, Verdict::Retry { after_ms: None })
}

pub(super) fn torn() -> Failure {
    failure("timeout", Outcome::Unknown, Verdict::Retry { after_ms: None })
}

/// A call as the world saw it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    pub key: String,
    pub attempt: u32,
    pub inputs: Value,
    pub element: Option<Value>,
    pub idempotency_key: Option<String>,
    pub after_uncertain: bool,
    pub at_ms: i64,
}

/// A run with its journal.
pub(super) struct World<'f> {
    pub flow: &'f Flow,
    pub run: Run,
    pub facts: Facts,
    pub now_ms: i64,
    pub journal: Vec<Entry>,
    pub frames: Option<String>,
    pub calls: Vec<Seen>,
    /// The longest frames that were committed, in bytes.
    pub longest_frames: usize,
    /// All entries ever committed.
    pub written: usize,
}

impl<'f> World<'f> {
    pub fn new(flow: &'f Flow, item: Value) -> Self {
        World {
            flow,
            run: Run::begin(flow, facts(item.clone())),
            facts: facts(item),
            now_ms: START_MS,
            journal: Vec::new(),
            frames: None,
            calls: Vec::new(),
            longest_frames: 0,
            written: 0,
        }
    }

    pub fn decide(&mut self, event: Event) -> Decision {
        advance(self.flow, &mut self.run, event, self.now_ms)
    }

    pub fn commit(&mut self, decision: &Decision) {
        for entry in &decision.entries {
            self.write(entry.clone());
        }
        let frames = self.run.frames();
        self.longest_frames = self.longest_frames.max(frames.len());
        self.frames = Some(frames);
        if let Next::Call(call) = &decision.next {
            self.calls.push(Seen {
                key: call.key.clone(),
                attempt: call.attempt,
                inputs: (*call.inputs).clone(),
                element: call.element.clone(),
                idempotency_key: call.idempotency_key.clone(),
                after_uncertain: call.after_uncertain,
                at_ms: self.now_ms,
            });
        }
    }

    /// Decides and commits.
    pub fn on(&mut self, event: Event) -> Next {
        let decision = self.decide(event);
        self.commit(&decision);
        decision.next
    }

    pub fn mark(&mut self) {
        let entry = self.run.mark(self.flow, self.now_ms).unwrap();
        self.write(entry);
    }

    /// The process dies and the run is taken up from what was committed.
    pub fn lose(&mut self) {
        self.run = match &self.frames {
            None => Run::resume(self.flow, self.facts.clone(), None, self.journal.clone()).unwrap(),
            Some(frames) => {
                let visible = Run::visible_scopes(self.flow, frames).unwrap();
                let entries = self.journal.iter().filter(|entry| visible.contains(&entry.scope));
                let entries = entries.cloned().collect();
                Run::resume(self.flow, self.facts.clone(), Some(frames), entries).unwrap()
            }
        };
    }

    /// Answers every call from `answer` and lets every wait pass, to the end.
    pub fn finish(&mut self, mut answer: impl FnMut(&Call) -> Result<Value, Failure>) -> Ending {
        let mut event = Event::Begin;
        loop {
            event = match self.on(event) {
                Next::Call(call) => match answer(&call) {
                    Ok(output) => Event::Answered { output },
                    Err(failure) => Event::Failed(failure),
                },
                Next::Wait { due_ms, .. } => {
                    self.now_ms = due_ms;
                    Event::Due
                }
                Next::Ended(ending) => return ending,
                other => panic!("not expected here: {other:?}"),
            };
        }
    }

    pub fn entry(&self, key: &str) -> &Entry {
        let found = self.journal.iter().filter(|entry| entry.key == key);
        found.max_by_key(|entry| entry.attempt).unwrap_or_else(|| panic!("no entry {key}"))
    }

    pub fn output(&self, key: &str) -> Value {
        self.entry(key).output.clone().unwrap_or(Value::Null)
    }

    fn write(&mut self, mut entry: Entry) {
        self.written += 1;
        let known = self
            .journal
            .iter_mut()
            .rev()
            .take(20)
            .find(|known| known.key == entry.key && known.attempt == entry.attempt);
        match known {
            Some(known) => {
                entry.input = entry.input.or(known.input.take());
                *known = entry;
            }
            None => self.journal.push(entry),
        }
    }
}

pub(super) fn call(next: Next) -> Call {
    match next {
        Next::Call(call) => *call,
        other => panic!("a call was expected, not {other:?}"),
    }
}

pub(super) fn wait(next: Next) -> (i64, Reason) {
    match next {
        Next::Wait { due_ms, reason } => (due_ms, reason),
        other => panic!("a wait was expected, not {other:?}"),
    }
}

/// Answers with what the step was given.
pub(super) fn echo(call: &Call) -> Result<Value, Failure> {
    Ok(match &call.element {
        Some(element) => json!({"element": element}),
        None => (*call.inputs).clone(),
    })
}
