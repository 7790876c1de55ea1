//! A store in a PostgreSQL database: opening it, and the threads that work on it, each with a connection of
//! its own. Any number of hosts may work on one database.

mod address;
mod attendance;
mod dialect;
mod failure;
mod link;
mod prepare;
mod reader;
mod session;
mod tls;
mod value;
mod writer;

use std::sync::Arc;
use std::thread::{self, JoinHandle, ThreadId};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::error::{Error, Result};
use super::queue::Queue;
use super::sql::Dialect;
use super::task::Work;
use super::{Database, HostRole, Options, Presence};
use address::Address;
use attendance::Attendance;
pub(super) use dialect::POSTGRES;
use link::Link;
use session::Session;
use writer::Writer;

/// Threads of a host that write. One is busy with a round trip most of the time.
const WRITERS: usize = 3;
/// How long a tool waits for a database that is away.
const TOOL_PATIENCE: Duration = Duration::from_secs(5);

pub(super) struct Postgres {
    link: Arc<Link>,
    writes: Arc<Queue>,
    reads: Arc<Queue>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    ids: Vec<ThreadId>,
    presence: Option<Arc<Presence>>,
    attending: Mutex<Option<JoinHandle<()>>>,
    ended: Arc<Notify>,
}

/// Opens the store at `address`, with its tables made or brought up to date, and starts its threads.
pub(super) fn open(address: &str, options: &Options) -> Result<Postgres> {
    let address = Address::parse(address)?;
    // Whoever opens a store wants to know at once that it is not there.
    let opening = Arc::new(Link::new(address.clone(), options.synchronous, Some(Duration::ZERO))?);
    let patience = if options.host.is_some() { None } else { Some(TOOL_PATIENCE) };
    let link = Arc::new(Link::new(address, options.synchronous, patience)?);
    let with = options.clone();
    // A runtime may not be driven inside another one, and the caller may have one.
    let prepared = thread::spawn(move || {
        let mut session = Session::new(Arc::clone(&opening))?;
        prepare::prepare(&mut session, &opening, &with)
    });
    prepared.join().map_err(|_| Error::panicked())??;
    start(link, options)
}

impl Database for Postgres {
    fn write(&self, work: Work) {
        if let Err(refused) = self.writes.push(work) {
            refused.finish(Err(Error::closed()));
        }
    }

    fn read(&self, work: Work) {
        if let Err(refused) = self.reads.push(work) {
            refused.finish(Err(Error::closed()));
        }
    }

    fn dialect(&self) -> &'static Dialect {
        &POSTGRES
    }

    fn name(&self) -> &str {
        self.link.name()
    }

    fn presence(&self) -> Option<Arc<Presence>> {
        self.presence.clone()
    }

    fn close(&self) -> Result<()> {
        self.stop();
        let threads = std::mem::take(&mut *self.threads.lock());
        let mut joined = threads.into_iter().map(JoinHandle::join).all(|joined| joined.is_ok());
        // Last: what was under way is done, and what was claimed is free for others.
        self.ended.notify_one();
        if let Some(attending) = self.attending.lock().take() {
            joined &= attending.join().is_ok();
        }
        if joined { Ok(()) } else { Err(Error::panicked()) }
    }
}

impl Postgres {
    fn stop(&self) {
        self.writes.close();
        self.reads.close();
        self.link.close();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
        // The last handle may go down inside a closure; that thread cannot wait for itself.
        if !self.ids.contains(&thread::current().id())
            && let Err(error) = self.close()
        {
            tracing::error!(%error, "the store was not closed cleanly; nothing that was acknowledged is lost");
        }
    }
}

fn start(link: Arc<Link>, options: &Options) -> Result<Postgres> {
    let (writes, reads) = (Arc::new(Queue::default()), Arc::new(Queue::default()));
    let mut postgres = Postgres {
        link: Arc::clone(&link),
        writes,
        reads,
        threads: Mutex::default(),
        ids: Vec::new(),
        presence: None,
        attending: Mutex::default(),
        ended: Arc::default(),
    };
    if let Some(host) = &options.host {
        postgres.attend(host, options.now_ms)?;
    }
    let bounds = options.group;
    for _ in 0..if options.host.is_some() { WRITERS } else { 1 } {
        let (session, queue) = (Session::new(Arc::clone(&link))?, Arc::clone(&postgres.writes));
        postgres.spawn("store-writer", move || Writer::new(session, queue, bounds).run())?;
    }
    for _ in 0..options.readers.max(1) {
        let (mut session, queue) = (Session::new(Arc::clone(&link))?, Arc::clone(&postgres.reads));
        postgres.spawn("store-reader", move || reader::run(&queue, &mut session))?;
    }
    Ok(postgres)
}

impl Postgres {
    // Shows itself to the other hosts, and comes back when it has.
    fn attend(&mut self, host: &HostRole, now_ms: i64) -> Result<()> {
        let presence = Arc::new(Presence::new(crate::store::id::new(now_ms), host.lease_ms));
        let name = format!("process {}, listening on {}", std::process::id(), host.listen);
        let attendance = Attendance::new(Arc::clone(&self.link), Arc::clone(&presence), name, Arc::clone(&self.ended));
        let (told, begun) = std::sync::mpsc::sync_channel(1);
        let run = move || attendance.run(move |outcome| drop(told.send(outcome)));
        let thread = thread::Builder::new().name("store-attendance".to_owned()).spawn(run);
        let thread = thread.map_err(|error| Error::mistake(format!("a thread of the store cannot start: {error}")))?;
        self.ids.push(thread.thread().id());
        *self.attending.get_mut() = Some(thread);
        begun.recv().unwrap_or_else(|_| Err(Error::panicked()))?;
        self.presence = Some(presence);
        Ok(())
    }

    fn spawn(&mut self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<()> {
        let thread = thread::Builder::new().name(name.to_owned()).spawn(run);
        let thread = thread.map_err(|error| Error::mistake(format!("a thread of the store cannot start: {error}")))?;
        self.ids.push(thread.thread().id());
        self.threads.get_mut().push(thread);
        Ok(())
    }
}
