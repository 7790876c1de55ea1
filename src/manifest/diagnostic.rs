//! One finding about a file: what, where, why, what to do. Made by `yaml`, `manifest` and `check`;
//! shown by the command line and the console.

use std::path::PathBuf;

use serde::Serialize;

/// One finding about a file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Diagnostic {
    /// Stable, `snake_case`, one per kind of mistake: `unknown_key`, `template_missing_path`, ...
    pub code: &'static str,
    /// Whether it stops the file from being used.
    pub severity: Severity,
    /// The file, as it was named to the program; relative to the project where it is below it.
    pub file: PathBuf,
    /// Where the marked text begins; 1-based, in characters. 0 where the whole file is meant.
    pub line: u32,
    /// 1-based, in characters.
    pub column: u32,
    /// How many characters are marked; at least 1.
    pub length: u32,
    /// What is wrong, in one sentence.
    pub message: String,
    /// Why it is wrong, or what to do, with the did-you-mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// Whether a finding stops the file from being used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file works, but perhaps not as meant.
    Warning,
    /// The file works as meant; there is something to know.
    Note,
}

/// The closest of `names` to what was written, if one is close enough to be meant.
pub fn did_you_mean<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = written.to_lowercase();
    names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&lower, &name.to_lowercase()), name))
        // Of a name of one letter nothing would be left.
        .filter(|(distance, name)| *distance < name.chars().count().max(lower.chars().count()))
        .filter(|(distance, name)| *distance <= (name.chars().count().max(lower.chars().count()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}
