use serde_json::json;

use super::*;
use crate::connector::compile;
use crate::manifest::connector::Response;

fn select(response: Value, body: Value) -> Result<Vec<Value>, Failure> {
    let written: Response = serde_json::from_value(response).unwrap();
    let mut problems = Vec::new();
    let selector = compile::selector(&written, &Default::default(), false, "/response", &mut problems);
    assert_eq!(problems, Vec::new());
    let mut scope = Scope::new();
    scope.set("inputs", json!({"lang": "en"}));
    let records = selector.select(body, &mut scope);
    assert_eq!(scope.get("body"), None);
    records.map(Option::unwrap_or_default)
}

#[test]
fn absent_records_are_none() {
    let many = json!({"records": "data", "many": true});
    assert_eq!(select(many.clone(), json!({"meta": {"result_count": 0}})).unwrap(), Vec::<Value>::new());
    assert_eq!(select(many.clone(), json!({"data": null})).unwrap(), Vec::<Value>::new());
    assert_eq!(select(many, json!({"data": [1, 2]})).unwrap(), [json!(1), json!(2)]);
    let one = json!({"records": "data"});
    assert_eq!(select(one.clone(), json!({"data": {"id": "1"}})).unwrap(), [json!({"id": "1"})]);
    assert_eq!(select(one, json!({})).unwrap(), Vec::<Value>::new());
    assert_eq!(select(json!({}), json!([1, 2])).unwrap(), [json!([1, 2])]);
}

#[test]
fn side_lists_are_joined_by_one_key_or_several() {
    let records = select(
        json!({"records": "data", "many": true, "expand": [
            {"list": "includes.users", "key": "id", "by": "author_id", "into": "author"},
            {"list": "includes.media", "key": "media_key", "by": "attachments.media_keys", "into": "media"}
        ]}),
        json!({
            "data": [
                {"id": "1", "author_id": "7", "attachments": {"media_keys": ["b", "gone", "a"]}},
                {"id": "2", "author_id": 8},
                {"id": "3", "author_id": "deleted"}
            ],
            "includes": {"users": [{"id": "7", "username": "ann"}, {"id": "8"}], "media": [{"media_key": "a"}, {"media_key": "b"}]}
        }),
    )
    .unwrap();
    assert_eq!(records[0]["author"]["username"], "ann");
    assert_eq!(records[0]["media"], json!([{"media_key": "b"}, {"media_key": "a"}]));
    assert_eq!(records[1]["author"]["id"], "8");
    assert_eq!(records[2], json!({"id": "3", "author_id": "deleted"}));
}

#[test]
fn records_are_completed_then_chosen_then_cut() {
    let records = select(
        json!({"records": "data", "many": true, "where": "and (eq record.lang inputs.lang) (eq record.page 2)",
            "set": {"page": "{{body.page}}", "link": "x/{{record.id}}", "none": "{{maybe record.none}}"},
            "remove": ["secret", "nested.deep"]}),
        json!({"page": 2, "data": [
            {"id": "1", "lang": "en", "secret": "s", "nested": {"deep": 1, "kept": 2}},
            {"id": "2", "lang": "de"}
        ]}),
    )
    .unwrap();
    assert_eq!(records, [json!({"id": "1", "lang": "en", "nested": {"kept": 2}, "page": 2, "link": "x/1"})]);
}

#[test]
fn a_missing_path_in_a_condition_is_told() {
    let failure = select(
        json!({"records": "data", "many": true, "where": "eq record.lnag 'en'"}),
        json!({"data": [{"lang": "en"}]}),
    )
    .unwrap_err();
    assert_eq!(failure.code, "template_missing_path");
}

fn shaped(connector: Value, body: Value) -> Value {
    let mut written: crate::manifest::Connector = serde_json::from_value(json!({
        "connector": "a", "hosts": {"api": "https://a.example"},
        "actions": {"go": {"effect": "read", "inputs": {"raw": {"type": "boolean", "default": true}},
            "request": {"path": "/"}, "response": {"records": "data", "many": true, "shape": "post"}}}
    }))
    .unwrap();
    let given: crate::manifest::Connector = serde_json::from_value(connector).unwrap();
    written.shapes = given.shapes;
    let action = written.actions.get_mut("go").unwrap();
    if let Some(other) = given.actions.get("go") {
        action.response.raw = other.response.raw.clone();
    }
    let connector = crate::connector::Connector::compile(&written).unwrap();
    let mut scope = Scope::new();
    scope.set("inputs", json!({"raw": true}));
    connector.action("go").unwrap().selector.select(body, &mut scope).unwrap().into()
}

#[test]
fn shapes_give_the_old_and_the_new_form_one_name_however_deep() {
    let shapes = json!({"connector": "a", "shapes": {
        "post": {
            "expand": [
                {"from": "user", "list": "includes.users", "key": "id", "by": "author_id", "into": "author", "shape": "person"},
                {"from": "shared", "list": "includes.posts", "key": "id", "by": "shares", "into": "original", "shape": "post"},
                {"from": "tags[].text", "into": "tags"}
            ],
            "set": {"id": "{{coalesce record.id_str record.id}}", "by": "{{maybe record.author.name}}"},
            "remove": ["id_str", "user", "shared"]
        },
        "person": {"set": {"name": "{{coalesce record.name record.screen_name}}"}, "remove": ["screen_name"]}
    }});
    let new = json!({
        "data": [{"id": "2", "author_id": "7", "shares": "1"}],
        "includes": {"users": [{"id": "7", "name": "ann"}, {"id": "8", "name": "bob"}], "posts": [{"id": "1", "author_id": "8"}]}
    });
    assert_eq!(
        shaped(shapes.clone(), new),
        json!([{
            "id": "2", "author_id": "7", "shares": "1", "by": "ann", "author": {"id": "7", "name": "ann"},
            "original": {"id": "1", "author_id": "8", "by": "bob", "author": {"id": "8", "name": "bob"}}
        }])
    );
    let old = json!({"data": [{"id": 2, "id_str": "2", "tags": [{"text": "x"}], "user": {"screen_name": "ann"},
        "shared": {"id": 1, "id_str": "1", "user": {"screen_name": "bob"}}}]});
    assert_eq!(
        shaped(shapes, old),
        json!([{
            "id": "2", "by": "ann", "tags": ["x"], "author": {"name": "ann"},
            "original": {"id": "1", "by": "bob", "author": {"name": "bob"}}
        }])
    );
}

#[test]
fn shapes_that_lead_in_a_circle_end() {
    let shapes = json!({"connector": "a", "shapes": {"post": {
        "expand": [{"list": "data", "key": "id", "by": "next", "into": "then", "shape": "post"}]
    }}});
    let body = json!({"data": [{"id": 1, "next": 2}, {"id": 2, "next": 1}]});
    let told = shaped(shapes, body).to_string();
    assert_eq!(told.matches("then").count(), 2 * 4, "{told}");
}

#[test]
fn what_the_service_sent_is_kept_where_it_is_wanted() {
    let connector = json!({"connector": "a", "shapes": {"post": {"set": {"id": "{{record.id_str}}"}, "remove": ["id_str"]}},
        "actions": {"go": {"effect": "read", "response": {"raw": "inputs.raw"}}}});
    assert_eq!(shaped(connector, json!({"data": [{"id_str": "2"}]})), json!([{"id": "2", "raw": {"id_str": "2"}}]));
}
