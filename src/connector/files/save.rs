//! An answer into a file: written beside its place while it comes, hashed and counted on the way, and put in
//! its place whole and on the disk. A file that is there already is never written over.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt as _;

use super::{Folders, kind};
use crate::engine::{Failure, Outcome, Verdict};

/// Where an answer goes.
#[derive(Clone, Debug)]
pub struct Download {
    folders: Folders,
    /// None: below the first folder, named by its hash.
    place: Option<PathBuf>,
    /// The most bytes.
    pub limit_bytes: u64,
}

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Its media type: by its bytes, else as the service says.
    pub kind: String,
    /// SHA-256 of its content, in hexadecimal.
    pub sha256: String,
}

/// A file on its way.
pub struct Writing {
    download: Download,
    part: NamedTempFile,
    file: tokio::fs::File,
    hash: Sha256,
    bytes: u64,
    beginning: Vec<u8>,
}

impl Download {
    /// To `written`, or without it to a name of its content.
    pub fn new(folders: &Folders, written: Option<&str>, limit_bytes: u64) -> Result<Download, Failure> {
        let place = written.map(|written| folders.place(written)).transpose()?;
        Ok(Download { folders: folders.clone(), place, limit_bytes })
    }

    /// Where it goes, for `--dry-run`.
    pub fn preview(&self) -> Value {
        match &self.place {
            Some(place) => json!({"path": place}),
            None => json!({"path": null}),
        }
    }

    /// Begins to write. Fails with `file_failed`.
    pub fn begin(&self) -> Result<Writing, Failure> {
        let begin = || -> io::Result<Writing> {
            let first = self.folders.first().map_err(io::Error::other)?;
            let place = self.place.clone().unwrap_or_else(|| first.join("part"));
            self.folders.make_place(&place)?;
            let folder = place.parent().unwrap_or(first);
            let part = tempfile::Builder::new().prefix(".tidegate-").suffix(".part").tempfile_in(folder)?;
            let file = tokio::fs::File::from_std(part.reopen()?);
            let (hash, beginning) = (Sha256::new(), Vec::new());
            Ok(Writing { download: self.clone(), part, file, hash, bytes: 0, beginning })
        };
        begin().map_err(|error| failed(self.place.as_deref(), &error))
    }
}

impl Writing {
    /// How many bytes there are so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes a piece. Fails with `file_failed`: a full disk, say.
    pub async fn push(&mut self, piece: &Bytes) -> Result<(), Failure> {
        let missing = usize::try_from(kind::LOOKED_AT_BYTES).unwrap_or(0).saturating_sub(self.beginning.len());
        self.beginning.extend_from_slice(piece.get(..missing.min(piece.len())).unwrap_or_default());
        self.hash.update(piece);
        self.bytes += piece.len() as u64;
        let written = self.file.write_all(piece).await;
        written.map_err(|error| failed(self.download.place.as_deref(), &error))
    }

    /// Puts it in its place. `told` is the type that the service says. The same content that is there already
    /// is what a repeat finds, and is left.
    ///
    /// # Errors
    /// `file_exists` (another content is there), `file_failed`.
    pub async fn finish(mut self, told: Option<&str>) -> Result<Saved, Failure> {
        let place = self.download.place.clone();
        let synced = async {
            self.file.flush().await?;
            self.file.sync_all().await
        };
        synced.await.map_err(|error| failed(place.as_deref(), &error))?;
        let sha256 = hexadecimal(&self.hash.finalize());
        let kind = match kind::of(&self.beginning) {
            kind::UNKNOWN => told.and_then(|told| told.split(';').next()).map_or(kind::UNKNOWN, str::trim),
            known => known,
        };
        let path = match place {
            Some(place) => place,
            None => self.download.folders.first()?.join(format!("{sha256}.{}", kind::extension(&self.beginning))),
        };
        let saved = Saved { path, bytes: self.bytes, kind: kind.to_owned(), sha256 };
        match self.part.persist_noclobber(&saved.path) {
            Ok(_) => Ok(saved),
            Err(refused) if refused.error.kind() == io::ErrorKind::AlreadyExists => already_there(saved).await,
            Err(refused) => Err(failed(Some(&saved.path), &refused.error)),
        }
    }
}

impl Saved {
    /// What a step sees of it.
    pub fn output(&self) -> Value {
        json!({"path": self.path, "bytes": self.bytes, "type": self.kind, "sha256": self.sha256})
    }
}

/// SHA-256 of a file, in hexadecimal; read piece by piece.
pub fn sha256_of(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut file = std::fs::File::open(path)?;
    let mut piece = vec![0; 64 * 1024];
    loop {
        let read = io::Read::read(&mut file, &mut piece)?;
        if read == 0 {
            return Ok(hexadecimal(&hash.finalize()));
        }
        hash.update(piece.get(..read).unwrap_or_default());
    }
}

async fn already_there(saved: Saved) -> Result<Saved, Failure> {
    let path = saved.path.clone();
    let is_link = std::fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_symlink());
    let known = tokio::task::spawn_blocking(move || sha256_of(&path)).await;
    match known {
        Ok(Ok(known)) if known == saved.sha256 && !is_link => Ok(saved),
        _ => {
            let message = format!("{} is there already, with another content", saved.path.display());
            Err(Failure { outcome: Outcome::NotDone, ..Failure::not_sent("file_exists", message) }
                .with_help("give another path, or take the file away; nothing is written over"))
        }
    }
}

fn failed(place: Option<&Path>, error: &io::Error) -> Failure {
    let what = place.map_or("the answer".to_owned(), |place| place.display().to_string());
    let verdict = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::NotADirectory => Verdict::Fail,
        _ => Verdict::Retry { after_ms: None },
    };
    let failure = Failure::not_sent("file_failed", format!("{what} cannot be written: {error}"));
    Failure { outcome: Outcome::NotDone, verdict, ..failure }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn save(folders: &Folders, written: Option<&str>, content: &[u8]) -> Result<Saved, Failure> {
        let mut writing = Download::new(folders, written, 100)?.begin()?;
        for piece in content.chunks(3) {
            writing.push(&Bytes::copy_from_slice(piece)).await?;
        }
        writing.finish(Some("application/x-own; a=b")).await
    }

    #[tokio::test]
    async fn a_file_is_there_whole_and_nothing_is_written_over() {
        let place = tempfile::tempdir().unwrap();
        let folders = Folders::new(vec![place.path().join("out")]);
        let saved = save(&folders, Some("deep/a.png"), b"\x89PNG\r\n\x1a\n").await.unwrap();
        assert_eq!((saved.bytes, saved.kind.as_str()), (8, "image/png"));
        assert_eq!(std::fs::read(&saved.path).unwrap(), b"\x89PNG\r\n\x1a\n");
        assert_eq!(save(&folders, Some("deep/a.png"), b"\x89PNG\r\n\x1a\n").await.unwrap(), saved);
        assert_eq!(save(&folders, Some("deep/a.png"), b"other").await.unwrap_err().code, "file_exists");
        assert_eq!(std::fs::read(&saved.path).unwrap(), b"\x89PNG\r\n\x1a\n");

        let named = save(&folders, None, b"\0abc").await.unwrap();
        assert_eq!(named.kind, "application/x-own");
        assert_eq!(named.sha256, sha256_of(&named.path).unwrap());
        assert!(named.path.ends_with(format!("{}.bin", named.sha256)), "{named:?}");
        assert_eq!(save(&folders, None, b"\0abc").await.unwrap(), named);
        let names = std::fs::read_dir(place.path().join("out")).unwrap().count();
        assert_eq!(names, 2, "what was on its way is gone");
    }

    #[tokio::test]
    async fn links_and_other_folders_are_refused() {
        let place = tempfile::tempdir().unwrap();
        let (out, outside) = (place.path().join("out"), place.path().join("outside"));
        std::fs::create_dir_all(&out).unwrap();
        std::fs::create_dir_all(&outside).unwrap();
        std::os::unix::fs::symlink(&outside, out.join("way")).unwrap();
        std::os::unix::fs::symlink(outside.join("new"), out.join("link")).unwrap();
        let folders = Folders::new(vec![out]);
        for (written, code) in
            [("way/a", "file_failed"), ("link", "file_failed"), ("../a", "file_refused"), ("/tmp/a", "file_refused")]
        {
            assert_eq!(save(&folders, Some(written), b"x").await.unwrap_err().code, code, "{written}");
        }
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    }
}
