//! docs/templates.md: its examples give what they say, and its table of helpers is that of the program. Run with
//! TIDEGATE_UPDATE=1 to write the table anew; read the diff.

use std::fs;

use regex::Regex;
use serde_json::Value;
use tidegate::template::helpers::{self, Type};
use tidegate::template::{Expression, Scope, Template};

use super::documents::{Document, root};

const PAGE: &str = "docs/templates.md";
const BEGIN: &str = "<!-- helpers: made by tests/docs/templates.rs -->\n";
const END: &str = "<!-- end of helpers -->";

/// The page's own example: `now` is in it, and the rest are roots.
fn scope(page: &Document) -> Scope {
    let block = page.of_language("json").next().expect("a json block");
    let Value::Object(mut roots) = serde_json::from_str(&block.text).unwrap() else {
        panic!("the example is no object");
    };
    let now: jiff::Timestamp = roots.remove("now").unwrap().as_str().unwrap().parse().unwrap();
    let mut scope = Scope::from(roots);
    scope.set_now(now.as_millisecond());
    scope
}

/// What a line of an example gives: JSON, `absent`, or `error <code>`.
fn given(language: &str, source: &str, scope: &Scope) -> String {
    let failed = |code: &str| format!("error {code}");
    if language == "condition" {
        return match Expression::compile(source) {
            Err(error) => failed(error.code),
            Ok(condition) => {
                condition.is_true(scope).map_or_else(|error| failed(error.code), |holds| holds.to_string())
            }
        };
    }
    match Template::compile(source) {
        Err(error) => failed(error.code),
        Ok(template) => match template.evaluate_optional(scope) {
            Err(error) => failed(error.code),
            Ok(None) => "absent".to_owned(),
            Ok(Some(value)) => value.to_string(),
        },
    }
}

#[test]
fn every_example_gives_what_it_says() {
    let page = Document::read(PAGE);
    let scope = scope(&page);
    let mut wrong = Vec::new();
    let mut count = 0;
    for language in ["template", "condition"] {
        for line in page.of_language(language).flat_map(|block| block.text.lines()) {
            let (source, wanted) = line.rsplit_once(" => ").unwrap_or_else(|| panic!("no ` => ` in {line}"));
            let given = given(language, source.trim(), &scope);
            // Read as JSON, so that white space does not matter.
            let is_same = match (serde_json::from_str::<Value>(wanted), serde_json::from_str::<Value>(&given)) {
                (Ok(wanted), Ok(given)) => wanted == given,
                _ => wanted.trim() == given,
            };
            count += 1;
            if !is_same {
                wrong.push(format!("{source}\n  says  {wanted}\n  gives {given}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 80, "only {count} examples were found");
}

#[test]
fn every_helper_has_an_example() {
    let page = Document::read(PAGE);
    let examples: String = ["template", "condition"]
        .iter()
        .flat_map(|language| page.of_language(language))
        .map(|block| block.text.as_str())
        .collect();
    let missing: Vec<&str> = helpers::list()
        .map(|signature| signature.name)
        .filter(|name| !Regex::new(&format!(r"(?m)(\{{\{{|\(|^){name}[ }})]")).unwrap().is_match(&examples))
        .collect();
    assert!(missing.is_empty(), "{PAGE} has no example of {missing:?}");
}

#[test]
fn the_table_of_helpers_is_that_of_the_program() {
    let path = root().join(PAGE);
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the beginning of the table");
    let (written, after) = rest.split_once(END).expect("the end of the table");
    let table = table();
    if std::env::var_os("TIDEGATE_UPDATE").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    } else {
        assert_eq!(written, table, "{PAGE} is behind: run this test with TIDEGATE_UPDATE=1");
    }
}

fn table() -> String {
    let rows = helpers::list()
        .map(|signature| format!("| `{signature}` | {} | {} |\n", type_name(signature.result), signature.summary));
    format!("\n| helper | gives | what |\n| --- | --- | --- |\n{}\n", rows.collect::<String>())
}

fn type_name(kind: Type) -> &'static str {
    match kind {
        Type::Any => "any",
        Type::Boolean => "boolean",
        Type::Number => "number",
        Type::Integer => "integer",
        Type::String | Type::Text | Type::Duration | Type::Pattern => "text",
        Type::Array => "array",
        Type::Object => "object",
        Type::Time => "time",
    }
}
