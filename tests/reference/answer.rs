//! What a recorded exchange must become: what was sent compared with what was recorded, a failure compared with
//! what the service's table of errors says about it.

use serde_json::Value;
use tidegate::engine::{Failure, Outcome, Verdict};

use super::fixture::{self, Answer};
use super::wire::Message;

/// What follows from a failure, without its times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follows {
    Fail,
    Retry,
    RateLimited,
    Reauth,
    Suspended,
    CursorExpired,
}

/// A part of a request whose value was taken from the recorded one.
pub enum Given {
    Query(&'static str, String),
    /// A form's values, all of them.
    Form(&'static str, Vec<String>),
    /// A member of a JSON body.
    Json(&'static str, Value),
}

impl Given {
    /// What of it is not so in a request.
    pub fn wrong_in(&self, sent: &Message) -> Option<String> {
        let values = |pairs: Vec<(String, String)>, wanted: &str| -> Vec<String> {
            let named = pairs.into_iter().filter(|(name, _)| name == wanted);
            named.map(|(_, value)| value).collect()
        };
        match self {
            Given::Query(name, recorded) => {
                let found = values(sent.query(), name);
                (found != [recorded.as_str()])
                    .then(|| format!("the query has {name} = {found:?}, recorded was {recorded:?}"))
            }
            Given::Form(name, recorded) => {
                let found = values(sent.form(), name);
                (found != *recorded).then(|| format!("the form has {name} = {found:?}, recorded was {recorded:?}"))
            }
            Given::Json(pointer, recorded) => {
                let body = sent.json();
                let found = body.pointer(pointer);
                (found != Some(recorded))
                    .then(|| format!("the body has {pointer} = {found:?}, recorded was {recorded}"))
            }
        }
    }
}

impl Follows {
    /// Without the times.
    pub fn of(verdict: Verdict) -> Option<Follows> {
        Some(match verdict {
            Verdict::Fail => Follows::Fail,
            Verdict::Retry { .. } => Follows::Retry,
            Verdict::RateLimited { .. } => Follows::RateLimited,
            Verdict::Reauth => Follows::Reauth,
            Verdict::Suspended => Follows::Suspended,
            Verdict::CursorExpired => Follows::CursorExpired,
            Verdict::Reconcile => return None,
        })
    }
}

/// What is wrong with a failure: `words` and `code` are the service's own, where it gave any.
pub fn wrong_with(
    failure: &Failure,
    answer: &Answer,
    follows: Follows,
    words: Option<&str>,
    code: Option<String>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    if Follows::of(failure.verdict) != Some(follows) {
        wrong.push(format!("{:?} follows, not {follows:?}: {}", failure.verdict, failure.message));
    }
    // A refusal was not done; what a broken server did, nobody knows.
    let outcome = match answer.status {
        200..500 => Outcome::NotDone,
        _ => Outcome::Unknown,
    };
    if failure.outcome != outcome {
        wrong.push(format!("the outcome is {:?}, not {outcome:?}", failure.outcome));
    }
    if failure.status != Some(answer.status) {
        wrong.push(format!("the status became {:?}", failure.status));
    }
    if let Some(words) = words.filter(|words| !failure.message.contains(words)) {
        wrong.push(format!("`{}` does not say `{words}`", failure.message));
    }
    if failure.message.trim().is_empty() || !failure.message.contains(&answer.status.to_string()) {
        wrong.push(format!("`{}` does not say the status", failure.message));
    }
    if failure.service_code != code {
        wrong.push(format!("the service's code is {:?}, not {code:?}", failure.service_code));
    }
    wrong
}

/// The first words of a body that is no JSON: a page, or plain text.
pub fn first_words(body: &Value) -> Option<String> {
    let words: Vec<&str> = body.as_str()?.split_whitespace().take(4).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// The first of some members that is there and not empty.
pub fn first_text(body: &Value, pointers: &[&str]) -> Option<String> {
    let mut found = pointers.iter().filter_map(|pointer| body.pointer(pointer));
    let value = found.find(|value| !value.is_null() && *value != "" && !value.is_array())?;
    Some(fixture::text(value))
}

/// Members of a recorded record that are not the same in ours. `changed` names those that are told otherwise.
pub fn changed_members(recorded: &Value, ours: &Value, changed: &[&str]) -> Vec<String> {
    let members = recorded.as_object().into_iter().flatten();
    members
        .filter(|(name, _)| !changed.contains(&name.as_str()))
        .filter(|(name, value)| ours.get(name.as_str()) != Some(*value))
        .map(|(name, value)| format!("{name} was {value} and became {:?}", ours.get(name.as_str())))
        .collect()
}
