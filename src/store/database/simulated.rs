//! A store in memory for simulations: closures run at once, on the thread that hands them in, so that nothing
//! depends on how threads take turns. It can stop before or after a commit as a killed process would: whoever
//! waits then waits for ever, and what was not committed is gone. It can stand still, too, as a stopped process does,
//! and go on later. Several hosts share it, each with a way in of its own. A thread has one at a time.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::Notify;

use super::migrations;
use super::presence::Presence;
use super::session::{DIALECT, Session};
use super::sql::Sql;
use super::task::Work;
use super::writer::BEGIN;
use super::{Database, Dialect, Error, Handle, Migration, Result};
use crate::clock::{Clock, Moment};

// Several hosts tell the time by the clock of the simulation.
static SIMULATED: Dialect =
    Dialect { is_shared: true, now_ms: "(SELECT now_ms FROM simulated_clock)", lives: "session <> 0", ..DIALECT };
const TABLES: &str = "CREATE TABLE simulated_clock (id INTEGER PRIMARY KEY, now_ms INTEGER NOT NULL); \
    CREATE TABLE nodes (id TEXT NOT NULL PRIMARY KEY, session BIGINT NOT NULL, name TEXT NOT NULL, \
    started_at BIGINT NOT NULL, lease_until BIGINT NOT NULL)";

/// The store, as the simulation holds it over the lives of its hosts.
pub struct Simulated {
    // Which of its thread's stores it is.
    number: u64,
    state: Mutex<State>,
    // The host whose way in this is, where there are several.
    attends: Option<(Arc<Presence>, Clock)>,
    /// Told when it stopped, or stands still.
    pub stopped: Notify,
}

/// When it stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Before the commit that is so many commits away: its closure is undone.
    Before(u64),
    /// After it: it is durable, and nobody is told.
    After(u64),
    /// Before it, for a while: it is made when the host wakes.
    Still(u64),
    /// After it, for a while: it is durable, and the host is told when it wakes.
    StillAfter(u64),
}

#[derive(Default)]
struct State {
    stop: Option<Stop>,
    is_stopped: bool,
    is_still: bool,
    // What is asked of it while it stands still.
    asked: Vec<(Work, &'static str)>,
    // What is told when it wakes.
    untold: Option<(Work, Result<()>)>,
    // Those who wait for an answer that never comes.
    limbo: Vec<Work>,
}

// What a thread keeps for all of its stores, one after another: tables are emptied sooner than made, and a
// statement is prepared once.
struct Kept {
    session: Session<'static>,
    number: u64,
}

thread_local! {
    static KEPT: RefCell<Option<Kept>> = const { RefCell::new(None) };
}

impl Simulated {
    /// An empty store with these tables, in place of the one that this thread had before.
    pub fn new(migrations: &'static [Migration], now_ms: i64) -> Result<Arc<Self>> {
        let number = KEPT.with_borrow_mut(|kept| match kept {
            Some(kept) => {
                kept.empty()?;
                kept.number += 1;
                Ok(kept.number)
            }
            None => {
                *kept = Some(Kept { session: session(migrations, now_ms)?, number: 0 });
                Result::Ok(0)
            }
        })?;
        Ok(Arc::new(Simulated { number, state: Mutex::default(), attends: None, stopped: Notify::new() }))
    }

    /// The way in of one host among several.
    pub fn beside(&self, id: &str, lease_ms: i64, clock: &Clock) -> Arc<Self> {
        let presence = Arc::new(Presence::new(id.to_owned(), lease_ms));
        let attends = Some((presence, clock.clone()));
        Arc::new(Simulated { number: self.number, state: Mutex::default(), attends, stopped: Notify::new() })
    }

    /// Renews the host's lease, as it does again and again while it runs.
    pub fn attend(&self, hosts: u32) -> Result<()> {
        let Some((presence, clock)) = &self.attends else { return Ok(()) };
        let now_ms = clock.now_ms();
        self.alone(&format!(
            "INSERT INTO nodes (id, session, name, started_at, lease_until) VALUES ('{id}', 1, '{id}', {now_ms}, {until}) \
             ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until",
            id = presence.id(),
            until = now_ms + presence.lease_ms()
        ))?;
        presence.renew(Moment::now(clock), hosts, 0);
        Ok(())
    }

    /// Renews it while it works, among as many hosts as before.
    pub fn attend_on(&self) -> Result<()> {
        self.attend(self.attends.as_ref().map_or(1, |(presence, _)| presence.nodes()))
    }

    /// The host was killed: its session is over.
    pub fn leave(&self) -> Result<()> {
        let Some((presence, _)) = &self.attends else { return Ok(()) };
        self.alone(&format!("UPDATE nodes SET session = 0 WHERE id = '{}'", presence.id()))
    }

    /// Stands still from now on.
    pub fn stand_still(&self) {
        self.state.lock().is_still = true;
        self.stopped.notify_one();
    }

    /// Whether it stands still.
    pub fn is_still(&self) -> bool {
        self.state.lock().is_still
    }

    /// Wakes: does first what it was asked for when it stood still.
    pub fn wake(&self) {
        let (untold, asked) = {
            let mut state = self.state.lock();
            state.is_still = false;
            (state.untold.take(), std::mem::take(&mut state.asked))
        };
        if let Some((work, outcome)) = untold {
            work.finish(outcome);
        }
        asked.into_iter().for_each(|(work, begin)| self.run(work, begin, false));
    }

    /// For a host.
    pub fn handle(self: &Arc<Self>) -> Handle {
        Handle { database: Arc::clone(self) as Arc<dyn Database> }
    }

    /// Plans the next stop.
    pub fn stop_at(&self, stop: Option<Stop>) {
        self.state.lock().stop = stop;
    }

    /// Stops now, as a kill between two commits does.
    pub fn stop_now(&self) {
        self.state.lock().is_stopped = true;
        self.stopped.notify_one();
    }

    /// Whether it stopped.
    pub fn is_stopped(&self) -> bool {
        self.state.lock().is_stopped
    }

    /// After the old host is gone: takes work again.
    pub fn revive(&self) {
        let limbo = std::mem::take(&mut *self.state.lock()).limbo;
        drop(limbo);
    }

    fn run(&self, mut work: Work, begin: &'static str, counts: bool) {
        let mut state = self.state.lock();
        if state.is_stopped {
            state.limbo.push(work);
            return;
        }
        if state.is_still {
            state.asked.push((work, begin));
            return;
        }
        let is_last = counts && state.is_last();
        if is_last && matches!(state.stop, Some(Stop::Before(_))) {
            self.stop_with(state, work);
            return;
        }
        if is_last && matches!(state.stop, Some(Stop::Still(_))) {
            state.stop = None;
            state.is_still = true;
            state.asked.push((work, begin));
            drop(state);
            self.stopped.notify_one();
            return;
        }
        let outcome = self.tell_time().and_then(|()| self.kept(|session| session.run_alone(begin, work.as_mut())));
        if is_last && matches!(state.stop, Some(Stop::StillAfter(_))) {
            state.stop = None;
            state.is_still = true;
            state.untold = Some((work, outcome));
            drop(state);
            self.stopped.notify_one();
            return;
        }
        if is_last {
            self.stop_with(state, work);
            return;
        }
        drop(state);
        work.finish(outcome);
    }

    fn tell_time(&self) -> Result<()> {
        let Some((_, clock)) = &self.attends else { return Ok(()) };
        self.alone(&format!("INSERT OR REPLACE INTO simulated_clock (id, now_ms) VALUES (1, {})", clock.now_ms()))
    }

    // Outside of what a host asks for.
    fn alone(&self, statement: &str) -> Result<()> {
        self.kept(|session| session.batch(statement))
    }

    fn kept<T>(&self, use_it: impl FnOnce(&mut Session<'static>) -> Result<T>) -> Result<T> {
        KEPT.with_borrow_mut(|kept| match kept {
            Some(kept) if kept.number == self.number => use_it(&mut kept.session),
            _ => Err(Error::mistake("a simulated store is used on another thread, or after the next one was made")),
        })
    }

    fn stop_with(&self, mut state: parking_lot::MutexGuard<'_, State>, work: Work) {
        state.is_stopped = true;
        state.limbo.push(work);
        drop(state);
        self.stopped.notify_one();
    }
}

// It lives as long as the program: statements borrow it, and a thread has one.
fn session(migrations: &'static [Migration], now_ms: i64) -> Result<Session<'static>> {
    let path: Arc<Path> = Path::new("simulated").into();
    let connection =
        Connection::open_in_memory().map_err(|error| Error::sqlite(&path, "opening a simulated store", &error))?;
    let mut session = Session::new(Box::leak(Box::new(connection)), path).speaking(&SIMULATED);
    session.batch(migrations::CREATE_TABLE)?;
    session.batch(TABLES)?;
    for migration in migrations {
        migrations::apply(&mut session, migration, now_ms)?;
    }
    Ok(session)
}

impl Kept {
    fn empty(&mut self) -> Result<()> {
        let mut tables = Vec::new();
        let named = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' \
                     AND name NOT LIKE '%migrations' ORDER BY name";
        self.session.query(named, &[], &mut |row| {
            tables.push(row.text(0)?.to_owned());
            Ok(())
        })?;
        tables.iter().try_for_each(|table| self.session.batch(&format!("DELETE FROM \"{table}\"")))
    }
}

impl State {
    // Counts down to the planned stop; true when it has come.
    fn is_last(&mut self) -> bool {
        let Some(Stop::Before(left) | Stop::After(left) | Stop::Still(left) | Stop::StillAfter(left)) = &mut self.stop
        else {
            return false;
        };
        *left = left.saturating_sub(1);
        *left == 0
    }
}

impl Database for Simulated {
    fn write(&self, work: Work) {
        self.run(work, BEGIN, true);
    }

    fn read(&self, work: Work) {
        self.run(work, "BEGIN", false);
    }

    fn dialect(&self) -> &'static Dialect {
        &SIMULATED
    }

    fn name(&self) -> &str {
        "simulated"
    }

    fn presence(&self) -> Option<Arc<Presence>> {
        self.attends.as_ref().map(|(presence, _)| Arc::clone(presence))
    }

    fn close(&self) -> Result<()> {
        Ok(())
    }
}
