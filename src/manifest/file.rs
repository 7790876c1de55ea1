//! One file's bytes to text: not too large, UTF-8, without a byte order mark.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::{Diagnostic, Severity};
use crate::yaml::MAX_FILE_BYTES;

/// What became of a file. The text is there for showing where a finding is, even where the finding is that it
/// can not be read as text.
pub struct Text {
    /// The text; what is no text in it is replaced.
    pub text: Arc<str>,
    /// What is wrong.
    pub found: Option<Diagnostic>,
}

/// Reads `directory/path`; findings name `path`. Only what is a file is opened: to open a pipe is to wait for
/// whoever writes into it.
pub fn read(directory: &Path, path: &Path) -> Text {
    match std::fs::metadata(directory.join(path)) {
        Ok(found) if found.is_file() => {}
        Ok(found) => return refused(no_file(path, found.is_dir())),
        Err(error) => return refused(unreadable(path, &error)),
    }
    let mut bytes = Vec::new();
    let limit = MAX_FILE_BYTES as u64 + 1;
    let result = std::fs::File::open(directory.join(path)).and_then(|file| file.take(limit).read_to_end(&mut bytes));
    if let Err(error) = result {
        return refused(unreadable(path, &error));
    }
    decode(path, &bytes)
}

/// A file or folder that the system does not give out.
pub fn unreadable(path: &Path, error: &std::io::Error) -> Diagnostic {
    let message = format!("can not be read: {error}");
    let help = "check that it is there and that this user may read it";
    whole_file(path, "unreadable", message, Some(help))
}

fn no_file(path: &Path, is_folder: bool) -> Diagnostic {
    let message = match is_folder {
        true => "this is a folder, and not a file as its name says",
        false => "this is a pipe, a socket or a device, and not a file",
    };
    whole_file(path, "no_file", message.to_owned(), Some("remove it, or give it a name that does not end in `.yaml`"))
}

/// A folder whose files are not looked at.
pub fn passed_over(path: &Path, message: &str, help: &str) -> Diagnostic {
    Diagnostic { severity: Severity::Warning, ..whole_file(path, "passed_over", message.to_owned(), Some(help)) }
}

/// A folder that holds nothing of a project.
pub fn no_project(folder: &Path) -> Diagnostic {
    let message = "there is no tidegate.yaml, flows/ or connectors/ here: this is no project's folder".to_owned();
    let help = Some("name the project's folder, or write a flow to flows/");
    Diagnostic { severity: Severity::Warning, ..whole_file(folder, "no_project", message, help) }
}

/// A finding about a file or folder as a whole.
pub fn whole_file(path: &Path, code: &'static str, message: String, help: Option<&str>) -> Diagnostic {
    Diagnostic {
        code,
        severity: Severity::Error,
        file: path.to_owned(),
        line: 0,
        column: 0,
        length: 1,
        message,
        help: help.map(str::to_owned),
    }
}

/// Bytes as text.
fn decode(path: &Path, bytes: &[u8]) -> Text {
    if bytes.len() > MAX_FILE_BYTES {
        let message = format!("the file is larger than {} MiB", MAX_FILE_BYTES / 1024 / 1024);
        let help = "split it: a connector may be a folder of files";
        return refused(whole_file(path, "file_too_large", message, Some(help)));
    }
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        let message = "the file is UTF-16, not UTF-8".to_owned();
        return refused(whole_file(path, "not_utf8", message, Some("save it as UTF-8")));
    }
    let (bytes, has_mark) = match bytes.strip_prefix(b"\xEF\xBB\xBF") {
        Some(rest) => (rest, true),
        None => (bytes, false),
    };
    match std::str::from_utf8(bytes) {
        Ok(text) => Text {
            text: text.into(),
            found: has_mark.then(|| Diagnostic {
                severity: Severity::Warning,
                line: 1,
                column: 1,
                ..whole_file(
                    path,
                    "byte_order_mark",
                    "the file begins with a byte order mark, which is passed over".to_owned(),
                    Some("save it as UTF-8 without one"),
                )
            }),
        },
        Err(error) => {
            let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let valid = String::from_utf8_lossy(valid);
            let line = valid.bytes().filter(|byte| *byte == b'\n').count() + 1;
            let column = valid.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
            let byte = bytes.get(error.valid_up_to()).copied().unwrap_or_default();
            Text {
                text: String::from_utf8_lossy(bytes).into(),
                found: Some(Diagnostic {
                    line: u32::try_from(line).unwrap_or(u32::MAX),
                    column: u32::try_from(column).unwrap_or(u32::MAX),
                    ..whole_file(
                        path,
                        "not_utf8",
                        format!("the byte {byte:#04x} here is not UTF-8"),
                        Some("save the file as UTF-8"),
                    )
                }),
            }
        }
    }
}

/// What cannot be read as text.
pub fn refused(found: Diagnostic) -> Text {
    Text { text: "".into(), found: Some(found) }
}
