//! A `multipart` body as written: templates for texts, and for what is read from files.

use serde_json::{Map, Value};

use super::super::compile::tree;
use super::super::files::{Folders, Found};
use super::super::multipart::{Content, FilePart, Multipart, Part};
use super::super::template_failure;
use super::texts;
use crate::engine::Failure;
use crate::manifest::connector::request::FILE_PART;
use crate::manifest::problem::Problem;
use crate::template::{Scope, Tree};

/// The compiled parts, in their order.
#[derive(Clone, Debug)]
pub struct Parts(Vec<(String, Source)>);

#[derive(Clone, Debug)]
enum Source {
    Text(Tree),
    File(Tree),
}

impl Parts {
    /// Reads the parts; `pointer` is where they stand.
    pub fn compile(written: &Map<String, Value>, pointer: &str, problems: &mut Vec<Problem>) -> Parts {
        let mut parts = Vec::with_capacity(written.len());
        for (name, value) in written {
            let place = format!("{pointer}/{}", super::escaped(name));
            let Some(tree) = tree(value, &place, problems) else {
                continue;
            };
            let source = match value {
                Value::Object(members) => {
                    let unknown = members.keys().find(|member| !FILE_PART.contains(&member.as_str()));
                    if unknown.is_some() || !members.contains_key("file") {
                        let message =
                            format!("a part of a file has `file`, and may have {}", FILE_PART[1..].join(", "));
                        problems.push(Problem::new(place, "multipart_invalid", message));
                    }
                    Source::File(tree)
                }
                _ => Source::Text(tree),
            };
            parts.push((name.clone(), source));
        }
        Parts(parts)
    }

    /// Whether a template of it reads a root.
    pub fn reads(&self, root: &str) -> bool {
        self.0.iter().any(|(_, source)| {
            let (Source::Text(tree) | Source::File(tree)) = source;
            super::reads(tree, root)
        })
    }

    /// The parts with what the templates give: absent texts and files are left out, a list repeats its name.
    ///
    /// # Errors
    /// Those of [`Folders::find`]; `file_part_invalid` for a piece that the file does not have.
    pub fn render(&self, scope: &Scope, folders: &Folders) -> Result<Multipart, Failure> {
        let mut parts = Vec::new();
        for (name, source) in &self.0 {
            let (Source::Text(tree) | Source::File(tree)) = source;
            let value = tree.evaluate_pruned(scope).map_err(|error| template_failure(&error))?;
            let mut add = |content| parts.push(Part { name: name.clone(), content });
            match source {
                Source::Text(_) => texts(&value).into_iter().for_each(|text| add(Content::Text(text))),
                Source::File(_) => {
                    if let Some(path) = value.get("file").and_then(Value::as_str) {
                        add(Content::File(piece(folders.find(path)?, &value)?));
                    }
                }
            }
        }
        Multipart::new(parts)
    }
}

fn piece(found: Found, members: &Value) -> Result<FilePart, Failure> {
    let invalid = |message: String| Failure::not_sent("file_part_invalid", message);
    let number = |name: &str| match members.get(name) {
        None => Ok(None),
        Some(value) => {
            let number = value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
            number.map(Some).ok_or_else(|| invalid(format!("the `{name}` of a part is {value}, no number of bytes")))
        }
    };
    let offset = number("offset")?.unwrap_or(0);
    let rest = found.bytes.checked_sub(offset);
    let length = match number("length")? {
        Some(length) => length,
        None => rest.unwrap_or(0),
    };
    if rest.is_none_or(|rest| length > rest) {
        let message =
            format!("`{}` has {} bytes; there are no {length} bytes from byte {offset} on", found.written, found.bytes);
        return Err(invalid(message).with_help("the file may have changed since it was looked at"));
    }
    let text = |name: &str| members.get(name).and_then(Value::as_str).map(str::to_owned);
    let content_type = text("content_type").unwrap_or_else(|| found.kind.clone());
    super::refuse_control("Content-Type", &content_type)?;
    Ok(FilePart {
        filename: text("filename").unwrap_or_else(|| found.name()),
        path: found.path,
        written: found.written,
        offset,
        length,
        content_type,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn parts_are_texts_and_pieces_of_files() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("a.gif"), b"GIF89a1234").unwrap();
        let folders = Folders::new(vec![place.path().to_owned()]);
        let written = json!({
            "index": "{{inputs.index}}", "left_out": "{{maybe inputs.nothing}}", "tags": ["a", "b"],
            "media": {"file": "{{inputs.path}}", "offset": "{{inputs.offset}}", "length": 4},
            "whole": {"file": "{{maybe inputs.other}}", "content_type": "image/own", "filename": "own"}
        });
        let mut problems = Vec::new();
        let parts = Parts::compile(written.as_object().unwrap(), "", &mut problems);
        assert_eq!(problems, []);
        let render = |inputs: Value| {
            let mut scope = Scope::new();
            scope.set("inputs", inputs);
            parts.render(&scope, &folders).map(|body| body.shown()).map_err(|failure| failure.code)
        };
        assert_eq!(
            render(json!({"index": 0, "path": "a.gif", "offset": 6})),
            Ok(
                json!({"index": "0", "tags": ["a", "b"], "media": {"file": "a.gif", "offset": 6, "bytes": 4, "type": "image/gif"}})
            )
        );
        let both = render(json!({"index": 0, "path": "a.gif", "offset": 0, "other": "a.gif"})).unwrap();
        assert_eq!(both["whole"], json!({"file": "a.gif", "offset": 0, "bytes": 10, "type": "image/own"}));
        for (offset, path, code) in [
            (json!(7), "a.gif", "file_part_invalid"),
            (json!("x"), "a.gif", "file_part_invalid"),
            (json!(0), "b", "file_missing"),
        ] {
            assert_eq!(render(json!({"index": 0, "path": path, "offset": offset})), Err(code.to_owned()));
        }
    }

    #[test]
    fn a_part_of_a_file_has_its_words() {
        for wrong in [json!({"path": "a"}), json!({"file": "a", "size": 1})] {
            let mut problems = Vec::new();
            Parts::compile(json!({"media": wrong}).as_object().unwrap(), "/multipart", &mut problems);
            assert_eq!((problems[0].code, problems[0].pointer.as_str()), ("multipart_invalid", "/multipart/media"));
        }
    }
}
