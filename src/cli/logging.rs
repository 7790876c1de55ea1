//! The log, on standard error: what happens inside, by level and module. It never holds a secret or an item's
//! content; results are on standard output.

use std::fmt;
use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicBool, Ordering};

use clap::ValueEnum;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{self, Writer};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::output;
use super::text::escaped;
use crate::manifest::diagnostic::did_you_mean;
use crate::manifest::{Diagnostic, Severity};

// Whether standard error holds JSON alone.
static IS_JSON: AtomicBool = AtomicBool::new(false);

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object per line
    Json,
}

/// How much a command says when nothing is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verbosity {
    /// Warnings and errors: commands that answer and end.
    Answer,
    /// What a host does, too.
    Host,
    /// Errors alone: a table is redrawn on the same terminal.
    Table,
}

/// What is logged: `filter` as given, or by `verbose` (how often `-v` was given) above the command's own.
///
/// # Errors
/// The filter as it was given, where it is none.
pub fn targets(filter: Option<&str>, verbose: u8, own: Verbosity) -> Result<Targets, String> {
    let directives = match (filter, verbose, own) {
        (Some(filter), ..) => filter,
        (None, 0, Verbosity::Table) => "error",
        // What a flow itself writes, with `log.write`, is what somebody wants to see.
        (None, 0, Verbosity::Answer) => "warn,flow=info",
        (None, 0, Verbosity::Host) => "warn,tidegate=info,flow=info",
        (None, 1, Verbosity::Answer | Verbosity::Table) => "warn,tidegate=info,flow=info",
        (None, 1, Verbosity::Host) | (None, 2, _) => "warn,tidegate=debug,flow=info",
        (None, ..) => "info,tidegate=trace",
    };
    if let Some(word) = directives.split(',').map(str::trim).find(|word| is_mistaken(word)) {
        let meant = did_you_mean(word, LEVELS).map(|level| format!(": did you mean `{level}`?")).unwrap_or_default();
        return Err(format!("`{word}` is neither a level nor a module of the program{meant}"));
    }
    directives.parse().map_err(|error| format!("`{directives}` does not say what to log: {error}"))
}

const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

// A lone word is a level, or a module of which everything is logged. One that is neither would silence everything.
fn is_mistaken(word: &str) -> bool {
    let is_level = LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word)) || word.parse::<u8>().is_ok();
    let is_ours = ["tidegate", "flow"].contains(&word.split("::").next().unwrap_or(word));
    !word.contains('=') && !is_level && !is_ours
}

/// Starts the log.
pub fn start(targets: Targets, format: LogFormat) {
    let is_coloured = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let registry = tracing_subscriber::registry().with(targets);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    IS_JSON.store(format == LogFormat::Json, Ordering::Relaxed);
    let started = match format {
        LogFormat::Text => {
            let fields = format::debug_fn(|writer, field, value| write_field(writer, field.name(), value));
            registry.with(layer.fmt_fields(fields.delimited(" ")).with_ansi(is_coloured)).try_init()
        }
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init(),
    };
    // It fails only where a log is running already: in a test that calls twice.
    if let Err(error) = started {
        tracing::debug!(%error, "the log was started before");
    }
}

// On one line, whatever is in it: a line break in what a service says must not begin a line that looks like ours.
fn write_field(writer: &mut Writer<'_>, name: &str, value: &dyn fmt::Debug) -> fmt::Result {
    let text = escaped(&format!("{value:?}"));
    match (name, writer.has_ansi_escapes()) {
        ("message", _) => write!(writer, "{text}"),
        (_, true) => write!(writer, "\u{1b}[3m{name}\u{1b}[0m\u{1b}[2m=\u{1b}[0m{text}"),
        (_, false) => write!(writer, "{name}={text}"),
    }
}

/// Says something in the course of the work: a line of text, or of the log where that is JSON.
///
/// # Errors
/// When standard error can not be written.
pub fn say(text: &str) -> io::Result<()> {
    if IS_JSON.load(Ordering::Relaxed) {
        tracing::info!("{text}");
        return Ok(());
    }
    output::note(text)
}

/// Tells a finding about a file in the course of the work: as `text` renders it, or as an object of the log.
///
/// # Errors
/// When standard error can not be written.
pub fn tell(found: &Diagnostic, text: impl FnOnce() -> String) -> io::Result<()> {
    if !IS_JSON.load(Ordering::Relaxed) {
        return output::note(text().trim_end());
    }
    let Diagnostic { code, severity, file, line, column, length: _, message, help } = found;
    let (file, help) = (file.display(), help.as_deref());
    match severity {
        Severity::Error => tracing::error!(code, %file, line, column, help, "{message}"),
        Severity::Warning => tracing::warn!(code, %file, line, column, help, "{message}"),
        Severity::Note => tracing::info!(code, %file, line, column, help, "{message}"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn a_field_stays_on_its_line() {
        let written = |name: &str, value: &dyn fmt::Debug| {
            let mut text = String::new();
            write_field(&mut Writer::new(&mut text), name, value).unwrap();
            text
        };
        let forged = "no\n2026-01-01 ERROR tidegate: forged\u{1b}[2J";
        assert_eq!(written("message", &format_args!("{forged}")), "no\\n2026-01-01 ERROR tidegate: forged\\u{1b}[2J");
        assert_eq!(written("error", &format_args!("a\r\nb \\ ü")), "error=a\\r\\nb \\ ü");
        assert_eq!(written("flow", &"a\nb"), "flow=\"a\\nb\"");
    }

    #[test]
    fn v_shows_more_and_a_filter_replaces_it() {
        let shows = |targets: &Targets, level| targets.would_enable("tidegate::worker", &level);
        let answer = targets(None, 0, Verbosity::Answer).unwrap();
        assert!(shows(&answer, Level::WARN) && !shows(&answer, Level::INFO));
        for (verbose, own) in [(0, Verbosity::Answer), (0, Verbosity::Host), (1, Verbosity::Host), (2, Verbosity::Host)]
        {
            let shown = targets(None, verbose, own).unwrap();
            assert!(shown.would_enable("flow", &Level::INFO), "what a flow writes is shown: {own:?} {verbose}");
        }
        let host = targets(None, 0, Verbosity::Host).unwrap();
        assert!(shows(&host, Level::INFO) && !shows(&host, Level::DEBUG));
        assert!(!host.would_enable("hyper", &Level::INFO));
        let more = targets(None, 1, Verbosity::Host).unwrap();
        assert!(shows(&more, Level::DEBUG));
        let given = targets(Some("tidegate::store=debug"), 3, Verbosity::Host).unwrap();
        assert!(!shows(&given, Level::ERROR));
        assert!(given.would_enable("tidegate::store", &Level::DEBUG));
        assert!(targets(Some("tidegate=loud"), 0, Verbosity::Host).is_err());
        let refused = targets(Some("warn,deubg"), 0, Verbosity::Host).unwrap_err();
        assert!(refused.contains("`deubg`") && refused.contains("did you mean `debug`?"), "{refused}");
        for filter in ["DEBUG", "off", "tidegate::worker", "flow", "warn, hyper=debug"] {
            assert!(targets(Some(filter), 0, Verbosity::Host).is_ok(), "{filter}");
        }
    }
}
