//! What an answer means: the manifest's rules first, then the built-in ones. Pure. A body that is no JSON
//! never stops the judgement: services answer errors with HTML, text, or nothing at all.
//!
//! Rules see answers below status 400 only where they name such a status themselves: a connector that does
//! so says that its service tells failures with 200.

mod wait;

pub use self::wait::{Wait, retry_after};

use serde_json::{Map, Value, json};

use super::mask::Mask;
use super::selector::JmesPath;
use crate::engine::{Failure, Outcome, Verdict};
use crate::manifest::connector::{Availability, Then};
use crate::planted::bug;
use crate::template::{Expression, Scope, Template};

/// How long a 429 waits where the answer does not say, in milliseconds.
const UNTOLD_LIMIT_MS: i64 = 60_000;
/// How much of an unreadable body is shown, in characters.
const SNIPPET: usize = 200;

/// The compiled `errors` of an action: its own, its parts', the connector's.
#[derive(Clone, Debug, Default)]
pub struct Errors {
    pub(super) message: Option<JmesPath>,
    pub(super) code: Option<JmesPath>,
    pub(super) rules: Vec<Rule>,
    /// The headers in which the service says how much is left.
    pub(super) limit_headers: Vec<LimitHeaders>,
    /// What explains a refusal: who can use the action at all.
    pub(super) availability: Vec<Availability>,
}

/// One rule; all that is given must match.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub status: Vec<Status>,
    pub code: Vec<String>,
    /// Lower-case.
    pub text: Option<String>,
    pub when: Option<Expression>,
    pub after_uncertain: bool,
    pub then: Then,
    pub wait_ms: Option<i64>,
    pub message: Option<Template>,
    pub help: Option<String>,
}

/// `403`, or a class by its first digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Code(u16),
    Class(u16),
}

/// `remaining` and `reset`, lower-case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LimitHeaders {
    pub remaining: String,
    pub reset: String,
}

/// An answer to judge.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// Lower-case names.
    pub headers: &'a [(String, String)],
    /// The body as it came.
    pub bytes: &'a [u8],
    /// The body, where it is JSON.
    pub json: Option<&'a Value>,
    /// The server's time by its `Date` header, in UTC epoch milliseconds.
    pub server_ms: Option<i64>,
    /// Our time, in UTC epoch milliseconds.
    pub now_ms: i64,
    /// Whether an earlier attempt of the step has an outcome that is not known.
    pub after_uncertain: bool,
    /// Whether the service took the request before it gave this answer, see `HttpResponse::accepted`.
    pub accepted: bool,
    /// Who answered, for messages: the URL's host.
    pub host: &'a str,
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq)]
pub enum Judgement {
    /// Read its records.
    Success,
    /// A success without records.
    Ignored,
    /// It failed.
    Failed(Failure),
}

impl Errors {
    /// Judges an answer. `scope` holds `inputs`; `response` is put in while rules are asked.
    pub fn judge(&self, answer: Answer<'_>, scope: &mut Scope, mask: &Mask) -> Judgement {
        let is_refused = answer.status >= 400 || answer.status < 200 || (300..400).contains(&answer.status);
        let rule = self.matching(answer, scope);
        let judgement = match rule {
            Some(rule) => match rule.then {
                Then::Success => Judgement::Success,
                Then::Ignore => Judgement::Ignored,
                _ => Judgement::Failed(self.failure(answer, Some(rule), scope, mask)),
            },
            None if is_refused => Judgement::Failed(self.failure(answer, None, scope, mask)),
            None => Judgement::Success,
        };
        scope.take("response");
        judgement
    }

    /// What the service says beside the records of a success: messages of a partial error.
    pub fn told(&self, body: &Value) -> Option<String> {
        self.message.as_ref()?.text(body).filter(|text| !text.trim().is_empty())
    }

    fn matching(&self, answer: Answer<'_>, scope: &mut Scope) -> Option<&Rule> {
        let mut service_code = None;
        let mut lowered: Option<String> = None;
        for rule in &self.rules {
            if !rule.takes_status(answer.status) || (rule.after_uncertain && !answer.after_uncertain) {
                continue;
            }
            if !rule.code.is_empty() {
                let code = service_code.get_or_insert_with(|| self.service_code(answer));
                if !code.as_ref().is_some_and(|code| rule.code.contains(code)) {
                    continue;
                }
            }
            if let Some(text) = &rule.text {
                let body = lowered.get_or_insert_with(|| String::from_utf8_lossy(answer.bytes).to_lowercase());
                if !body.contains(text.as_str()) {
                    continue;
                }
            }
            if let Some(when) = &rule.when {
                set_response(answer, scope);
                // A body without what the condition reads is another kind of answer: the rule is not for it.
                if !when.is_true(scope).unwrap_or(false) {
                    continue;
                }
            }
            return Some(rule);
        }
        None
    }

    fn failure(&self, answer: Answer<'_>, rule: Option<&Rule>, scope: &mut Scope, mask: &Mask) -> Failure {
        let verdict = match rule {
            Some(rule) => self.ruled(answer, rule),
            None => self.built_in(answer),
        };
        let outcome = match answer.status {
            _ if answer.accepted => Outcome::Unknown,
            // A refusal as a duplicate, too: this attempt did nothing, whatever one before it did.
            200..300 | 400..500 => Outcome::NotDone,
            _ if bug("error_is_not_done") => Outcome::NotDone,
            _ => Outcome::Unknown,
        };
        let service_code = self.service_code(answer);
        let words = rule
            .and_then(|rule| rule.message.as_ref())
            .and_then(|message| {
                set_response(answer, scope);
                message.render(scope).ok()
            })
            .unwrap_or_else(|| self.words(answer));
        let words = mask.text(&words);
        let status = answer.status;
        let code = match status {
            200..300 => "service_refused".to_owned(),
            _ => format!("http_{status}"),
        };
        let told_code = match &service_code {
            Some(code) if !words.contains(code.as_str()) => format!(" ({code})"),
            _ => String::new(),
        };
        let whence = if answer.accepted { " after it took the request" } else { "" };
        Failure {
            code,
            message: match words.is_empty() {
                true => format!("{} answered {status}{told_code}{whence}", answer.host),
                false => format!("{} answered {status}{told_code}{whence}: {words}", answer.host),
            },
            help: rule.and_then(|rule| rule.help.clone()).or_else(|| self.help(verdict, status, scope)),
            outcome,
            verdict,
            status: Some(status),
            service_code,
        }
    }

    // A refusal of what not every account can do is most likely just that.
    fn help(&self, verdict: Verdict, status: u16, scope: &Scope) -> Option<String> {
        let built_in = help(verdict, status).map(str::to_owned);
        if !matches!(status, 401 | 403 | 404 | 410) {
            return built_in;
        }
        let nothing = Map::new();
        let given = scope.get("inputs").and_then(Value::as_object).unwrap_or(&nothing);
        let concerned = self.availability.iter().filter(|one| one.concerns(given));
        let explained = concerned.map(Availability::sentence).collect::<Vec<_>>().join(" ");
        let sentences = built_in.into_iter().chain((!explained.is_empty()).then_some(explained));
        let told = sentences.collect::<Vec<_>>().join("; ");
        (!told.is_empty()).then_some(told)
    }

    fn ruled(&self, answer: Answer<'_>, rule: &Rule) -> Verdict {
        let told = retry_after(answer.headers, answer.server_ms, answer.now_ms);
        match rule.then {
            Then::Retry => Verdict::Retry { after_ms: told.map(|wait| wait.ms).or(rule.wait_ms) },
            Then::RateLimited => Verdict::RateLimited { until_ms: self.limited_until(answer, rule.wait_ms) },
            Then::Reauth => Verdict::Reauth,
            Then::Reconcile => Verdict::Reconcile,
            Then::CursorExpired => Verdict::CursorExpired,
            Then::Suspended => Verdict::Suspended,
            Then::Fail | Then::Ignore | Then::Success => Verdict::Fail,
        }
    }

    fn built_in(&self, answer: Answer<'_>) -> Verdict {
        match answer.status {
            401 => Verdict::Reauth,
            402 => Verdict::Suspended,
            429 => Verdict::RateLimited { until_ms: self.limited_until(answer, None) },
            408 | 425 | 500 | 502..=504 | 506..=599 => Verdict::Retry {
                after_ms: retry_after(answer.headers, answer.server_ms, answer.now_ms).map(|wait| wait.ms),
            },
            _ => Verdict::Fail,
        }
    }

    /// The latest of `Retry-After` and the resets of the limits that are used up; else the rule's wait or a
    /// minute.
    fn limited_until(&self, answer: Answer<'_>, otherwise_ms: Option<i64>) -> i64 {
        let resets = self.limit_headers.iter().filter_map(|names| {
            wait::reset(answer.headers, &names.remaining, &names.reset, answer.server_ms, answer.now_ms)
        });
        let wait_ms = resets
            .chain(retry_after(answer.headers, answer.server_ms, answer.now_ms))
            .map(|wait| wait.ms)
            .max()
            .or(otherwise_ms)
            .unwrap_or(UNTOLD_LIMIT_MS);
        let wait_ms = if bug("retry_after_ignored") { 1_000 } else { wait_ms };
        answer.now_ms.saturating_add(wait_ms)
    }

    fn service_code(&self, answer: Answer<'_>) -> Option<String> {
        self.code.as_ref()?.text(answer.json?).filter(|code| !code.is_empty())
    }

    /// The service's own words, or the beginning of a body that has none.
    fn words(&self, answer: Answer<'_>) -> String {
        if let Some(body) = answer.json {
            if let Some(words) = self.told(body) {
                return words;
            }
            for known in ["message", "detail", "error_description", "error", "title"] {
                if let Some(Value::String(words)) = body.get(known) {
                    return words.clone();
                }
            }
        }
        let text = String::from_utf8_lossy(answer.bytes);
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        match line.char_indices().nth(SNIPPET) {
            Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
            None => line,
        }
    }
}

impl Rule {
    fn takes_status(&self, status: u16) -> bool {
        if self.status.is_empty() {
            return status >= 400;
        }
        self.status.iter().any(|known| match known {
            Status::Code(code) => *code == status,
            Status::Class(class) => *class == status / 100,
        })
    }
}

fn set_response(answer: Answer<'_>, scope: &mut Scope) {
    if scope.get("response").is_some() {
        return;
    }
    let headers = answer.headers.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
    let body = match answer.json {
        Some(body) => body.clone(),
        None => Value::from(String::from_utf8_lossy(answer.bytes)),
    };
    let headers = Value::Object(headers.collect());
    scope.set("response", json!({"status": answer.status, "headers": headers, "body": body}));
}

fn help(verdict: Verdict, status: u16) -> Option<&'static str> {
    match verdict {
        Verdict::Reauth => {
            Some("check the connection's credentials; `tidegate connections test` shows whether they work")
        }
        Verdict::Suspended => {
            Some("the account is stopped at the service: look at its plan, credits and usage cap there")
        }
        Verdict::CursorExpired => Some(
            "what the service no longer lists is reported as a gap, and reading goes on from the oldest that it permits",
        ),
        Verdict::Fail if (300..400).contains(&status) => Some(
            "the address has moved, or the redirect may not be followed; set the connection's host to the new place",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
