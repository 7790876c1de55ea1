//! A host's line to the service: where a process ends, or stands still, in the middle of a request.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::provider::Provider;
use crate::connector::requester::{HttpRequest, HttpResponse, Network};
use crate::engine::Failure;
use crate::store::database::simulated::Simulated;

/// The line.
pub struct Line {
    pub provider: Arc<Provider>,
    /// The host's way in to the store.
    memory: Arc<Simulated>,
    breaks: Mutex<Option<(u64, Break)>>,
    woken: Notify,
}

/// What befalls the host in the middle of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// It ends.
    Ends,
    /// It stands still.
    StandsStill,
}

impl Line {
    pub fn new(provider: &Arc<Provider>, memory: &Arc<Simulated>) -> Arc<Self> {
        Arc::new(Line {
            provider: Arc::clone(provider),
            memory: Arc::clone(memory),
            breaks: Mutex::default(),
            woken: Notify::new(),
        })
    }

    /// Plans what befalls the host, and in which request from now on.
    pub fn break_at(&self, planned: Option<(u64, Break)>) {
        *self.breaks.lock() = planned;
    }

    /// The host goes on where it stood.
    pub fn wake(&self) {
        self.memory.wake();
        self.woken.notify_waiters();
    }

    fn breaks(&self) -> Option<Break> {
        let mut breaks = self.breaks.lock();
        let (left, what) = breaks.as_mut()?;
        *left = left.saturating_sub(1);
        let what = (*left == 0).then_some(*what);
        if what.is_some() {
            *breaks = None;
        }
        what
    }
}

impl Network for Line {
    fn carry<'a>(
        &'a self,
        request: &'a HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, Failure>> + Send + 'a>> {
        Box::pin(async move {
            let provider = &self.provider;
            provider.take_time();
            self.memory.attend_on().unwrap();
            let breaks = self.breaks();
            // It left, and may have arrived; whether or not, nobody hears of it for now.
            let arrives = breaks.is_some() && provider.books(|books| books.random.chance(500));
            let mut answer = arrives.then(|| provider.answer(request));
            match breaks {
                Some(Break::Ends) => {
                    self.memory.stop_now();
                    return std::future::pending().await;
                }
                Some(Break::StandsStill) => {
                    let woken = self.woken.notified();
                    self.memory.stand_still();
                    woken.await;
                }
                None => {}
            }
            let answer = answer.take().unwrap_or_else(|| provider.answer(request));
            let meddles = match provider.plan.is_calm {
                true => request.method == "POST",
                false => request.url.path() != "/items",
            };
            if meddles {
                provider.meddle().await;
            }
            answer
        })
    }
}
