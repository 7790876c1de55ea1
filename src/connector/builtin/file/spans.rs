//! Which bytes of a file are the making of which step of this process, until its store knows: no other step's repeat
//! takes them for its own.

use std::collections::VecDeque;

// More than there can be steps whose answer is not in the store yet.
const MOST: usize = 2_000;

/// What was written to a file, or found in it, the newest last.
#[derive(Debug, Default)]
pub(super) struct Spans {
    spans: VecDeque<Span>,
}

#[derive(Debug)]
struct Span {
    from: u64,
    to: u64,
    by: String,
}

impl Spans {
    pub(super) fn is_anothers(&self, offset: u64, by: &str) -> bool {
        self.spans.iter().any(|span| (span.from..span.to).contains(&offset) && span.by != by)
    }

    pub(super) fn add(&mut self, from: u64, to: u64, by: &str) {
        if self.spans.len() == MOST {
            self.spans.pop_front();
        }
        self.spans.push_back(Span { from, to, by: by.to_owned() });
    }

    /// The file ends here: what was behind it is gone.
    pub(super) fn end_at(&mut self, end: u64) {
        while self.spans.back().is_some_and(|last| last.to > end) {
            self.spans.pop_back();
        }
    }
}
