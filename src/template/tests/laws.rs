//! Laws that hold for any data and any source.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Expression, Scope, Template, Tree};

/// Text as an attacker would write it: braces, helpers, escapes.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("{{"),
        Just("}}"),
        Just("{{item.secret}}"),
        Just("{{{"),
        Just("\\{{"),
        Just("{{#each item}}"),
        Just("{{/each}}"),
        Just("{{> x}}"),
        Just("{{lookup this 'a'}}"),
        Just("'"),
        Just("\""),
        Just("ä"),
        Just(" "),
        Just("\\"),
        Just("item.secret"),
    ];
    prop::collection::vec(prop_oneof![piece.prop_map(str::to_owned), "\\PC{0,6}"], 0..8)
        .prop_map(|pieces| pieces.concat())
}

/// Sources from the words of the language, most of them wrong.
fn source() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("{{"),
        Just("}}"),
        Just("{{#if "),
        Just("{{else}}"),
        Just("{{else if "),
        Just("{{/if}}"),
        Just("{{#each "),
        Just("{{/each}}"),
        Just("item.text"),
        Just("(eq "),
        Just(")"),
        Just("'a'"),
        Just("1"),
        Just(" "),
        Just("a="),
        Just("~"),
        Just("{{!"),
        Just("--"),
        Just("\\"),
        Just("as |x y|"),
        Just("this"),
        Just("../"),
        Just("@index"),
        Just("["),
        Just("]"),
        Just("{"),
        Just("\n"),
        Just("|"),
        Just("maybe "),
        Just("."),
        Just("{{^}}"),
        Just("\"b\""),
        Just("now"),
        Just("{\"a\":1}"),
        Just("ü"),
    ];
    prop::collection::vec(word, 0..14).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// What an item contains is data, through any number of steps: by value, text, helpers and blocks.
    #[test]
    fn data_is_never_evaluated(text in hostile(), steps in 1usize..5) {
        let mut scope = Scope::new();
        scope.set("item", json!({"text": text, "secret": "s3cr3t"}));
        scope.set("steps", json!({"s": {"output": text}}));
        let tree = Tree::compile(&json!({
            "value": "{{steps.s.output}}",
            "text": "<{{steps.s.output}}>",
            "helper": "{{default steps.s.output 'x'}}",
            "each": "{{#each (array steps.s.output)}}{{this}}{{/each}}",
        }), "").unwrap();
        for _ in 0..steps {
            let given = tree.evaluate(&scope).unwrap();
            prop_assert_eq!(&given["value"], &json!(text));
            prop_assert_eq!(&given["text"], &json!(format!("<{text}>")));
            prop_assert_eq!(&given["helper"], &json!(text));
            prop_assert_eq!(&given["each"], &json!(text));
            scope.set("steps", json!({"s": {"output": given["each"]}}));
        }
    }

    /// No source makes the reader panic, and its errors point into it.
    #[test]
    fn any_source_is_read_or_refused(source in source()) {
        if let Err(error) = Template::compile(&source) {
            prop_assert!(error.offset + error.length <= source.chars().count().max(1), "{source:?}: {error:?}");
            prop_assert!(error.message != "this expression cannot be read", "scanner and grammar disagree on {source:?}");
        }
        if let Err(error) = Expression::compile(&source) {
            prop_assert!(error.offset <= source.chars().count(), "{source:?}: {error:?}");
        }
    }

    /// Text without braces is itself, white space and all.
    #[test]
    fn text_around_an_expression_is_kept(before in "[^{}\\\\]*", after in "[^{}\\\\]*") {
        let mut scope = Scope::new();
        scope.set("x", json!("value"));
        let rendered = Template::compile(&format!("{before}{{{{x}}}}{after}")).unwrap().render(&scope).unwrap();
        prop_assert_eq!(rendered, format!("{before}value{after}"));
    }

    /// A lone expression gives the very value that it reads.
    #[test]
    fn a_lone_expression_keeps_its_type(number in any::<i64>(), float in any::<f64>().prop_filter("JSON", |f| f.is_finite()), text in ".*", flag in any::<bool>()) {
        let value = json!([number, float, text, flag, null, {"k": [number]}]);
        let mut scope = Scope::new();
        scope.set("x", value.clone());
        prop_assert_eq!(Template::compile("{{x}}").unwrap().evaluate(&scope).unwrap(), value);
    }

    /// Integers compare exactly, as numbers and as strings of digits.
    #[test]
    fn integers_are_ordered_exactly(a in any::<u64>(), b in any::<u64>()) {
        let mut scope = Scope::new();
        scope.set("n", json!({"a": a, "b": b, "x": a.to_string(), "y": b.to_string()}));
        let holds = |source: &str| Expression::compile(source).unwrap().is_true(&scope).unwrap();
        prop_assert_eq!(holds("gt n.a n.b"), a > b);
        prop_assert_eq!(holds("gt n.x n.y"), a > b);
        prop_assert_eq!(holds("eq n.a n.b"), a == b);
    }

    /// Truncating never exceeds its length and never cuts text that fits.
    #[test]
    fn truncated_text_fits(text in "\\PC{0,40}", length in 1usize..50) {
        let mut scope = Scope::new();
        scope.set("x", json!({"text": text, "length": length}));
        let count = |source: &str| match Template::compile(source).unwrap().evaluate(&scope).unwrap() {
            Value::Number(number) => number.as_u64().unwrap(),
            other => panic!("{other}"),
        };
        prop_assert!(count("{{len (truncate x.text x.length)}}") <= length as u64);
        prop_assert!(count("{{len (truncate x.text x.length measure='tweet') measure='tweet'}}") <= length.max(2) as u64);
    }
}
