//! From an answer to a page: judged by the action's rules, parsed, selected, its next page found.

use serde_json::{Map, Value, json};

use super::super::errors::{Answer, Judgement};
use super::super::mask::{MASKED, Mask};
use super::super::message::HttpResponse;
use super::super::paginator::{self, Following, PageToken};
use super::super::prepare::{Prepared, Work};
use crate::engine::{Failure, Outcome, Verdict};
use crate::manifest::connector::Format;

/// One page of an answer; for most actions the only one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Its records.
    pub records: Vec<Value>,
    /// Whether a step sees them as a list.
    pub is_list: bool,
    /// The next page.
    pub next: Option<PageToken>,
    /// The server's time by its `Date` header, in UTC epoch milliseconds.
    pub server_ms: Option<i64>,
    /// What the service, or the paging, told beside the records: parts that are missing, pages that repeat.
    pub problems: Vec<String>,
    /// Why there is no next page although the service named one.
    pub cut_short: Option<String>,
    /// Whether records beyond the action's limit were left out.
    pub is_truncated: bool,
}

impl Page {
    /// The page of an action that has no answer to read.
    pub(super) fn of_output(output: Value) -> Page {
        Page { records: vec![output], ..Page::default() }
    }

    /// What a step sees: the list of records, or the one record (null where there is none).
    pub fn into_output(mut self) -> Value {
        match self.is_list {
            true => Value::Array(self.records),
            false if self.records.is_empty() => Value::Null,
            false => self.records.swap_remove(0),
        }
    }
}

impl Prepared {
    /// Reads an answer.
    pub(super) fn read(&mut self, response: &HttpResponse, mask: &Mask, now_ms: i64) -> Result<Page, Failure> {
        // serde_json refuses more than 128 levels, keeps integers of 64 bits exactly, and gives larger ones as
        // fractions: services that have such ids write them as text.
        let parsed = match self.action.format {
            Format::Json => serde_json::from_slice(&response.body),
            // What was not saved is an error, and those are told in JSON.
            Format::Binary if response.saved.is_some() => Ok(Value::Null),
            Format::Binary => serde_json::from_slice(&response.body),
            Format::Text => Ok(text(response)),
            Format::Any if response.body.iter().all(u8::is_ascii_whitespace) => Ok(Value::Null),
            Format::Any => Ok(serde_json::from_slice(&response.body).unwrap_or_else(|_| text(response))),
        };
        let json = parsed.as_ref().ok().filter(|_| self.action.format != Format::Text);
        let host = response.url.host_str().unwrap_or_default();
        let answer = Answer {
            status: response.status,
            headers: &response.headers,
            bytes: &response.body,
            json,
            server_ms: response.date_ms,
            now_ms,
            after_uncertain: self.after_uncertain,
            accepted: response.accepted,
            host,
        };
        let judgement = self.action.errors.judge(answer, &mut self.scope, mask);
        let empty = Page { server_ms: response.date_ms, ..Page::default() };
        match judgement {
            Judgement::Failed(failure) => return Err(failure),
            Judgement::Ignored => {
                return Ok(Page { is_list: self.action.is_list(), ..empty });
            }
            Judgement::Success => {}
        }
        if let Some(saved) = &response.saved {
            return Ok(Page { server_ms: response.date_ms, ..Page::of_output(saved.output()) });
        }
        if matches!(self.work, Work::AdHoc(_)) {
            return Ok(Page { server_ms: response.date_ms, ..Page::of_output(whole(response)) });
        }
        let mut body = match parsed {
            Ok(body) => body,
            Err(_) if response.body.iter().all(u8::is_ascii_whitespace) => Value::Null,
            Err(error) => return Err(unreadable(response, host, &error)),
        };
        for member in self.action.secret.iter() {
            hide(&mut body, member);
        }
        let page = self.page_of(body, response);
        page.map_err(|failure| Failure { outcome: Outcome::Unknown, message: mask.text(&failure.message), ..failure })
    }

    fn page_of(&mut self, body: Value, response: &HttpResponse) -> Result<Page, Failure> {
        let action = &self.action;
        let mut problems = Vec::new();
        if body.is_object() && action.selector.is_part(&self.scope) {
            problems.extend(action.errors.told(&body));
        }
        let following = match (&action.paginator, &self.work) {
            (Some(paginator), Work::Request(request)) => {
                let path = action.selector.records.resolve(&self.scope)?;
                let found = path.search(&body)?;
                let listed = match found.as_ref() {
                    Value::Null => &[],
                    Value::Array(records) => records.as_slice(),
                    record => std::slice::from_ref(record),
                };
                let host = self.connection.as_ref().and_then(|connection| connection.host(action, &self.scope).ok());
                let below = host.map_or("", |host| host.path().trim_end_matches('/'));
                let answer =
                    paginator::Answer { body: &body, headers: &response.headers, url: &request.url, below, listed };
                paginator.next(self.page.as_ref(), answer)?
            }
            _ => Following::default(),
        };
        problems.extend(following.problem.clone());
        let Some(records) = action.selector.select(body, &mut self.scope)? else {
            return Err(empty(response, action.is_list()));
        };
        Ok(Page {
            is_list: action.is_list(),
            records,
            next: following.next,
            server_ms: response.date_ms,
            problems,
            cut_short: following.problem,
            is_truncated: false,
        })
    }
}

/// `{status, headers, body}` of an ad-hoc request: JSON where it is JSON, else text.
fn whole(response: &HttpResponse) -> Value {
    let body = serde_json::from_slice(&response.body).unwrap_or_else(|_| text(response));
    let headers: Map<String, Value> =
        response.headers.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    json!({"status": response.status, "headers": headers, "body": body})
}

fn text(response: &HttpResponse) -> Value {
    Value::from(String::from_utf8_lossy(&response.body))
}

/// A success that cannot be read: what was asked may well have been done.
fn unreadable(response: &HttpResponse, host: &str, error: &serde_json::Error) -> Failure {
    Failure {
        code: "answer_unreadable".to_owned(),
        message: format!("{host} answered {} with a body that is not the JSON it should be: {error}", response.status),
        help: Some(
            "if the service does not answer with JSON here, give the action `response: {format: text}`".to_owned(),
        ),
        outcome: Outcome::Unknown,
        verdict: Verdict::Retry { after_ms: None },
        status: Some(response.status),
        service_code: None,
    }
}

/// A success that says nothing of what it gave or did.
fn empty(response: &HttpResponse, is_list: bool) -> Failure {
    let lacks = if is_list { "the list" } else { "the record" };
    let host = response.url.host_str().unwrap_or_default();
    Failure {
        code: "answer_empty".to_owned(),
        message: format!("{host} answered {} without {} that its answer should have", response.status, lacks),
        help: None,
        outcome: Outcome::Unknown,
        verdict: Verdict::Retry { after_ms: None },
        status: Some(response.status),
        service_code: None,
    }
}

/// Hides a member at any depth.
fn hide(value: &mut Value, name: &str) {
    match value {
        Value::Object(members) => {
            for (member, value) in members.iter_mut() {
                match member == name && !value.is_null() {
                    true => *value = Value::from(MASKED),
                    false => hide(value, name),
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| hide(element, name)),
        _ => {}
    }
}
