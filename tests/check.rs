//! What `check` finds: each case in `tests/check/` is a few files beside those of `tests/check/project/` and, in
//! its last section, every diagnostic as it is printed. A case is named for the code that it shows, and what
//! its files named `right` hold stands close to the mistake without being one. Run with TIDEGATE_UPDATE=1 to
//! write what is printed now into the cases; read the diff.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tidegate::check::{self, Surroundings};
use tidegate::cli::diagnostics::{Style, render};
use tidegate::engine::Schedule;
use tidegate::manifest::{Catalog, Diagnostic};

/// The files of a case, and what is expected of them.
struct Case {
    name: String,
    path: PathBuf,
    files: Vec<(String, String)>,
    expected: String,
}

impl Case {
    fn read(path: PathBuf) -> Case {
        let mut files: Vec<(String, String)> = Vec::new();
        for line in fs::read_to_string(&path).unwrap().split_inclusive('\n') {
            match line.strip_prefix("=== ") {
                Some(file) => files.push((file.trim_end().to_owned(), String::new())),
                None => files.last_mut().expect("a section first").1.push_str(line),
            }
        }
        let (last, expected) = files.pop().expect("a section");
        assert_eq!(last, "diagnostics", "the last section of {}", path.display());
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        Case { name, path, files, expected }
    }

    fn code(&self) -> &str {
        self.name.split('.').next().unwrap()
    }

    /// The project's files, those of the case over them.
    fn catalog(&self) -> Catalog {
        let folder = tempfile::tempdir().unwrap();
        let mut files = project();
        if !self.uses_the_large_ones() {
            let small = |name: &str| (format!("connectors/{name}.yaml"), SMALL.replace("NAME", name));
            files.extend(LARGE.map(small));
        }
        files.extend(self.files.iter().cloned());
        // A case without settings says so with an empty file.
        files.retain(|_, text| !text.is_empty());
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Catalog::load(folder.path())
    }

    fn uses_the_large_ones(&self) -> bool {
        let words = |text: &str| text.split(|letter: char| !letter.is_alphanumeric()).any(|word| LARGE.contains(&word));
        self.files.iter().any(|(_, text)| words(text))
    }

    fn text(&self, printed: &str) -> String {
        let sections = self.files.iter().map(|(path, text)| format!("=== {path}\n{text}"));
        sections.collect::<String>() + "=== diagnostics\n" + printed
    }
}

/// Connectors inside the program whose reading is most of a case's time. A case that names none of them has
/// another of that name, which is small.
const LARGE: [&str; 2] = ["twilio", "x"];

const SMALL: &str = "connector: NAME
hosts: {api: \"https://api.example.org\"}
actions:
  go: {effect: read, request: {path: /go}}
";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check")
}

fn project() -> BTreeMap<String, String> {
    let names = ["connectors/shop.yaml", "tidegate.yaml"];
    names
        .iter()
        .map(|name| ((*name).to_owned(), fs::read_to_string(folder().join("project").join(name)).unwrap()))
        .collect()
}

fn cases() -> Vec<Case> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.is_file());
    paths.sort();
    paths.into_iter().map(Case::read).collect()
}

fn found(catalog: &Catalog) -> Vec<Diagnostic> {
    let is_set = |name: &str| name == "SHOP_TOKEN";
    let is_there = |path: &str| path == "shop-token";
    check::catalog(catalog, &Surroundings { is_set: &is_set, is_there: &is_there, schedule: &Schedule::problems })
}

fn print(catalog: &Catalog, found: &[Diagnostic]) -> String {
    found.iter().map(|found| render(found, catalog.text(&found.file), Style::Plain)).collect()
}

#[test]
fn every_case_prints_what_it_says() {
    let mut wrong = Vec::new();
    for case in cases() {
        let catalog = case.catalog();
        let found = found(&catalog);
        let printed = print(&catalog, &found);
        let codes: BTreeSet<&str> = found.iter().map(|found| found.code).collect();
        if case.code() != "sound" && !codes.contains(case.code()) {
            wrong.push(format!("{} shows {codes:?}\n{printed}", case.name));
        }
        let at_right: Vec<&Diagnostic> =
            found.iter().filter(|found| found.file.file_stem().is_some_and(|stem| stem == "right")).collect();
        if !at_right.is_empty() {
            wrong.push(format!("{} finds something where all is right: {at_right:?}", case.name));
        }
        if std::env::var_os("TIDEGATE_UPDATE").is_some() {
            fs::write(&case.path, case.text(&printed)).unwrap();
        } else if printed != case.expected {
            wrong.push(format!("{} expects\n{}but prints\n{printed}", case.name, case.expected));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_case_has_something_right_beside_what_is_wrong() {
    for case in cases() {
        let has_right = case.files.iter().any(|(path, _)| path.ends_with("right.yaml"));
        let is_settings = case.files.iter().any(|(path, text)| path == "tidegate.yaml" && !text.is_empty());
        assert!(case.code() == "sound" || has_right || is_settings, "{}", case.name);
    }
}

#[test]
fn what_is_inside_the_program_has_no_errors() {
    let catalog = Catalog::embedded();
    // Its flows are used with somebody's settings; here there are none.
    let of_settings = ["connection_missing", "input_missing", "public_url_missing", "availability_limited"];
    let mut found = found(&catalog);
    // These are not checked again in every project.
    found.extend(catalog.connectors.values().flat_map(|loaded| check::connector(&catalog, loaded)));
    found.retain(|found| !of_settings.contains(&found.code));
    assert_eq!(print(&catalog, &found), "");
}

/// A connector with 220 actions that read and feed schemas of 40 members, used by a flow step by step.
#[test]
fn large_manifests_are_checked_in_well_under_a_second() {
    let members: String = (0..40)
        .map(|number| format!("      m{number}: {{type: string, description: a member of a record}}\n"))
        .collect();
    let mut connector = "connector: right\nhosts: {api: \"https://api.example.org\"}\nactions:\n".to_owned();
    let mut flow = "flow: right\ntrigger: {every: 1h}\nsteps:\n".to_owned();
    for number in 0..220 {
        connector += &format!(
            "  go{number}:\n    effect: read\n    inputs: {{a: {{type: string, required: true}}, b: {{$ref: \"#/schemas/one{number}\"}}}}\n    request: {{path: \"/go/{{{{inputs.a}}}}\"}}\n    response: {{schema: {{$ref: \"#/schemas/one{number}\"}}}}\n"
        );
        let before =
            if number == 0 { "a".to_owned() } else { format!("{{{{maybe steps.s{}.output.m1}}}}", number - 1) };
        flow += &format!("  - {{id: s{number}, action: right.go{number}, with: {{a: \"x{before}\", b: {{m2: c}}}}}}\n");
    }
    connector += "schemas:\n";
    for number in 0..220 {
        connector += &format!("  one{number}:\n    type: object\n    properties:\n{members}");
    }
    assert!(connector.len() > 500_000, "{}", connector.len());
    let files = vec![("connectors/right.yaml".to_owned(), connector), ("flows/right.yaml".to_owned(), flow)];
    let case = Case { name: "large".to_owned(), path: PathBuf::new(), files, expected: String::new() };
    let catalog = case.catalog();
    let began = processor_time();
    let found = found(&catalog);
    let took = processor_time() - began;
    assert_eq!(print(&catalog, &found), "");
    assert!(took < Duration::from_secs(5), "took {took:?} without optimisation");
    println!("checked in {took:?}");
}

/// What this thread has had of a processor: other than time, it does not grow where others are at work.
fn processor_time() -> Duration {
    let said = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(said.split(' ').next().unwrap().parse().unwrap())
}

/// Words that look like codes and are none: members, fields, names of functions.
const NO_CODES: &[&str] = &[
    "alert_after",
    "consumer_key",
    "consumer_secret",
    "content_type",
    "default_attempts",
    "default_element",
    "default_id",
    "default_initial",
    "default_limit",
    "default_max",
    "epoch_ms",
    "expires_in",
    "last_record",
    "max_age",
    "on_expire",
    "max_bytes",
    "not_ready",
    "not_ready_for",
    "save_to",
    "scheduled_at",
    "service_code",
    "snake_case",
    "started_at",
    "token_secret",
    "yields_to",
];

/// Every file that reports about what is written; `engine/schedule` does through `check::Surroundings`.
fn reporting_files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders: Vec<PathBuf> =
        ["yaml", "manifest", "template", "check", "engine/schedule"].iter().map(|name| root.join(name)).collect();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    files.retain(|path| !path.components().any(|part| part.as_os_str() == "tests") && !path.ends_with("tests.rs"));
    files
}

#[test]
fn every_code_is_explained() {
    let document = fs::read_to_string(folder().join("../../docs/diagnostics.md")).unwrap();
    let headings = document.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'));
    let explained: BTreeSet<String> = headings.map(str::to_owned).collect();
    let helpers: BTreeSet<&str> = tidegate::template::helpers::list().map(|signature| signature.name).collect();
    let literal = regex::Regex::new(r#""([a-z][a-z0-9]*(?:_[a-z0-9]+)+)""#).unwrap();
    let mut written = BTreeSet::new();
    for path in reporting_files() {
        let text = fs::read_to_string(path).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        written.extend(literal.captures_iter(text).map(|found| found[1].to_owned()));
    }
    let is_code = |word: &&String| !helpers.contains(word.as_str()) && !NO_CODES.contains(&word.as_str());
    let missing: Vec<&String> = written.difference(&explained).filter(is_code).collect();
    assert!(missing.is_empty(), "docs/diagnostics.md does not explain {missing:?}");
    let stale: Vec<&String> = explained.difference(&written).collect();
    assert!(stale.is_empty(), "docs/diagnostics.md explains what nothing reports: {stale:?}");
}

#[test]
fn every_code_of_check_has_a_case() {
    let shown: BTreeSet<String> = cases().iter().map(|case| case.code().to_owned()).collect();
    let report = regex::Regex::new(
        r#"(?:error|warning|within)\(\s*(?:Severity::\w+,\s*)?"([a-z_]+)"|code: "([a-z_]+)"|\(\("(unknown_[a-z]+)""#,
    )
    .unwrap();
    let mut missing = BTreeSet::new();
    for path in
        reporting_files().into_iter().filter(|path| path.parent().is_some_and(|folder| folder.ends_with("src/check")))
    {
        let text = fs::read_to_string(path).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
        let codes = report
            .captures_iter(&text)
            .filter_map(|found| found.iter().skip(1).flatten().next().map(|code| code.as_str().to_owned()));
        missing.extend(codes.filter(|code| !shown.contains(code)));
    }
    assert!(missing.is_empty(), "tests/check has no case for {missing:?}");
}
