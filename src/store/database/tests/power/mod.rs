//! The machine's power goes away: of what was written since the last sync of its file, any part may be missing. Every
//! commit that was acknowledged must be in the file all the same, wherever in the recorded sequence the cut is.

mod recorder;

use std::collections::BTreeMap;
use std::path::Path;

use self::recorder::Event;
use super::super::{Options, Synchronous, open};
use super::{ONE, host, insert};
use crate::store::database::params;

const COMMITS: usize = 60;

/// What a cut leaves of the writes that no sync had confirmed.
#[derive(Clone, Copy, Debug)]
enum Left {
    Nothing,
    Everything,
    /// Each write or not, and of some only the first half, as this seed says.
    Some(u64),
}

/// A file as it is, and as the disk has it.
#[derive(Clone, Default)]
struct Disk {
    confirmed: Vec<u8>,
    pending: Vec<Event>,
}

#[test]
fn what_was_acknowledged_survives_every_power_cut() {
    let lost = lost(Synchronous::Full);
    assert!(lost.is_empty(), "{} cuts lost commits, the first: {:?}", lost.len(), lost.first());
}

#[test]
fn without_full_syncs_the_same_cuts_do_lose_commits() {
    assert!(!lost(Synchronous::Normal).is_empty(), "the test would not notice a commit that is not synced");
}

// The cuts after which something that was acknowledged is missing, in words.
fn lost(synchronous: Synchronous) -> Vec<String> {
    let _alone = ALONE.lock();
    let events = record(synchronous);
    let acknowledged = events.iter().filter(|event| matches!(event, Event::Acknowledged)).count();
    assert_eq!(acknowledged, COMMITS);
    let mut lost = Vec::new();
    let first = events.iter().position(|event| matches!(event, Event::Acknowledged)).unwrap();
    for cut in first..=events.len() {
        for left in [Left::Nothing, Left::Everything, Left::Some(cut as u64), Left::Some(cut as u64 + 1_000_003)] {
            let promised = events[..cut].iter().filter(|event| matches!(event, Event::Acknowledged)).count();
            if let Err(what) = holds(&files(&events[..cut], left), promised) {
                lost.push(format!("cut {cut}, {left:?} left of what was not synced: {what}"));
            }
        }
    }
    lost
}

// There is one recorder.
static ALONE: parking_lot::Mutex<()> = parking_lot::Mutex::new(());

// Commits one after another, some large enough to make the write-ahead log start over now and then.
fn record(synchronous: Synchronous) -> Vec<Event> {
    let folder = tempfile::tempdir().unwrap();
    recorder::begin(folder.path());
    let path = folder.path().join("tidegate.db");
    let store = open(&path, &Options { synchronous, ..host(&ONE) }).unwrap();
    for number in 0..COMMITS {
        store
            .transaction_blocking(move |sql| {
                insert(sql, &format!("note {number}"))?;
                if number % 20 == 19 {
                    let large = "x".repeat(60_000);
                    sql.execute(
                        "UPDATE notes SET body = $1 WHERE id = $2",
                        params![&large, &format!("note {number}")],
                    )?;
                }
                Ok(())
            })
            .unwrap();
        recorder::acknowledged();
    }
    let events = recorder::end();
    store.close_blocking().unwrap();
    events
}

fn files(events: &[Event], left: Left) -> BTreeMap<String, Vec<u8>> {
    let mut disks: BTreeMap<String, Disk> = BTreeMap::new();
    for event in events {
        match event {
            Event::Write { file, .. } | Event::Truncate { file, .. } => {
                disks.entry(file.clone()).or_default().pending.push(event.clone());
            }
            Event::Sync { file } => {
                let disk = disks.entry(file.clone()).or_default();
                for event in std::mem::take(&mut disk.pending) {
                    apply(&mut disk.confirmed, &event, false);
                }
            }
            Event::Acknowledged => {}
        }
    }
    let survives = |at: usize, left: Left| match left {
        Left::Nothing => (false, false),
        Left::Everything => (true, false),
        Left::Some(seed) => {
            let mixed = (seed ^ (at as u64 + 1)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            (!mixed.is_multiple_of(3), mixed % 3 == 1)
        }
    };
    disks
        .into_iter()
        .map(|(name, mut disk)| {
            for (at, event) in disk.pending.iter().enumerate() {
                let (is_there, is_torn) = survives(at, left);
                if is_there {
                    apply(&mut disk.confirmed, event, is_torn);
                }
            }
            (name, disk.confirmed)
        })
        .collect()
}

fn apply(content: &mut Vec<u8>, event: &Event, is_torn: bool) {
    match event {
        Event::Write { offset, bytes, .. } => {
            let bytes = if is_torn { &bytes[..bytes.len() / 2] } else { bytes };
            if content.len() < offset + bytes.len() {
                content.resize(offset + bytes.len(), 0);
            }
            content[*offset..offset + bytes.len()].copy_from_slice(bytes);
        }
        Event::Truncate { size, .. } => content.resize(*size, 0),
        Event::Sync { .. } | Event::Acknowledged => {}
    }
}

// The files as the next start finds them: sound, and with every commit that was promised.
fn holds(files: &BTreeMap<String, Vec<u8>>, promised: usize) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files.iter().filter(|(name, _)| !name.ends_with("-shm")) {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    let count = count(&folder.path().join("tidegate.db")).map_err(|error| error.to_string())?;
    match count >= promised {
        true => Ok(()),
        false => Err(format!("{count} of {promised} commits are there")),
    }
}

fn count(path: &Path) -> rusqlite::Result<usize> {
    let connection = rusqlite::Connection::open(path)?;
    let sound: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    assert_eq!(sound, "ok");
    let count: i64 = connection.query_row("SELECT count(*) FROM notes", [], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(0))
}
