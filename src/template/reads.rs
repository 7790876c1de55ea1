//! The paths that a template reads: what `check` compares with schemas, and what tells a flow which steps it
//! depends on.

use super::shape::{Segment, path_text};

/// One path that a template reads, from the scope's root on. What a block names (`this`, `as |row|`) is told
/// as the path of the list that it goes over, with [`Segment::Element`]; where that list is computed, the
/// read of the computation's own paths is all there is.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// `steps`, `ask`, `output`, `choice`.
    pub path: Vec<Segment>,
    /// Whether it stands below `maybe`, `default` or `coalesce`, where a missing path is no error.
    pub forgiving: bool,
    /// The character of the source at which the path begins, counted from 1.
    pub column: usize,
    /// How many characters the path has as written.
    pub length: usize,
}

impl Read {
    /// `item.author.username`.
    pub fn as_text(&self) -> String {
        path_text(&self.path)
    }

    /// The root: `item`.
    pub fn root(&self) -> &str {
        match self.path.first() {
            Some(Segment::Key(root)) => root,
            _ => "",
        }
    }
}
