//! Between the engine's entries and the store's rows: what is written with the next settlement, and what a
//! resumed run reads back.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use crate::engine::{Entry, EntryState, Failure, Outcome, Run, Settlement};
use crate::store::approvals::Changes;
use crate::store::matches::Match;
use crate::store::steps::StepRow;

/// The state of a row in which a person says what became of a step.
pub const SETTLED: &str = "settled";

/// What a built-in action noted before it began, by the step's key: a repeat has to know it. It stands in
/// the exchange of the mark.
#[derive(Default)]
pub struct Notes {
    by_key: HashMap<String, Value>,
}

impl Notes {
    /// From a journal.
    pub fn of(rows: &[StepRow]) -> Self {
        let noted = rows.iter().filter_map(|row| {
            let exchange: Value = serde_json::from_str(row.exchange.as_deref()?).ok()?;
            Some((row.key.clone(), exchange.get("noted")?.clone()))
        });
        Notes { by_key: noted.collect() }
    }

    /// What an earlier attempt of a step noted.
    pub fn of_key(&self, key: &str) -> Option<Value> {
        self.by_key.get(key).cloned()
    }

    /// Keeps a note, and gives the text for the journal.
    pub fn keep(&mut self, key: &str, note: Value) -> String {
        let text = serde_json::json!({ "noted": note }).to_string();
        self.by_key.insert(key.to_owned(), note);
        text
    }
}

/// Entries that the next settlement writes.
#[derive(Default)]
pub struct Pending {
    entries: Vec<Entry>,
    exchange: Option<(String, String)>,
    told: usize,
    /// What changes about what people are asked.
    pub approvals: Changes,
    /// Records that the entries' steps made.
    pub made: Vec<Match>,
}

impl Pending {
    /// More of them.
    pub fn add(&mut self, entries: impl IntoIterator<Item = Entry>) {
        self.entries.extend(entries);
    }

    /// The request and response behind the next entry with this key.
    pub fn exchange(&mut self, key: &str, exchange: Option<String>) {
        self.exchange = exchange.map(|exchange| (key.to_owned(), exchange));
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.approvals.asks.is_empty() && self.approvals.asked.is_empty()
    }

    /// Those that nobody was told of yet.
    pub fn untold(&mut self) -> Vec<Entry> {
        let untold = self.entries.get(self.told..).unwrap_or_default().to_vec();
        self.told = self.entries.len();
        untold
    }

    /// Nobody listens: those so far count as told.
    pub fn hear_nothing(&mut self) {
        self.told = self.entries.len();
    }

    /// The rows to write, and none are left.
    pub fn take(&mut self) -> Vec<StepRow> {
        self.told = 0;
        let mut exchange = self.exchange.take();
        let mut rows: Vec<StepRow> = std::mem::take(&mut self.entries).into_iter().map(row).collect();
        if let Some((key, text)) = exchange.take() {
            match rows.iter_mut().rfind(|row| row.key == key) {
                Some(row) => row.exchange = Some(text),
                // What it belongs to comes with a later settlement.
                None => self.exchange = Some((key, text)),
            }
        }
        rows
    }
}

fn row(entry: Entry) -> StepRow {
    StepRow {
        key: entry.key,
        attempt: entry.attempt,
        scope: entry.scope,
        step: entry.id,
        form: entry.form.into_owned(),
        state: entry.state.as_str().to_owned(),
        input: entry.input.map(|input| input.to_string()),
        output: entry.output.map(|output| output.to_string()),
        error: entry.error.and_then(|failure| serde_json::to_string(&failure).ok()),
        exchange: None,
        started_at: entry.started_ms,
        ended_at: entry.ended_ms,
    }
}

/// The engine's entries from a journal.
///
/// # Errors
/// `journal_unreadable`: a row holds what this program cannot read.
pub fn entries(rows: Vec<StepRow>) -> Result<Vec<Entry>, Failure> {
    rows.into_iter().filter(|row| row.state != SETTLED).map(entry).collect()
}

fn entry(row: StepRow) -> Result<Entry, Failure> {
    let unreadable = |what: &str| {
        Failure::not_sent("journal_unreadable", format!("the journal of step {} cannot be read: its {what}", row.key))
    };
    let json = |text: Option<&String>, what: &str| -> Result<Option<Value>, Failure> {
        text.map(|text| serde_json::from_str(text)).transpose().map_err(|_| unreadable(what))
    };
    let state: EntryState = serde_json::from_value(Value::from(row.state.as_str())).map_err(|_| unreadable("state"))?;
    let error = row.error.as_deref().map(serde_json::from_str).transpose().map_err(|_| unreadable("error"))?;
    Ok(Entry {
        scope: row.scope.clone(),
        id: row.step.clone(),
        attempt: row.attempt,
        form: row.form.clone().into(),
        state,
        input: json(row.input.as_ref(), "input")?.map(Arc::new),
        output: json(row.output.as_ref(), "output")?,
        error,
        started_ms: row.started_at,
        ended_ms: row.ended_at,
        key: row.key,
    })
}

/// Makes `run` go on where the run of this journal stopped. Attempts of which a person said what became of them
/// are what the person says, also where the run was ended before it heeded that.
///
/// # Errors
/// As [`entries`].
pub fn go_on(run: &mut Run, rows: Vec<StepRow>) -> Result<(), Failure> {
    let words = words(&rows);
    let mut entries = entries(rows)?;
    for word in words.said {
        run.is_told(&word.key);
        for entry in entries.iter_mut().filter(|entry| entry.key == word.key && entry.attempt <= word.attempt) {
            match &word.what {
                Settlement::Done(output) if entry.state == EntryState::Unknown && entry.attempt == word.attempt => {
                    entry.state = EntryState::Succeeded;
                    entry.output = Some(output.clone());
                }
                _ => {
                    if let Some(failure) = &mut entry.error {
                        failure.outcome = Outcome::NotDone;
                    }
                }
            }
        }
    }
    run.reuse(entries);
    Ok(())
}

/// What people said of attempts that nobody knew about.
pub struct Words {
    said: Vec<Word>,
}

struct Word {
    key: String,
    attempt: u32,
    what: Settlement,
}

impl Words {
    /// What was said of this attempt. The words of other steps are not for it, whenever they were said: clocks may
    /// stand apart.
    pub fn of(&self, key: &str, attempt: u32) -> Option<Settlement> {
        let word = self.said.iter().rfind(|word| word.key == key && word.attempt == attempt)?;
        Some(word.what.clone())
    }
}

/// What people said, from a journal.
pub fn words(rows: &[StepRow]) -> Words {
    let word = |row: &StepRow| {
        let what = match row.form.as_str() {
            "done" => {
                let output = row.output.as_deref().and_then(|text| serde_json::from_str(text).ok());
                Settlement::Done(output.unwrap_or(Value::Null))
            }
            "retry" => Settlement::Retry,
            "failed" => Settlement::Failed,
            _ => return None,
        };
        Some(Word { key: settled_key(row)?.to_owned(), attempt: row.attempt, what })
    };
    Words { said: rows.iter().filter_map(word).collect() }
}

/// The attempt that a run in state `unknown` waits for a person for: the last one of its key, of which nothing
/// was said yet.
pub fn waiting(rows: &[StepRow]) -> Option<&StepRow> {
    rows.iter().rfind(|row| {
        row.state == EntryState::Unknown.as_str()
            && !rows.iter().any(|other| match settled_key(other) {
                Some(key) => key == row.key && other.attempt == row.attempt,
                None => other.key == row.key && other.attempt > row.attempt,
            })
    })
}

// The key of the step that a row says something of.
fn settled_key(row: &StepRow) -> Option<&str> {
    let (key, _) = row.key.rsplit_once('!').filter(|_| row.state == SETTLED)?;
    Some(key)
}

/// What an entry says, in a few words.
pub fn summary(entry: &Entry) -> String {
    if let Some(failure) = &entry.error {
        return failure.message.clone();
    }
    let output = |name: &str| entry.output.as_ref().and_then(|output| output.get(name)?.as_str());
    if let (Some(choice), Some(how)) = (output("choice"), output("how")) {
        return format!("{choice} ({how})");
    }
    let said = entry
        .input
        .as_deref()
        .and_then(|input| ["text", "body", "message", "line", "url"].iter().find_map(|name| input.get(name)?.as_str()));
    let id = ["id", "sid"].into_iter().find_map(output);
    [said, id].into_iter().flatten().collect::<Vec<_>>().join(" -> ")
}
