//! From what a step says, its templates evaluated, to the terms of an approval; everything that makes no sense is
//! refused before anybody is asked.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::terms::{Choice, Reminders, Terms};
use crate::manifest::Duration;
use crate::manifest::flow::approval::said;
use crate::steps::Error;

/// A day.
const EXPIRES_MS: i64 = 86_400_000;
/// More would be a mailing.
const MOST_APPROVERS: usize = 100;

/// The terms that these values ask for; `swallowed` are the words that never arrive as an answer.
pub(super) fn terms(written: &Value, swallowed: &[String]) -> Result<Terms, Error> {
    let empty = Map::new();
    let written = written.as_object().unwrap_or(&empty);
    let approvers = approvers(written.get("approvers"))?;
    let choices = choices(written.get("choices"))?;
    refuse_swallowed(&choices, swallowed)?;
    let text = match written.get("text") {
        None => false,
        Some(Value::Bool(text)) => *text,
        Some(Value::String(text)) if text == "true" => true,
        Some(Value::String(text)) if text == "false" || text.is_empty() => false,
        Some(_) => {
            return Err(wrong("`text` is neither true nor false", "write `text: true` to let people add a text"));
        }
    };
    if choices.is_empty() && !text {
        return Err(wrong("nothing can be answered", "write `choices`, or `text: true`"));
    }
    let on_expire = match written.get("on_expire").and_then(Value::as_str) {
        None | Some("fail") => None,
        Some(name) if choices.iter().any(|choice| choice.name == name) => Some(name.to_owned()),
        Some(name) => {
            return Err(wrong(
                format!("`on_expire` names `{name}`, which is none of the choices"),
                "name one, or `fail`",
            ));
        }
    };
    let needed = needed(written.get("needed"), approvers.len())?;
    let expires_ms = match written.get("expires") {
        None => EXPIRES_MS,
        Some(length) => length_ms(length, "expires")?,
    };
    let reminders = written.get("reminders").filter(|written| !written.is_null()).map(reminders).transpose()?;
    let question = written.get("question").and_then(Value::as_str).map(str::to_owned);
    let (id, unreached) = (String::new(), Vec::new());
    Ok(Terms { id, question, approvers, choices, text, needed, expires_ms, on_expire, reminders, unreached })
}

fn reminders(written: &Value) -> Result<Reminders, Error> {
    let help = "write for example `reminders: {every: 30m, limit: 2}`";
    let Value::Object(members) = written else {
        return Err(wrong(format!("`reminders` is {written}, which says neither how often nor how many times"), help));
    };
    let every_ms = length_ms(members.get("every").unwrap_or(&Value::Null), "reminders.every")?;
    let limit = match members.get("limit") {
        None | Some(Value::Null) => Some(1),
        Some(limit) => limit.as_u64().and_then(|limit| u32::try_from(limit).ok()),
    };
    let limit = limit.ok_or_else(|| wrong("`reminders.limit` is no number of times".to_owned(), help))?;
    Ok(Reminders { every_ms, limit })
}

fn approvers(written: Option<&Value>) -> Result<Vec<Value>, Error> {
    let list = match written {
        None => return Ok(vec![Value::Null]),
        Some(Value::Array(list)) => list.clone(),
        Some(single) => vec![single.clone()],
    };
    // Whoever is listed twice is one: with a code for each mention one person could decide alone.
    let mut seen = BTreeSet::new();
    let list: Vec<Value> = list
        .into_iter()
        .filter(|approver| match approver {
            Value::Null => true,
            Value::String(text) => seen.insert(text.trim().to_owned()),
            other => seen.insert(other.to_string()),
        })
        .collect();
    match list.len() {
        0 => Err(wrong("nobody is asked: the list of approvers is empty", "name at least one")),
        1..=MOST_APPROVERS => Ok(list),
        more => Err(wrong(format!("{more} approvers are more than {MOST_APPROVERS}"), "ask fewer people")),
    }
}

fn choices(written: Option<&Value>) -> Result<Vec<Choice>, Error> {
    let list = match written {
        None => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(wrong("`choices` is no list", "write for example `choices: [approve, reject]`")),
    };
    let mut taken: BTreeMap<String, String> = BTreeMap::new();
    let mut choices = Vec::with_capacity(list.len());
    for written in list {
        let choice = match written {
            Value::String(name) => Choice { name: name.clone(), ..Choice::default() },
            other => serde_json::from_value(other.clone())
                .map_err(|_| wrong(format!("`{other}` is no choice"), "write a name, or {name, title, words}"))?,
        };
        if choice.name.trim().is_empty() {
            return Err(wrong("a choice has no name", "give it one"));
        }
        if taken.get(&said(&choice.name)).is_some_and(|other| said(other) == said(&choice.name)) {
            return Err(wrong(format!("the choice `{}` is there twice", choice.name), "leave one out"));
        }
        let words = [choice.name.as_str(), choice.shown()];
        for word in words.into_iter().chain(choice.words.iter().map(String::as_str)) {
            let other = taken.insert(said(word), choice.name.clone()).filter(|other| *other != choice.name);
            if let Some(other) = other {
                let message = format!("`{word}` answers both `{other}` and `{}`", choice.name);
                return Err(wrong(message, "give each choice words of its own"));
            }
        }
        choices.push(choice);
    }
    Ok(choices)
}

fn refuse_swallowed(choices: &[Choice], swallowed: &[String]) -> Result<(), Error> {
    let words =
        choices.iter().flat_map(|choice| std::iter::once(&choice.name).chain(&choice.title).chain(&choice.words));
    for word in words {
        if swallowed.iter().any(|swallowed| said(swallowed) == said(word)) {
            let message = format!("carriers take `{word}` for a command: such a reply never arrives");
            let help = "use another word, for example approve and reject";
            return Err(Error::new("approval_choice_swallowed", message, help));
        }
    }
    Ok(())
}

fn needed(written: Option<&Value>, approvers: usize) -> Result<u32, Error> {
    let all = u32::try_from(approvers).unwrap_or(u32::MAX);
    let number = match written {
        None => Some(1),
        Some(Value::Number(number)) => number.as_u64().and_then(|number| u32::try_from(number).ok()),
        Some(Value::String(word)) if word == "first" => Some(1),
        Some(Value::String(word)) if word == "all" => Some(all),
        Some(Value::String(word)) => word.trim().parse().ok(),
        Some(_) => None,
    };
    match number {
        Some(number) if (1..=all).contains(&number) => Ok(number),
        Some(number) => {
            let message = format!("`needed` is {number}, and {approvers} are asked; who is listed twice is asked once");
            Err(wrong(message, "write `first`, `all`, or a number of those who are asked"))
        }
        None => Err(wrong("`needed` says nothing of how many", "write `first`, `all`, or a number")),
    }
}

fn length_ms(written: &Value, name: &str) -> Result<i64, Error> {
    let length: Result<Duration, String> = written.as_str().unwrap_or_default().trim().parse();
    match length {
        Ok(length) if length.ms > 0 => Ok(length.ms),
        Ok(_) => Err(wrong(format!("`{name}` is no time at all"), "write a length such as 2h")),
        Err(message) => Err(wrong(format!("`{name}`: {message}"), "write a length such as 2h")),
    }
}

fn wrong(message: impl Into<String>, help: &str) -> Error {
    Error::new("approval_invalid", message, help)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_left_out_has_its_default() {
        let terms = terms(&json!({"choices": ["approve", {"name": "reject", "words": ["no"]}]}), &[]).unwrap();
        assert_eq!((terms.approvers.len(), terms.needed, terms.expires_ms), (1, 1, EXPIRES_MS));
        assert_eq!((terms.on_expire, terms.reminders, terms.text), (None, None, false));
        assert_eq!(terms.choices[1].words, ["no"]);
    }

    #[test]
    fn what_is_written_counts() {
        let written = json!({
            "choices": ["a", "b"], "approvers": ["x", {"name": "y"}, "z"], "needed": "2", "expires": "90m",
            "on_expire": "b", "reminders": {"every": "10m", "limit": 3}, "text": "true", "question": "Why?",
        });
        let terms = terms(&written, &["stop".to_owned()]).unwrap();
        assert_eq!((terms.needed, terms.expires_ms, terms.on_expire.as_deref()), (2, 5_400_000, Some("b")));
        assert_eq!(terms.reminders, Some(Reminders { every_ms: 600_000, limit: 3 }));
        assert_eq!(terms.name_of(1), Some("y"));
    }

    #[test]
    fn who_is_listed_twice_is_asked_once() {
        let written = json!({
            "choices": ["a"], "needed": "all",
            "approvers": ["+15550199001", " +15550199001", {"name": "y"}, {"name": "y"}, {"name": "z"}],
        });
        let terms = terms(&written, &[]).unwrap();
        assert_eq!(terms.approvers, [json!("+15550199001"), json!({"name": "y"}), json!({"name": "z"})]);
        assert_eq!(terms.needed, 3);
    }

    #[test]
    fn nonsense_is_refused_before_anybody_is_asked() {
        for (written, word) in [
            (json!({}), "nothing can be answered"),
            (json!({"choices": []}), "nothing can be answered"),
            (json!({"choices": "a"}), "no list"),
            (json!({"choices": ["a", "A"]}), "twice"),
            (json!({"choices": ["go!", "Go"]}), "twice"),
            (json!({"choices": [{"name": "a", "words": ["ok"]}, {"name": "b", "words": ["OK."]}]}), "both `a` and `b`"),
            (json!({"choices": ["a", {"name": "b", "words": ["a"]}]}), "both `a` and `b`"),
            (json!({"choices": ["go", " Stop"]}), "never arrives"),
            (json!({"choices": ["go", {"name": "stop"}]}), "never arrives"),
            (json!({"choices": [{"name": "a", "words": ["STOP!"]}]}), "never arrives"),
            (json!({"choices": ["a"], "approvers": ["x", "x "], "needed": 2}), "1 are asked"),
            (json!({"choices": [1]}), "no choice"),
            (json!({"choices": [" "]}), "no name"),
            (json!({"choices": ["a"], "on_expire": "b"}), "none of the choices"),
            (json!({"choices": ["a"], "needed": 2}), "1 are asked"),
            (json!({"choices": ["a"], "needed": 0}), "1 are asked"),
            (json!({"choices": ["a"], "needed": "some"}), "how many"),
            (json!({"choices": ["a"], "approvers": []}), "nobody"),
            (json!({"choices": ["a"], "expires": "soon"}), "expires"),
            (json!({"choices": ["a"], "expires": "0s"}), "no time"),
            (json!({"choices": ["a"], "reminders": {}}), "reminders.every"),
            (json!({"choices": ["a"], "reminders": "30m"}), "neither how often"),
            (json!({"choices": ["a"], "reminders": {"every": "1h", "limit": "often"}}), "reminders.limit"),
            (json!({"choices": ["a"], "text": 3}), "`text`"),
        ] {
            let error = terms(&written, &["stop".to_owned()]).unwrap_err();
            assert!(error.message.contains(word), "{written}: {}", error.message);
        }
    }
}
