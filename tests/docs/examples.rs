//! The documentation's YAML as projects. A block is checked among the connectors and flows of its page:
//!
//! `flow`, `connector`, `settings`: whole files. `trigger`: the beginning of a flow, a step is added. `steps`: a
//! flow's `steps` (and `on_failure`), a trigger is added. `members`: top-level members of a connector, those
//! that it needs are added.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use tidegate::check::{self, Surroundings};
use tidegate::cli::diagnostics::{Style, render};
use tidegate::connector::Connector;
use tidegate::engine::{Flow, Schedule};
use tidegate::manifest::{Catalog, Diagnostic, Origin, Severity};

use super::documents::{Block, Document, root};

/// Accounts for the connectors that examples use.
const ACCOUNTS: &[(&str, &str)] = &[
    (
        "x",
        "  my-x: {connector: x, fields: {consumer_key: k, consumer_secret: s, access_token: 1-t, access_token_secret: t}}\n",
    ),
    (
        "twilio",
        "  my-twilio: {connector: twilio, fields: {account_sid: AC00000000000000000000000000000000, auth_token: t}, defaults: {from: +15550100}}\n",
    ),
    ("email", "  my-mail: {connector: email, fields: {host: mail.example.org, from: gate@example.org}}\n"),
    ("json", "  feed: {connector: json, fields: {url: \"https://api.example.com\"}}\n"),
    ("shop", "  my-shop: {connector: shop, fields: {token: t}}\n"),
];

/// The flows that come with the program.
pub const OURS: &[&str] = &["tweet-to-sms", "sms-to-tweet", "json-to-file", "outage-watch"];

type Files = BTreeMap<String, String>;

/// What is found in a block, as it is printed; nothing where it is sound.
pub fn check(document: &Document, block: &Block) -> String {
    let mut files = manifests(document, "connector", "connectors");
    let text = &block.text;
    match block.kind() {
        "flow" => insert(&mut files, "flows", &name(text, "flow"), text.clone()),
        "trigger" => insert(
            &mut files,
            "flows",
            "example",
            format!("flow: example\n{text}steps:\n  - {{action: log.write, with: {{message: found}}}}\n"),
        ),
        "steps" => insert(&mut files, "flows", "example", format!("flow: example\n{}{text}", beginning(text))),
        "connector" => insert(&mut files, "connectors", &name(text, "connector"), text.clone()),
        "members" => insert(&mut files, "connectors", "example", members(text)),
        "settings" => {
            files.insert("tidegate.yaml".to_owned(), text.clone());
            let settings = load(&files).settings.value;
            let alerted = settings.alerts.iter().map(|alert| &alert.flow);
            let named = settings.flows.keys().chain(alerted).cloned().collect::<Vec<_>>();
            let mut known = manifests(document, "flow", "flows");
            for name in OURS {
                let path = format!("flows/{name}.yaml");
                known.entry(path.clone()).or_insert_with(|| fs::read_to_string(root().join(path)).unwrap());
            }
            known.retain(|path, _| named.iter().any(|name| *path == format!("flows/{name}.yaml")));
            files.extend(known);
        }
        other => panic!("{}:{}: unknown kind `{other}`", document.path, block.line),
    }
    if !files.contains_key("tidegate.yaml") {
        files.insert("tidegate.yaml".to_owned(), settings(&files));
    }
    told(&files)
}

/// What is found in all blocks of a page, taken as one project.
pub fn check_whole(document: &Document) -> String {
    let mut files = manifests(document, "connector", "connectors");
    files.extend(manifests(document, "flow", "flows"));
    let settings: String = document.of_kind("settings").map(|block| block.text.clone()).collect();
    files.insert("tidegate.yaml".to_owned(), settings);
    let catalog = load(&files);
    printed(&catalog, &found(&catalog))
}

fn insert(files: &mut Files, folder: &str, name: &str, text: String) {
    files.insert(format!("{folder}/{name}.yaml"), text);
}

/// The page's whole files of a kind.
fn manifests(document: &Document, kind: &str, folder: &str) -> Files {
    let mut files = Files::new();
    for block in document.of_kind(kind) {
        insert(&mut files, folder, &name(&block.text, kind), block.text.clone());
    }
    files
}

/// `flow: tweet-to-sms` gives `tweet-to-sms`.
fn name(text: &str, kind: &str) -> String {
    let start = format!("{kind}: ");
    let line = text.lines().find_map(|line| line.strip_prefix(&start));
    line.unwrap_or_else(|| panic!("no `{kind}:` in\n{text}")).trim().to_owned()
}

fn beginning(steps: &str) -> &'static str {
    match steps.contains("item.from") {
        true => {
            "inputs: {on_call: {type: string, format: phone, default: \"+15550199\"}}\ntrigger: {poll: twilio.incoming_sms}\n"
        }
        false if steps.contains("item.") => {
            "inputs: {on_call: {type: string, format: phone, default: \"+15550199\"}}\ntrigger: {poll: x.new_tweet, with: {query: example}}\n"
        }
        false => "inputs: {on_call: {type: string, format: phone, default: \"+15550199\"}}\ntrigger: {manual: true}\n",
    }
}

fn members(text: &str) -> String {
    let has = |member: &str| text.lines().any(|line| line.starts_with(&format!("{member}:")));
    let mut connector = String::from("connector: example\n");
    if !has("hosts") {
        connector += "hosts: {api: \"https://api.example.com\"}\n";
    }
    if !has("actions") {
        connector += "actions: {get: {effect: read, request: {path: /}}}\n";
    }
    connector + text
}

fn settings(files: &Files) -> String {
    // A connector that nothing names need not be read.
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '-';
    let words: BTreeSet<&str> = files.values().flat_map(|text| text.split(|letter| !is_part(letter))).collect();
    let is_there = |name: &str| words.contains(name) && (name != "shop" || files.contains_key("connectors/shop.yaml"));
    let accounts = ACCOUNTS.iter().filter(|(name, _)| is_there(name));
    let accounts: String = accounts.map(|(_, account)| *account).collect();
    let connections = if accounts.is_empty() { accounts } else { format!("connections:\n{accounts}") };
    format!("public: {{url: \"https://gate.example.org\"}}\n{connections}")
}

fn load(files: &Files) -> Catalog {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    Catalog::load_frugally(folder.path())
}

fn found(catalog: &Catalog) -> Vec<Diagnostic> {
    let surroundings = Surroundings { is_set: &|_| true, is_there: &|_| true, schedule: &Schedule::problems };
    let mut found = check::catalog(catalog, &surroundings);
    // What comes with the program is held to this by tests/check.rs.
    let is_ours = |found: &Diagnostic| {
        found.file.starts_with("<embedded>")
            || OURS.iter().any(|name| found.file == *Path::new(&format!("flows/{name}.yaml")))
    };
    found.retain(|found| !is_ours(found));
    found
}

fn told(files: &Files) -> String {
    let catalog = load(files);
    let mut found = found(&catalog);
    // An example of a flow alone: what its inputs are given is said elsewhere.
    found
        .retain(|found| !(found.severity == Severity::Warning && found.message.starts_with("nothing gives the input")));
    // An example may name a vault: that its secrets are not looked at is no fault of it.
    found.retain(|found| found.code != "vault_not_read");
    let mut text = printed(&catalog, &found);
    if text.is_empty() {
        text = compiled(&catalog);
    }
    text
}

/// What is sound can be compiled, too. The program's own connectors are, in tests/connectors.rs.
fn compiled(catalog: &Catalog) -> String {
    let mut wrong = String::new();
    let manifests: BTreeMap<_, _> =
        catalog.connectors.iter().map(|(name, loaded)| (name.clone(), loaded.value.clone())).collect();
    let is_own = |name: &String| catalog.connectors.get(name).is_some_and(|loaded| loaded.origin == Origin::File);
    for (name, manifest) in manifests.iter().filter(|(name, _)| is_own(name)) {
        if let Err(problems) = Connector::compile(manifest) {
            wrong += &format!("{name}: {problems:?}\n");
        }
    }
    for (name, loaded) in &catalog.flows {
        if let Err(problems) = Flow::compile(&loaded.value, &manifests) {
            wrong += &format!("{name}: {problems:?}\n");
        }
    }
    wrong
}

fn printed(catalog: &Catalog, found: &[Diagnostic]) -> String {
    found.iter().map(|found| render(found, catalog.text(&found.file), Style::Plain)).collect()
}
