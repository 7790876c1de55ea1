//! What the servers received: a count per operation, and a receipt per write. The truth that tests compare a
//! host's own books with. In memory, and on request in a file that is synced in groups by a thread.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::exchange::Service;

/// One write (POST or DELETE) that was received.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Receipt {
    /// Counts up from 1 over all services.
    pub number: u64,
    pub service: Service,
    pub operation: &'static str,
    /// What was written: a tweet's text, `to`, a space and the body of an SMS, a JSON body.
    pub fingerprint: String,
    /// UTC epoch ms.
    pub at_ms: i64,
    /// The id that it was given; `None` when the write was refused, so nothing was done.
    pub id: Option<String>,
    /// The status that was answered, or would have been had the connection not been torn.
    pub status: u16,
    /// `Idempotency-Key` or `I-Twilio-Idempotency-Token` of the request.
    pub idempotency_key: Option<String>,
    /// The work was done but the caller was not told.
    pub torn: bool,
}

/// How often an operation was called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Requests, whatever became of them.
    pub requests: u64,
    /// Writes that were done.
    pub done: u64,
    /// Writes that were done with a fingerprint that had been done before.
    pub repeated: u64,
}

/// Which receipts are wanted. Empty members match everything.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReceiptFilter {
    pub service: Option<Service>,
    pub operation: Option<String>,
    /// Only receipts with a greater number.
    pub after: u64,
    /// At most so many; all when absent.
    pub limit: Option<usize>,
}

pub(super) struct Ledger {
    books: Mutex<Books>,
    file: Mutex<Option<Writer>>,
    has_file: bool,
}

#[derive(Default)]
struct Books {
    last_number: u64,
    receipts: Vec<Receipt>,
    counts: BTreeMap<(Service, &'static str), Count>,
    /// How often each fingerprint was done, by its hash.
    done: HashMap<u64, u32>,
}

struct Writer {
    lines: Sender<Vec<u8>>,
    thread: JoinHandle<()>,
}

impl Ledger {
    /// Opens the file for appending, when one is wanted.
    pub fn open(path: Option<&Path>) -> io::Result<Ledger> {
        let writer = path.map(Writer::open).transpose()?;
        Ok(Ledger { books: Mutex::default(), has_file: writer.is_some(), file: Mutex::new(writer) })
    }

    pub fn count_request(&self, service: Service, operation: &'static str) {
        self.books.lock().counts.entry((service, operation)).or_default().requests += 1;
    }

    /// Numbers and keeps a receipt.
    pub fn record(&self, mut receipt: Receipt) {
        let mut books = self.books.lock();
        books.last_number += 1;
        receipt.number = books.last_number;
        if receipt.id.is_some() {
            let times = books.done.entry(fingerprint_hash(&receipt)).or_default();
            *times += 1;
            let repeated = *times > 1;
            let count = books.counts.entry((receipt.service, receipt.operation)).or_default();
            count.done += 1;
            count.repeated += u64::from(repeated);
        }
        if self.has_file {
            // Under the same lock, so that the file keeps the order of the numbers.
            self.write(&receipt);
        }
        books.receipts.push(receipt);
    }

    pub fn receipts(&self, filter: &ReceiptFilter) -> Vec<Receipt> {
        let books = self.books.lock();
        let first = books.receipts.partition_point(|receipt| receipt.number <= filter.after);
        let wanted = books.receipts.iter().skip(first).filter(|receipt| {
            filter.service.is_none_or(|service| service == receipt.service)
                && filter.operation.as_deref().is_none_or(|operation| operation == receipt.operation)
        });
        wanted.take(filter.limit.unwrap_or(usize::MAX)).cloned().collect()
    }

    pub fn counts(&self) -> BTreeMap<(Service, &'static str), Count> {
        self.books.lock().counts.clone()
    }

    /// Forgets what is in memory; numbers go on, the file stays.
    pub fn clear(&self) {
        let mut books = self.books.lock();
        *books = Books { last_number: books.last_number, ..Books::default() };
    }

    /// Writes out and syncs what is left, and closes the file.
    pub fn close(&self) {
        if let Some(Writer { lines, thread }) = self.file.lock().take() {
            drop(lines);
            if thread.join().is_err() {
                tracing::error!("the sandbox's ledger writer broke");
            }
        }
    }

    fn write(&self, receipt: &Receipt) {
        let mut line = super::exchange::to_json(receipt);
        line.push(b'\n');
        if let Some(writer) = self.file.lock().as_ref()
            && writer.lines.send(line).is_err()
        {
            tracing::error!("the sandbox's ledger file is no longer written");
        }
    }
}

impl Writer {
    fn open(path: &Path) -> io::Result<Writer> {
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(|error| {
            io::Error::new(error.kind(), format!("the sandbox cannot open its ledger file {}: {error}", path.display()))
        })?;
        let (lines, received) = mpsc::channel();
        let thread = std::thread::Builder::new().name("sandbox-ledger".into()).spawn(move || {
            if let Err(error) = write_groups(file, &received) {
                tracing::error!(%error, "the sandbox cannot write its ledger file");
            }
        })?;
        Ok(Writer { lines, thread })
    }
}

/// Writes what has gathered, syncs once, and waits for more.
fn write_groups(mut file: File, lines: &Receiver<Vec<u8>>) -> io::Result<()> {
    while let Ok(mut group) = lines.recv() {
        for line in lines.try_iter() {
            group.extend_from_slice(&line);
        }
        file.write_all(&group)?;
        file.sync_data()?;
    }
    Ok(())
}

fn fingerprint_hash(receipt: &Receipt) -> u64 {
    let mut hasher = DefaultHasher::new();
    (receipt.service, receipt.operation, &receipt.fingerprint).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(fingerprint: &str, id: Option<&str>) -> Receipt {
        Receipt {
            number: 0,
            service: Service::X,
            operation: "post_tweet",
            fingerprint: fingerprint.into(),
            at_ms: 5,
            id: id.map(Into::into),
            status: 201,
            idempotency_key: None,
            torn: false,
        }
    }

    #[test]
    fn repeats_are_counted_among_what_was_done_only() {
        let ledger = Ledger::open(None).unwrap();
        ledger.record(receipt("a", Some("1")));
        ledger.record(receipt("a", None));
        ledger.record(receipt("b", Some("2")));
        assert_eq!(ledger.counts()[&(Service::X, "post_tweet")], Count { requests: 0, done: 2, repeated: 0 });
        ledger.record(receipt("a", Some("3")));
        assert_eq!(ledger.counts()[&(Service::X, "post_tweet")], Count { requests: 0, done: 3, repeated: 1 });
        let later = ledger.receipts(&ReceiptFilter { after: 2, limit: Some(1), ..ReceiptFilter::default() });
        assert_eq!(later.iter().map(|receipt| receipt.number).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn the_file_has_one_line_per_receipt_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.jsonl");
        let ledger = Ledger::open(Some(&path)).unwrap();
        for index in 0..100 {
            ledger.record(receipt(&format!("text {index}"), Some("1")));
        }
        ledger.close();
        let lines = std::fs::read_to_string(&path).unwrap();
        let numbers: Vec<u64> = lines
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["number"].as_u64().unwrap())
            .collect();
        assert_eq!(numbers, (1..=100).collect::<Vec<_>>());
    }
}
