//! The direction of the arrows between modules: what ARCHITECTURE.md draws is read from the sources' own
//! `crate::` paths. A module may use those below it, and nothing above.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Each module with the modules that it may use.
const ARROWS: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    (
        "cli",
        &["app", "web", "sandbox", "worker", "store", "connector", "engine", "check", "manifest", "settings", "clock"],
    ),
    ("web", &["app", "worker", "store", "manifest", "clock"]),
    (
        "app",
        &[
            "worker",
            "store",
            "connector",
            "engine",
            "check",
            "manifest",
            "settings",
            "secrets",
            "memory",
            "sealing",
            "crash",
            "template",
            "yaml",
            "formats",
            "clock",
            "sandbox",
            "web",
        ],
    ),
    (
        "worker",
        &[
            "crash",
            "planted",
            "store",
            "connector",
            "engine",
            "manifest",
            "settings",
            "secrets",
            "sealing",
            "template",
            "clock",
        ],
    ),
    ("connector", &["crash", "planted", "engine", "manifest", "settings", "secrets", "template", "formats", "clock"]),
    ("store", &["crash", "planted", "engine", "sealing", "clock"]),
    ("engine", &["planted", "steps", "check", "manifest", "template", "clock"]),
    ("steps", &["check", "manifest", "template", "clock"]),
    ("check", &["manifest", "settings", "template", "formats", "yaml", "clock"]),
    ("manifest", &["settings", "template", "yaml", "clock"]),
    ("secrets", &["settings", "sealing"]),
    ("settings", &["manifest", "sealing"]),
    ("template", &["formats", "clock"]),
    ("yaml", &[]),
    ("formats", &[]),
    ("sealing", &[]),
    ("clock", &[]),
    ("memory", &[]),
    ("planted", &[]),
    ("crash", &[]),
    ("sandbox", &["clock", "formats"]),
];

#[test]
fn arrows_point_down_only() {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for file in sources(&root) {
        let module = module_of(&root, &file);
        if module == "lib" {
            continue;
        }
        let Some(below) = allowed.get(module.as_str()) else {
            wrong.push(format!("{}: module `{module}` has no place in the picture", file.display()));
            continue;
        };
        let text = fs::read_to_string(&file).unwrap();
        // A file's own tests may look around.
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for used in uses(text) {
            if used != module && allowed.contains_key(used.as_str()) && !below.contains(&used.as_str()) {
                wrong.push(format!("{}: `{module}` uses `{used}`", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that point up or aside:\n{}", wrong.join("\n"));
}

#[test]
fn store_and_connector_never_meet() {
    for (module, other) in [("store", "connector"), ("connector", "store")] {
        let (_, below) = ARROWS.iter().find(|(name, _)| *name == module).unwrap();
        assert!(!below.contains(&other));
    }
}

#[test]
fn a_wrong_arrow_is_seen() {
    assert_eq!(uses("use crate::worker::{Host, work};\nlet x = crate::store::id::new(1);"), ["worker", "store"]);
    assert_eq!(uses("use crate::{app, cli::Exit};"), ["app", "cli"]);
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // Test modules beside the code look around, too.
            if path.file_name().is_none_or(|name| name != "tests") {
                files.extend(sources(&path));
            }
        } else if path.extension().is_some_and(|ending| ending == "rs")
            && path.file_name().is_none_or(|name| name != "tests.rs")
        {
            files.push(path);
        }
    }
    files
}

fn module_of(root: &Path, file: &Path) -> String {
    let inside = file.strip_prefix(root).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

fn uses(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
        for prefix in ["crate::", "tidegate::"] {
            for (at, _) in line.match_indices(prefix) {
                let rest = &line[at + prefix.len()..];
                match rest.strip_prefix('{') {
                    Some(group) => {
                        let group = group.split('}').next().unwrap_or_default();
                        found.extend(group.split(',').map(word).filter(|word| !word.is_empty()));
                    }
                    None => found.push(word(rest)),
                }
            }
        }
    }
    found
}

fn word(text: &str) -> String {
    text.trim().chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
}
