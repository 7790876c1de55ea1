//! `file.append`: a text as lines at the end of a file, below the permitted folders only.
//!
//! What is guaranteed. The file's length is journaled before the first attempt. A repeat looks from there on
//! for its own text as whole lines and, finding it, writes nothing. A place in the file is one step's: a repeat
//! passes over what this process wrote or found for others ([`Spans`]), and what its journal says is taken, by
//! steps that the store knows to be done. A piece of its text at the file's very end is what a crash left, and
//! is cut off before it is written again. So each text is there at least once, and equal texts as often as
//! there are steps that write them. Appends of this process to one file follow each other; other programs may
//! append as well, their lines are never cut. A text is on the disk (`fdatasync`) before its step counts as done.

mod spans;

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};

use self::spans::Spans;
use crate::connector::files::Folders;
use crate::engine::{Failure, Outcome, Verdict};

/// Where files may be read and written, and who is at it.
#[derive(Debug, Default)]
pub struct Files {
    folders: Folders,
    locks: Mutex<HashMap<PathBuf, Arc<Mutex<Spans>>>>,
}

/// An append, ready to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    path: PathBuf,
    text: String,
    offset: u64,
    is_repeat: bool,
    taken: HashSet<u64>,
    by: String,
}

impl Files {
    /// The folders below which files may be read and written.
    pub fn new(folders: Vec<PathBuf>) -> Files {
        Files { folders: Folders::new(folders), locks: Mutex::default() }
    }

    /// Where files may be read and written.
    pub fn folders(&self) -> &Folders {
        &self.folders
    }

    /// From checked inputs. A journal with the `offset` of an earlier attempt makes it a repeat from there; `taken` in
    /// it are the offsets at which the same text is another step's, `by` tells steps of this process apart.
    pub fn prepare(&self, inputs: &Value, journal: Option<Value>) -> Result<Append, Failure> {
        let text = |name: &str| inputs.get(name).and_then(Value::as_str).unwrap_or_default();
        let path = self.folders.place(text("path"))?;
        let mut line = text("text").to_owned();
        if !line.ends_with('\n') {
            line.push('\n');
        }
        let journaled = journal.as_ref().and_then(|journal| journal.get("offset")).and_then(Value::as_u64);
        let offset = match journaled {
            Some(offset) => offset,
            None => match std::fs::metadata(&path) {
                Ok(metadata) => metadata.len(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
                Err(error) => return Err(failed(&path, &error, Outcome::NotSent)),
            },
        };
        let taken = journal.as_ref().and_then(|journal| journal.get("taken")?.as_array());
        let taken = taken.map(|taken| taken.iter().filter_map(Value::as_u64).collect()).unwrap_or_default();
        let by = journal.as_ref().and_then(|journal| journal.get("by")?.as_str()).unwrap_or_default().to_owned();
        Ok(Append { path, text: line, offset, is_repeat: journaled.is_some(), taken, by })
    }

    /// Does it and gives `{path, offset, bytes}`.
    pub async fn append(&self, append: Append) -> Result<Value, Failure> {
        let lock = Arc::clone(self.locks.lock().entry(append.path.clone()).or_default());
        let folders = self.folders.clone();
        let work = tokio::task::spawn_blocking(move || {
            let mut spans = lock.lock();
            append.run(&folders, &mut spans)
        });
        match work.await {
            Ok(result) => result,
            Err(error) => Err(Failure {
                outcome: Outcome::Unknown,
                verdict: Verdict::Retry { after_ms: None },
                ..Failure::not_sent("file_failed", format!("the append was broken off: {error}"))
            }),
        }
    }
}

impl Append {
    /// `{path, offset}`, to be journaled before it is done.
    pub fn journal(&self) -> Value {
        json!({"path": self.path, "offset": self.offset})
    }

    /// What will be written.
    pub fn preview(&self) -> Value {
        json!({"path": self.path, "text": self.text})
    }

    fn run(&self, folders: &Folders, spans: &mut Spans) -> Result<Value, Failure> {
        let unsent = |error: &io::Error| failed(&self.path, error, Outcome::NotSent);
        let mut file = self.open(folders).map_err(|error| unsent(&error))?;
        let mut end = file.seek(SeekFrom::End(0)).map_err(|error| unsent(&error))?;
        if self.is_repeat {
            match self.earlier(&mut file, end, spans).map_err(|error| unsent(&error))? {
                Earlier::Whole(offset) => {
                    spans.add(offset, offset + self.text.len() as u64, &self.by);
                    return Ok(self.output(offset));
                }
                Earlier::Torn(offset) => {
                    file.set_len(offset).map_err(|error| unsent(&error))?;
                    end = offset;
                }
                Earlier::Nothing => {}
            }
        }
        let starts_anew = end == 0 || ends_with_newline(&mut file, end).map_err(|error| unsent(&error))?;
        let written = (|| {
            file.seek(SeekFrom::Start(end))?;
            if !starts_anew {
                file.write_all(b"\n")?;
            }
            file.write_all(self.text.as_bytes())?;
            file.sync_data()
        })();
        // A full disk may have taken a part; the repeat cuts it off.
        written.map_err(|error| failed(&self.path, &error, Outcome::Unknown))?;
        spans.end_at(end);
        spans.add(end, end + u64::from(!starts_anew) + self.text.len() as u64, &self.by);
        Ok(self.output(end + u64::from(!starts_anew)))
    }

    /// Opens the file, after its real folder has been found to be below a permitted one.
    fn open(&self, folders: &Folders) -> io::Result<File> {
        folders.make_place(&self.path)?;
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&self.path)
    }

    /// What an earlier attempt left behind the journaled offset.
    fn earlier(&self, file: &mut File, end: u64, spans: &Spans) -> io::Result<Earlier> {
        if end <= self.offset {
            return Ok(Earlier::Nothing);
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        let text = self.text.as_bytes();
        let starts = std::iter::once(0)
            .chain(tail.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(place, _)| place + 1));
        for start in starts {
            let rest = tail.get(start..).unwrap_or_default();
            let offset = self.offset + start as u64;
            if spans.is_anothers(offset, &self.by) || self.taken.contains(&offset) {
                continue;
            }
            if rest.starts_with(text) {
                return Ok(Earlier::Whole(offset));
            }
            // Whole lines are a text that somebody else may have written.
            if !rest.is_empty() && !rest.ends_with(b"\n") && text.starts_with(rest) {
                return Ok(Earlier::Torn(offset));
            }
        }
        Ok(Earlier::Nothing)
    }

    fn output(&self, offset: u64) -> Value {
        json!({"path": self.path, "offset": offset, "bytes": self.text.len()})
    }
}

/// What an earlier attempt left, and where it begins.
enum Earlier {
    Whole(u64),
    Torn(u64),
    Nothing,
}

fn ends_with_newline(file: &mut File, end: u64) -> io::Result<bool> {
    file.seek(SeekFrom::Start(end.saturating_sub(1)))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

fn failed(path: &Path, error: &io::Error, outcome: Outcome) -> Failure {
    let verdict = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => Verdict::Fail,
        _ => Verdict::Retry { after_ms: None },
    };
    let message = format!("{} cannot be appended to: {error}", path.display());
    Failure { outcome, verdict, ..Failure::not_sent("file_failed", message) }
}

#[cfg(test)]
mod tests;
