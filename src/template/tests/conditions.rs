//! Conditions, comparisons and logic.

use rstest::rstest;

use super::{Expression, is_true, scope};

#[rstest]
#[case("eq item.lang 'en'", true)]
#[case("{{eq item.lang 'en'}}", true)]
#[case("  eq item.lang 'de'\n", false)]
#[case("eq (maybe item.gone) 'en'", false)]
#[case("item.yes", true)]
#[case("item.nothing", false)]
#[case("maybe item.gone", false)]
#[case("true", true)]
#[case("(false)", false)]
#[case("ne item.lang 'de'", true)]
#[case("eq 1 1.0", true)]
#[case("eq item.big 9007199254740992", false)]
#[case("eq item.big 9007199254740992.0", false)]
#[case("eq item.author item.author", true)]
#[case("eq null item.nothing", true)]
#[case("gt item.count 2", true)]
#[case("gt 2.5 2", true)]
#[case("gt -2.5 -2", false)]
#[case("gt '10' '9'", true)]
#[case("gt '10000000000000000000000' '9999999999999999999999'", true)]
#[case("gt '0010' '10'", false)]
#[case("gt '10a' '9'", false)]
#[case("lt '2026-01-02T00:00:00Z' '2026-01-03T00:00:00Z'", true)]
#[case("gte item.count 3", true)]
#[case("lt item.count 3", false)]
#[case("lte item.count 3", true)]
#[case("and item.yes (eq item.count 3)", true)]
#[case("and false item.gone", false)]
#[case("or true item.gone", true)]
#[case("or false item.nothing", false)]
#[case("not item.yes", false)]
#[case("in item.lang 'de' 'en'", true)]
#[case("in 'a' item.tags", true)]
#[case("in 'c' item.tags", false)]
#[case("contains item.text 'rld'", true)]
#[case("contains item.tags 'a'", true)]
#[case("contains item.author 'name'", true)]
#[case("starts_with item.text 'Hello'", true)]
#[case("ends_with item.text 'all'", true)]
#[case("matches item.text '(?i)w\u{f6}RLD'", true)]
#[case("matches item.text (lower 'ALL$')", true)]
#[case("is_empty item.empty", true)]
#[case("is_empty (maybe item.gone)", true)]
#[case("not_empty item.text", true)]
fn a_condition_holds_or_not(#[case] source: &str, #[case] wanted: bool) {
    assert_eq!(is_true(source).unwrap(), wanted, "{source}");
}

#[rstest]
#[case("item.text", "not_empty")]
#[case("item.count", "gt x 0")]
#[case("item.tags", "gt (len x) 0")]
#[case("eq item.count '3'", "number x")]
#[case("ne item.count '3'", "number x")]
#[case("gt item.count '2'", "number x")]
#[case("in item.count '1' '3'", "number x")]
#[case("contains item.tags 1", "number x")]
#[case("gt (maybe item.gone) 2", "null")]
#[case("and item.text true", "not_empty")]
#[case("not item.count", "gt x 0")]
fn a_mixed_comparison_is_an_error(#[case] source: &str, #[case] help: &str) {
    let error = is_true(source).unwrap_err();
    assert_eq!(error.code, "template_type", "{source}");
    assert!(error.to_string().contains(help), "{source}: {error}");
}

#[test]
fn offsets_count_from_the_source_as_written() {
    let expression = Expression::compile("  eq item.lang 'en'").unwrap();
    assert_eq!(expression.reads()[0].column, 6);
    assert_eq!(Expression::compile("{{eq item.lang 'en'}}").unwrap().reads()[0].column, 6);
    let error = Expression::compile("and (equals a b) true").unwrap_err();
    assert_eq!((error.code, error.offset, error.length), ("template_unknown_helper", 5, 6));
    assert_eq!(expression.evaluate(&scope()).unwrap(), true);
}
