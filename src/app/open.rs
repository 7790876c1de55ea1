//! The store, the executor and the host of a place, opened.

use std::sync::Arc;

use super::{Error, Exit, Place, Project, Result};
use crate::clock::Clock;
use crate::store::Store;

/// A project beside what its host remembers: what lists and details are made from.
#[derive(Clone)]
pub struct View {
    /// What is written.
    pub project: Arc<Project>,
    /// What is remembered; none where no host has worked here yet.
    pub store: Option<Store>,
    /// Where the time comes from.
    pub clock: Clock,
}

/// Opens a view beside a host that may be at work. Makes no store where there is none.
///
/// # Errors
/// The store's: damaged, newer, not ours.
pub async fn view(place: &Place) -> Result<View> {
    let _ = place;
    Err(Error::new(Exit::Host, "unfinished", "unfinished"))
}
