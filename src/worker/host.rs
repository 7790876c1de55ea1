//! The host: what the lanes share. It owns the store, the executor, what is deployed and what is under way;
//! it decides nothing about a run or a poll (see `engine` and `window`).

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::definition::Definition;
use super::definitions::Definitions;
use super::deployment::Deployment;
use super::events::{Events, What};
use super::lanes::{Bounds, Lanes};
use super::links::Links;
use super::refusal::{Refusal, Refusals};
use super::remembered::Remembered;
use super::undecided::Undecided;
use crate::clock::Clock;
use crate::connector::limits::Block;
use crate::connector::{Connection, Executor};
use crate::engine::Failure;
use crate::store::blocks::Blocked;
use crate::store::claims::GivenUp;
use crate::store::notices::Notice;
use crate::store::prune::Cutoffs;
use crate::store::triggers::TriggerRow;
use crate::store::{self, Store};

/// How much a host does at once, and how long it keeps things.
#[derive(Clone, Debug)]
pub struct Options {
    /// Runs at once, over all flows.
    pub runs: usize,
    /// Polls at once.
    pub polls: usize,
    /// Polling waits while more runs than this are unfinished.
    pub backlog: u64,
    /// How long a stop waits for what is under way, in milliseconds.
    pub drain_ms: i64,
    /// How long finished runs are kept, in milliseconds.
    pub keep_runs_ms: i64,
    /// How long requests, responses and filtered items are kept, in milliseconds.
    pub keep_payloads_ms: i64,
}

impl Default for Options {
    fn default() -> Self {
        let day = 86_400_000;
        Options {
            runs: 64,
            polls: 16,
            backlog: 100_000,
            drain_ms: 20_000,
            keep_runs_ms: 30 * day,
            keep_payloads_ms: 7 * day,
        }
    }
}

/// Whether the host is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It works.
    No,
    /// It begins nothing new, and finishes what is under way.
    Drain,
}

/// The host.
pub struct Host {
    /// What it remembers.
    pub store: Store,
    /// What it sends with.
    pub executor: Executor,
    /// What is compiled.
    pub definitions: Definitions,
    /// What happens is told here.
    pub events: Events,
    /// How much it does at once.
    pub options: Options,
    pub(super) clock: Clock,
    links: OnceLock<Links>,
    pub(super) deployment: ArcSwap<Deployment>,
    pub(super) lanes: Mutex<Lanes>,
    pub(super) polling: Mutex<HashSet<String>>,
    pub(super) polled: Mutex<HashSet<String>>,
    pub(super) troubled: Mutex<HashSet<String>>,
    pub(super) checking: Mutex<HashSet<String>>,
    pub(super) replaced: Mutex<HashSet<String>>,
    pub(super) undecided: Mutex<Undecided>,
    pub(super) given_up: Mutex<GivenUp>,
    // Runs that another host has now, and nobody was told of yet.
    pub(super) taken_over: Mutex<Vec<String>>,
    // A deployment or another process may have closed walks that still hold runs.
    pub(super) may_hold: AtomicBool,
    polls_looked_at: AtomicI64,
    pub(super) backlog: AtomicU64,
    pub(super) are_polls_waiting: AtomicBool,
    pub(super) refusals: Refusals,
    kept_blocks: Mutex<Vec<Blocked>>,
    pub(super) wake: Notify,
    pub(super) idle: Notify,
    outside: Notify,
    stop: AtomicU8,
}

impl Host {
    /// A host that does not work yet; see [`super::work()`].
    pub fn new(store: Store, mut executor: Executor, clock: Clock, options: Options) -> Arc<Self> {
        executor.remember_with(Arc::new(Remembered(store.clone())));
        Arc::new(Host {
            store,
            executor,
            definitions: Definitions::default(),
            events: Events::default(),
            options,
            clock,
            links: OnceLock::new(),
            deployment: ArcSwap::default(),
            lanes: Mutex::default(),
            polling: Mutex::default(),
            polled: Mutex::default(),
            troubled: Mutex::default(),
            checking: Mutex::default(),
            replaced: Mutex::default(),
            undecided: Mutex::default(),
            given_up: Mutex::default(),
            taken_over: Mutex::default(),
            may_hold: AtomicBool::new(false),
            polls_looked_at: AtomicI64::new(0),
            backlog: AtomicU64::new(0),
            are_polls_waiting: AtomicBool::new(false),
            refusals: Refusals::default(),
            kept_blocks: Mutex::default(),
            wake: Notify::new(),
            idle: Notify::new(),
            outside: Notify::new(),
            stop: AtomicU8::new(0),
        })
    }

    /// Lets it send links to its public pages; a second one is passed over.
    pub fn link_with(&self, links: Links) {
        // An error means that there are some already.
        let _ = self.links.set(links);
    }

    /// What makes links and knows them again, where it has public pages.
    pub fn links(&self) -> Option<&Links> {
        self.links.get()
    }

    /// A recorded exchange as it may be kept: without the tokens of links.
    pub(super) fn kept(&self, exchange: Option<String>) -> Option<String> {
        match self.links() {
            Some(links) => exchange.map(|text| links.cover(text)),
            None => exchange,
        }
    }

    /// Looks again at what is due of one flow: something was answered.
    pub fn stir_flow(&self, flow: &str) {
        self.lanes.lock().stir(flow);
        self.wake.notify_one();
    }

    /// UTC epoch milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// What is deployed now.
    pub fn deployment(&self) -> Arc<Deployment> {
        self.deployment.load_full()
    }

    /// Takes up what is deployed from now on; runs that have begun keep what they began with.
    pub fn deploy(&self, deployment: Deployment) {
        self.deployment.store(Arc::new(deployment));
        self.may_hold.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// Looks again at what is due: something was changed from outside.
    pub fn stir(&self) {
        let flows: Vec<String> = self.deployment.load().flows.keys().cloned().collect();
        let mut lanes = self.lanes.lock();
        for flow in flows {
            lanes.stir(&flow);
        }
        drop(lanes);
        self.wake.notify_one();
    }

    /// Another process wrote to the store.
    pub(super) fn touched(&self) {
        self.deployment.load().accounts.forget_tokens();
        self.may_hold.store(true, Ordering::Relaxed);
        self.stir();
        self.outside.notify_one();
    }

    /// Resolves when another process has written to the store since the last call.
    pub async fn touched_outside(&self) {
        self.outside.notified().await;
    }

    /// Begins nothing new from now on.
    pub fn drain(&self) {
        self.stop.store(1, Ordering::SeqCst);
        self.lanes.lock().clear_buffers();
        self.wake.notify_one();
    }

    /// Whether it is stopping.
    pub fn stop(&self) -> Stop {
        if self.stop.load(Ordering::Relaxed) == 0 { Stop::No } else { Stop::Drain }
    }

    /// Runs and polls at work.
    pub fn under_way(&self) -> usize {
        self.lanes.lock().in_flight() + self.polling.lock().len() + self.checking.lock().len()
    }

    /// The account that a definition uses for a connector.
    ///
    /// # Errors
    /// When there is none, or it cannot be used: what is missing, in words.
    pub fn connection(&self, definition: &Definition, connector: &str) -> Result<Arc<Connection>, Failure> {
        self.deployment.load().connection(definition, connector)
    }

    /// What is known of a flow's limits: those of the present deployment.
    pub(super) fn bounds(&self, flow: &str) -> Bounds {
        let deployment = self.deployment.load();
        Bounds { limit: deployment.flows.get(flow).map_or(16, |definition| definition.flow.concurrency.limit) }
    }

    /// Claimed runs, with their epochs, that this host does not go on with.
    pub(super) fn give_back(&self, runs: impl IntoIterator<Item = (String, i64)>) {
        if self.store.presence().is_some() {
            self.given_up.lock().runs.extend(runs);
        }
    }

    /// When to look for due polls, where that is not now: among other hosts a look is a write.
    pub(super) fn poll_look(&self, now_ms: i64) -> Option<i64> {
        self.store.presence()?;
        let next_ms = self.polls_looked_at.load(Ordering::Relaxed).saturating_add(POLL_LOOK_MS);
        if (now_ms..now_ms + POLL_LOOK_MS).contains(&(next_ms - 1)) {
            return Some(next_ms);
        }
        self.polls_looked_at.store(now_ms, Ordering::Relaxed);
        None
    }

    pub(super) fn tell(&self, flow: &str, what: impl FnOnce() -> What) {
        if self.events.is_heard() {
            self.events.tell(self.now_ms(), flow, what());
        }
    }

    /// Records what a person should know, and says it in the log.
    pub(super) async fn notice(&self, notice: Notice) -> store::Result<()> {
        self.announce(&notice);
        self.store.notice(notice).await
    }

    pub(super) fn announce(&self, notice: &Notice) {
        let flow = notice.flow.as_deref().unwrap_or_default();
        tracing::warn!(flow, connection = notice.connection.as_deref(), kind = notice.kind, "{}", notice.message);
        self.tell(flow, || What::Notice { kind: notice.kind.clone(), message: notice.message.clone() });
    }

    /// The store did not take something: said once, however much work it stops.
    pub(super) fn store_refused(&self, error: &store::Error) {
        self.refusals.begin(error, false, self.now_ms());
    }

    /// Why the store takes nothing now; none while it does.
    pub fn refusal(&self) -> Option<Refusal> {
        self.refusals.now()
    }

    /// That the store takes something, where it did not when it was last asked: nothing is sent before.
    ///
    /// # Errors
    /// Why it does not.
    pub(super) async fn store_takes(&self) -> store::Result<()> {
        if self.refusals.is_on() { self.store.probe().await } else { Ok(()) }
    }

    /// The store took a piece of work.
    pub(super) fn store_took(&self) {
        if self.refusals.is_on() {
            self.refusals.end(false, self.now_ms());
        }
    }

    /// Runs that are due or at work, as far as this host knows.
    pub fn known_backlog(&self) -> u64 {
        self.backlog.load(Ordering::Relaxed)
    }

    /// Runs are due that were not before. What a walk holds does not count: only its polls can let go of it.
    pub(super) fn found(&self, flow: &str, queued: u64) {
        self.backlog.fetch_add(queued, Ordering::Relaxed);
        if queued > 0 {
            self.lanes.lock().stir(flow);
            self.wake.notify_one();
        }
    }

    /// A run is over.
    pub(super) fn ended(&self) {
        let before =
            self.backlog.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| Some(count.saturating_sub(1)));
        let is_relieved = before.is_ok_and(|before| before <= self.options.backlog);
        if is_relieved && self.are_polls_waiting.swap(false, Ordering::Relaxed) {
            self.wake.notify_one();
        }
    }

    /// Keeps what the services say is blocked, so that it holds after a restart.
    pub(super) async fn keep_blocks(&self) -> store::Result<()> {
        let now_ms = self.now_ms();
        let blocks: Vec<Blocked> = self.executor.limits().blocked(now_ms).into_iter().map(blocked).collect();
        {
            let mut kept = self.kept_blocks.lock();
            if *kept == blocks {
                return Ok(());
            }
            kept.clone_from(&blocks);
        }
        self.store.keep_blocks(blocks, now_ms).await
    }

    /// Moves a trigger's due time without asking it.
    pub(super) async fn postpone(&self, row: &TriggerRow, due_ms: i64) -> store::Result<()> {
        self.store.postpone_trigger(row.flow.clone(), row.epoch, due_ms, self.now_ms()).await?;
        self.wake.notify_one();
        Ok(())
    }

    pub(super) fn cutoffs(&self) -> Cutoffs {
        let now_ms = self.now_ms();
        Cutoffs { runs_ms: now_ms - self.options.keep_runs_ms, payloads_ms: now_ms - self.options.keep_payloads_ms }
    }
}

fn blocked(block: Block) -> Blocked {
    let Block { name, connector, connection, until_ms } = block;
    Blocked { limit: name, connector, connection, until_ms }
}

const POLL_LOOK_MS: i64 = 200;
