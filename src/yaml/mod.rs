//! YAML text to a tree that keeps where everything stood and how every scalar was written. It refuses
//! what makes configuration ambiguous (duplicate keys, merge keys, tags, alias bombs) and explains the
//! mistakes that YAML makes easy. It knows nothing of manifests; `manifest::source` calls it.

mod compose;
mod explain;
mod mapping;
mod place;
mod region;
mod scalar;
#[cfg(test)]
mod tests;

pub use compose::parse;
pub use place::visible_places;
pub use scalar::{canonical, is_null, number};

/// The largest file that is read, in bytes.
pub const MAX_FILE_BYTES: usize = 2 * 1024 * 1024;
/// The most values in one file, aliases expanded.
pub const MAX_VALUES: usize = 500_000;
/// The most values that aliases may add to one file.
pub const MAX_ALIASED_VALUES: usize = 20_000;
/// Beyond this many problems in one file, the rest is not told.
pub const MAX_PROBLEMS: usize = 1_000;
/// The deepest nesting of lists and mappings.
pub const MAX_DEPTH: usize = 64;

/// A stretch of one file's text, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Which file of a manifest that has several.
    pub file: u16,
    /// The first byte.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
}

/// A value and where it stood. An alias's value is a copy of what it refers to, at its own place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it stood.
    pub span: Span,
    /// What it is.
    pub content: Content,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Text, with how it was written; what it means is for a schema to say.
    Scalar(Box<str>, Style),
    /// A list.
    Sequence(Box<[Node]>),
    /// A mapping, in the order of the text; keys are unique.
    Mapping(Box<[Entry]>),
}

/// One member of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: Box<str>,
    /// Where the key stood.
    pub key_span: Span,
    /// The value.
    pub value: Node,
}

/// How a scalar was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Without quotes: a schema decides whether it is text, a number, ...
    Plain,
    /// In quotes: always text.
    Quoted,
    /// After `|` or `>`: always text.
    Block,
}

/// A mistake in the text.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// Stable, `snake_case`.
    pub code: &'static str,
    /// What is marked.
    pub span: Span,
    /// What is wrong.
    pub message: String,
    /// Why, or what to do.
    pub help: Option<String>,
}

/// What became of a text. Problems with a tree are errors all the same: the tree is there so that
/// everything else wrong with the file can be told at once.
#[derive(Debug, Default)]
pub struct Parsed {
    /// The tree, unless the text could not be followed to its end.
    pub root: Option<Node>,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

impl Node {
    /// The member of a mapping.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        match &self.content {
            Content::Mapping(entries) => entries.iter().find(|entry| &*entry.key == key),
            _ => None,
        }
    }

    /// The text of a scalar that was written without quotes.
    pub fn plain_text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(text, Style::Plain) => Some(text),
            _ => None,
        }
    }
}

/// The `#word` that follows an unquoted scalar on its line: to YAML a comment, to its author perhaps a
/// hashtag that belongs to the text. `# words` is a comment to both.
pub fn hashtag_after(text: &str, span: Span) -> Option<Span> {
    let rest = text.get(span.end as usize..)?;
    let gap = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    let comment = rest.get(gap..)?.lines().next()?;
    let is_hashtag = comment
        .strip_prefix('#')
        .and_then(|word| word.chars().next())
        .is_some_and(|first| first.is_alphanumeric() || first == '_');
    let start = span.end + u32::try_from(gap).ok()?;
    is_hashtag.then(|| Span {
        file: span.file,
        start,
        end: start + u32::try_from(comment.trim_end().len()).unwrap_or(1),
    })
}
