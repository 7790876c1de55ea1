//! One claim of a due poll: opens or resumes a walk, asks for its pages, and commits each by itself. What is
//! news, and which window is read, is `window`'s; what a record is to a flow is `page`'s.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use super::batch;
use super::closing;
use super::definition::{Definition, Poll, Source};
use super::events::What;
use super::host::{Host, Stop};
use super::page;
use super::schedule::LATE_MS;
use super::send;
use super::told::Told;
use super::trouble::{self, Trouble};
use super::window::{self, Mode, News, ReadAt, Window};
use crate::connector::{Call, Connection, Page, PageToken, Sent, Trigger};
use crate::crash;
use crate::engine::{Failure, Verdict};
use crate::manifest::connector::Order;
use crate::manifest::flow::{Emit, Missed};
use crate::planted::bug;
use crate::store::notices::Notice;
use crate::store::runs::State;
use crate::store::triggers::TriggerRow;
use crate::store::walks::{self, WalkRow};
use crate::store::{self, id};

// A claim ends after this many pages, so that other polls get their turn; the walk goes on in the next.
const PAGES_PER_CLAIM: u32 = 50;
// How often a claim begins its window anew: once for a page token that expired, twice for a cursor.
const RESTARTS: u32 = 3;
/// A walk that cannot close for this long releases what it has; milliseconds.
pub(super) const LOOSEN_AFTER_MS: i64 = 3_600_000;
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
    // What the service no longer lists, between two times: told with the first page that is read beyond it, so that
    // a poll that fails first does not tell it again.
    gap: Mutex<Option<(i64, i64)>>,
}

/// Polls a trigger that is due. `is_first`: for the first time since the host started.
///
/// # Errors
/// The store's alone: what the service says is dealt with here.
pub async fn poll(host: &Host, row: TriggerRow, is_first: bool) -> store::Result<()> {
    let mut open = host.store.open_walk(row.flow.clone()).await?;
    // What it began with failed, and somebody changed something since that is not its source: the same window anew.
    if let Some(walk) = open.as_mut().filter(|walk| row.failures > 0 && walk.definition != row.definition) {
        host.store.restart_walk(walk.id.clone(), row.epoch, row.definition.clone()).await?;
        walk.definition.clone_from(&row.definition);
        walk.page = None;
    }
    let pinned = open.as_ref().map_or(&row.definition, |walk| &walk.definition);
    let definition = match host.definitions.get(&host.store, pinned).await {
        Ok(definition) => definition,
        Err(failure) => return trouble::poll_failed(host, &row, None, failure, None).await,
    };
    let Source::Poll(poll) = &definition.source else {
        // The flow became another kind after this walk began: what it found is released.
        if let Some(walk) = open {
            host.store.abandon_walk(walk.id, row.epoch).await?;
            host.may_hold.store(true, Ordering::Relaxed);
        }
        return host.store.postpone_trigger(row.flow, row.epoch, host.now_ms(), host.now_ms()).await;
    };
    let connection = match host.connection(&definition, &poll.connector) {
        Ok(connection) => connection,
        Err(failure) => return trouble::poll_failed(host, &row, None, failure, None).await,
    };
    // A poll for replies alone rests while nobody is asked.
    if definition.flow.is_empty()
        && open.is_none()
        && host.store.rest_unless_awaited(row.flow.clone(), connection.name.clone(), host.now_ms()).await?
    {
        return Ok(());
    }
    let Some(trigger) = definition.connectors.get(&poll.connector).and_then(|found| found.trigger(&poll.trigger))
    else {
        let failure =
            Failure::not_sent("trigger_unknown", format!("there is no trigger {}.{}", poll.connector, poll.trigger));
        return trouble::poll_failed(host, &row, None, failure, None).await;
    };
    let claim = Claim {
        host,
        row,
        definition: Arc::clone(&definition),
        connection,
        is_first,
        exchange: Mutex::default(),
        gap: Mutex::default(),
    };
    if let Some(notice) = claim.missed() {
        host.store.notice(notice.clone()).await?;
        host.announce(&notice);
    }
    claim.walk(poll, trigger, open).await
}

impl Claim<'_> {
    // That this poll stands for several which nobody made. A flow that never polled has missed none, and one that is
    // switched on is due from then; what looks for replies rests as it likes.
    fn missed(&self) -> Option<Notice> {
        let due_ms = self.row.due_at.filter(|_| self.row.polled_at.is_some() && !self.definition.flow.is_empty())?;
        let now_ms = self.host.now_ms();
        if now_ms - due_ms < LATE_MS {
            return None;
        }
        let schedule = self.definition.flow.trigger.schedule.as_ref()?;
        let polls = schedule.missed(Missed::RunAll, due_ms, now_ms, &self.definition.name).len();
        (polls > 1).then(|| self.told().missed(due_ms, polls))
    }

    async fn walk(&self, poll: &Poll, trigger: &Trigger, open: Option<WalkRow>) -> store::Result<()> {
        let mut walk = open.unwrap_or_else(|| self.open(poll, trigger));
        let mut restarts = 0;
        let mut is_refused = false;
        let mut is_repeated = false;
        for _ in 0..PAGES_PER_CLAIM {
            if self.host.stop() != Stop::No {
                return Ok(());
            }
            match self.ask(poll, trigger, &walk).await {
                // A page that is named again may be a slip: the window is read once more before a gap is told.
                Ok(answer) if answer.cut_short.is_some() && !is_repeated && may_reread(&walk) => {
                    self.restart(&mut walk).await?;
                    is_repeated = true;
                }
                Ok(answer) => match self.commit(poll, trigger, &walk, answer).await? {
                    Some(next) => walk = next,
                    None => return Ok(()),
                },
                Err(Trouble::Blocked { until_ms }) => {
                    self.host.keep_blocks().await?;
                    self.loosen(&walk).await?;
                    return self.host.postpone(&self.row, until_ms).await;
                }
                Err(Trouble::Failed(failure)) => {
                    let is_final = !matches!(failure.verdict, Verdict::Fail | Verdict::CursorExpired);
                    if is_final || restarts == RESTARTS {
                        self.loosen(&walk).await?;
                        return self.failed(failure).await;
                    }
                    if walk.page.is_some() {
                        // Page tokens expire.
                        self.restart(&mut walk).await?;
                    } else if failure.verdict == Verdict::CursorExpired {
                        walk = self.reopen(trigger, &walk, is_refused).await?;
                        is_refused = true;
                    } else {
                        return self.failed(failure).await;
                    }
                    restarts += 1;
                }
            }
        }
        self.loosen(&walk).await?;
        self.host.postpone(&self.row, self.host.now_ms()).await
    }

    // The walk's row is written with its first page: until then nothing was read that could be lost.
    fn open(&self, poll: &Poll, trigger: &Trigger) -> WalkRow {
        let now_ms = self.host.now_ms();
        let window = Window::next(&trigger.cursor, &poll.start, &self.row, self.is_first, now_ms);
        self.walk_row(&window, now_ms)
    }

    fn walk_row(&self, window: &Window, now_ms: i64) -> WalkRow {
        if window.gap.is_some() {
            *self.gap.lock() = window.gap;
        }
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

    // The same window from its beginning, through the ledger.
    async fn restart(&self, walk: &mut WalkRow) -> store::Result<()> {
        self.host.store.restart_walk(walk.id.clone(), self.row.epoch, walk.definition.clone()).await?;
        walk.page = None;
        Ok(())
    }

    // The service refused the cursor: what this walk found is kept, and a new one starts at the oldest that the
    // service permits by our clock; where that is refused as well (`again`), with everything that it lists.
    async fn reopen(&self, trigger: &Trigger, walk: &WalkRow, again: bool) -> store::Result<WalkRow> {
        if walk.pages > 0 {
            self.host.store.abandon_walk(walk.id.clone(), self.row.epoch).await?;
            batch::release(self.host, &self.definition, walk).await?;
        }
        let now_ms = self.host.now_ms();
        let mode = Mode::from_word(&walk.mode);
        let window = match again {
            true => Window::unbounded(mode),
            false => Window::after_expiry(&trigger.cursor, mode, self.row.covered_until, now_ms),
        };
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
        let call = self.host.executor.resolve(call).await.map_err(Trouble::Failed)?;
        let prepared = self.host.executor.prepare(call).map_err(Trouble::Failed)?;
        let permit = match self.host.executor.permit(&prepared) {
            Ok(permit) => permit,
            Err(blocked) => {
                let until_ms = blocked.until_ms.max(self.host.now_ms() + CROWDED_MS);
                return Err(Trouble::Blocked { until_ms });
            }
        };
        let Sent { result, exchange, .. } = self.host.executor.send(prepared, permit).await;
        *self.exchange.lock() = self.host.kept(exchange.and_then(|exchange| serde_json::to_string(&exchange).ok()));
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
        let began_ms = if bug("covered_until_the_end") { server_ms } else { walk.server_at.unwrap_or(server_ms) };
        let mode = Mode::from_word(&walk.mode);
        let baseline_ms = if bug("own_clock_baseline") { now_ms } else { began_ms };
        let read_at = ReadAt { began_ms: baseline_ms, server_ms };
        let news = News::of(&trigger.cursor, &poll.start, mode, &self.row, read_at, trigger.remember_ms);
        // Read oldest first, a page's runs can begin with its commit: nothing older can follow. Where only the
        // newest are wanted, or all of them together, that shows at the end.
        let keep_newest = closing::keep_newest(poll, mode, Some(&self.connection));
        let is_one_by_one = keep_newest.is_none() && self.definition.flow.trigger.emit == Emit::Each;
        let state = if trigger.cursor.order == Order::Asc && is_one_by_one { State::Queued } else { State::Held };
        let read = page::read(
            self.host,
            &self.definition,
            trigger,
            poll,
            &self.connection.name,
            walk,
            &news,
            &answer,
            (server_ms, state),
        );
        let reading = match read {
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
            reading.latest.as_ref(),
        );
        let reaches_known = || reading.oldest.as_ref().map(ToString::to_string) <= self.row.value;
        let is_last = answer.next.is_none()
            || is_covered
            || (bug("empty_page_ends_walk") && answer.records.is_empty())
            || (bug("known_value_ends_walk") && !mode.is_first() && reaches_known());
        let next = answer.next.as_ref().filter(|_| !is_last).and_then(|token| serde_json::to_string(token).ok());
        let newest = reading.newest.as_ref().map(ToString::to_string);
        let close = is_last.then(|| {
            closing::close(&closing::Ended {
                trigger,
                definition: &self.definition,
                row: &self.row,
                mode,
                news: &news,
                began_ms,
                reading: &reading,
                keep_newest,
                exchange: self.last(),
                now_ms,
            })
        });
        let listed = reading.listed.len();
        // Told with the page: the cursor passes what may have been left out.
        let gap = self.gap.lock().take().filter(|_| !bug("gap_not_told"));
        let cut_short = answer.cut_short.as_deref().filter(|_| !is_covered && !bug("repeat_is_the_end"));
        // Read oldest first, what the list loses is behind the walk, except where it begins anew.
        let is_end_read = match trigger.cursor.order {
            Order::Asc => walk.page.is_none() && walk.pages > 0,
            _ => is_last,
        };
        let lapsed = is_end_read
            .then(|| Window::lapsed(&trigger.cursor, self.row.covered_until, walk.opened_at, now_ms))
            .flatten();
        let is_undated = mode == Mode::Anew && !trigger.cursor.is_dated();
        let notices: Vec<Notice> = gap
            .map(|(from_ms, to_ms)| match is_undated {
                true => self.told().changed(from_ms, to_ms),
                false => self.told().gap(from_ms, to_ms),
            })
            .into_iter()
            .chain(lapsed.map(|(from_ms, to_ms)| self.told().gap(from_ms, to_ms)))
            .chain(cut_short.map(|why| self.told().cut_short(why)))
            .collect();
        crash::point("page.before");
        let committed = self
            .host
            .store
            .commit_page(walks::Page {
                walk: Arc::new(walk.clone()),
                epoch: self.row.epoch,
                listed: reading.listed,
                next: next.clone(),
                server_at: Some(began_ms),
                newest: newest.clone(),
                not_ready_at: reading.not_ready_ms,
                close,
                notices: notices.clone(),
                is_gathered: self.definition.flow.trigger.emit == Emit::Batch,
                refresh_before: now_ms - REFRESH_EVERY_MS.min(trigger.remember_ms / 4),
                now_ms,
            })
            .await?;
        crash::point("page.after");
        if committed.is_stale {
            return Ok(None);
        }
        notices.iter().for_each(|notice| self.host.announce(notice));
        let started = committed.queued + committed.held;
        self.host.tell(&self.row.flow, || What::Polled {
            listed: answer.records.len(),
            started,
            filtered: committed.filtered,
        });
        self.host.found(&self.row.flow, committed.queued);
        committed.answered.iter().for_each(|flow| self.host.stir_flow(flow));
        if is_last || walk.is_loosened {
            if committed.held > 0 || walk.started > 0 {
                batch::release(self.host, &self.definition, walk).await?;
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
            not_ready_at: reading.not_ready_ms,
            ..walk.clone()
        }))
    }

    async fn failed(&self, failure: Failure) -> store::Result<()> {
        trouble::poll_failed(self.host, &self.row, Some(&self.connection), failure, self.last()).await
    }

    fn last(&self) -> Option<String> {
        self.exchange.lock().take()
    }

    fn told(&self) -> Told<'_> {
        Told { flow: &self.row.flow, connection: &self.connection.name, now_ms: self.host.now_ms() }
    }

    async fn loosen(&self, walk: &WalkRow) -> store::Result<()> {
        if walk.pages > 0 && !walk.is_loosened && self.host.now_ms() - walk.opened_at >= LOOSEN_AFTER_MS {
            batch::loosen(self.host, &self.definition, walk).await?;
        }
        Ok(())
    }
}

// Whether a window is worth reading once more: a walk counts all its pages, and its page's token those since the
// window was begun, so that one which never gets further comes to an end.
fn may_reread(walk: &WalkRow) -> bool {
    let token = walk.page.as_deref().and_then(|page| serde_json::from_str::<PageToken>(page).ok());
    let may = token.is_some_and(|token| walk.pages - i64::from(token.pages) < 100 + 3 * i64::from(token.pages));
    may && !bug("repeat_is_the_end")
}
