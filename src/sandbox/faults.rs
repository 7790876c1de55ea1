//! Injected faults: which requests they hit, and what they do to them. A rule hits the next requests of an
//! operation or every k-th one; it answers in place of the service, delays, or closes the connection.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::exchange::{Api, Service};
use super::json::Json;
use super::twilio::Twilio;
use super::x::X;

/// A rule. Members that are left out do nothing: `{"service": "x", "operation": "post_tweet", "status": 503}`
/// fails the next post.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    /// Only requests of this service.
    pub service: Option<Service>,
    /// Only requests of this operation, such as `post_tweet`, `send_sms`, `list_items`.
    pub operation: Option<String>,
    /// Lets so many matching requests through first.
    pub skip: u64,
    /// Hits every k-th matching request; 0 and 1 mean each.
    pub every: u64,
    /// Hits so many requests and is then gone. Absent: once, or without end when `every` is given.
    pub times: Option<u64>,
    /// Waits so long before the work.
    pub delay_ms: u64,
    /// Waits so long between the work and the answer.
    pub delay_answer_ms: u64,
    /// Closes the connection before the work, without an answer.
    pub drop_before: bool,
    /// Does the work, then closes the connection without an answer.
    pub tear: bool,
    /// Answers with this status.
    pub status: Option<u16>,
    /// Does the work before it answers with `status`.
    pub after_work: bool,
    /// The body of the answer, as JSON.
    pub body: Option<String>,
    /// The body is an HTML page.
    pub html: bool,
    /// The body is JSON that ends in the middle.
    pub garbage: bool,
    /// A `Retry-After` header, in seconds.
    pub retry_after_s: Option<i64>,
    /// Writes `Retry-After` as a date.
    pub retry_after_as_date: bool,
    /// `x-rate-limit-reset` so many seconds from now, with nothing remaining.
    pub reset_in_s: Option<i64>,
    /// A list answers at most so many records (0: none) and a token for more.
    pub page_limit: Option<usize>,
}

/// A rule named an operation that no service has: it would never hit anything.
#[derive(Debug, thiserror::Error)]
#[error("no operation of the sandbox is called `{operation}`; there are {known}")]
pub struct UnknownOperation {
    operation: String,
    known: String,
}

pub(super) struct Faults {
    rules: Mutex<Vec<Rule>>,
    /// How many rules there are, so that the usual request takes no lock.
    active: AtomicUsize,
}

struct Rule {
    fault: Fault,
    matched: u64,
    hits_left: Option<u64>,
}

impl Fault {
    /// Whether it answers in place of the service.
    pub(super) fn answers(&self) -> bool {
        self.status.is_some() || self.body.is_some() || self.html || self.garbage
    }

    fn matches(&self, service: Service, operation: &str) -> bool {
        self.service.is_none_or(|wanted| wanted == service)
            && self.operation.as_deref().is_none_or(|wanted| wanted == operation)
    }
}

impl Faults {
    pub fn new() -> Self {
        Faults { rules: Mutex::default(), active: AtomicUsize::new(0) }
    }

    /// Adds a rule after those that are there; the first that hits a request wins.
    pub fn add(&self, fault: Fault) -> Result<(), UnknownOperation> {
        if let Some(operation) = &fault.operation
            && !known_operations(fault.service).any(|known| known == operation)
        {
            let known = known_operations(fault.service).collect::<Vec<_>>().join(", ");
            return Err(UnknownOperation { operation: operation.clone(), known });
        }
        let hits_left = fault.times.or((fault.every <= 1).then_some(1));
        let mut rules = self.rules.lock();
        rules.push(Rule { fault, matched: 0, hits_left });
        self.active.store(rules.len(), Ordering::Release);
        Ok(())
    }

    /// The fault that hits this request, if one does.
    pub fn take(&self, service: Service, operation: &str) -> Option<Fault> {
        if self.active.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut rules = self.rules.lock();
        let mut hit = None;
        for rule in rules.iter_mut().filter(|rule| rule.fault.matches(service, operation)) {
            if rule.hits() {
                hit = Some(rule.fault.clone());
                break;
            }
        }
        rules.retain(|rule| rule.hits_left != Some(0));
        self.active.store(rules.len(), Ordering::Release);
        hit
    }

    pub fn list(&self) -> Vec<Fault> {
        self.rules.lock().iter().map(|rule| rule.fault.clone()).collect()
    }

    pub fn clear(&self) {
        let mut rules = self.rules.lock();
        rules.clear();
        self.active.store(0, Ordering::Release);
    }
}

impl Rule {
    fn hits(&mut self) -> bool {
        self.matched += 1;
        let Some(beyond_skip) = self.matched.checked_sub(self.fault.skip + 1) else {
            return false;
        };
        if !(beyond_skip + 1).is_multiple_of(self.fault.every.max(1)) {
            return false;
        }
        if let Some(left) = &mut self.hits_left {
            *left = left.saturating_sub(1);
        }
        true
    }
}

fn known_operations(service: Option<Service>) -> impl Iterator<Item = &'static str> {
    [(Service::X, X::OPERATIONS), (Service::Twilio, Twilio::OPERATIONS), (Service::Json, Json::OPERATIONS)]
        .into_iter()
        .filter(move |(candidate, _)| service.is_none_or(|wanted| wanted == *candidate))
        .flat_map(|(_, operations)| operations.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(fault: Fault, requests: usize) -> Vec<bool> {
        let faults = Faults::new();
        faults.add(fault).unwrap();
        (0..requests).map(|_| faults.take(Service::X, "post_tweet").is_some()).collect()
    }

    #[test]
    fn a_rule_hits_what_it_says() {
        assert_eq!(hits(Fault::default(), 3), [true, false, false]);
        assert_eq!(hits(Fault { times: Some(2), skip: 1, ..Fault::default() }, 4), [false, true, true, false]);
        assert_eq!(hits(Fault { every: 2, ..Fault::default() }, 5), [false, true, false, true, false]);
        assert_eq!(hits(Fault { every: 2, times: Some(1), ..Fault::default() }, 5), [false, true, false, false, false]);
        assert_eq!(hits(Fault { service: Some(Service::Json), ..Fault::default() }, 1), [false]);
    }

    #[test]
    fn a_rule_for_an_operation_that_does_not_exist_is_refused() {
        let error = Faults::new().add(Fault { operation: Some("tweet".into()), ..Fault::default() }).unwrap_err();
        assert!(error.to_string().contains("post_tweet"), "{error}");
        let elsewhere =
            Fault { service: Some(Service::Twilio), operation: Some("post_tweet".into()), ..Fault::default() };
        assert!(Faults::new().add(elsewhere).is_err());
    }
}
