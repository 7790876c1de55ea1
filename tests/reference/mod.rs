//! The reference suite: every recorded exchange of X and Twilio goes through the executor, and what our
//! connectors send and the sandbox answers is held against the services' official documents. The material is
//! not part of the project: TIDEGATE_REFERENCE names its folder, and without it each test says that it was
//! left out. Nothing here knows a single file by name, so that other recordings of the same form may be put
//! in their place.

mod account;
mod answer;
mod document;
mod fixture;
mod oauth;
mod schema;
mod twilio;
mod wire;
mod x;

use std::path::PathBuf;

/// A place in the reference, or a word on standard error that the test is left out.
fn reference(test: &str, place: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("TIDEGATE_REFERENCE") else {
        eprintln!("{test}: left out, because TIDEGATE_REFERENCE names no folder");
        return None;
    };
    let path = PathBuf::from(folder).join(place);
    assert!(path.exists(), "TIDEGATE_REFERENCE has no {}", path.display());
    Some(path)
}

/// Fails a test with all that is wrong at once, or with the beginning of it.
fn settle(wrong: &[String]) {
    const SHOWN: usize = 40;
    let shown = wrong.get(..SHOWN).unwrap_or(wrong).join("\n");
    assert!(wrong.is_empty(), "{} wrong:\n{shown}", wrong.len());
}
