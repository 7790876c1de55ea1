//! What each mistake in a text is called, and what is marked.

use rstest::rstest;

/// What is wrong first, with the text that is marked.
fn first(text: &str) -> Option<(&'static str, String)> {
    let parsed = super::parse(text, 0);
    assert!(parsed.problems.len() < 3, "{:?}", parsed.problems);
    parsed.problems.first().map(|problem| {
        let marked = text.get(problem.span.start as usize..problem.span.end as usize);
        (problem.code, marked.unwrap_or("<end>").to_owned())
    })
}

#[rstest]
#[case("a: {{x}}", "yaml_unquoted_template", "{{x}}")]
#[case("a: {{x}} and {{y}}", "yaml_unquoted_template", "{{x}}")]
#[case("b: {a: {{x}}, c: 1}", "yaml_unquoted_template", "{{x}}")]
#[case("b: {a: hi {{x}} you, c: 1}", "yaml_unquoted_template", "{{x}}")]
#[case("a: [{{x}}]", "yaml_unquoted_template", "{{x}}")]
#[case("a: {{#if x}}y{{/if}}", "yaml_unquoted_template", "{{#if x}}")]
#[case("a: Hi {{n}}: see", "yaml_unquoted_template", "{{n}}")]
#[case("{{x}}: 1", "yaml_unquoted_template", "{{x}}")]
#[case("a: {b: {{x}}", "yaml_unquoted_template", "{{x}}")]
#[case("a: \"{{x}}\" b", "yaml_syntax", "b")]
#[case("a: @acme down # who", "yaml_unquoted_at", "@acme down")]
#[case("a: `x`", "yaml_unquoted_character", "`x`")]
#[case("a: %x", "yaml_unquoted_character", "%x")]
#[case("a: \0", "yaml_control_character", "\0")]
#[case("a: #acme\nb: 1", "yaml_comment_value", "#acme")]
#[case("a: 1\nb:   #acme or x\n", "yaml_comment_value", "#acme or x")]
#[case("- a\n- #acme\n- b", "yaml_comment_value", "#acme")]
#[case("- #acme", "yaml_comment_value", "#acme")]
#[case("a:\n  - #acme\nb: 1", "yaml_comment_value", "#acme")]
#[case("b: {q: #acme, c: 1}\nd: 1", "yaml_comment_value", "#acme")]
#[case("b: {q: #acme, c: 1}\n", "yaml_comment_value", "#acme")]
#[case("b: [#acme]\nd: 1\n", "yaml_comment_value", "#acme")]
#[case("a:\n\tb: 1", "yaml_tab", "\t")]
#[case("a:\n  b: 1\n\tc: 2", "yaml_tab", "\t")]
#[case("a: b: c", "yaml_syntax", ":")]
#[case("a: \"x", "yaml_unclosed", "\"")]
#[case("a: {b: 1", "yaml_unclosed", "{")]
#[case("a: [1, 2\nb: 3\n", "yaml_unclosed", "[")]
#[case("a: {b: '1' c: 2}\n", "yaml_syntax", "c")]
#[case("a: 1\nb: 'x y\n", "yaml_unclosed", "'")]
#[case("a: 1\nb: \"x\nc: 1\nd: 2", "yaml_unclosed", "\"")]
#[case("a: }", "yaml_unclosed", "}")]
#[case("a: *x", "yaml_unknown_alias", "*x")]
#[case("a: &x [*x]", "yaml_unknown_alias", "*x")]
#[case("a: !foo x", "yaml_unknown_tag", "!foo")]
#[case("a: 1\n---\nb: 2", "yaml_multiple_documents", "---")]
#[case("? [a]\n: b", "yaml_complex_key", "[a]")]
#[case("a: &x {b: 1}\nc: {<<: *x}", "yaml_merge_key", "<<")]
#[case("a: 1\nb: 2\na: 3", "duplicate_key", "a")]
#[case("a: \"\\q\"", "yaml_escape", "\"")]
fn every_mistake_has_its_code_and_place(#[case] text: &str, #[case] code: &str, #[case] marked: &str) {
    let (found, place) = first(text).expect("a problem");
    assert_eq!((found, place.as_str()), (code, marked));
}

#[rstest]
#[case("a:\n  # a comment\n  b: 1")]
#[case("a:\n#acme\n  b: 1")]
#[case("a: # a comment\n  b: 1")]
#[case("a: #acme\n  b: 1")]
#[case("a:\nb: 1 #acme")]
#[case("a: Hi {{x}}")]
#[case("a: !!str 5")]
#[case("a: &x 1\nb: *x")]
#[case("---\na: 1\n...\n")]
fn what_is_plain_is_not_complained_about(#[case] text: &str) {
    assert_eq!(first(text), None);
}

#[test]
fn alias_bombs_and_depth_are_bounded() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..20 {
        let previous = format!("*a{}, ", level - 1).repeat(10);
        bomb.push_str(&format!("a{level}: &a{level} [{previous}]\n"));
    }
    assert_eq!(first(&bomb).map(|(code, _)| code), Some("yaml_alias_bomb"));
    for (open, close) in [("[", "]"), ("{a: ", "}")] {
        for depth in [100, 100_000] {
            let deep = open.repeat(depth) + &close.repeat(depth);
            assert_eq!(first(&deep).map(|(code, _)| code), Some("yaml_too_deep"));
        }
    }
    let many = format!("[{}]", "a,".repeat(600_000));
    assert_eq!(first(&many).map(|(code, _)| code), Some("yaml_too_many_values"));
}

/// The parser's own deserializer, where both read a text alike: as an oracle for the tree.
#[test]
fn the_tree_is_what_the_library_reads() {
    for text in [
        "a: {b: [x, 'y z', \"q\\u00e4\\n\"], c: }\nd:\n- e\n-\n  f: g\n",
        "a: |\n  one\n   two\n\nb: >-\n  folded\n  text\n\n  more\nc: |+\n  kept\n\n",
        "base: &base {k: v}\nagain: *base\nlist: [*base, *base]\n",
        "? long key\n: value\n'quoted: key': plain over\n  two lines\n",
        "--- # comment\n{json: [1, 2.5, true, null, \"text\"]}\n...\n",
    ] {
        let root = super::parse(text, 0).root.expect("a tree");
        let ours = crate::manifest::validate::free(&root);
        let theirs: serde_json::Value = serde_yaml::from_str(text).unwrap();
        assert_eq!(ours, theirs, "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn whatever_the_text_every_problem_is_at_a_place_in_it(
        text in "[-a:{}\\[\\],#&*!|>'\"%@` \\t\\nä\u{feff}\\\\]{0,40}"
    ) {
        for problem in super::parse(&text, 0).problems {
            let (start, end) = (problem.span.start as usize, problem.span.end as usize);
            proptest::prop_assert!(text.is_char_boundary(start), "{:?}", problem);
            proptest::prop_assert!(start <= end && start <= text.len(), "{:?}", problem);
        }
    }
}
