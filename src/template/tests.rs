//! The language as its users meet it. Each table is one topic; laws follow at the end.

mod conditions;
mod laws;
mod refusals;
mod values;

use serde_json::{Value, json};

use super::{Error, Expression, Scope, Template, Tree};

/// What the cases read.
fn scope() -> Scope {
    let Value::Object(roots) = json!({
        "item": {
            "id": "1234567890123456789",
            "text": "Hello  W\u{f6}rld & all",
            "lang": "en",
            "count": 3,
            "big": 9_007_199_254_740_993_u64,
            "ratio": 2.5,
            "nothing": null,
            "yes": true,
            "author": {"username": "ada", "name": "Ada L."},
            "tags": ["b", "a", "b"],
            "rows": [{"id": 2, "who": {"name": "x"}}, {"id": 1, "who": {"name": "y"}}],
            "odd key": {"x/y": 1},
            "empty": [],
            "created_at": "2026-11-20T13:19:00.000Z"
        },
        "inputs": {"on_call": "+15550199"},
        "steps": {"ask": {"output": {"choice": "approve"}}},
        "seed": "run-1"
    }) else {
        unreachable!()
    };
    let mut scope = Scope::from(roots);
    scope.set_now(1_795_180_740_000);
    scope
}

fn evaluate(source: &str) -> Result<Value, Error> {
    Template::compile(source).unwrap_or_else(|error| panic!("{source}: {error:?}")).evaluate(&scope())
}

fn render(source: &str) -> Result<String, Error> {
    Template::compile(source).unwrap_or_else(|error| panic!("{source}: {error:?}")).render(&scope())
}

fn is_true(source: &str) -> Result<bool, Error> {
    Expression::compile(source).unwrap_or_else(|error| panic!("{source}: {error:?}")).is_true(&scope())
}
