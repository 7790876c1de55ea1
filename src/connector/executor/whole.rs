//! A whole action in one go, for the command line, tests and connection checks: pages are followed up to the
//! limit, elements done in order, short waits for permits waited out.

use std::collections::HashSet;

use serde_json::Value;

use super::super::paginator::MAX_PAGES;
use super::super::prepare::{Call, bounds, elements};
use super::{Executor, Page, Sent};
use crate::connector::Exchange;
use crate::engine::{Failure, Verdict};

impl Executor {
    /// Calls an action from its first page to its last, or once per element. Its output is a list, a record,
    /// or `{status, results}` of all elements; the exchange is the last one's. Waits for permits within the
    /// call's own timeout.
    pub async fn call(&self, call: Call<'_>) -> Sent {
        self.call_seen(call, &mut |_| {}).await
    }

    /// The same, where `see` is shown the exchange of every request on the way.
    pub async fn call_seen(&self, call: Call<'_>, see: &mut (dyn FnMut(&Exchange) + Send)) -> Sent {
        match elements(&call) {
            Err(failure) => Sent::failed(None, failure),
            Ok(None) => self.pages(call, see).await,
            Ok(Some(elements)) => self.each(call, elements, see).await,
        }
    }

    async fn each(&self, call: Call<'_>, elements: Vec<Value>, see: &mut (dyn FnMut(&Exchange) + Send)) -> Sent {
        let mut results = Vec::with_capacity(elements.len());
        let mut last = None;
        let mut problems = Vec::new();
        for element in elements {
            let one = Call { element: Some(element.clone()), ..call.clone() };
            let sent = self.pages(one, &mut *see).await;
            last = sent.exchange;
            let output = sent.result.map(|page| {
                problems.extend(page.problems.iter().cloned());
                page.into_output()
            });
            results.push((element, output));
        }
        let (output, failure) = match &call.action.foreach {
            Some(foreach) => foreach.output(results),
            None => (Value::Null, None),
        };
        match failure {
            None => Sent { exchange: last, result: Ok(Page { problems, ..Page::of_output(output) }), elements: None },
            Some(failure) => Sent { elements: Some(output), ..Sent::failed(last, failure) },
        }
    }

    async fn pages(&self, call: Call<'_>, see: &mut (dyn FnMut(&Exchange) + Send)) -> Sent {
        let call = match self.resolve(call).await {
            Ok(call) => call,
            Err(failure) => return Sent::failed(None, failure),
        };
        let (skipped, most) = match bounds(&call) {
            Ok(bounds) => bounds,
            Err(failure) => {
                return Sent::failed(None, failure);
            }
        };
        let max_pages = call.action.paginator.as_ref().map_or(MAX_PAGES, |paginator| paginator.max_pages);
        let nothing = || Page { is_list: call.action.is_list(), ..Page::default() };
        let mut whole = nothing();
        let mut token = call.page.cloned();
        let mut read = 0;
        let mut is_again = false;
        let mut seen = HashSet::new();
        loop {
            let one = Call { page: token.as_ref(), ..call.clone() };
            let sent = self.one(one).await;
            sent.exchange.iter().for_each(&mut *see);
            let page = match sent.result {
                Ok(page) => page,
                // The page's token is no longer good, and nothing was given out yet: what was read is read anew.
                Err(failure) if failure.verdict == Verdict::CursorExpired && read > 0 && !is_again => {
                    is_again = true;
                    (whole, token, read) = (nothing(), call.page.cloned(), 0);
                    seen.clear();
                    continue;
                }
                Err(failure) => {
                    return Sent::failed(sent.exchange, failure);
                }
            };
            read += 1;
            whole.server_ms = whole.server_ms.or(page.server_ms);
            whole.problems.extend(page.problems);
            whole.cut_short = page.cut_short.or(whole.cut_short);
            for record in page.records {
                let identity = match call.action.selector.identity(&record) {
                    Ok(identity) => identity,
                    Err(failure) => return Sent::failed(sent.exchange, failure),
                };
                if identity.is_none_or(|identity| seen.insert(identity.to_string())) {
                    whole.records.push(record);
                }
            }
            let is_enough = most.is_some_and(|most| whole.records.len() >= most);
            let is_long = read >= max_pages && page.next.is_some();
            if is_long && !is_enough {
                whole.problems.push(format!("reading stopped after {read} pages; there are more"));
            }
            if is_enough || is_long || page.next.is_none() {
                whole.is_truncated = most.is_some_and(|most| whole.records.len() > most);
                whole.records.truncate(most.unwrap_or(usize::MAX));
                whole.records.drain(..skipped.min(whole.records.len()));
                whole.next = page.next;
                return Sent { exchange: sent.exchange, result: Ok(whole), elements: None };
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
                return Sent::failed(None, failure);
            }
        };
        loop {
            let blocked = match self.permit(&prepared) {
                Ok(permit) => return self.send(prepared, permit).await,
                Err(blocked) => blocked,
            };
            if blocked.until_ms > give_up_ms {
                return Sent::failed(None, limited(blocked.until_ms));
            }
            // At least a moment, where it may be asked again by now.
            self.clock.reach(blocked.until_ms.max(self.clock.now_ms() + 1)).await;
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
