//! A whole action in one go, for the command line, tests and connection checks: pages are followed up to the
//! limit, elements done in order, short waits for permits waited out.

use std::time::Duration;

use serde_json::Value;

use super::super::paginator::MAX_PAGES;
use super::super::prepare::{Call, elements, most};
use super::{Executor, Page, Sent};
use crate::engine::{Failure, Verdict};

impl Executor {
    /// Calls an action from its first page to its last, or once per element. Its output is a list, a record,
    /// or `{status, results}` of all elements; the exchange is the last one's. Waits for permits within the
    /// call's own timeout.
    pub async fn call(&self, call: Call<'_>) -> Sent {
        match elements(&call) {
            Err(failure) => Sent { exchange: None, result: Err(failure) },
            Ok(None) => self.pages(call).await,
            Ok(Some(elements)) => self.each(call, elements).await,
        }
    }

    async fn each(&self, call: Call<'_>, elements: Vec<Value>) -> Sent {
        let mut results = Vec::with_capacity(elements.len());
        let mut last = None;
        let mut problems = Vec::new();
        for element in elements {
            let one = Call { element: Some(element.clone()), ..call.clone() };
            let sent = self.pages(one).await;
            last = sent.exchange;
            let output = sent.result.map(|page| {
                problems.extend(page.problems.iter().cloned());
                page.into_output()
            });
            results.push((element, output));
        }
        let result = match &call.action.foreach {
            Some(foreach) => foreach.output(results),
            None => Ok(Value::Null),
        };
        Sent { exchange: last, result: result.map(|output| Page { problems, ..Page::of_output(output) }) }
    }

    async fn pages(&self, call: Call<'_>) -> Sent {
        let most = match most(&call) {
            Ok(most) => most,
            Err(failure) => {
                return Sent { exchange: None, result: Err(failure) };
            }
        };
        let max_pages = call.action.paginator.as_ref().map_or(MAX_PAGES, |paginator| paginator.max_pages);
        let mut whole = Page { is_list: call.action.is_list(), ..Page::default() };
        let mut token = call.page.cloned();
        let mut read = 0;
        loop {
            let one = Call { page: token.as_ref(), ..call.clone() };
            let sent = self.one(one).await;
            let page = match sent.result {
                Ok(page) => page,
                Err(failure) => {
                    return Sent { exchange: sent.exchange, result: Err(failure) };
                }
            };
            read += 1;
            whole.server_ms = whole.server_ms.or(page.server_ms);
            whole.problems.extend(page.problems);
            whole.records.extend(page.records);
            let is_enough = most.is_some_and(|most| whole.records.len() >= most);
            let is_long = read >= max_pages && page.next.is_some();
            if is_long && !is_enough {
                whole.problems.push(format!("reading stopped after {read} pages; there are more"));
            }
            if is_enough || is_long || page.next.is_none() {
                whole.records.truncate(most.unwrap_or(usize::MAX));
                whole.next = page.next;
                return Sent { exchange: sent.exchange, result: Ok(whole) };
            }
            token = page.next;
        }
    }

    async fn one(&self, call: Call<'_>) -> Sent {
        let patience_ms = call.timeout_ms.unwrap_or(call.action.timeout_ms);
        let give_up_ms = self.clock.now_ms().saturating_add(patience_ms);
        let prepared = match self.prepare(call) {
            Ok(prepared) => prepared,
            Err(failure) => {
                return Sent { exchange: None, result: Err(failure) };
            }
        };
        loop {
            let blocked = match self.permit(&prepared) {
                Ok(permit) => return self.send(prepared, permit).await,
                Err(blocked) => blocked,
            };
            if blocked.until_ms > give_up_ms {
                return Sent { exchange: None, result: Err(limited(blocked.until_ms)) };
            }
            let wait_ms = blocked.until_ms.saturating_sub(self.clock.now_ms()).max(1);
            tokio::time::sleep(Duration::from_millis(wait_ms.unsigned_abs())).await;
        }
    }
}

fn limited(until_ms: i64) -> Failure {
    let until = crate::clock::rfc3339(until_ms);
    Failure {
        verdict: Verdict::RateLimited { until_ms },
        ..Failure::not_sent("rate_limited", format!("the service may be asked again at {until}"))
    }
}
