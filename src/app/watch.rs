//! Notices that a project's files have changed: told by the system for the folders of connectors and flows,
//! looked at for the settings (editors replace that file, and the store beside it changes all the time).
//! What changed is for `up` to judge.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

// Writing several files takes a moment: a snapshot is taken once it is quiet for this long, ...
const QUIET: Duration = Duration::from_millis(300);
// ... or after this long where it is never quiet.
const PATIENCE: Duration = Duration::from_secs(3);
// How often the settings and the folders themselves are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A watch over a project's files.
pub struct Watch {
    directory: PathBuf,
    told: mpsc::Receiver<()>,
    watcher: Option<RecommendedWatcher>,
    watched: Vec<PathBuf>,
    seen: Vec<Option<(SystemTime, u64)>>,
}

impl Watch {
    /// Begins to watch a project's folder.
    pub fn new(directory: &Path) -> Watch {
        let (tell, told) = mpsc::channel(1);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let is_change = match &event {
                Ok(event) => !event.kind.is_access(),
                // What was missed may have been a change.
                Err(_) => true,
            };
            if is_change {
                // Full means that somebody will look anyway.
                let _ = tell.try_send(());
            }
        });
        let watcher = match watcher {
            Ok(watcher) => Some(watcher),
            Err(error) => {
                tracing::warn!("changes of flows and connectors are not noticed: {error}; restart to apply them");
                None
            }
        };
        let mut watch = Watch { directory: directory.to_owned(), told, watcher, watched: Vec::new(), seen: Vec::new() };
        watch.seen = watch.look();
        watch.follow();
        watch
    }

    /// Resolves when something changed and it has been quiet since.
    pub async fn changed(&mut self) {
        loop {
            match tokio::time::timeout(LOOK_EVERY, self.told.recv()).await {
                Ok(Some(())) => break,
                // Without a watcher nobody tells.
                Ok(None) => tokio::time::sleep(LOOK_EVERY).await,
                Err(_) => {}
            }
            let now = self.look();
            if now != self.seen {
                self.seen = now;
                break;
            }
        }
        let give_up = tokio::time::Instant::now() + PATIENCE;
        while let Ok(Some(())) = tokio::time::timeout(QUIET, self.told.recv()).await {
            if tokio::time::Instant::now() >= give_up {
                break;
            }
        }
        self.seen = self.look();
        self.follow();
    }

    // When each was changed, and how large it is.
    fn look(&self) -> Vec<Option<(SystemTime, u64)>> {
        let names = ["tidegate.yaml", "tidegate.yml", "connectors", "flows"];
        let stamp = |name: &str| {
            let found = std::fs::metadata(self.directory.join(name)).ok()?;
            Some((found.modified().ok()?, found.len()))
        };
        names.into_iter().map(stamp).collect()
    }

    // Folders that came into being are followed, those that went away are no longer.
    fn follow(&mut self) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        for folder in ["connectors", "flows"].map(|name| self.directory.join(name)) {
            let is_watched = self.watched.contains(&folder);
            if folder.is_dir() && !is_watched {
                match watcher.watch(&folder, RecursiveMode::Recursive) {
                    Ok(()) => self.watched.push(folder),
                    Err(error) => {
                        tracing::warn!("changes in {} are not noticed: {error}", folder.display())
                    }
                }
            } else if !folder.is_dir() && is_watched {
                self.watched.retain(|watched| *watched != folder);
            }
        }
    }
}
