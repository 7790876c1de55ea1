//! The project that a host works with. What was made of its files, every connector inside the program among it, is
//! let go while nobody looks at it, and made of them again for whoever does. Held by `Live`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::app::{Place, Project, project};
use crate::store::accounts::Account;

/// The project as it is deployed.
pub(super) struct Held {
    place: Place,
    state: Mutex<State>,
}

struct State {
    seen: Seen,
    project: Option<Arc<Project>>,
    refused: Option<usize>,
}

/// What a deployment was made from.
#[derive(Clone, PartialEq)]
pub(super) struct Seen {
    files: BTreeMap<PathBuf, Arc<str>>,
    stored: Vec<Account>,
}

impl Held {
    /// A project that was read at `place`.
    pub fn new(place: Place, project: Project) -> Held {
        Held { place, state: Mutex::new(State::of(project)) }
    }

    /// Another one, from now on.
    pub fn put(&self, project: Project) {
        *self.state.lock() = State::of(project);
    }

    /// What its files are now has so many errors: it stays as it was deployed.
    pub fn refuse(&self, errors: usize) {
        self.state.lock().refused = Some(errors);
    }

    /// How many errors its files have by now, where they were refused since it was deployed.
    pub fn refused(&self) -> Option<usize> {
        self.state.lock().refused
    }

    /// The project; read again from the texts that were kept where it was let go.
    pub fn project(&self) -> Arc<Project> {
        let mut state = self.state.lock();
        if let Some(project) = &state.project {
            return Arc::clone(project);
        }
        let Seen { files, stored } = state.seen.clone();
        let read = Arc::new(project::load_kept(&self.place, files, stored));
        state.project = Some(Arc::clone(&read));
        read
    }

    /// What it was made from.
    pub fn seen(&self) -> Seen {
        self.state.lock().seen.clone()
    }

    /// Keeps the texts alone, until somebody asks for the project.
    pub fn let_go(&self) {
        self.state.lock().project = None;
    }
}

impl State {
    fn of(project: Project) -> State {
        State { seen: Seen::of(&project), refused: None, project: Some(Arc::new(project)) }
    }
}

impl Seen {
    /// The texts and stored connections of a project.
    pub fn of(project: &Project) -> Seen {
        Seen { files: project.catalog.files.clone(), stored: project.stored.clone() }
    }
}
