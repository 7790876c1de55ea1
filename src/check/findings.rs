//! Gathers what is found about one file. Every rule of `check` reports here, by the JSON pointer of the value
//! that it is about; the file's `Source` knows where that stands. What only stands in for something else that was
//! told already is not complained about.

use crate::manifest::diagnostic::{Diagnostic, Severity, did_you_mean};
use crate::manifest::source::Source;

/// The most names that are listed where none of them is close to what was written.
const LISTED: usize = 12;

/// What may only follow from something that was told to be wrong beside it: the key or value that is not read may have
/// been what is missing, or what gives a sense to the rest.
const FOLLOWING: &[&str] = &[
    "connection_missing",
    "field_missing",
    "if_without_condition",
    "if_without_steps",
    "foreach_without_steps",
    "repeat_without_steps",
    "input_missing",
    "path_missing",
    "host_missing",
    "step_without_keyword",
    "steps_empty",
    "trigger_missing",
    "unknown_auth",
    "cursor_without_field",
    "reconcile_window",
    "reconcile_without_time",
    "paginate_token",
    "paginate_into",
    "limit_empty",
    "expand_incomplete",
    "session_token",
    "authorize_missing",
    "client_secret_missing",
    "approval_send",
    "approval_choices",
    "setting_without_effect",
    "misplaced_member",
    "timezone_without_cron",
];

/// What is found about one file.
pub struct Findings<'a> {
    source: &'a Source,
    found: Vec<Diagnostic>,
}

impl<'a> Findings<'a> {
    /// Nothing yet.
    pub fn new(source: &'a Source) -> Self {
        Findings { source, found: Vec::new() }
    }

    /// The file.
    pub fn source(&self) -> &'a Source {
        self.source
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.found.len()
    }

    /// All of it, in the order in which it was found.
    pub fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.found
    }

    /// The value at `pointer` makes the file unusable.
    pub fn error(&mut self, code: &'static str, pointer: &str, message: impl Into<String>, help: impl Into<Help>) {
        self.value(Severity::Error, code, pointer, message.into(), help.into());
    }

    /// The value at `pointer` is perhaps not meant so.
    pub fn warning(&mut self, code: &'static str, pointer: &str, message: impl Into<String>, help: impl Into<Help>) {
        self.value(Severity::Warning, code, pointer, message.into(), help.into());
    }

    /// The value at `pointer` is as it should be, and there is something to know about it.
    pub fn note(&mut self, code: &'static str, pointer: &str, message: impl Into<String>, help: impl Into<Help>) {
        self.value(Severity::Note, code, pointer, message.into(), help.into());
    }

    /// The key of the value at `pointer` is wrong: an unknown or misplaced name.
    pub fn key_error(&mut self, code: &'static str, pointer: &str, message: impl Into<String>, help: impl Into<Help>) {
        if self.is_told(code, pointer) {
            return;
        }
        let Help(help) = help.into();
        self.found.push(self.source.at_key(pointer, Severity::Error, code, message.into(), help));
    }

    /// Part of the text at `pointer` is wrong: `length` characters from `offset` on.
    pub fn within(
        &mut self,
        severity: Severity,
        code: &'static str,
        pointer: &str,
        span: (usize, usize),
        message: impl Into<String>,
        help: impl Into<Help>,
    ) {
        if self.is_told(code, pointer) {
            return;
        }
        let (Help(help), (offset, length)) = (help.into(), span);
        self.found.push(self.source.within(pointer, offset, length, severity, code, message.into(), help));
    }

    /// Whether this only follows from what was wrong with the file before.
    fn is_told(&self, code: &str, pointer: &str) -> bool {
        self.source.is_stand_in(pointer) || (FOLLOWING.contains(&code) && self.source.is_wrong_at(pointer))
    }

    fn value(&mut self, severity: Severity, code: &'static str, pointer: &str, message: String, Help(help): Help) {
        if self.is_told(code, pointer) {
            return;
        }
        self.found.push(self.source.diagnostic(pointer, severity, code, message, help));
    }
}

/// What to do about a finding, where that is known.
pub struct Help(Option<String>);

impl From<&str> for Help {
    fn from(text: &str) -> Self {
        Help(Some(text.to_owned()))
    }
}

impl From<String> for Help {
    fn from(text: String) -> Self {
        Help(Some(text))
    }
}

impl From<Option<String>> for Help {
    fn from(text: Option<String>) -> Self {
        Help(text)
    }
}

/// What was probably meant: the closest name, or the few that there are.
pub fn suggestion<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let names: Vec<&str> = names.into_iter().collect();
    if let Some(meant) = did_you_mean(written, names.iter().copied()) {
        return Some(format!("did you mean `{meant}`?"));
    }
    match names.len() {
        0 => Some("there are none".to_owned()),
        count if count <= LISTED => Some(format!("there are: {}", names.join(", "))),
        _ => None,
    }
}

/// `pointer/name`, with the name escaped as RFC 6901 wants it.
pub fn below(pointer: &str, name: impl std::fmt::Display) -> String {
    let name = name.to_string().replace('~', "~0").replace('/', "~1");
    format!("{pointer}/{name}")
}
