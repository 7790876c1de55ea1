//! A host's own session: it holds an advisory lock while the host lives, renews its lease by the database's
//! time, and hears what other hosts announce. A kill frees the lock, a pause does not.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_postgres::Client;

use super::super::error::{Error, Result};
use super::super::presence::Presence;
use super::failure;
use super::link::Link;
use crate::clock::{Clock, Moment};

pub(super) struct Attendance {
    link: Arc<Link>,
    presence: Arc<Presence>,
    /// Who it is, for people.
    name: String,
    /// What the advisory lock is on.
    session: i64,
    ended: Arc<Notify>,
}

const RENEW: &str = "INSERT INTO nodes (id, session, name, started_at, lease_until) \
    SELECT $1, $2, $3, now_ms, now_ms + $4 FROM (SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)) \
    AS clock (now_ms) ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until \
    RETURNING lease_until - $4, (SELECT count(*) FROM nodes WHERE id <> $1 AND lease_until > \
    CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT))";
const LEAVE: &str = "DELETE FROM nodes WHERE id = $1";
/// Hosts that were not seen for a day.
const FORGET: &str = "DELETE FROM nodes WHERE lease_until < $1 - CAST(86400000 AS BIGINT)";
const RECONNECT_AFTER: Duration = Duration::from_millis(200);

impl Attendance {
    pub(super) fn new(link: Arc<Link>, presence: Arc<Presence>, name: String, ended: Arc<Notify>) -> Attendance {
        let session = i64::from_ne_bytes(uuid::Uuid::new_v4().as_u64_pair().0.to_ne_bytes());
        Attendance { link, presence, name, session, ended }
    }

    /// Attends until it is ended. `begun` is told how the first renewal went; nothing was left behind where it failed.
    pub(super) fn run(self, begun: impl FnOnce(Result<()>)) {
        let runtime = match self.link.runtime() {
            Ok(runtime) => runtime,
            Err(error) => return begun(Err(error)),
        };
        runtime.block_on(async {
            let first = self.attend().await;
            let mut client = match first {
                Ok(client) => {
                    begun(Ok(()));
                    Some(client)
                }
                Err(error) => return begun(Err(error)),
            };
            loop {
                let pause = if client.is_some() { self.pause() } else { RECONNECT_AFTER };
                tokio::select! {
                    () = self.ended.notified() => break,
                    () = tokio::time::sleep(pause) => {}
                }
                let outcome = match &client {
                    Some(client) => self.renew(client).await,
                    None => self.attend().await.map(|made| client = Some(made)),
                };
                if let Err(error) = outcome {
                    client = None;
                    self.link.lost(&error);
                }
            }
            if let Some(client) = client
                && let Err(error) = client.execute(LEAVE, &[&self.presence.id()]).await
            {
                tracing::debug!(%error, "this host is missed only when its lease is over");
            }
        });
    }

    async fn attend(&self) -> Result<Client> {
        let presence = Arc::clone(&self.presence);
        let client = self.link.connect(move || presence.hear()).await?;
        // A lease that a crash of the server forgets is renewed: its commits need not wait for the disk.
        let setup = "SET synchronous_commit = off; LISTEN tidegate";
        client.batch_execute(setup).await.map_err(|error| self.told(setup, &error))?;
        self.renew(&client).await?;
        Ok(client)
    }

    async fn renew(&self, client: &Client) -> Result<()> {
        let sent_at = Moment::now(&Clock::System);
        let before_ms = Clock::System.now_ms();
        let renewed = tokio::time::timeout(self.pause() * 4, async {
            // Held by this session until it ends; still held by an earlier one that the server has not missed yet.
            let lock = "SELECT pg_try_advisory_lock($1) WHERE NOT EXISTS (SELECT 1 FROM pg_locks \
                        WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted)";
            client.query(lock, &[&self.session]).await?;
            client.query_one(RENEW, &[&self.presence.id(), &self.session, &self.name, &self.presence.lease_ms()]).await
        });
        let Ok(row) = renewed.await else {
            return Err(failure::unreachable(self.link.name(), "it does not answer"));
        };
        let row = row.map_err(|error| self.told("RENEW", &error))?;
        let number = |column: usize| {
            row.try_get::<_, i64>(column).map_err(|error| Error::mistake(format!("a lease cannot be read: {error}")))
        };
        let (now_ms, others) = (number(0)?, number(1)?);
        // Half of the way there and back is the best guess of when the database looked at its clock.
        let ahead_ms = before_ms + sent_at.elapsed_ms() / 2 - now_ms;
        self.presence.renew(sent_at, u32::try_from(others + 1).unwrap_or(1), ahead_ms);
        if now_ms % 60_000 < self.presence.lease_ms() {
            client.execute(FORGET, &[&now_ms]).await.map_err(|error| self.told(FORGET, &error))?;
        }
        Ok(())
    }

    // Three may fail before the lease is over.
    fn pause(&self) -> Duration {
        Duration::from_millis(self.presence.lease_ms().unsigned_abs() / 4)
    }

    fn told(&self, statement: &str, error: &tokio_postgres::Error) -> Error {
        failure::told(self.link.name(), statement, error)
    }
}
