//! The documentation as a test: every example of README.md and docs/ is loaded and checked, every template in it
//! is evaluated, every word of the language is explained, every link leads somewhere. A block says by its info
//! string what it is (`yaml flow`, `yaml steps`, ...); `documents` reads the pages, `examples` makes projects.

mod documents;
mod examples;
mod templates;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use self::documents::{Document, all, root};

/// What a ```yaml block can be; see `examples`.
const KINDS: &[&str] = &["flow", "trigger", "steps", "connector", "members", "settings"];

/// Pages that another test holds to the code.
const HELD_ELSEWHERE: &[&str] = &["docs/diagnostics.md"];

#[test]
fn every_yaml_block_says_what_it_is() {
    for document in pages() {
        for block in &document.blocks {
            let mut words = block.info.split_whitespace();
            if words.next() != Some("yaml") {
                continue;
            }
            let kind = words.next().unwrap_or_default();
            assert!(
                KINDS.contains(&kind),
                "{}:{}: `{}` should be ```yaml and one of {KINDS:?}",
                document.path,
                block.line,
                block.info
            );
        }
    }
}

#[test]
fn every_yaml_block_is_sound() {
    let mut wrong = Vec::new();
    let mut checked = 0;
    for document in pages() {
        for block in document.of_language("yaml") {
            checked += 1;
            let told = examples::check(&document, block);
            if !told.is_empty() {
                wrong.push(format!("{}:{}\n{told}", document.path, block.line));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked >= 40, "only {checked} blocks were found");
}

#[test]
fn the_readme_is_one_project_without_a_warning() {
    assert_eq!(examples::check_whole(&Document::read("README.md")), "");
}

/// With TIDEGATE_UPDATE=1 the README is brought to the files.
#[test]
fn the_readme_shows_the_flows_as_they_are() {
    let readme = Document::read("README.md");
    let mut text = fs::read_to_string(root().join(&readme.path)).unwrap();
    for name in examples::OURS {
        let file = fs::read_to_string(root().join(format!("flows/{name}.yaml"))).unwrap();
        let is_of_it = |block: &&documents::Block| block.text.contains(&format!("\nflow: {name}\n"));
        let shown = readme.of_kind("flow").find(is_of_it).unwrap_or_else(|| panic!("README.md does not show {name}"));
        if std::env::var_os("TIDEGATE_UPDATE").is_some() {
            text = text.replace(&shown.text, &file);
        } else {
            assert_eq!(shown.text, file, "README.md is behind: run this test with TIDEGATE_UPDATE=1");
        }
    }
    if std::env::var_os("TIDEGATE_UPDATE").is_some() {
        fs::write(root().join(&readme.path), text).unwrap();
    }
    let files = fs::read_dir(root().join("flows")).unwrap().count();
    assert_eq!(files, examples::OURS.len(), "README.md shows every flow");
}

/// What a composite action shares with flows.
const STEPS: &[&str] = &[
    "Step",
    "Http",
    "Repeat",
    "Wait",
    "Stop",
    "StopStatus",
    "Retry",
    "Backoff",
    "OnError",
    "Approval",
    "Needed",
    "Choices",
    "Choice",
    "Flag",
    "Reminders",
];

#[test]
fn every_word_of_the_language_is_explained() {
    let pages = [
        ("schemas/connector.schema.json", "docs/connectors.md"),
        ("schemas/flow.schema.json", "docs/flows.md"),
        ("schemas/settings.schema.json", "docs/settings.md"),
    ];
    for (schema, page) in pages {
        let mut schema: Value = serde_json::from_str(&fs::read_to_string(root().join(schema)).unwrap()).unwrap();
        // Inputs are the same everywhere, and explained in one place; so are steps.
        let elsewhere: &[&str] = match page {
            "docs/connectors.md" => STEPS,
            _ => &["Input", "Visibility"],
        };
        let shared = schema.get_mut("$defs").and_then(Value::as_object_mut);
        shared.expect("definitions").retain(|name, _| !elsewhere.contains(&name.as_str()));
        let mut words = BTreeSet::new();
        collect_words(&schema, &mut words);
        let written = Document::read(page).code_words();
        let missing: Vec<&String> = words.difference(&written).collect();
        assert!(missing.is_empty(), "{page} does not explain {missing:?}");
    }
}

/// The names of members and the words that can be their values, at any depth of a schema.
fn collect_words(schema: &Value, words: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            for (name, value) in members {
                match (name.as_str(), value) {
                    ("properties", Value::Object(properties)) => {
                        words.extend(properties.keys().cloned());
                        properties.values().for_each(|property| collect_words(property, words));
                    }
                    ("enum", Value::Array(choices)) => {
                        words.extend(choices.iter().filter_map(Value::as_str).map(str::to_owned));
                    }
                    ("const", Value::String(word)) => {
                        words.insert(word.clone());
                    }
                    _ => collect_words(value, words),
                }
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| collect_words(element, words)),
        _ => {}
    }
}

#[test]
fn every_link_leads_somewhere() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for document in all() {
        for (line, target) in document.links() {
            let (path, heading) = match target.split_once('#') {
                Some((path, heading)) => (path, Some(heading)),
                None => (target.as_str(), None),
            };
            if path.starts_with("https://") {
                continue;
            }
            count += 1;
            let folder = Path::new(&document.path).parent().unwrap();
            let linked = match path {
                "" => root().join(&document.path),
                path => root().join(folder).join(path),
            };
            let has_heading = || {
                let text = fs::read_to_string(&linked).unwrap_or_default();
                let anchors = Document::of(String::new(), &text).anchors();
                heading.is_none_or(|heading| anchors.contains(heading))
            };
            if !linked.exists() || !has_heading() {
                wrong.push(format!("{}:{line}: {target}", document.path));
            }
        }
    }
    assert!(wrong.is_empty(), "lead nowhere:\n{}", wrong.join("\n"));
    assert!(count > 20, "only {count} links were found");
}

#[test]
fn the_readme_links_every_page() {
    let links: BTreeSet<String> = Document::read("README.md").links().into_iter().map(|(_, target)| target).collect();
    let missing: Vec<String> =
        all().map(|document| document.path).filter(|path| path.starts_with("docs/") && !links.contains(path)).collect();
    assert!(missing.is_empty(), "README.md does not link {missing:?}");
}

/// The pages whose blocks are examples of this test.
fn pages() -> impl Iterator<Item = Document> {
    all().filter(|document| !HELD_ELSEWHERE.contains(&document.path.as_str()))
}

/// What a host tells can be asked for in `alerts`, and stands in the documents.
#[test]
fn every_kind_of_notice_is_known_and_documented() {
    let text = fs::read_to_string(root().join("docs/settings.md")).unwrap();
    for kind in tidegate::settings::NOTICES {
        assert!(text.contains(&format!("`{kind}`")), "docs/settings.md does not name `{kind}`");
    }
    let told = regex::Regex::new(r#"(?:kind: |notice\(|\.of\()"([a-z_]+)""#).unwrap();
    let mut found = 0;
    for entry in fs::read_dir(root().join("src/worker")).unwrap() {
        let path = entry.unwrap().path();
        let text = if path.is_file() { fs::read_to_string(&path).unwrap() } else { String::new() };
        for kind in told.captures_iter(&text).map(|told| told[1].to_owned()) {
            found += 1;
            assert!(tidegate::settings::NOTICES.contains(&kind.as_str()), "{}: `{kind}`", path.display());
        }
    }
    assert!(found > 8, "only {found} are found: they are told in another way");
}

/// Each operation has a row of its own, whose test is there; the cases of an action are named as it is.
#[test]
fn what_others_offer_is_tested_where_it_says() {
    let text = fs::read_to_string(root().join("docs/coverage.md")).unwrap();
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter_map(|line| Some(line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").collect()))
        .filter(|row: &Vec<&str>| row.first().is_some_and(|there| there.contains(": ")))
        .collect();
    assert!(rows.len() > 40, "{}", rows.len());
    let mut seen = BTreeSet::new();
    for row in rows {
        let [there, here, test] = row.as_slice() else { panic!("{row:?}") };
        assert!(seen.insert(*there), "{there} has two rows");
        let test = test.trim_matches('`');
        assert!(root().join(test).is_file(), "{there}: {test}");
        if let Some((connector, name)) = here.strip_prefix('`').and_then(|here| here.strip_suffix('`')?.split_once('.'))
        {
            assert_eq!(test, format!("tests/connectors/{connector}/{name}.yaml"), "{there}");
        }
    }
}
