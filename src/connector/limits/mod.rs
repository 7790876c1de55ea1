//! How often services are asked. In memory: the store keeps only what `blocked` tells, and gives it back with
//! `restore`. Nothing here waits: `acquire` gives a permit or says until when there is none.

pub mod bucket;
pub mod log;
pub mod rate;
pub mod reset;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::futures::OwnedNotified;

use self::bucket::{Bucket, Shape, Wait};
use super::message::HttpResponse;
use crate::manifest::connector::errors::{Burst, Limit, LimitHeaders, Scope};

/// Who waits for a place among those under way looks again after this at the latest.
const BUSY_MS: i64 = 1_000;

/// Every limit of the process. Cheap to clone.
#[derive(Clone, Default)]
pub struct Limits {
    gate: Arc<Mutex<Gate>>,
}

#[derive(Default)]
struct Gate {
    buckets: Vec<Bucket>,
    shares: u32,
    by_name: HashMap<String, usize>,
    /// What was blocked before a restart, for buckets that are not made yet.
    restored: HashMap<String, i64>,
}

/// The limits of one action on one connection, found once when flows are deployed. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Keys {
    all: Arc<[usize]>,
    /// What a 429 blocks.
    blocked_by_service: Arc<[usize]>,
    /// What has to be given back.
    concurrent: Arc<[usize]>,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// The connector's name.
    pub connector: &'a str,
    /// The connection's name.
    pub connection: &'a str,
    /// What the connections of one app have in common; none where all of the connector count as one.
    pub app: Option<&'a str>,
    /// The action's name.
    pub action: &'a str,
}

/// The right to send one request. Dropped when the request has ended.
#[must_use = "a permit that is dropped at once counts nothing as under way"]
pub struct Permit {
    held: Option<Held>,
}

/// Places among those under way.
struct Held {
    gate: Arc<Mutex<Gate>>,
    concurrent: Arc<[usize]>,
}

/// There is no permit now.
pub struct Blocked {
    /// When to ask again, in UTC epoch milliseconds; sooner when `freed` is done first.
    pub until_ms: i64,
    freed: Option<OwnedNotified>,
}

/// A limit that lets nothing through for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The limit's name, the same after a restart.
    pub name: String,
    /// The connector.
    pub connector: String,
    /// None where the connections of one app share the limit.
    pub connection: Option<String>,
    /// UTC epoch milliseconds.
    pub until_ms: i64,
}

impl Limits {
    /// None yet.
    pub fn new() -> Self {
        Limits::default()
    }

    /// Finds or makes the buckets of an action. Fails on a rate that can not be read or lets nothing through.
    pub fn keys(&self, asker: Asker<'_>, limits: &[Limit]) -> Result<Keys, String> {
        let mut gate = self.gate.lock();
        let mut found: Vec<(usize, Scope, bool, bool)> = Vec::with_capacity(limits.len() + 1);
        for limit in limits {
            let actions = limit.actions.as_slice();
            let names = |actions: &[String]| actions.iter().any(|action| action == asker.action);
            if !actions.is_empty() && !names(actions) || names(limit.except.as_slice()) {
                continue;
            }
            let shape = shape(limit)?;
            let told = shape.rate.is_some() || shape.headers.is_some();
            let index = gate.bucket(asker, limit.scope, &name(asker, limit), shape);
            if !found.iter().any(|(known, ..)| *known == index) {
                found.push((index, limit.scope, told, limit.concurrent.is_some()));
            }
        }
        let told_by = |scope: Scope| -> Vec<usize> {
            let fits = found.iter().filter(|(_, of, told, _)| *told && *of == scope);
            fits.map(|(index, ..)| *index).collect()
        };
        // The narrowest that fits: one connection's 429 says nothing about another's.
        let mut blocked_by_service = told_by(Scope::Connection);
        if blocked_by_service.is_empty() {
            blocked_by_service = told_by(Scope::App);
        }
        if blocked_by_service.is_empty() {
            let name = format!("{} {}", asker.connection, asker.action);
            let index = gate.bucket(asker, Scope::Connection, &name, Shape::default());
            blocked_by_service.push(index);
            found.push((index, Scope::Connection, true, false));
        }
        let concurrent = found.iter().filter(|(.., concurrent)| *concurrent);
        Ok(Keys {
            concurrent: concurrent.map(|(index, ..)| *index).collect(),
            all: found.iter().map(|(index, ..)| *index).collect(),
            blocked_by_service: blocked_by_service.into(),
        })
    }

    /// A permit of all the limits at once, or until when there is none; then nothing was counted.
    pub fn acquire(&self, keys: &Keys, now_ms: i64) -> Result<Permit, Blocked> {
        let mut gate = self.gate.lock();
        let mut until_ms = None;
        let mut freed = None;
        for bucket in gate.of(&keys.all) {
            match bucket.wait(gate.shares, now_ms) {
                None => {}
                Some(Wait::Until(moment_ms)) => until_ms = until_ms.max(Some(moment_ms)),
                // Made under the lock, so that no place freed from here on goes unnoticed.
                Some(Wait::Freed) => freed = Some(bucket.freed.clone().notified_owned()),
            }
        }
        match (until_ms, freed) {
            (None, None) => {
                let shares = gate.shares;
                gate.each(&keys.all, |bucket| bucket.take(shares, now_ms));
                let held = (!keys.concurrent.is_empty())
                    .then(|| Held { gate: self.gate.clone(), concurrent: keys.concurrent.clone() });
                Ok(Permit { held })
            }
            (Some(until_ms), _) => Err(Blocked { until_ms, freed: None }),
            (None, freed) => Err(Blocked { until_ms: now_ms.saturating_add(BUSY_MS), freed }),
        }
    }

    /// How many hosts ask the same services: each has an equal share of every limit.
    pub fn share_among(&self, hosts: u32) {
        self.gate.lock().shares = hosts.max(1);
    }

    /// Reads what an answer, good or bad, says is left.
    pub fn learn(&self, keys: &Keys, response: &HttpResponse, now_ms: i64) {
        let mut gate = self.gate.lock();
        let shares = gate.shares;
        gate.each(&keys.all, |bucket| bucket.learn(response, shares, now_ms));
    }

    /// The service said (429, `Retry-After`) that it will not be asked before then, in UTC epoch milliseconds.
    pub fn block(&self, keys: &Keys, until_ms: i64) {
        self.gate.lock().each(&keys.blocked_by_service, |bucket| {
            bucket.blocked_until_ms = bucket.blocked_until_ms.max(until_ms);
        });
    }

    /// What lets nothing through now, to be shown and stored. Limits that merely space requests out are not told.
    pub fn blocked(&self, now_ms: i64) -> Vec<Block> {
        let gate = self.gate.lock();
        let blocked = gate.buckets.iter().filter_map(|bucket| {
            Some(Block {
                until_ms: bucket.blocked(now_ms)?,
                name: bucket.name.clone(),
                connector: bucket.connector.clone(),
                connection: bucket.connection.clone(),
            })
        });
        blocked.collect()
    }

    /// Until when a connection has a blocked limit of its own or of its connector, in UTC epoch milliseconds.
    pub fn blocked_until_ms(&self, connector: &str, connection: &str, now_ms: i64) -> Option<i64> {
        let gate = self.gate.lock();
        let its = gate.buckets.iter().filter(|bucket| match &bucket.connection {
            Some(name) => name == connection,
            None => bucket.connector == connector,
        });
        its.filter_map(|bucket| bucket.blocked(now_ms)).max()
    }

    /// Gives back what `blocked` told before a restart, by the limits' names.
    pub fn restore(&self, blocks: impl IntoIterator<Item = (String, i64)>) {
        let mut gate = self.gate.lock();
        for (name, until_ms) in blocks {
            let index = gate.by_name.get(&name).copied();
            match index.and_then(|index| gate.buckets.get_mut(index)) {
                Some(bucket) => bucket.blocked_until_ms = bucket.blocked_until_ms.max(until_ms),
                None => {
                    gate.restored.insert(name, until_ms);
                }
            }
        }
    }
}

impl Gate {
    fn bucket(&mut self, asker: Asker<'_>, scope: Scope, name: &str, shape: Shape) -> usize {
        if let Some(index) = self.by_name.get(name) {
            if let Some(bucket) = self.buckets.get_mut(*index) {
                // The headers' names may have changed with the manifest; what is counted has not.
                bucket.shape = shape;
            }
            return *index;
        }
        let connection = match scope {
            Scope::Connection => Some(asker.connection.to_owned()),
            Scope::App => None,
        };
        let mut bucket = Bucket::new(name.to_owned(), asker.connector.to_owned(), connection, shape);
        bucket.blocked_until_ms = self.restored.remove(name).unwrap_or_default();
        let index = self.buckets.len();
        self.buckets.push(bucket);
        self.by_name.insert(name.to_owned(), index);
        index
    }

    fn of<'a>(&'a self, indexes: &'a [usize]) -> impl Iterator<Item = &'a Bucket> {
        indexes.iter().filter_map(|index| self.buckets.get(*index))
    }

    fn each(&mut self, indexes: &[usize], mut change: impl FnMut(&mut Bucket)) {
        for index in indexes {
            if let Some(bucket) = self.buckets.get_mut(*index) {
                change(bucket);
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(Held { gate, concurrent }) = self.held.take() {
            gate.lock().each(&concurrent, Bucket::give_back);
        }
    }
}

impl Blocked {
    /// Whether only the requests under way stand in the way.
    pub fn is_busy(&self) -> bool {
        self.freed.is_some()
    }

    /// Done when a place may have become free: ask again then. Never done where only time helps.
    pub async fn freed(self) {
        match self.freed {
            Some(freed) => freed.await,
            None => std::future::pending().await,
        }
    }
}

impl fmt::Debug for Blocked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Blocked").field("until_ms", &self.until_ms).field("is_busy", &self.is_busy()).finish()
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Permit")
    }
}

fn shape(limit: &Limit) -> Result<Shape, String> {
    if limit.concurrent == Some(0) {
        return Err("`concurrent: 0` would never let a request through".to_owned());
    }
    Ok(Shape {
        rate: limit.rate.as_deref().map(str::parse).transpose()?,
        at_once: limit.burst == Some(Burst::All),
        concurrent: limit.concurrent,
        headers: limit.headers.as_ref().map(|headers| LimitHeaders {
            remaining: headers.remaining.to_ascii_lowercase(),
            reset: headers.reset.to_ascii_lowercase(),
        }),
    })
}

/// Stable over restarts: who shares it, which actions, what it counts.
fn name(asker: Asker<'_>, limit: &Limit) -> String {
    let owner = match limit.scope {
        Scope::Connection => asker.connection.to_owned(),
        Scope::App => match asker.app {
            Some(app) => format!("all {} of {app}", asker.connector),
            None => format!("all {}", asker.connector),
        },
    };
    let actions = match (limit.actions.as_slice(), limit.except.as_slice()) {
        ([], []) => asker.action.to_owned(),
        ([], except) => format!("all but {}", except.join("+")),
        (shared, _) => shared.join("+"),
    };
    let rate = limit.rate.as_deref().unwrap_or("any rate");
    match limit.concurrent {
        Some(concurrent) => format!("{owner} {actions} {rate} {concurrent} at once"),
        None => format!("{owner} {actions} {rate}"),
    }
}

#[cfg(test)]
mod tests;
