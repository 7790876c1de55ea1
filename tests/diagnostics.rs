//! What `tidegate check` says about files that are wrong: each case in `tests/diagnostics/` is a project (a
//! section per file) and, in its last section, every diagnostic as it is printed. A case is named for the
//! code that it shows. Run with TIDEGATE_UPDATE=1 to write what is printed now into the cases; read the diff.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tidegate::cli::diagnostics::{Style, render, to_json};
use tidegate::manifest::{Catalog, Origin};

/// A project's files by path, and what is expected of it.
struct Case {
    files: Vec<(String, String)>,
    expected: String,
}

impl Case {
    fn read(text: &str) -> Case {
        let mut files: Vec<(String, String)> = Vec::new();
        for line in text.split_inclusive('\n') {
            match line.strip_prefix("=== ") {
                Some(path) => files.push((path.trim_end().to_owned(), String::new())),
                None => files.last_mut().expect("a section first").1.push_str(line),
            }
        }
        let (name, expected) = files.pop().expect("a section");
        assert_eq!(name, "diagnostics", "the last section");
        Case { files, expected }
    }

    fn write(&self, folder: &Path) {
        for (path, text) in &self.files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    fn text(&self, printed: &str) -> String {
        let files = self.files.iter();
        let sections = files.map(|(path, text)| format!("=== {path}\n{text}"));
        sections.collect::<String>() + "=== diagnostics\n" + printed
    }
}

fn print(catalog: &Catalog) -> String {
    let printed = catalog.diagnostics.iter().map(|found| render(found, catalog.text(&found.file), Style::Plain));
    printed.collect()
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics");
    let entries = fs::read_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
fn every_case_prints_what_it_says() {
    let mut wrong = Vec::new();
    for path in cases() {
        let case = Case::read(&fs::read_to_string(&path).unwrap());
        let folder = tempfile::tempdir().unwrap();
        case.write(folder.path());
        let catalog = Catalog::load(folder.path());
        let printed = print(&catalog);
        let name = path.file_stem().unwrap().to_str().unwrap();
        let code = name.split('.').next().unwrap();
        let codes: BTreeSet<&str> = catalog.diagnostics.iter().map(|found| found.code).collect();
        assert!(code == "sound" || codes.contains(code), "{name} shows {codes:?}");
        if std::env::var_os("TIDEGATE_UPDATE").is_some() {
            fs::write(&path, case.text(&printed)).unwrap();
        } else if printed != case.expected {
            wrong.push(format!("{name} expects\n{}but prints\n{printed}", case.expected));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A project with one connector file of these bytes.
fn load(bytes: &[u8]) -> Catalog {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("connectors")).unwrap();
    fs::write(folder.path().join("connectors/a.yaml"), bytes).unwrap();
    Catalog::load(folder.path())
}

#[test]
fn bytes_that_are_no_text_are_refused_with_their_place() {
    let large = vec![b'#'; 2 * 1024 * 1024 + 1];
    let cases: [(&[u8], &str, u32, u32); 6] = [
        (b"connector: a\ntitle: \xc3\xa4\xff\n", "not_utf8", 2, 9),
        (b"\xff\xfec\0o\0", "not_utf8", 0, 0),
        (b"\xef\xbb\xbfconnector: a\n", "byte_order_mark", 1, 1),
        (b"\xef\xbb\xbfconnector: b\n", "name_mismatch", 1, 12),
        (b"", "empty_file", 0, 0),
        (&large, "file_too_large", 0, 0),
    ];
    for (bytes, code, line, column) in cases {
        let catalog = load(bytes);
        let found = catalog.diagnostics.last().unwrap();
        assert_eq!((found.code, found.line, found.column), (code, line, column));
        assert_eq!(catalog.connectors.contains_key("a"), code == "byte_order_mark");
        assert_eq!(catalog.broken_connectors.contains("a"), code != "byte_order_mark");
    }
}

#[test]
fn a_folder_that_is_not_there_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Catalog::load(&folder.path().join("nowhere"));
    let codes: Vec<&str> = catalog.diagnostics.iter().map(|found| found.code).collect();
    assert_eq!(codes, ["unreadable"]);
    assert!(!catalog.is_sound());
}

#[test]
fn what_is_inside_the_program_is_sound() {
    let catalog = Catalog::embedded();
    assert_eq!(print(&catalog), "");
    let names: Vec<&str> = catalog.connectors.keys().map(String::as_str).collect();
    assert_eq!(names, ["email", "file", "json", "log", "twilio", "x"]);
    assert_eq!(catalog.flows.len(), 4);
}

#[test]
fn a_projects_own_connector_replaces_the_embedded_one() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("connectors")).unwrap();
    fs::write(folder.path().join("connectors/x.yml"), "connector: x\ntitle: Mine\n").unwrap();
    let catalog = Catalog::load(folder.path());
    let own = &catalog.connectors["x"];
    assert_eq!((own.value.title.as_deref(), own.origin), (Some("Mine"), Origin::File));
    assert_eq!(catalog.connectors["log"].origin, Origin::Embedded);
}

#[test]
fn json_output_has_every_member() {
    let catalog = load(b"connector: a\ntitel: A\n");
    let list = to_json(&catalog.diagnostics);
    assert_eq!(
        list,
        serde_json::json!([{
            "code": "unknown_key", "severity": "error", "file": "connectors/a.yaml", "line": 2, "column": 1,
            "length": 5, "message": "the file has no key `titel`", "help": "did you mean `title`?"
        }])
    );
}

#[test]
fn colours_are_there_only_when_asked_for() {
    let catalog = load(b"connector: a\ntitel: \"\x1b[31mA\"\nx\x1b: 1\n");
    let found = &catalog.diagnostics[0];
    let text = catalog.text(&found.file);
    assert!(!render(found, text, Style::Plain).contains('\x1b'));
    assert!(render(found, text, Style::Coloured).contains('\x1b'));
}

#[test]
fn inputs_are_typed_by_their_own_schemas() {
    let catalog = load(
        b"connector: a\nactions:\n  go:\n    effect: read\n    inputs:\n      code: {type: string, default: 007, enum: [007, 1.10]}\n      size: {type: integer, default: 10}\n",
    );
    assert_eq!(print(&catalog), "");
    let inputs = &catalog.connectors["a"].value.actions["go"].inputs;
    assert_eq!(inputs["code"].default_value(), Some(&"007".into()));
    assert_eq!(inputs["code"].schema["enum"], serde_json::json!(["007", "1.10"]));
    assert_eq!(inputs["size"].default_value(), Some(&10.into()));
}

#[test]
fn a_file_of_nothing_but_mistakes_is_told_in_bounds() {
    for line in ["a: 1\n", "{{x}}\n", "- *a\n"] {
        let begun = Instant::now();
        let catalog = load(line.repeat(2_000_000 / line.len()).as_bytes());
        assert!(!catalog.diagnostics.is_empty() && catalog.diagnostics.len() < 2_100);
        assert!(begun.elapsed() < Duration::from_secs(20), "{line}: {:?}", begun.elapsed());
    }
    let keys: String = (0..150_000).map(|key| format!("k{key}: 1\n")).collect();
    let begun = Instant::now();
    let catalog = load(keys.as_bytes());
    assert!(catalog.diagnostics.len() < 2_100);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

/// 220 actions in 2 MB. The bound is for a debug build on a busy machine; a release build needs a twentieth.
#[test]
fn a_large_connector_loads_quickly() {
    let mut text = "connector: a\nactions:\n".to_owned();
    for action in 0..220 {
        text.push_str(&format!("  action_{action}:\n    effect: read\n    inputs:\n"));
        for input in 0..60 {
            text.push_str(&format!(
                "      input_{input}: {{type: string, title: Input {input}, description: \"{}\", default: {input}}}\n",
                "words ".repeat(10)
            ));
        }
        text.push_str("    request: {method: GET, path: /2/things, query: {q: \"{{inputs.input_1}}\"}}\n");
    }
    assert!(text.len() > 1_800_000 && text.len() < 2 * 1024 * 1024, "{}", text.len());
    let begun = Instant::now();
    let catalog = load(text.as_bytes());
    let took = begun.elapsed();
    assert_eq!(print(&catalog), "");
    assert_eq!(catalog.connectors["a"].value.actions.len(), 220);
    assert!(took < Duration::from_secs(10), "{took:?}");
    eprintln!("2 MB took {took:?}");
}
