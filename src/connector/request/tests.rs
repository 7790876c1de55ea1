use rstest::rstest;
use serde_json::json;

use super::super::message::Body;
use super::*;

fn render(request: Value, inputs: Value) -> Result<HttpRequest, Failure> {
    render_page(request, inputs, None)
}

fn render_page(
    request: Value,
    inputs: Value,
    page: Option<(&PageToken, Option<&Target>)>,
) -> Result<HttpRequest, Failure> {
    let written: written::Request = serde_json::from_value(request).unwrap();
    let mut problems = Vec::new();
    let request = Request::compile(&written, "/request", &mut problems);
    assert_eq!(problems, Vec::new());
    let mut scope = Scope::new();
    scope.set("inputs", inputs);
    request.render(&Url::parse("https://api.example.com/v1/").unwrap(), &scope, page, &Folders::default())
}

#[rstest]
#[case("a/b", "https://api.example.com/v1/items/a%2Fb/x")]
#[case("a?b#c&d", "https://api.example.com/v1/items/a%3Fb%23c%26d/x")]
#[case("50%2F ü+", "https://api.example.com/v1/items/50%252F%20%C3%BC%2B/x")]
#[case("...", "https://api.example.com/v1/items/.../x")]
fn path_values_are_encoded_exactly_once(#[case] value: &str, #[case] expected: &str) {
    let request = render(json!({"path": "/items/{{inputs.id}}/x"}), json!({"id": value})).unwrap();
    assert_eq!(request.url.as_str(), expected);
}

#[rstest]
#[case(json!(".."))]
#[case(json!("."))]
#[case(json!(""))]
#[case(json!(null))]
#[case(json!(["a"]))]
fn values_that_would_name_another_resource_are_refused(#[case] value: Value) {
    let failure = render(json!({"path": "/items/{{inputs.id}}"}), json!({"id": value})).unwrap_err();
    assert_eq!(failure.code, "path_refused");
}

#[rstest]
#[case("/items?limit=5", Some("https://api.example.com/v1/items?limit=5&q=1"))]
#[case("items/7", Some("https://api.example.com/v1/items/7?q=1"))]
#[case("", Some("https://api.example.com/v1?q=1"))]
#[case("/a%2Fb", Some("https://api.example.com/v1/a%2Fb?q=1"))]
#[case("/../admin", None)]
#[case("/%2e%2E/admin", None)]
#[case("//evil.example.com/", None)]
#[case("https://evil.example.com/", None)]
#[case("/a/.\t./admin", None)]
#[case("/a\\..\\admin", None)]
#[case("/a\n", None)]
#[case("@evil.example.com", Some("https://api.example.com/v1/@evil.example.com?q=1"))]
fn a_lone_expression_is_a_whole_path(#[case] path: &str, #[case] expected: Option<&str>) {
    let request = render(json!({"path": "{{inputs.path}}", "query": {"q": 1}}), json!({"path": path}));
    match expected {
        Some(url) => assert_eq!(request.unwrap().url.as_str(), url),
        None => assert_eq!(request.unwrap_err().code, "path_refused"),
    }
}

#[test]
fn queries_repeat_lists_and_leave_out_what_is_absent() {
    let request = render(
        json!({"path": "/m", "query": {
            "To": "{{inputs.to}}", "DateSent>": "{{maybe inputs.after}}", "tag": "{{inputs.tags}}", "n": 5, "null": null, "b": true, "o": {"a": "{{inputs.to}}"}
        }}),
        json!({"to": "+41 79", "tags": ["a", "b&c"]}),
    )
    .unwrap();
    assert_eq!(
        request.url.as_str(),
        "https://api.example.com/v1/m?To=%2B41%2079&tag=a&tag=b%26c&n=5&b=true&o=%7B%22a%22%3A%22%2B41%2079%22%7D"
    );
    let request = render(json!({"query": {"DateSent>": "2026-01-02"}}), json!({})).unwrap();
    assert_eq!(request.url.query(), Some("DateSent%3E=2026-01-02"));
}

#[test]
fn json_bodies_leave_out_what_is_emptied() {
    let request = render(
        json!({"method": "POST", "json": {"text": "{{inputs.text}}", "reply": {"in_reply_to": "{{maybe inputs.reply_to}}"}, "n": "{{inputs.n}}", "kept": {}}}),
        json!({"text": "{{inputs.n}}", "n": 3}),
    )
    .unwrap();
    let Body::Json(bytes) = request.body else { panic!("no JSON") };
    assert_eq!(bytes, r#"{"text":"{{inputs.n}}","n":3,"kept":{}}"#);
}

#[test]
fn forms_repeat_lists() {
    let request = render(
        json!({"method": "POST", "form": {"To": "{{inputs.to}}", "MediaUrl": "{{maybe inputs.media}}"}}),
        json!({"to": "+1", "media": ["a", "b"]}),
    )
    .unwrap();
    let Body::Form(pairs) = request.body else { panic!("no form") };
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(pairs, [("To", "+1"), ("MediaUrl", "a"), ("MediaUrl", "b")]);
}

#[test]
fn three_dots_are_all_members_of_an_object() {
    let written = json!({"query": {"Page": 1, "...": "{{maybe inputs.query}}"}});
    let url = |inputs: Value| render(written.clone(), inputs).map(|request| request.url.query().map(str::to_owned));
    let many = json!({"query": {"To": "+1", "tag": ["a", "b"], "gone": null, "o": {"x": 1}}});
    assert_eq!(url(many).unwrap().as_deref(), Some("Page=1&To=%2B1&tag=a&tag=b&o=%7B%22x%22%3A1%7D"));
    assert_eq!(url(json!({})).unwrap().as_deref(), Some("Page=1"));
    assert_eq!(url(json!({"query": "To=1"})).unwrap_err().code, "members_invalid");
}

#[test]
fn a_form_goes_where_the_json_beside_it_comes_out_as_nothing() {
    let written = json!({"method": "POST", "json": "{{maybe inputs.json}}", "form": {"...": "{{maybe inputs.form}}"}});
    let body = |inputs: Value| render(written.clone(), inputs).unwrap().body;
    let Body::Json(bytes) = body(json!({"json": {"a": [1]}})) else { panic!("no JSON") };
    assert_eq!(bytes, r#"{"a":[1]}"#);
    let Body::Form(pairs) = body(json!({"form": {"To": "+1"}})) else { panic!("no form") };
    assert_eq!(pairs, [("To".to_owned(), "+1".to_owned())]);
    assert!(matches!(body(json!({})), Body::Form(pairs) if pairs.is_empty()));
}

#[test]
fn a_page_goes_where_it_belongs() {
    let token = |at: At| PageToken { at, pages: 1, previous: None, anchor: None };
    let written = json!({"method": "POST", "path": "/l", "query": {"page": 1}, "json": {"a": 1}});
    let at = token(At::Number(2));
    let in_query = render_page(written.clone(), json!({}), Some((&at, Some(&Target::Query("page".into()))))).unwrap();
    assert_eq!(in_query.url.query(), Some("page=2"));
    let in_body = render_page(written.clone(), json!({}), Some((&at, Some(&Target::Body("page".into()))))).unwrap();
    let Body::Json(bytes) = in_body.body else { panic!("no JSON") };
    assert_eq!(bytes, r#"{"a":1,"page":2}"#);
    let next = token(At::Url("https://api.example.com/other?Page=1&PageToken=PA%2B".into()));
    let followed = render_page(written.clone(), json!({}), Some((&next, None))).unwrap();
    assert_eq!(followed.url.as_str(), "https://api.example.com/other?Page=1&PageToken=PA%2B");
    let elsewhere = token(At::Url("https://old.example.com/".into()));
    let failure = render_page(written, json!({}), Some((&elsewhere, None))).unwrap_err();
    assert_eq!(failure.code, "next_page_refused");
}

#[test]
fn a_header_can_not_be_split() {
    let failure =
        render(json!({"headers": {"X-Note": "{{inputs.note}}"}}), json!({"note": "a\r\nX-Evil: 1"})).unwrap_err();
    assert_eq!(failure.code, "header_invalid");
}

#[test]
fn template_mistakes_in_paths_are_placed() {
    let written: written::Request = serde_json::from_value(json!({"path": "/a/{{inputs.id}}/{{nohelper 1}}"})).unwrap();
    let mut problems = Vec::new();
    Request::compile(&written, "/actions/a/request", &mut problems);
    assert_eq!(problems[0].pointer, "/actions/a/request/path");
    assert!(problems[0].within.unwrap().0 >= 17, "{problems:?}");
}
