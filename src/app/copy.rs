//! `tidegate store copy`: everything that a store remembers, moved to another database, verified. Hosts are kept
//! from both ends meanwhile; the target is whole when it is done, and until then as it was.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use serde::Serialize;
use tokio::sync::mpsc::UnboundedSender;

use super::open::Location;
use super::{Error, Place, Result, open};
use crate::clock::Clock;
use crate::store;
use crate::store::copy::{self, Copied, Progress};
use crate::store::database::{self, Handle, Options, Side};
use crate::store::schema::MIGRATIONS;

// Where PostgreSQL listens unless an address says otherwise.
const POSTGRES: u16 = 5432;

/// What was copied from where to where.
#[derive(Clone, Debug, Serialize)]
pub struct Copy {
    /// As it is shown: never with a user or a password.
    pub from: String,
    /// As it is shown.
    pub to: String,
    /// What was copied, and what was not.
    #[serde(flatten)]
    pub copied: Copied,
    /// Where a host on the target looks for the sealing key, unless it is told.
    pub key_file: PathBuf,
}

/// Copies the store `from` to `to`: files, or addresses of PostgreSQL databases. `told` hears how far it has come.
///
/// # Errors
/// `copy_same`, `store_unsupported`; the store's: `store_locked` and `store_in_use` name hosts at work,
/// `store_missing`, `store_not_empty`, `store_newer`, `store_text`, `store_differs`, `store_interrupted`.
pub async fn copy(place: &Place, from: &str, to: &str, told: UnboundedSender<Progress>) -> Result<Copy> {
    let (source, target) = (open::located(from)?, open::located(to)?);
    if is_same(&source, &target) {
        let message = "both ends are the same store".to_owned();
        return Err(Error::usage("copy_same", message).with_help("name another file or database as the second"));
    }
    let is_among_hosts = matches!((&source, &target), (Location::Server(_), Location::Server(_)));
    let clock = place.clock.clone();
    let from = opened(&source, Side::From, &clock)?;
    let mut name = String::new();
    let target = || {
        let handle = opened(&target, Side::To, &clock)?;
        handle.name().clone_into(&mut name);
        Ok(handle)
    };
    let copied = copy::copy(&from, target, is_among_hosts, told).await;
    let source = from.name().to_owned();
    let closed = from.close().await;
    let copied = copied?;
    closed?;
    let there = Place { store: Some(to.to_owned()), ..place.clone() };
    let key_file = there.key_beside(&crate::settings::Settings::default());
    Ok(Copy { from: source, to: name, copied, key_file })
}

fn opened(location: &Location, side: Side, clock: &Clock) -> store::Result<Handle> {
    let options = Options { copy: Some(side), readers: 1, ..Options::new(MIGRATIONS, clock.now_ms()) };
    match location {
        Location::File(path) => database::open(path, &options),
        Location::Server(address) => database::open_postgres(address, &options),
    }
}

fn is_same(one: &Location, other: &Location) -> bool {
    match (one, other) {
        (Location::Server(one), Location::Server(other)) => is_same_database(one, other),
        (Location::File(one), Location::File(other)) => match (one.canonicalize(), other.canonicalize()) {
            (Ok(one), Ok(other)) => one == other,
            _ => one == other,
        },
        _ => false,
    }
}

// Two addresses can name one database: by a name of its host or by its number, as one user or as another.
fn is_same_database(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    match (named(one), named(other)) {
        (Some((hosts, database)), Some((others, its))) => {
            database == its && hosts.iter().any(|host| others.contains(host))
        }
        _ => false,
    }
}

// Where the servers of an address are, and the database there; none where it says neither in the usual way: then the
// databases themselves tell it, only later.
fn named(address: &str) -> Option<(Vec<SocketAddr>, String)> {
    let url = url::Url::parse(address).ok()?;
    let (host, port) = (url.host_str()?, url.port().unwrap_or(POSTGRES));
    let path = url.path().trim_start_matches('/');
    let database = if path.is_empty() { url.username() } else { path };
    // A name that is not known names no server.
    let hosts = (host.trim_matches(['[', ']']), port).to_socket_addrs().ok()?;
    Some((hosts.collect(), database.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_database_is_known_however_it_is_spelled() {
        let is_same =
            |one: &str, other: &str| super::is_same(&Location::Server(one.into()), &Location::Server(other.into()));
        for (one, other) in [
            ("postgres://a:b@localhost/gate", "postgresql://c@127.0.0.1:5432/gate?sslmode=disable"),
            ("postgres://gate@127.0.0.1", "postgres://127.0.0.1/gate"),
        ] {
            assert!(is_same(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("postgres://127.0.0.1/gate", "postgres://127.0.0.1/other"),
            ("postgres://127.0.0.1/gate", "postgres://127.0.0.1:5433/gate"),
            ("postgres://127.0.0.1/gate", "postgres://127.0.0.2/gate"),
            ("postgres:///gate?host=/run/a", "postgres:///gate?host=/run/b"),
        ] {
            assert!(!is_same(one, other), "{one} {other}");
        }
    }
}
