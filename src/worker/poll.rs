//! One claim of a due poll: opens or resumes a walk, asks for its pages, and commits each by itself. What is
//! news, and which window is read, is `window`'s; what a record is to a flow is `page`'s.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;

use super::definition::{Definition, Poll, Source};
use super::events::What;
use super::host::{Host, Stop};
use super::page::{self, Reading};
use super::send;
use super::trouble::{self, Trouble};
use super::window::{self, Mode, News, Window};
use crate::connector::{Call, Connection, Page, PageToken, Sent, Trigger};
use crate::engine::{Failure, Verdict};
use crate::manifest::flow::Start;
use crate::store::notices::Notice;
use crate::store::triggers::TriggerRow;
use crate::store::walks::{self, Close, WalkRow};
use crate::store::{self, id};

// A claim ends after this many pages, so that other polls get their turn; the walk goes on in the next.
const PAGES_PER_CLAIM: u32 = 50;
// How often a claim begins its window anew: once for a page token that expired, once for a cursor.
const RESTARTS: u32 = 2;
// A walk that cannot close for this long releases what it has.
const LOOSEN_AFTER_MS: i64 = 3_600_000;
// Keys are refreshed at most this often: a write per listed key and poll would be a lot.
const REFRESH_EVERY_MS: i64 = 3_600_000;

// How long a poll waits when as many requests as permitted are under way.
const CROWDED_MS: i64 = 1_000;

/// What a claim works with.
struct Claim<'a> {
    host: &'a Host,
    row: TriggerRow,
    definition: Arc<Definition>,
    connection: Arc<Connection>,
    is_first: bool,
    // The last request and its answer, for whoever asks later why a poll found what it found.
    exchange: Mutex<Option<String>>,
}

/// Polls a trigger that is due. `is_first`: for the first time since the host started.
///
/// # Errors
/// The store's alone: what the service says is dealt with here.
pub async fn poll(host: &Host, row: TriggerRow, is_first: bool) -> store::Result<()> {
    let open = host.store.open_walk(row.flow.clone()).await?;
    let pinned = open.as_ref().map_or(&row.definition, |walk| &walk.definition);
    let definition = match host.definitions.get(&host.store, pinned).await {
        Ok(definition) => definition,
        Err(failure) => return trouble::poll_failed(host, &row, None, failure, None).await,
    };
    let Source::Poll(poll) = &definition.source else {
        // The flow became another kind after this walk began: what it found is released.
        if let Some(walk) = open {
            host.store.abandon_walk(walk.id).await?;
        }
        return host.store.postpone_trigger(row.flow, host.now_ms(), host.now_ms()).await;
    };
    let connection = match host.connection(&definition, &poll.connector) {
        Ok(connection) => connection,
        Err(failure) => return trouble::poll_failed(host, &row, None, failure, None).await,
    };
    let Some(trigger) = definition.connectors.get(&poll.connector).and_then(|found| found.trigger(&poll.trigger))
    else {
        let failure =
            Failure::not_sent("trigger_unknown", format!("there is no trigger {}.{}", poll.connector, poll.trigger));
        return trouble::poll_failed(host, &row, None, failure, None).await;
    };
    let claim =
        Claim { host, row, definition: Arc::clone(&definition), connection, is_first, exchange: Mutex::default() };
    claim.walk(poll, trigger, open).await
}

impl Claim<'_> {
    async fn walk(&self, poll: &Poll, trigger: &Trigger, open: Option<WalkRow>) -> store::Result<()> {
        let mut walk = match open {
            Some(walk) => walk,
            None => match self.open(poll, trigger).await? {
                Some(walk) => walk,
                None => return Ok(()),
            },
        };
        let mut restarts = 0;
        for _ in 0..PAGES_PER_CLAIM {
            if self.host.stop() != Stop::No {
                return Ok(());
            }
            match self.ask(poll, trigger, &walk).await {
                Ok(answer) => match self.commit(poll, trigger, &walk, answer).await? {
                    Some(next) => walk = next,
                    None => return Ok(()),
                },
                Err(Trouble::Blocked { until_ms }) => {
                    self.host.keep_blocks().await?;
                    self.loosen(&walk).await?;
                    return self.host.postpone(&self.row.flow, until_ms).await;
                }
                Err(Trouble::Failed(failure)) => {
                    let is_final = !matches!(failure.verdict, Verdict::Fail | Verdict::CursorExpired);
                    if is_final || restarts == RESTARTS {
                        self.loosen(&walk).await?;
                        return self.failed(failure).await;
                    }
                    if walk.page.is_some() {
                        // Page tokens expire: the same window from its beginning, through the ledger.
                        self.host.store.restart_walk(walk.id.clone()).await?;
                        walk.page = None;
                    } else if failure.verdict == Verdict::CursorExpired {
                        walk = self.reopen(trigger, &walk).await?;
                    } else {
                        return self.failed(failure).await;
                    }
                    restarts += 1;
                }
            }
        }
        self.loosen(&walk).await?;
        self.host.postpone(&self.row.flow, self.host.now_ms()).await
    }

    // The walk's row is written with its first page: until then nothing was read that could be lost.
    async fn open(&self, poll: &Poll, trigger: &Trigger) -> store::Result<Option<WalkRow>> {
        let now_ms = self.host.now_ms();
        let window = Window::next(&trigger.cursor, &poll.start, &self.row, self.is_first, now_ms);
        self.tell_gap(window.gap).await?;
        Ok(Some(self.walk_row(&window, now_ms)))
    }

    fn walk_row(&self, window: &Window, now_ms: i64) -> WalkRow {
        WalkRow {
            id: id::new(now_ms),
            flow: self.row.flow.clone(),
            generation: self.row.generation,
            definition: self.definition.hash.clone(),
            mode: window.mode.word().to_owned(),
            since: window.since.as_ref().map(ToString::to_string),
            lower_at: window.lower_ms,
            opened_at: now_ms,
            ..WalkRow::default()
        }
    }

    // The service refused the cursor: what this walk found is kept, and a new one starts at the oldest
    // that the service permits.
    async fn reopen(&self, trigger: &Trigger, walk: &WalkRow) -> store::Result<WalkRow> {
        if walk.pages > 0 {
            self.host.store.abandon_walk(walk.id.clone()).await?;
            self.host.release(&self.row.flow, walk.id.clone()).await?;
        }
        let now_ms = self.host.now_ms();
        let mode = Mode::from_word(&walk.mode);
        let window = Window::after_expiry(&trigger.cursor, mode, self.row.covered_until, now_ms);
        self.tell_gap(window.gap).await?;
        Ok(self.walk_row(&window, now_ms))
    }

    async fn ask(&self, poll: &Poll, trigger: &Trigger, walk: &WalkRow) -> Result<Page, Trouble> {
        let since = walk.since.as_deref().and_then(|since| trigger.cursor.parse(since));
        let inputs = trigger.action_inputs(&poll.inputs, since.as_ref()).map_err(Trouble::Failed)?;
        let action = send::action_of(&self.definition, &poll.connector, &trigger.poll).map_err(Trouble::Failed)?;
        let page: Option<PageToken> = walk.page.as_deref().map(serde_json::from_str).transpose().map_err(|error| {
            Trouble::Failed(Failure::not_sent(
                "page_unreadable",
                format!("the walk's page token is not readable: {error}"),
            ))
        })?;
        let call = Call { page: page.as_ref(), ..Call::new(&self.connection, &action, inputs) };
        let prepared = self.host.executor.prepare(call).map_err(Trouble::Failed)?;
        let permit = match self.host.executor.permit(&prepared) {
            Ok(permit) => permit,
            Err(blocked) => {
                let until_ms = blocked.until_ms.max(self.host.now_ms() + CROWDED_MS);
                return Err(Trouble::Blocked { until_ms });
            }
        };
        let Sent { result, exchange } = self.host.executor.send(prepared, permit).await;
        *self.exchange.lock() = exchange.and_then(|exchange| serde_json::to_string(&exchange).ok());
        result.map_err(Trouble::Failed)
    }

    // The next state of the walk; none when it closed, or when somebody else went on with it.
    async fn commit(
        &self,
        poll: &Poll,
        trigger: &Trigger,
        walk: &WalkRow,
        answer: Page,
    ) -> store::Result<Option<WalkRow>> {
        let now_ms = self.host.now_ms();
        let server_ms = answer.server_ms.unwrap_or(now_ms);
        let began_ms = walk.server_at.unwrap_or(server_ms);
        let mode = Mode::from_word(&walk.mode);
        let news = News::of(&trigger.cursor, &poll.start, mode, &self.row, began_ms);
        let reading = match page::read(self.host, &self.definition, trigger, poll, walk, &news, &answer, server_ms) {
            Ok(reading) => reading,
            Err(failure) => {
                self.failed(failure).await?;
                return Ok(None);
            }
        };
        let since = walk.since.as_deref().and_then(|since| trigger.cursor.parse(since));
        let is_covered = window::is_covered(
            &trigger.cursor,
            &poll.start,
            mode,
            (since.as_ref(), walk.lower_at),
            reading.oldest.as_ref(),
        );
        let is_last = answer.next.is_none() || is_covered;
        let next = answer.next.as_ref().filter(|_| !is_last).and_then(|token| serde_json::to_string(token).ok());
        let newest = reading.newest.as_ref().map(ToString::to_string);
        let close = is_last.then(|| self.close(poll, trigger, mode, &news, began_ms, &reading));
        let listed = reading.listed.len();
        let committed = self
            .host
            .store
            .commit_page(walks::Page {
                walk: Arc::new(walk.clone()),
                listed: reading.listed,
                next: next.clone(),
                server_at: Some(began_ms),
                newest: newest.clone(),
                close,
                notices: Vec::new(),
                refresh_before: now_ms - REFRESH_EVERY_MS.min(trigger.remember_ms / 4),
                now_ms,
            })
            .await?;
        if committed.is_stale {
            return Ok(None);
        }
        let started = committed.queued + committed.held;
        self.host.tell(&self.row.flow, || What::Polled {
            listed: answer.records.len(),
            started,
            filtered: committed.filtered,
        });
        self.host.found(&self.row.flow, committed.queued, committed.held);
        if is_last || walk.is_loosened {
            if committed.held > 0 || walk.started > 0 {
                self.host.release(&self.row.flow, walk.id.clone()).await?;
            }
            if is_last {
                trouble::connection_works(self.host, &self.connection).await?;
                self.host.wake.notify_one();
                return Ok(None);
            }
        }
        Ok(Some(WalkRow {
            page: next,
            pages: walk.pages + 1,
            listed: walk.listed + i64::try_from(listed).unwrap_or(0),
            started: walk.started + i64::try_from(started).unwrap_or(0),
            server_at: Some(began_ms),
            newest,
            ..walk.clone()
        }))
    }

    fn close(
        &self,
        poll: &Poll,
        trigger: &Trigger,
        mode: Mode,
        news: &News,
        began_ms: i64,
        reading: &Reading,
    ) -> Close {
        let cursor = &trigger.cursor;
        let known = self.row.value.as_deref().and_then(|value| cursor.parse(value));
        let value = known.max(reading.newest.clone()).map(|value| value.to_string());
        let is_seed = mode == Mode::Seed;
        let keep_newest = match (&poll.start, is_seed) {
            (Start::Last { last }, true) => Some(*last),
            _ => None,
        };
        let now_ms = self.host.now_ms();
        Close {
            baseline_at: if is_seed { news.baseline_ms().or(Some(0)) } else { None },
            baseline_value: if is_seed && !cursor.is_dated() { value.clone() } else { None },
            deep_at: (mode != Mode::Poll).then_some(now_ms),
            due_at: self.definition.next_due(now_ms).unwrap_or(i64::MAX),
            keep_newest,
            exchange: self.last(),
            covered_until: Some(began_ms),
            value,
        }
    }

    async fn failed(&self, failure: Failure) -> store::Result<()> {
        trouble::poll_failed(self.host, &self.row, Some(&self.connection), failure, self.last()).await
    }

    fn last(&self) -> Option<String> {
        self.exchange.lock().take()
    }

    async fn tell_gap(&self, gap: Option<(i64, i64)>) -> store::Result<()> {
        let Some((from_ms, to_ms)) = gap else { return Ok(()) };
        let notice = Notice {
            flow: Some(self.row.flow.clone()),
            connection: Some(self.connection.name.clone()),
            kind: "gap".to_owned(),
            message: format!(
                "items between {} and {} may be missing: the service no longer lists them",
                crate::clock::rfc3339(from_ms),
                crate::clock::rfc3339(to_ms)
            ),
            details: Some(json!({ "from_ms": from_ms, "to_ms": to_ms }).to_string()),
            at: self.host.now_ms(),
        };
        self.host.notice(notice).await
    }

    async fn loosen(&self, walk: &WalkRow) -> store::Result<()> {
        let now_ms = self.host.now_ms();
        if walk.pages == 0 || walk.is_loosened || now_ms - walk.opened_at < LOOSEN_AFTER_MS {
            return Ok(());
        }
        let notice = Notice {
            flow: Some(self.row.flow.clone()),
            connection: Some(self.connection.name.clone()),
            kind: "out_of_order".to_owned(),
            message: format!(
                "a poll could not be finished for an hour; the {} items found so far are started, older ones may follow",
                walk.started
            ),
            details: None,
            at: now_ms,
        };
        if self.host.store.loosen_walk(walk.id.clone(), notice.clone()).await? {
            self.host.announce(&notice);
            self.host.release(&self.row.flow, walk.id.clone()).await?;
        }
        Ok(())
    }
}
