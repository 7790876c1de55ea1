//! What is refused, at load and in a run, and how it is told.

use rstest::rstest;

use super::{Expression, Template, evaluate, is_true, scope};

#[rstest]
#[case("{{item.text", "template_syntax", 0, "`\\{{`")]
#[case("a {{> header}}", "template_partial", 2, "input")]
#[case("{{#> layout}}x{{/layout}}", "template_partial", 0, "input")]
#[case("{{#*inline \"a\"}}x{{/inline}}", "template_decorator", 0, "input")]
#[case("{{* decorate}}", "template_decorator", 0, "input")]
#[case("{{{{raw}}}}x{{{{/raw}}}}", "template_raw_block", 0, "`\\{{`")]
#[case("{{{item.text}}}", "template_raw", 0, "`{{…}}`")]
#[case("{{&item.text}}", "template_raw", 0, "`{{…}}`")]
#[case("{{uper item.text}}", "template_unknown_helper", 2, "`upper`")]
#[case("{{frobnicate item.text}}", "template_unknown_helper", 2, "a path stands alone")]
#[case("{{#lower item.text}}x{{/lower}}", "template_block_helper", 3, "{{lower …}}")]
#[case("{{#foreach item.tags}}x{{/foreach}}", "template_unknown_helper", 3, "`each`")]
#[case("{{len}}", "template_arity", 2, "len value")]
#[case("{{truncate item.text}}", "template_arity", 2, "truncate text length [ellipsis=…]")]
#[case("{{and}}", "template_arity", 2, "at least 1 argument, 0")]
#[case("{{not a b}}", "template_arity", 2, "not condition")]
#[case("{{truncate item.text 5 elipsis='x'}}", "template_unknown_option", 23, "`ellipsis`")]
#[case("{{truncate item.text 5 ellipsis='x' ellipsis='y'}}", "template_unknown_option", 36, "twice")]
#[case("{{matches item.text '('}}", "template_pattern", 20, "pattern")]
#[case("{{#if a b}}x{{/if}}", "template_arity", 3, "parentheses")]
#[case("{{#if a}}x{{/each}}", "template_syntax", 10, "closed by")]
#[case("{{#if a}}x", "template_syntax", 9, "needs its")]
#[case("{{a = b}}", "template_syntax", 4, "`eq a b`")]
#[case("{{a == b}}", "template_syntax", 4, "`eq a b`")]
#[case("{{item.tags[0]}}", "template_syntax", 11, "`items.0`")]
#[case("{{item.text | upper}}", "template_syntax", 12, "no filters")]
#[case("a {{'x'}} b", "template_syntax", 4, "`\\{{`")]
#[case("{{@index}}", "template_path", 2, "each")]
#[case("{{this}}", "template_path", 2, "item.text")]
#[case("{{../item.text}}", "template_path", 2, "climbs")]
#[case("{{@foo}}", "template_path", 2, "@index")]
#[case("{{#with item}}{{@index}}{{/with}}", "template_path", 16, "each")]
fn a_mistake_is_found_at_load(#[case] source: &str, #[case] code: &str, #[case] offset: usize, #[case] told: &str) {
    let error = Template::compile(source).unwrap_err();
    assert_eq!((error.code, error.offset), (code, offset), "{source}: {error}");
    assert!(error.to_string().contains(told), "{source}: {error}");
    assert!(error.length >= 1 && error.offset + error.length <= source.chars().count(), "{source}: {error:?}");
}

#[rstest]
#[case("")]
#[case("a {{b}}")]
#[case("{{a}} {{b}}")]
#[case("a}} {{b")]
fn an_expression_is_exactly_one(#[case] source: &str) {
    let error = Expression::compile(source).unwrap_err();
    assert!(matches!(error.code, "template_expression" | "template_syntax"), "{source}: {error:?}");
}

#[rstest]
#[case("{{item.lagn}}", "`item` has no `lagn`; did you mean `item.lang`?")]
#[case("{{itm.lang}}", "there is no `itm` here; did you mean `item.lang`?")]
#[case("{{zzz}}", "there are `item`, `inputs`")]
#[case("{{item.author.user_name}}", "`item.author` has no `user_name`; did you mean `item.author.username`?")]
#[case("{{upper item.lagn}}", "did you mean `item.lang`?")]
#[case("{{eq item.lagn 'en'}}", "did you mean `item.lang`?")]
#[case("{{#if item.yess}}x{{/if}}", "did you mean `item.yes`?")]
#[case("{{and true item.gone}}", "`item` has no `gone`")]
#[case("{{default item.gone item.lagn}}", "did you mean `item.lang`?")]
#[case("{{item.tags.7}}", "`item.tags` has 3 elements")]
#[case("{{item.rows.id}}", "`item.rows.0`")]
#[case("{{item.text.length}}", "`item.text` is a string")]
#[case("{{item.nothing.x}}", "`item.nothing` is null; write `maybe")]
#[case("{{#each item.rows}}{{item.lang}}{{/each}}", "write `@root.item.lang`")]
#[case("{{#each item.rows}}{{who.nam}}{{/each}}", "did you mean `who.name`?")]
#[case("{{pluck item.rows 'idd'}}", "element 0 of `item.rows` has no `idd`; did you mean `id`?")]
#[case("{{get item 'gone'}}", "`get`")]
fn a_missing_path_is_told_with_what_was_meant(#[case] source: &str, #[case] told: &str) {
    let error = evaluate(source).unwrap_err();
    assert_eq!(error.code, "template_missing_path", "{source}");
    assert!(error.to_string().contains(told), "{source}: {error}");
}

#[rstest]
#[case("{{upper item.tags}}", "template_type", "`upper` needs a string or a number as `text`, `item.tags` is an array")]
#[case("{{add item.count item.id}}", "template_type", "write `number x`")]
#[case("{{truncate item.nothing 5}}", "template_type", "`default x …`")]
#[case("{{divide 1 0}}", "template_helper", "zero")]
#[case("{{add 18446744073709551615 1}}", "template_helper", "64-bit")]
#[case("{{number 'x'}}", "template_helper", "not a number")]
#[case("{{number 'inf'}}", "template_helper", "not a number")]
#[case("{{integer 1.5}}", "template_helper", "fraction")]
#[case("{{truncate item.text -1}}", "template_helper", "negative")]
#[case("{{range 0 10001}}", "template_too_large", "10000")]
#[case("{{pad_left 'x' 99999999}}", "template_too_large", "bytes")]
#[case("{{date_add now 'soon'}}", "template_helper", "duration")]
#[case("{{date_format now '%Y' timezone='Mars/Base'}}", "template_helper", "Europe/Zurich")]
#[case("{{epoch_ms 'yesterday'}}", "template_helper", "parse_date")]
#[case("{{sort (array 1 'a')}}", "template_helper", "order")]
#[case("{{hash 'x' algorithm='md5'}}", "template_helper", "`sha256`")]
#[case("{{base64_decode '/w=='}}", "template_helper", "not text")]
#[case("{{join item.rows}}", "template_helper", "`pluck`")]
#[case("{{parse_json '{'}}", "template_helper", "not JSON")]
#[case("{{matches item.text (base64_decode 'KA==')}}", "template_helper", "pattern")]
#[case("{{#each item.text}}x{{/each}}", "template_type", "`item.text` is a string")]
fn a_helper_says_what_it_needs(#[case] source: &str, #[case] code: &str, #[case] told: &str) {
    let error = evaluate(source).unwrap_err();
    assert_eq!(error.code, code, "{source}: {error}");
    assert!(error.to_string().contains(told), "{source}: {error}");
}

#[test]
fn errors_never_hold_values() {
    let secret = "s3cr3t-value";
    let mut scope = scope();
    scope.set("connection", serde_json::json!({"token": secret, "list": [secret], "map": {"a": secret}}));
    for source in [
        "number connection.token",
        "integer connection.token",
        "epoch_ms connection.token",
        "add 1 connection.token",
        "parse_json connection.token",
        "base64_decode connection.token",
        "date_add now connection.token",
        "connection.token.x",
        "get connection.map connection.token",
        "hash 'x' algorithm=connection.token",
        "sort (array 1 connection.token)",
        "date_format now 'x' timezone=connection.token",
        "parse_date connection.token format='%Y'",
        "eq 1 connection.token",
        "pluck connection.list 'x'",
        "snowflake_time connection.token",
        "range 1 connection.token",
        "and connection.token true",
        "parse_date '2020' format=connection.token",
        "len connection.list measure=connection.token",
    ] {
        let error = Expression::compile(source).unwrap().evaluate(&scope).unwrap_err();
        assert!(!format!("{error:?}").contains(secret), "{source}: {error}");
    }
}

#[test]
fn output_and_work_are_bounded() {
    let mut scope = scope();
    scope.set("big", serde_json::Value::from("x".repeat(600 * 1024)));
    scope.set("many", serde_json::Value::from(vec![0; 1000]));
    let code = |source: &str| Template::compile(source).unwrap().evaluate(&scope).unwrap_err().code;
    let long = format!("{{{{big}}}}{}", "x".repeat(128 << 10));
    assert_eq!(Template::compile(&long).unwrap_err().code, "template_too_large");
    assert_eq!(code("{{big}}{{big}}"), "template_too_large");
    assert_eq!(code("{{replace big 'x' 'yyyyyyyyyy'}}"), "template_too_large");
    assert_eq!(code("{{join (array big big)}}"), "template_too_large");
    assert_eq!(code("{{#each many}}{{#each @root.many}}{{/each}}{{/each}}"), "template_too_large");
}

#[rstest]
#[case("(not ", "true", ")")]
#[case("{{#if true}}", "x", "{{/if}}")]
#[case("[", "1", "]")]
fn nesting_is_bounded_and_safe_up_to_the_bound(#[case] open: &str, #[case] inside: &str, #[case] close: &str) {
    let nested = |depth: usize| {
        let text = format!("{}{inside}{}", open.repeat(depth), close.repeat(depth));
        if open.starts_with("{{") { text } else { format!("{{{{json {text}}}}}") }
    };
    // A worker's thread has 2 MiB of stack.
    let deep = nested(100);
    std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(move || Template::compile(&deep).unwrap().evaluate(&scope()).unwrap())
        .unwrap()
        .join()
        .unwrap();
    for depth in [101, 1000, 5_000] {
        assert_eq!(Template::compile(&nested(depth)).unwrap_err().code, "template_too_deep", "{depth}");
    }
}

#[test]
fn a_clock_or_a_run_that_is_not_there_is_told() {
    let empty = crate::template::Scope::new();
    assert_eq!(Template::compile("{{now}}").unwrap().evaluate(&empty).unwrap_err().code, "template_clock");
    assert!(Template::compile("{{uuid 'a'}}").unwrap().evaluate(&empty).is_err());
    assert!(is_true("eq (uuid 'a') (uuid 'a')").unwrap());
}
