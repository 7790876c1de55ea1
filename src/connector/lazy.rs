//! The actions and triggers of a connector, each compiled when it is first asked for: most of those of a large
//! connector never are. What they are compiled from is kept as text between times, which takes the least memory.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::manifest::{Connector, Problem};

/// What is compiled by name; `None` stands for one that cannot be, which is told where all of it is compiled.
#[derive(Debug)]
pub(super) struct Parts<T>(BTreeMap<String, OnceLock<Option<Arc<T>>>>);

/// A connector as it was written.
pub struct Written {
    text: Arc<str>,
    read: Mutex<Option<Arc<Connector>>>,
}

impl<T> Parts<T> {
    /// Those of a map, none of them compiled yet.
    pub fn of<W>(written: &BTreeMap<String, W>) -> Self {
        Parts(written.keys().map(|name| (name.clone(), OnceLock::new())).collect())
    }

    /// One by its name; compiled by `compile` where it was not asked for before.
    pub fn get(&self, name: &str, compile: impl FnOnce(&mut Vec<Problem>) -> Option<T>) -> Option<&Arc<T>> {
        let part = self.0.get(name)?.get_or_init(|| {
            let mut problems = Vec::new();
            let compiled = compile(&mut problems);
            if let Some(problem) = problems.first() {
                tracing::error!(code = problem.code, "{}: {}", problem.pointer, problem.message);
            }
            compiled.filter(|_| problems.is_empty()).map(Arc::new)
        });
        part.as_ref()
    }

    /// Takes one that is compiled.
    pub fn put(&mut self, name: &str, compiled: T) {
        self.0.insert(name.to_owned(), OnceLock::from(Some(Arc::new(compiled))));
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl Written {
    /// `text` is what is read again where `read` was let go.
    pub fn new(text: Arc<str>, read: Arc<Connector>) -> Self {
        Written { text, read: Mutex::new(Some(read)) }
    }

    /// The text that the store keeps.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// As written.
    pub fn manifest(&self) -> Arc<Connector> {
        let mut read = self.read.lock();
        let found = read.take().unwrap_or_else(|| {
            Arc::new(serde_json::from_str(&self.text).unwrap_or_else(|error| {
                // It was made of such a value, so this is a mistake in the program.
                tracing::error!("the text of a connector cannot be read again: {error}");
                Connector::default()
            }))
        });
        *read = Some(Arc::clone(&found));
        found
    }

    /// Keeps the text alone, until somebody asks for more.
    pub fn let_go(&self) {
        *self.read.lock() = None;
    }
}

impl Debug for Written {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Written").finish_non_exhaustive()
    }
}
