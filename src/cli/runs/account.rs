//! A run as an account of what happened: its item, then each attempt of each step with what it was given,
//! what came of it, and the request and response where they are asked for.

use serde_json::Value;

use crate::app::result::Status;
use crate::app::runs::{Detail, Step};
use crate::cli::text::{cell, elapsed, indented, one_line, readable};

/// The whole account, for people.
pub fn account(run: &Detail) -> String {
    let Detail { row, definition, retry_of, replay_of, retried_by, item, failure: _, steps } = run;
    let mut text = format!("run {} of {}: {}\n", one_line(&row.id), one_line(&row.flow), one_line(&row.state));
    let took = row.ended_at.map(|ended| format!(", over {} ({})", ended, elapsed(ended.ms - row.created_at.ms)));
    text.push_str(&format!("  found {}{}\n", row.created_at, took.unwrap_or_default()));
    if let Some(due) = row.due_at {
        text.push_str(&format!("  next step due {due}\n"));
    }
    if let Some(key) = &row.item_key {
        text.push_str(&format!("  item key {}\n", one_line(key)));
    }
    for (what, other) in [("goes on with run", retry_of), ("repeats run", replay_of), ("retried by run", retried_by)] {
        if let Some(other) = other {
            text.push_str(&format!("  {what} {}\n", one_line(other)));
        }
    }
    text.push_str(&format!("  definition {}\n", one_line(definition)));
    if let Some(error) = &row.error {
        text.push_str(&format!("  why: {}\n", one_line(error)));
    }
    match item {
        Some(Value::Null) => text.push_str("\nitem: none\n"),
        Some(item) => text.push_str(&format!("\nitem\n{}", indented(&readable(item), 2))),
        None => text.push_str("\nitem: no longer kept (see `retention` in tidegate.yaml)\n"),
    }
    if steps.is_empty() {
        text.push_str("\nno step has begun\n");
    }
    steps.iter().for_each(|step| text.push_str(&attempt(step)));
    if row.state == "unknown" {
        let id = one_line(&row.id);
        text.push_str(&format!("\nNobody knows whether the last step was done. Look at the service, then say so:\n  tidegate runs settle {id} --as done|retry|failed\n"));
    }
    text
}

fn attempt(step: &Step) -> String {
    let name = match &step.id {
        Some(id) => format!("{} ({})", id, step.key),
        None => step.key.clone(),
    };
    let which = if step.attempt > 1 { format!(", attempt {}", step.attempt) } else { String::new() };
    let took = step.ended_at.map(|ended| format!(" in {}", elapsed(ended.ms - step.started_at.ms)));
    let mut text = format!(
        "\nstep {} {}{which}: {}{}, {}\n",
        one_line(&name),
        one_line(&step.form),
        one_line(&step.state),
        took.unwrap_or_default(),
        step.started_at,
    );
    for (title, value) in [("input", &step.input), ("output", &step.output)] {
        if let Some(value) = value.as_ref().filter(|value| !value.is_null()) {
            text.push_str(&member(title, value));
        }
    }
    if let Some(result) = step.result.as_ref().filter(|result| result.status == Status::PartiallySuccessful) {
        text.push_str(&format!("  result: {}\n", result.status.title()));
    }
    if let Some(error) = &step.error {
        text.push_str(&failure(error));
    }
    if let Some(value) = &step.exchange {
        text.push_str(&exchange(value, 2));
    }
    text
}

/// What failed, in words, its help and its code; whole where it has another shape.
fn failure(error: &Value) -> String {
    let part = |name: &str| error.get(name).and_then(Value::as_str);
    let Some(message) = part("message") else {
        return member("error", error);
    };
    let mut text = format!("  error: {}\n", one_line(message));
    for name in ["help", "code", "outcome"] {
        if let Some(value) = part(name) {
            text.push_str(&format!("    {name}: {}\n", one_line(value)));
        }
    }
    text
}

/// A request and its response, every line moved in by `indent` spaces.
pub fn exchange(exchange: &Value, indent: usize) -> String {
    let mut text = exchange.get("request").map(|value| request(value, indent)).unwrap_or_default();
    let space = " ".repeat(indent);
    match exchange.get("response").filter(|value| !value.is_null()) {
        Some(response) => {
            let status = response.get("status").map(cell).unwrap_or_default();
            let took = exchange.get("elapsed_ms").and_then(Value::as_i64);
            let took = took.map(|length| format!(" after {}", elapsed(length))).unwrap_or_default();
            text.push_str(&format!("{space}response {status}{took}\n"));
            text.push_str(&content(response, indent + 2));
        }
        None => text.push_str(&format!("{space}no response\n")),
    }
    text
}

/// A request: method and URL, headers, body. What a built-in action is asked has a shape of its own.
pub fn request(request: &Value, indent: usize) -> String {
    if request.get("method").is_none() {
        let space = " ".repeat(indent);
        return format!("{space}request\n{}", indented(&readable(request), indent + 2));
    }
    let part = |name: &str| request.get(name).map(cell).unwrap_or_default();
    let line = format!("{}request {} {}\n", " ".repeat(indent), part("method"), part("url"));
    line + &content(request, indent + 2)
}

/// Headers, then the body.
fn content(message: &Value, indent: usize) -> String {
    let space = " ".repeat(indent);
    let mut text = String::new();
    for (name, value) in headers(message.get("headers")) {
        text.push_str(&format!("{space}{}: {}\n", one_line(&name), one_line(&value)));
    }
    if let Some(body) = message.get("body").filter(|body| !body.is_null()) {
        text.push_str(&indented(&body_text(body), indent));
    }
    text
}

/// Headers come as an object, or as pairs where a name can come twice.
fn headers(headers: Option<&Value>) -> Vec<(String, String)> {
    match headers {
        Some(Value::Object(members)) => members.iter().map(|(name, value)| (name.clone(), cell(value))).collect(),
        Some(Value::Array(pairs)) => {
            let pairs = pairs.iter().filter_map(Value::as_array);
            pairs.filter_map(|pair| Some((cell(pair.first()?), cell(pair.get(1)?)))).collect()
        }
        _ => Vec::new(),
    }
}

/// A body that is JSON in text is spread over lines.
fn body_text(body: &Value) -> String {
    match body {
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(value @ (Value::Object(_) | Value::Array(_))) => readable(&value),
            _ => text.clone(),
        },
        other => readable(other),
    }
}

/// A short value beside its title, a long one below it.
fn member(title: &str, value: &Value) -> String {
    let text = readable(value);
    match text.lines().count() {
        0 | 1 => format!("  {title}: {}\n", one_line(&text)),
        _ => format!("  {title}\n{}", indented(&text, 4)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::app::Time;
    use crate::app::runs::Row;

    fn step(key: &str, attempt: u32, state: &str) -> Step {
        Step {
            key: key.into(),
            id: Some("send".into()),
            form: "action".into(),
            attempt,
            state: state.into(),
            started_at: Time::from_ms(0),
            ended_at: Some(Time::from_ms(1_500)),
            input: Some(json!({"to": "+15550101"})),
            output: None,
            error: None,
            exchange: None,
            result: None,
        }
    }

    #[test]
    fn an_account_tells_each_attempt_with_its_exchange() {
        let failed = Step {
            error: Some(
                json!({"message": "refused", "code": "http_403", "help": "look at the account", "outcome": "not_done"}),
            ),
            exchange: Some(json!({
                "request": {"method": "POST", "url": "https://api.x.com/2/tweets", "headers": [["content-type", "application/json"]], "body": "{\"text\":\"a\\u001bb\"}"},
                "response": {"status": 403, "headers": {"x-limit": "1"}, "body": "no \u{1b}[2J"},
                "elapsed_ms": 20,
            })),
            ..step("0", 1, "retrying")
        };
        let lost = Step {
            exchange: Some(json!({"request": {"method": "GET", "url": "u"}, "response": null})),
            ..step("0", 2, "unknown")
        };
        let row = Row {
            id: "0199".into(),
            flow: "a".into(),
            state: "unknown".into(),
            item_key: Some("7".into()),
            created_at: Time::from_ms(0),
            ended_at: None,
            due_at: None,
            error: None,
        };
        let run = Detail {
            row,
            definition: "d".into(),
            retry_of: None,
            replay_of: None,
            retried_by: None,
            item: None,
            failure: None,
            steps: vec![failed, lost],
        };
        let told = account(&run);
        for part in [
            "run 0199 of a: unknown\n",
            "item: no longer kept",
            "step send (0) action: retrying in 1.5s,",
            "  error: refused\n    help: look at the account\n    code: http_403\n    outcome: not_done\n",
            "  request POST https://api.x.com/2/tweets\n    content-type: application/json\n    {\n",
            "  response 403 after 20ms\n    x-limit: 1\n    no  [2J\n",
            "step send (0) action, attempt 2: unknown",
            "  request GET u\n  no response\n",
            "tidegate runs settle 0199 --as done|retry|failed",
        ] {
            assert!(told.contains(part), "`{part}` is not in:\n{told}");
        }
        assert!(!told.contains('\u{1b}'));
    }
}
