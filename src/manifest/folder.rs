//! Where a project's files come from: its folder, or the texts that were read from it before. Says what is there
//! and gives it out; what a file means is the loader's, which calls it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Diagnostic;
use super::file::{self, Text};

/// A project's files; paths are relative to it.
pub enum Folder {
    /// As they are on the disk now.
    Disk(PathBuf),
    /// As they were when they were read.
    Kept(BTreeMap<PathBuf, Arc<str>>),
}

impl Folder {
    /// Whether it can be looked at.
    ///
    /// # Errors
    /// Why not.
    pub fn look(&self) -> io::Result<()> {
        match self {
            Folder::Disk(directory) => std::fs::read_dir(directory).map(|_| ()),
            Folder::Kept(_) => Ok(()),
        }
    }

    /// Whether something is at a path.
    pub fn has(&self, path: &Path) -> bool {
        match self {
            Folder::Disk(directory) => directory.join(path).exists(),
            Folder::Kept(files) => files.contains_key(path) || self.is_folder(path),
        }
    }

    /// Whether a folder is at a path.
    pub fn is_folder(&self, path: &Path) -> bool {
        match self {
            Folder::Disk(directory) => directory.join(path).is_dir(),
            Folder::Kept(files) => files.keys().any(|file| file != path && file.starts_with(path)),
        }
    }

    /// What is in a folder, in the order of the names, without what is hidden, and what could not be seen of it.
    /// A folder that is not there is empty.
    pub fn list(&self, folder: &Path) -> (Vec<PathBuf>, Vec<Diagnostic>) {
        match self {
            Folder::Disk(directory) => list(directory, folder),
            Folder::Kept(files) => {
                let below = files.keys().filter_map(|file| file.strip_prefix(folder).ok()?.components().next());
                let mut paths: Vec<PathBuf> = below.map(|name| folder.join(name)).collect();
                paths.dedup();
                (paths, Vec::new())
            }
        }
    }

    /// The text of a file.
    pub fn read(&self, path: &Path) -> Text {
        match self {
            Folder::Disk(directory) => file::read(directory, path),
            Folder::Kept(files) => match files.get(path) {
                Some(text) => Text { text: Arc::clone(text), found: None },
                None => file::refused(file::unreadable(path, &io::ErrorKind::NotFound.into())),
            },
        }
    }
}

fn list(directory: &Path, folder: &Path) -> (Vec<PathBuf>, Vec<Diagnostic>) {
    let entries = match std::fs::read_dir(directory.join(folder)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return (Vec::new(), Vec::new()),
        Err(error) => return (Vec::new(), vec![file::unreadable(folder, &error)]),
    };
    let (mut paths, mut found) = (Vec::new(), Vec::new());
    for entry in entries {
        match entry {
            Ok(entry) if entry.file_name().to_string_lossy().starts_with('.') => {}
            Ok(entry) => paths.push(folder.join(entry.file_name())),
            Err(error) => found.push(file::unreadable(folder, &error)),
        }
    }
    paths.sort();
    (paths, found)
}

#[cfg(test)]
mod tests {
    use crate::manifest::Catalog;

    #[test]
    fn what_was_kept_is_read_as_it_was_on_the_disk() {
        let directory = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("connectors/shop/a.yaml", "connector: shop\ntitle: Shop\nhosts: {api: \"https://shop.example.com\"}\n"),
            ("connectors/shop/b.yaml", "connector: shop\nconnection: {auth: {open: {type: none}}}\n"),
            ("flows/tick.yaml", "flow: tick\ntrigger: {every: 1h}\nsteps: [{action: log.write, with: {message: x}}]\n"),
            ("flows/wrong.yaml", "flow: wrong\ntriger: {every: 1h}\n"),
            ("tidegate.yaml", "flows: {tick: {enabled: false}}\n"),
        ] {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let read = Catalog::load(directory.path());
        let kept = Catalog::of_kept(directory.path(), read.files.clone());
        assert_eq!(kept.files, read.files);
        assert!(read.files.len() == 5 && !read.diagnostics.is_empty());
        assert_eq!(format!("{:?}", kept.diagnostics), format!("{:?}", read.diagnostics));
        let names = |catalog: &Catalog| {
            let connectors: Vec<String> = catalog.connectors.keys().cloned().collect();
            (connectors, catalog.flows.keys().cloned().collect::<Vec<_>>())
        };
        assert_eq!(names(&kept), names(&read));
        assert_eq!(kept.settings.value.flows["tick"].enabled, Some(false));
    }
}
