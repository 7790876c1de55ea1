//! How the threads of a store reach the database: one connection each, made when it is first needed and again
//! when it was lost. An outage is waited out by a host for as long as it takes, by a tool for a moment; it is
//! said once when it begins and once when it ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::poll_fn;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{AsyncMessage, Client, Connection, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::super::Synchronous;
use super::super::error::{Error, Result, code};
use super::address::Address;
use super::{failure, tls};

/// What all threads of a store share.
pub(super) struct Link {
    address: Address,
    tls: Option<ClientConfig>,
    settings: &'static str,
    patience: Option<Duration>,
    is_closing: AtomicBool,
    is_away: AtomicBool,
}

// A session that stands still within a transaction would hold its locks for ever; one that waits for a lock
// that long waits for such a session.
const SETTINGS: &str = "SET idle_in_transaction_session_timeout = '30s'; SET lock_timeout = '20s'; \
                        SET statement_timeout = 0; SET client_min_messages = 'warning'";
const LOOSE_SETTINGS: &str = "SET idle_in_transaction_session_timeout = '30s'; SET lock_timeout = '20s'; \
                              SET statement_timeout = 0; SET client_min_messages = 'warning'; SET synchronous_commit = off";
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

impl Link {
    /// `patience`: how long an outage is waited out; none for as long as it takes.
    pub(super) fn new(address: Address, synchronous: Synchronous, patience: Option<Duration>) -> Result<Link> {
        let tls = tls::settings(&address.trust)?;
        let settings = match synchronous {
            Synchronous::Full => SETTINGS,
            Synchronous::Normal => LOOSE_SETTINGS,
        };
        let (is_closing, is_away) = (AtomicBool::new(false), AtomicBool::new(false));
        Ok(Link { address, tls, settings, patience, is_closing, is_away })
    }

    /// The database as it is shown.
    pub(super) fn name(&self) -> &str {
        self.address.name()
    }

    /// What a thread drives its connection with.
    pub(super) fn runtime(&self) -> Result<Runtime> {
        let runtime = Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| Error::mistake(format!("a thread of the store could not be set up: {error}")))
    }

    /// Nothing is waited out any more.
    pub(super) fn close(&self) {
        self.is_closing.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::SeqCst)
    }

    /// Connects once. `heard` is called for each notification; the connection lives on the runtime.
    pub(super) async fn connect(&self, heard: impl Fn() + Send + 'static) -> Result<Client> {
        let config = &self.address.config;
        let told = |error: tokio_postgres::Error| failure::told(self.name(), "connecting", &error);
        let client = match &self.tls {
            Some(tls) => {
                let (client, connection) = config.connect(MakeRustlsConnect::new(tls.clone())).await.map_err(told)?;
                tokio::spawn(drive(connection, heard));
                client
            }
            None => {
                let (client, connection) = config.connect(NoTls).await.map_err(told)?;
                tokio::spawn(drive(connection, heard));
                client
            }
        };
        client.batch_execute(self.settings).await.map_err(told)?;
        self.reached();
        Ok(client)
    }

    /// Connects, and waits out what keeps it from that.
    ///
    /// # Errors
    /// `store_unreachable` when the patience is over, `store_closed` at an end; at once what waiting does
    /// not mend, such as `store_login`.
    pub(super) fn connect_waiting(&self, runtime: &Runtime) -> Result<Client> {
        let since = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match runtime.block_on(self.connect(|| {})) {
                Ok(client) => return Ok(client),
                Err(_) if self.is_closing() => return Err(Error::closed()),
                Err(error) => error,
            };
            // A login may be refused for a moment while a server is set up again.
            let is_passing = error.retryable || (error.code == code::LOGIN && self.patience.is_none());
            if !is_passing || self.patience.is_some_and(|patience| since.elapsed() >= patience) {
                return Err(error);
            }
            self.lost(&error);
            std::thread::park_timeout(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The database went away.
    pub(super) fn lost(&self, error: &Error) {
        if !self.is_closing() && !self.is_away.swap(true, Ordering::Relaxed) {
            tracing::error!(code = error.code, "{}; work waits until it is back", error.message);
        }
    }

    fn reached(&self) {
        if self.is_away.swap(false, Ordering::Relaxed) {
            tracing::info!("the database {} is back: work goes on", self.name());
        }
    }
}

async fn drive<S, T>(mut connection: Connection<S, T>, heard: impl Fn())
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
        match message {
            Ok(AsyncMessage::Notification(_)) => heard(),
            Ok(AsyncMessage::Notice(notice)) => tracing::debug!("the database says: {}", notice.message()),
            Ok(_) => {}
            // Whoever uses the client is told the same.
            Err(_) => return,
        }
    }
}
