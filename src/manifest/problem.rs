//! What is wrong at a place of a manifest, told by JSON pointer. Whoever compiles a manifest collects these;
//! `Source` turns each into a diagnostic with file, line and column.

use crate::template::CompileError;

/// One mistake in a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// JSON pointer to the value: `/steps/1/with/text`.
    pub pointer: String,
    /// Stable, `snake_case`.
    pub code: &'static str,
    /// What is wrong, in words.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
    /// Part of the value's text: characters from its start, number of characters.
    pub within: Option<(usize, usize)>,
}

impl Problem {
    /// A mistake that concerns the whole value.
    pub fn new(pointer: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Problem { pointer: pointer.into(), code, message: message.into(), help: None, within: None }
    }

    /// The same with what to write instead.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// A template that could not be read.
    pub fn from_template(pointer: impl Into<String>, error: CompileError) -> Self {
        Problem {
            pointer: pointer.into(),
            code: error.code,
            message: error.message,
            help: error.help,
            within: Some((error.offset, error.length)),
        }
    }
}
