//! `file.describe`: what a file is, checked against what is wanted of it, and the pieces in which it can be
//! sent. Reads its first bytes alone, unless its hash is asked for.

use serde_json::{Value, json};

use crate::connector::files::input::{Bound, accepted};
use crate::connector::files::{Folders, Found, kind, save};
use crate::engine::{Failure, Outcome, Verdict};

/// More pieces than this are a mistake in `chunk_bytes`.
const MOST_CHUNKS: u64 = 10_000;

/// A file that was found and fits.
#[derive(Debug)]
pub struct Describe {
    found: Found,
    chunk_bytes: Option<u64>,
    wants_hash: bool,
}

impl Describe {
    /// From checked inputs: `{path, accept?, max_bytes?, chunk_bytes?, sha256?}`.
    ///
    /// # Errors
    /// `file_refused`, `file_missing`, `file_unreadable`, `file_type_refused`, `file_too_large`, `input_invalid`.
    pub fn prepare(inputs: &Value, folders: &Folders) -> Result<Describe, Failure> {
        let path = inputs.get("path").and_then(Value::as_str).unwrap_or_default();
        let found = folders.find(path)?;
        let accept = inputs.get("accept").and_then(Value::as_array).into_iter().flatten();
        let accept: Vec<String> = accept.filter_map(Value::as_str).map(str::to_owned).collect();
        let subject = format!("the file `{path}`");
        accepted(&found, &accept, &subject)?;
        Bound::read(inputs.get("max_bytes").cloned().unwrap_or_default())?.permits(&found, &subject)?;
        let chunk_bytes = inputs.get("chunk_bytes").and_then(Value::as_u64);
        if chunk_bytes.is_some_and(|chunk| found.bytes.div_ceil(chunk.max(1)) > MOST_CHUNKS) {
            let message = format!("{subject} would have more than {MOST_CHUNKS} chunks");
            return Err(Failure::not_sent("input_invalid", message).with_help("make `chunk_bytes` larger"));
        }
        let wants_hash = inputs.get("sha256").and_then(Value::as_bool).unwrap_or(false);
        Ok(Describe { found, chunk_bytes, wants_hash })
    }

    /// What will be done.
    pub fn preview(&self) -> Value {
        self.output(None)
    }

    /// Gives `{path, name, bytes, type, kind, sha256?, chunks?}`.
    pub async fn run(self) -> Result<Value, Failure> {
        if !self.wants_hash {
            return Ok(self.output(None));
        }
        let path = self.found.path.clone();
        let hash = tokio::task::spawn_blocking(move || save::sha256_of(&path)).await;
        match hash.map_err(std::io::Error::other).flatten() {
            Ok(hash) => Ok(self.output(Some(&hash))),
            Err(error) => {
                let message = format!("the file `{}` cannot be read: {error}", self.found.written);
                let verdict = Verdict::Retry { after_ms: None };
                Err(Failure { verdict, outcome: Outcome::NotDone, ..Failure::not_sent("file_unreadable", message) })
            }
        }
    }

    fn output(&self, hash: Option<&str>) -> Value {
        let found = &self.found;
        let mut output = json!({
            "path": found.written,
            "name": found.name(),
            "bytes": found.bytes,
            "type": found.kind,
            "kind": kind::family(&found.kind),
        });
        if let Some(hash) = hash {
            output["sha256"] = hash.into();
        }
        if let Some(chunk) = self.chunk_bytes {
            let chunk = chunk.max(1);
            let chunks = (0..found.bytes.div_ceil(chunk)).map(|index| {
                let offset = index * chunk;
                json!({"index": index, "offset": offset, "length": chunk.min(found.bytes - offset)})
            });
            output["chunks"] = chunks.collect();
        }
        output
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_told_with_its_chunks() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("a.gif"), b"GIF89a1234").unwrap();
        let folders = Folders::new(vec![place.path().to_owned()]);
        let describe = |inputs: Value| Describe::prepare(&inputs, &folders);
        let whole =
            json!({"path": "a.gif", "chunk_bytes": 4, "sha256": true, "accept": ["image/*"], "max_bytes": {"gif": 10}});
        assert_eq!(
            describe(whole).unwrap().run().await.unwrap(),
            json!({
                "path": "a.gif", "name": "a.gif", "bytes": 10, "type": "image/gif", "kind": "gif",
                "sha256": "82f4ff9ee21236705229dab33eb5ce6ca2546fb4f8cf62795c11d7c688d822bd",
                "chunks": [
                    {"index": 0, "offset": 0, "length": 4},
                    {"index": 1, "offset": 4, "length": 4},
                    {"index": 2, "offset": 8, "length": 2},
                ]
            })
        );
        for (inputs, code) in [
            (json!({"path": "a.gif", "accept": ["video/*"]}), "file_type_refused"),
            (json!({"path": "a.gif", "max_bytes": {"gif": 9}}), "file_too_large"),
            (json!({"path": "b.gif"}), "file_missing"),
        ] {
            assert_eq!(describe(inputs).unwrap_err().code, code);
        }
    }
}
