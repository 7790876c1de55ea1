//! `approval`: asks people over any action, and waits for what they answer. Its turns: the messages of `send` once
//! for each approver, then the wait; where the wait ends with a reminder, the same again for those who have not
//! answered. Who cannot be sent a message is passed over, as long as the others can decide it. The messages are ordinary steps, with their effects and marks; the wait is the engine's.

mod reply;
mod terms;
mod written;

pub use reply::{Reply, read as read_reply};
pub use terms::{
    CODE_PLACEHOLDER, Choice, LINK_ALPHABET, OTHER_PLACEHOLDER, Reminders, Standing, Terms, Unreached, approval_id,
    code, link_id, placeholder, with_code,
};

use serde_json::{Map, Value, json};

use super::{Block, Compiler, EndOfTurn, Entered, Error, Form, Keyword, Move, Step};
use crate::manifest::flow::OnError;
use crate::manifest::{Problem, composite, flow};
use crate::template::{Scope, Tree};

pub(super) const KEYWORD: Keyword = Keyword { name: "approval", compile };

/// What the wait is called among the steps: no step of a flow can be called so.
const WAIT: &str = "(answers)";
/// What the journal calls its form.
const WAIT_FORM: &str = "answers";

const SENDS: usize = 0;
const WAITS: usize = 1;
const NOTHING: usize = 2;

#[derive(Debug)]
struct Approval {
    terms: Tree,
    /// The words that never arrive as an answer over what sends the question.
    swallowed: Vec<String>,
    blocks: [Block; 3],
}

/// The wait for answers.
#[derive(Debug)]
struct Wait;

impl Form for Wait {
    fn enter(&self, _scope: &Scope) -> Result<Entered, Error> {
        Ok(Entered { input: Value::Null, then: Move::Await })
    }
}

impl Form for Approval {
    fn enter(&self, scope: &Scope) -> Result<Entered, Error> {
        let terms = written::terms(&self.terms.evaluate_pruned(scope)?, &self.swallowed)?;
        Ok(Entered { input: json!(terms), then: Move::Blocks })
    }

    fn asks(&self) -> bool {
        true
    }

    fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    fn is_loop(&self) -> bool {
        true
    }

    fn next_block(&self, turn: usize, input: &Value, collected: &[Value]) -> Option<usize> {
        let round = rounds(input);
        let place = turn % round;
        if place + 1 == round {
            return Some(WAITS);
        }
        // What the last wait left says who has answered meanwhile.
        let last = turn.checked_sub(place + 1).and_then(|wait| collected.get(wait)?.get("answered")?.as_array());
        let has_answered = last.is_some_and(|answered| answered.contains(&Value::from(place)));
        // Nobody is bothered with what nobody can decide any more.
        let is_hopeless = || is_hopeless(input, unreached(round - 1, collected).len());
        Some(if has_answered || is_hopeless() { NOTHING } else { SENDS })
    }

    fn may_miss(&self, turn: usize, input: &Value) -> bool {
        let round = rounds(input);
        turn % round + 1 != round
    }

    fn locals(&self, turn: usize, input: &mut Value, _left: Option<&Value>) -> Vec<(String, Value)> {
        let round = rounds(input);
        let position = turn % round;
        let text = |name: &str| input.get(name).cloned().unwrap_or(Value::Null);
        let id = input.get("id").and_then(Value::as_str).unwrap_or_default();
        let choices: Vec<Value> = input
            .get("choices")
            .and_then(Value::as_array)
            .map(|choices| choices.iter().filter_map(|choice| choice.get("name").cloned()).collect())
            .unwrap_or_default();
        let approval = json!({
            "id": id,
            "url": placeholder(&link_id(id, position)),
            "code": code(id, position),
            "choices": choices,
            "question": text("question"),
            "on_expire": text("on_expire"),
            "reminder": turn / round,
        });
        let approver = input.get("approvers").and_then(|approvers| approvers.get(position)).cloned();
        vec![("approval".to_owned(), approval), ("approver".to_owned(), approver.unwrap_or(Value::Null))]
    }

    fn collects(&self) -> bool {
        true
    }

    fn end_turn(&self, _turn: usize, scope: &Scope) -> Result<EndOfTurn, Error> {
        let left = scope.get("steps").and_then(|steps| steps.get(WAIT)?.get("output"));
        let Some(Value::Object(left)) = left else {
            return Ok(EndOfTurn::Leave(Value::Null));
        };
        let default = scope.get("approval").and_then(|approval| approval.get("on_expire")?.as_str());
        match (left.get("end").and_then(Value::as_str), default) {
            (None, _) => Ok(EndOfTurn::Leave(Value::Object(left.clone()))),
            (Some("decided"), _) => Ok(EndOfTurn::Done(output(left, None))),
            (Some(end), Some(default)) => Ok(EndOfTurn::Done(output(left, Some((default, end))))),
            (Some("unreachable"), None) => Err(Error::new(
                "approval_unreachable",
                too_few(left),
                "lower `needed`, or write `on_expire` with the choice that counts then",
            )),
            (Some("split"), None) => Err(Error::new(
                "approval_split",
                "the answers differ, and no choice can get as many as are needed",
                "lower `needed`, or write `on_expire` with the choice that counts then",
            )),
            (Some(_), None) => Err(Error::new(
                "approval_expired",
                "nobody answered in time",
                "make `expires` longer, or write `on_expire` with the choice that counts then",
            )),
        }
    }
}

/// The turns of one round: one per approver, and the wait.
fn rounds(input: &Value) -> usize {
    input.get("approvers").and_then(Value::as_array).map_or(1, Vec::len) + 1
}

/// Those of so many approvers whom no message could be sent in any round so far, each with the first failure; by what
/// the turns left.
pub fn unreached(approvers: usize, collected: &[Value]) -> Vec<(usize, &Value)> {
    let missed = |position: usize| {
        let mut asked = collected.iter().skip(position).step_by(approvers + 1).map(|left| left.get("missed"));
        let first = asked.next()??;
        asked.all(|missed| missed.is_some()).then_some((position, first))
    };
    (0..approvers).filter_map(missed).collect()
}

fn is_hopeless(input: &Value, unreached: usize) -> bool {
    unreached > 0 && serde_json::from_value(input.clone()).is_ok_and(|terms: Terms| terms.is_hopeless(unreached))
}

/// That too few could be asked, in words.
fn too_few(left: &Map<String, Value>) -> String {
    let unreached = left.get("unreached").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let who: Vec<&str> = unreached.iter().filter_map(|one| one.get("approver")?.as_str()).collect();
    let why = unreached.first().and_then(|one| one.get("message")?.as_str()).unwrap_or_default();
    match who.is_empty() {
        true => format!("too few could be asked to decide it: {why}"),
        false => format!("too few could be asked to decide it, not {}: {why}", who.join(", ")),
    }
}

/// What later steps see; `instead` where nobody decided: the choice, and how it came to that.
fn output(left: &Map<String, Value>, instead: Option<(&str, &str)>) -> Value {
    let mut output = Map::new();
    for name in ["choice", "text", "by", "at", "how", "answers", "unreached"] {
        output.insert(name.to_owned(), left.get(name).cloned().unwrap_or(Value::Null));
    }
    if let Some((choice, how)) = instead {
        output.insert("choice".to_owned(), Value::from(choice));
        output.insert("how".to_owned(), Value::from(how));
    }
    Value::Object(output)
}

fn compile(step: &flow::Step, compiler: &mut Compiler) -> Option<Box<dyn Form>> {
    let approval = step.approval.as_ref()?;
    for (position, send) in approval.sends().iter().enumerate() {
        if send.action.is_none() && send.http.is_none() {
            let place = compiler.pointer(&format!("approval/{}", approval.send_pointer(position)));
            compiler.report(
                Problem::new(place, "approval_send", "this sends nothing").with_help(
                    "write an `action` or `http` step, as in `send: {action: twilio.send_sms, with: {...}}`",
                ),
            );
        }
    }
    let sends = compiler.block(approval.sends(), "approval/send", "");
    let terms = compiler.tree(&approval.terms(), "approval")?;
    let wait = Step {
        id: Some(WAIT.to_owned()),
        title: None,
        form_name: WAIT_FORM,
        guard: None,
        retry: None,
        timeout_ms: None,
        deadline_ms: None,
        on_error: OnError::Fail,
        form: Box::new(Wait),
    };
    let waits = Block { label: "", steps: vec![wait], ids: vec![WAIT.to_owned()] };
    let swallowed = swallowed(approval, compiler);
    Some(Box::new(Approval { terms, swallowed, blocks: [sends, waits, Block::default()] }))
}

fn swallowed(approval: &flow::Approval, compiler: &Compiler) -> Vec<String> {
    let actions = approval.sends().iter().filter_map(|send| send.action.as_deref());
    let replies = actions.filter_map(|written| {
        let (connector, action) = composite::action_name(written, compiler.home.as_deref())?;
        let replies = compiler.connectors.get(connector)?.replies.as_ref()?;
        replies.asks.contains_key(action).then_some(&replies.swallowed)
    });
    replies.flatten().cloned().collect()
}
