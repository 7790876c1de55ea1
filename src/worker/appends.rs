//! Whose a line of a file is: what `file.append` writes is written down with its settlement, so that the repeat of
//! another step with an equal text does not take it for its own.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::host::Host;
use crate::engine::{Call, Target};
use crate::store;

/// The list and the place of what a call wrote, where it is an append.
pub fn made(call: &Call, output: &Value) -> Option<(String, String)> {
    if !is_append(call) {
        return None;
    }
    let place = place(output.get("offset")?.as_u64()?, &mark(call));
    Some((list(output)?, place))
}

/// What an append has to know: whose it is, and, where an earlier attempt noted something, the offsets from there on
/// at which its text is another step's.
///
/// # Errors
/// The store's alone.
pub async fn known(host: &Host, root: &str, call: &Call, note: Option<Value>) -> store::Result<Option<Value>> {
    if !is_append(call) {
        return Ok(note);
    }
    let by = format!("{root} {}", call.key);
    let Some(mut note) = note else { return Ok(Some(json!({ "by": by }))) };
    if let (Some(list), Some(offset)) = (list(&note), note.get("offset").and_then(Value::as_u64)) {
        let mark = mark(call);
        let others = host.store.matches_of_others(list, place(offset, ""), root.to_owned(), call.key.clone()).await?;
        let taken = others.iter().filter_map(|place| place.strip_suffix(&mark)?.trim_end().parse::<u64>().ok());
        note["taken"] = json!(taken.collect::<Vec<_>>());
    }
    note["by"] = json!(by);
    Ok(Some(note))
}

fn is_append(call: &Call) -> bool {
    matches!(&call.target, Target::Action { connector, action } if (&**connector, &**action) == ("file", "append"))
}

fn list(told: &Value) -> Option<String> {
    Some(format!("file.append {}", told.get("path")?.as_str()?))
}

// In the order of the offsets.
fn place(offset: u64, mark: &str) -> String {
    format!("{offset:020} {mark}")
}

// Of the text: a file that begins anew has other texts at the same places.
fn mark(call: &Call) -> String {
    let text = call.inputs.get("text").and_then(Value::as_str).unwrap_or_default();
    let digest = Sha256::digest(text.strip_suffix('\n').unwrap_or(text).as_bytes());
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
