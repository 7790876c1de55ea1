//! What templates and helpers give.

use rstest::rstest;
use serde_json::{Value, json};

use super::{Template, Tree, evaluate, render, scope};
use crate::template::helpers;

#[rstest]
#[case("{{item.count}}", json!(3))]
#[case("{{item.big}}", json!(9_007_199_254_740_993_u64))]
#[case("{{item.ratio}}", json!(2.5))]
#[case("{{item.nothing}}", Value::Null)]
#[case("{{item.author}}", json!({"username": "ada", "name": "Ada L."}))]
#[case("{{ item.tags.0 }}", json!("b"))]
#[case("{{item.tags.[1]}}", json!("a"))]
#[case("{{item.[odd key].[x/y]}}", json!(1))]
#[case("{{item/author/username}}", json!("ada"))]
#[case("{{@root.item.lang}}", json!("en"))]
#[case("{{'text'}}", json!("text"))]
#[case("{{5}}", json!(5))]
#[case("{{true}}", json!(true))]
#[case("{{[1, \"a\"]}}", json!([1, "a"]))]
#[case("{{(upper item.lang)}}", json!("EN"))]
#[case("{{~item.count~}}", json!(3))]
#[case("{{!-- a comment --}}{{item.count}}", json!(3))]
#[case(" {{item.count}}", json!(" 3"))]
#[case("{{item.count}}{{item.count}}", json!("33"))]
#[case("{{maybe item.gone}}", Value::Null)]
#[case("a{{maybe item.gone}}b{{item.nothing}}c", json!("abc"))]
#[case("@{{default item.author.username 'unknown'}}: {{truncate item.text 5}}", json!("@ada: Hell…"))]
#[case("a < b & {{item.text}}", json!("a < b & Hello  W\u{f6}rld & all"))]
#[case("plain } text {", json!("plain } text {"))]
#[case(r"\{{item.count}}", json!("{{item.count}}"))]
#[case(r"{{item.count}} \{{x}} {{item.count}}", json!("3 {{x}} 3"))]
#[case(r"\\{{item.count}}", json!(r"\3"))]
#[case("{{#if item.yes}}y{{else}}n{{/if}}", json!("y"))]
#[case("{{#unless item.yes}}y{{else}}n{{/unless}}", json!("n"))]
#[case("{{#if (eq item.count 1)}}one{{else if (eq item.count 3)}}three{{else}}many{{/if}}", json!("three"))]
#[case("{{#if (eq item.count 1)}}one{{else if (eq item.count 2)}}two{{else}}many{{/if}}", json!("many"))]
#[case("{{#if (eq item.count 1)}}one{{else if (eq item.count 2)}}two{{/if}}", json!(""))]
#[case("{{#if item.yes}}{{#if (not item.yes)}}a{{else}}b{{/if}}{{else}}{{item.gone}}{{/if}}", json!("b"))]
#[case("{{#each item.tags}}{{@index}}{{this}}{{#unless @last}},{{/unless}}{{/each}}", json!("0b,1a,2b"))]
#[case("{{#each item.rows}}{{id}}{{who.name}}{{@root.item.lang}}{{../item.lang}};{{/each}}", json!("2xenen;1yenen;"))]
#[case("{{#each item.rows as |row at|}}{{at}}{{row.id}}{{this.id}}{{/each}}", json!("022111"))]
#[case("{{#each item.author}}{{@key}}={{this}} {{/each}}", json!("username=ada name=Ada L. "))]
#[case("{{#each item.rows}}{{#each who}}{{this}}{{../id}}{{/each}}{{/each}}", json!("x2y1"))]
#[case("{{#each item.empty}}x{{else}}none{{/each}}", json!("none"))]
#[case("{{#each (maybe item.gone)}}x{{else}}none{{/each}}", json!("none"))]
#[case("{{#with item.author as |a|}}{{a.username}}{{name}}{{/with}}", json!("adaAda L."))]
#[case("{{#with (maybe item.gone)}}x{{else}}none{{/with}}", json!("none"))]
fn a_template_gives(#[case] source: &str, #[case] wanted: Value) {
    assert_eq!(evaluate(source).unwrap(), wanted, "{source}");
}

#[rstest]
#[case("lower 'ÄB'", json!("äb"))]
#[case("upper item.lang", json!("EN"))]
#[case("trim '  a b '", json!("a b"))]
#[case("truncate 'abcdef' 6", json!("abcdef"))]
#[case("measure_sms 'grüße €'", json!({"encoding": "gsm-7", "characters": 7, "units": 8, "segments": 1, "fits": true}))]
#[case("measure_sms ''", json!({"encoding": "gsm-7", "characters": 0, "units": 0, "segments": 0, "fits": false}))]
#[case("truncate 'abcdef' 5", json!("abcd…"))]
#[case("truncate 'abcdef' 5 ellipsis='...'", json!("ab..."))]
#[case("truncate '👨‍👩‍👧‍👦👨‍👩‍👧‍👦👨‍👩‍👧‍👦' 2", json!("👨‍👩‍👧‍👦…"))]
#[case("truncate '日本語' 4 measure='tweet'", json!("日…"))]
#[case("replace 'a-b-c' '-' '+'", json!("a+b+c"))]
#[case("split 'a,b' ','", json!(["a", "b"]))]
#[case("join item.tags '+'", json!("b+a+b"))]
#[case("join item.tags", json!("b, a, b"))]
#[case("slice 'abcdef' 1 3", json!("bc"))]
#[case("slice 'abcdef' -2", json!("ef"))]
#[case("slice item.tags 1", json!(["a", "b"]))]
#[case("slice item.tags 5 1", json!([]))]
#[case(r#"lines "a\nb""#, json!(["a", "b"]))]
#[case("pad_left item.count 3 '0'", json!("003"))]
#[case("prefix 'x' '@'", json!("@x"))]
#[case("prefix '@x' '@'", json!("@x"))]
#[case("capture 'order 17 of 20' '([0-9]+) of'", json!("17"))]
#[case("capture 'none' '[0-9]+'", Value::Null)]
#[case("add 1 2 3", json!(6))]
#[case("add item.big 1", json!(9_007_199_254_740_994_u64))]
#[case("add 0.5 1", json!(1.5))]
#[case("subtract 1 3", json!(-2))]
#[case("multiply 2 3", json!(6))]
#[case("divide 6 3", json!(2))]
#[case("divide 1 4", json!(0.25))]
#[case("modulo -1 3", json!(2))]
#[case("round 2.5", json!(3))]
#[case("round 5.28159 2", json!(5.28))]
#[case("floor -2.5", json!(-3))]
#[case("ceil 2.1", json!(3))]
#[case("min 3 1 2", json!(1))]
#[case("max item.tags", json!("b"))]
#[case("number ' 42 '", json!(42))]
#[case("number '1e3'", json!(1000.0))]
#[case("integer '18446744073709551615'", json!(u64::MAX))]
#[case("integer 4.0", json!(4))]
#[case("sum [1, 2, 3.5]", json!(6.5))]
#[case("sum []", json!(0))]
#[case("now", json!("2026-11-20T13:19:00.000Z"))]
#[case("date_add now '-1h 30m'", json!("2026-11-20T11:49:00.000Z"))]
#[case("date_add now '1 month'", json!("2026-12-20T13:19:00.000Z"))]
#[case("date_add '2026-10-24T12:00:00Z' '1d' timezone='Europe/Zurich'", json!("2026-10-25T13:00:00.000Z"))]
#[case("date_format now '%d.%m.%Y %H:%M' timezone='Europe/Zurich'", json!("20.11.2026 14:19"))]
#[case("date_format item.created_at timezone='Asia/Tokyo'", json!("2026-11-20T22:19:00+09:00"))]
#[case("parse_date 'Fri, 24 May 2019 17:44:50 +0000'", json!("2019-05-24T17:44:50.000Z"))]
#[case("parse_date 'Wed Oct 10 20:19:24 +0000 2018' format='%a %b %d %H:%M:%S %z %Y'", json!("2018-10-10T20:19:24.000Z"))]
#[case("parse_date '24.05.2019' format='%d.%m.%Y' timezone='Europe/Zurich'", json!("2019-05-23T22:00:00.000Z"))]
#[case("parse_date 1000", json!("1970-01-01T00:00:01.000Z"))]
#[case("date_of 1000", json!("1970-01-01T00:00:01.000Z"))]
#[case("date_of 'Fri, 24 May 2019 17:44:50 +0000'", json!("2019-05-24T17:44:50.000Z"))]
#[case("date_of 'Fri, 99 May 2019 17:44:50 +0000'", json!(null))]
#[case("date_of '24.05.2019' format='%d.%m.%Y'", json!("2019-05-24T00:00:00.000Z"))]
#[case("date_of '2019' format='%d.%m.%Y'", json!(null))]
#[case("date_of (maybe item.nowhere)", json!(null))]
#[case("date_of [1]", json!(null))]
#[case("epoch_ms '2026-11-20T13:19:00Z'", json!(1_795_180_740_000_i64))]
#[case("epoch_ms '2026-11-20' timezone='Europe/Zurich'", json!(1_795_129_200_000_i64))]
#[case("snowflake_time '1541815603606036480'", json!("2022-06-28T16:07:40.105Z"))]
#[case("len item.tags", json!(3))]
#[case("len 'a👨‍👩‍👧‍👦'", json!(2))]
#[case("len '日本' measure='tweet'", json!(4))]
#[case("first item.tags", json!("b"))]
#[case("last item.empty", Value::Null)]
#[case("pluck item.rows 'id'", json!([2, 1]))]
#[case("pluck item.rows 'who.name'", json!(["x", "y"]))]
#[case("where_eq item.rows 'id' 1", json!([{"id": 1, "who": {"name": "y"}}]))]
#[case("unique item.tags", json!(["b", "a"]))]
#[case("sort item.tags", json!(["a", "b", "b"]))]
#[case("pluck (sort item.rows by='id') 'id'", json!([1, 2]))]
#[case("pluck (sort item.rows by='id' order='desc') 'id'", json!([2, 1]))]
#[case("sort (array '10' '9' '08')", json!(["08", "9", "10"]))]
#[case("reverse item.tags", json!(["b", "a", "b"]))]
#[case("flatten [[1], [2, [3]], 4]", json!([1, 2, [3], 4]))]
#[case("range 2 5", json!([2, 3, 4]))]
#[case("range 5 2", json!([]))]
#[case("array 1 (maybe item.gone) item.lang", json!([1, "en"]))]
#[case("object b=1 a=(maybe item.gone) c=item.lang", json!({"b": 1, "c": "en"}))]
#[case("keys item.author", json!(["username", "name"]))]
#[case("merge (object a=1 b=2) (object b=3)", json!({"a": 1, "b": 3}))]
#[case("values item.author", json!(["ada", "Ada L."]))]
#[case("get item (lower 'LANG')", json!("en"))]
#[case("get item.tags 1", json!("a"))]
#[case("json item.tags", json!(r#"["b","a","b"]"#))]
#[case("parse_json '{\"a\": [1]}'", json!({"a": [1]}))]
#[case("base64 'Hé?>'", json!("SMOpPz4="))]
#[case("base64 'Hé?>' url=true", json!("SMOpPz4"))]
#[case("base64_decode 'SMOpPz4='", json!("Hé?>"))]
#[case("url_encode 'a b/é~'", json!("a%20b%2F%C3%A9~"))]
#[case("hash 'abc'", json!("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"))]
#[case("hash 'abc' algorithm='sha1'", json!("a9993e364706816aba3e25717850c26c9cd0d89d"))]
#[case("xml_escape 'a<b>&\"c\"'", json!("a&lt;b&gt;&amp;&quot;c&quot;"))]
#[case("twilio_signed '+TuyJEzrHBgy39a62lLkbnUH/FQ=' 'https://gate.example.org/sms' (object From='2' Body=1) '12345'", json!(true))]
#[case("twilio_signed '+TuyJEzrHBgy39a62lLkbnUH/FQ=' 'https://gate.example.org/sms' (object From='2' Body=2) '12345'", json!(false))]
#[case("hmac 'what do ya want for nothing?' 'Jefe'", json!("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"))]
#[case("hmac 'what do ya want for nothing?' 'Jefe' algorithm='sha1' encoding='base64'", json!("7/zfauXrL6LSdBbV8YTfnCWafHk="))]
#[case("eq (uuid 'a' 1) (uuid 'a' 1)", json!(true))]
#[case("eq (uuid 'a' 1) (uuid 'a1')", json!(false))]
#[case("matches (uuid 'a') '^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$'", json!(true))]
#[case("if (eq item.lang 'en') 'x' item.gone", json!("x"))]
#[case("if false 'x'", Value::Null)]
#[case("coalesce item.gone item.nothing item.count", json!(3))]
#[case("default (truncate item.gone 5) 'none'", json!("none"))]
#[case("default (get item 'gone') 'none'", json!("none"))]
#[case("html_unescape 'Fish &amp; chips &lt;3 &amp;lt; &eacute;'", json!("Fish & chips <3 &lt; &eacute;"))]
#[case("same_text 'Fish &amp; chips https://t.co/abc' 'Fish  & chips https://example.org/x?y=1'", json!(true))]
#[case("same_text 'cafe\u{301}' 'caf\u{e9} '", json!(true))]
#[case("same_text 'see https://t.co/abc, ok' 'see example.org/x, ok https://t.co/photo'", json!(true))]
#[case("same_text 'one' 'two'", json!(false))]
fn a_helper_gives(#[case] source: &str, #[case] wanted: Value) {
    let wrapped = format!("{{{{{source}}}}}");
    assert_eq!(evaluate(&wrapped).unwrap(), wanted, "{source}");
}

#[test]
fn every_helper_has_a_case_and_a_summary() {
    let cases = include_str!("values.rs").to_owned() + include_str!("conditions.rs");
    for signature in helpers::list() {
        assert!(!signature.summary.is_empty());
        let used = [format!("\"{}", signature.name), format!("({} ", signature.name)];
        assert!(used.iter().any(|text| cases.contains(text)), "no case uses `{}`", signature.name);
        assert_eq!(helpers::signature(signature.name).unwrap().name, signature.name, "two helpers of one name");
    }
}

#[test]
fn scalars_become_text_and_lists_do_not() {
    assert_eq!(render("{{item.count}}").unwrap(), "3");
    assert_eq!(render("{{item.nothing}}").unwrap(), "");
    let error = render("{{item.tags}}").unwrap_err();
    assert_eq!(error.code, "template_type");
    assert!(error.to_string().contains("`json`"), "{error}");
    assert!(evaluate("tags: {{item.tags}}").is_err());
}

#[test]
fn a_tree_keeps_constants_and_leaves_absent_values_out() {
    let value = json!({"a": "{{maybe item.gone}}", "b": [1, "{{maybe item.gone}}", "{{item.count}}"], "c": {"d": "{{maybe item.nothing}}"}, "e": null, "f": {}, "g": "{{item.nothing}}"});
    let tree = Tree::compile(&value, "").unwrap();
    assert_eq!(tree.evaluate(&scope()).unwrap(), json!({"b": [1, 3], "c": {}, "e": null, "f": {}, "g": null}));
    assert_eq!(tree.evaluate_pruned(&scope()).unwrap(), json!({"b": [1, 3], "f": {}}));
    assert!(!tree.is_constant());
}

#[test]
fn pruning_leaves_the_root_and_data_alone() {
    let emptied = Tree::compile(&json!({"a": "{{maybe item.gone}}"}), "").unwrap();
    assert_eq!(emptied.evaluate_pruned(&scope()).unwrap(), json!({}));
    let data = Tree::compile(&json!({"a": "{{item.empty}}", "b": "{{object n=item.nothing}}"}), "").unwrap();
    assert_eq!(data.evaluate_pruned(&scope()).unwrap(), json!({"a": [], "b": {"n": null}}));
}

#[test]
fn a_tree_tells_its_reads_and_all_its_errors_by_pointer() {
    let tree = Tree::compile(&json!({"a/b": ["x", "{{item.text}}"], "c": "{{maybe item.y}}"}), "/with").unwrap();
    let reads: Vec<_> = tree.reads().map(|(pointer, read)| (pointer, read.as_text(), read.forgiving)).collect();
    assert_eq!(reads, [("/with/a~1b/1", "item.text".to_owned(), false), ("/with/c", "item.y".to_owned(), true)]);
    let errors = Tree::compile(&json!({"a": "{{", "{{b}}": 1, "c": "{{nope x}}"}), "").unwrap_err();
    let places: Vec<_> = errors.iter().map(|(pointer, error)| (pointer.as_str(), error.code)).collect();
    assert_eq!(places, [("/a", "template_syntax"), ("/{{b}}", "template_key"), ("/c", "template_unknown_helper")]);
}

#[rstest]
#[case("{{item.text}}", &["item.text@3"])]
#[case("ä {{truncate item.text 5}} {{eq item.a (maybe steps.x.output)}}", &["item.text@14", "item.a@33", "steps.x.output@47?"])]
#[case("{{default item.a item.b}}", &["item.a@11?", "item.b@18"])]
#[case("{{object b=item.b a=item.a}}", &["item.b@12", "item.a@21"])]
#[case("{{#each item.rows as |row|}}{{row.id}}{{this.who.name}}{{@index}}{{@root.run.id}}{{/each}}", &["item.rows@9", "item.rows.*.id@31", "item.rows.*.who.name@41", "run.id@68"])]
#[case("{{#each (sort item.rows)}}{{id}}{{/each}}", &["item.rows@15"])]
#[case("{{#with item.author}}{{name}}{{../item.id}}{{/with}}", &["item.author@9", "item.author.name@24", "item.id@32"])]
#[case("{{now}} {{5}} \\{{item.x}} {{! item.y }}", &[])]
#[case("{{#if (eq item.a 'item.z')}}{{item.b}}{{else if item.c}}{{else}}{{item.d}}{{/if}}", &["item.a@11", "item.b@31", "item.c@49", "item.d@67"])]
fn a_template_tells_what_it_reads(#[case] source: &str, #[case] wanted: &[&str]) {
    let template = Template::compile(source).unwrap();
    let reads: Vec<String> = template
        .reads()
        .iter()
        .map(|read| format!("{}@{}{}", read.as_text(), read.column, if read.forgiving { "?" } else { "" }))
        .collect();
    assert_eq!(reads, wanted, "{source}");
}
