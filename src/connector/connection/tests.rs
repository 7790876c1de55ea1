use serde_json::json;

use super::*;
use crate::manifest;

fn connector() -> Arc<Connector> {
    let written: manifest::Connector = serde_json::from_value(json!({
        "connector": "shop",
        "hosts": {"api": "https://{{connection.region}}.example.com/v1"},
        "connection": {
            "fields": {
                "region": {"type": "string", "default": "eu"},
                "key": {"type": "string", "secret": true},
                "token": {"type": "string", "secret": true},
                "account": {"type": "string", "default": "{{capture connection.token '^([0-9]+)-'}}"},
                "password": {"type": "string", "secret": true, "required": false}
            },
            "auth": {
                "best": {"type": "bearer", "token": "{{connection.token}}"},
                "other": {"type": "api_key", "in": "header", "name": "X-Key", "value": "{{connection.key}}"}
            }
        },
        "defaults": {"auth": ["best", "other"]},
        "actions": {"list": {"effect": "read", "inputs": {"from": {"type": "string"}}, "request": {"path": "/l"}}}
    }))
    .unwrap();
    Arc::new(Connector::compile(&written).unwrap())
}

fn bind(settings: Value) -> Result<Connection, Vec<Problem>> {
    let settings: settings::Connection = serde_json::from_value(settings).unwrap();
    let environment = BTreeMap::from([("TOKEN".to_owned(), "42-abc".to_owned())]);
    let secrets = Secrets::new("").with_environment(environment);
    Connection::bind("main", connector(), &settings, &secrets)
}

#[test]
fn the_best_scheme_with_all_its_fields_is_used() {
    let action = Arc::clone(connector().action("list").unwrap());
    let used = |fields: Value| {
        let connection = bind(json!({"connector": "shop", "fields": fields})).unwrap();
        connection.credentials(&action).map(|ways| format!("{:?}", ways[0]))
    };
    assert_eq!(used(json!({"key": "k", "token": "t"})).unwrap(), "Bearer(..)");
    assert_eq!(used(json!({"key": "k"})).unwrap(), "ApiKey(..)");
    let failure = used(json!({})).unwrap_err();
    assert_eq!(failure.code, "auth_missing");
    assert!(failure.message.contains("`best` needs token; `other` needs key"), "{}", failure.message);
}

#[test]
fn requests_see_no_secrets_and_derived_fields() {
    let connection = bind(json!({"connector": "shop", "fields": {"token": {"env": "TOKEN"}, "region": "us"}})).unwrap();
    assert_eq!(connection.public, json!({"account": "42", "region": "us"}));
    assert_eq!(connection.hosts["api"].as_str(), "https://us.example.com/v1");
    let underived = bind(json!({"connector": "shop", "fields": {"token": "abc"}})).unwrap();
    assert_eq!(underived.public, json!({"region": "eu"}));
    assert!(!format!("{connection:?}").contains("42-abc"));
}

#[test]
fn every_mistake_is_placed() {
    let told = |settings: Value| -> Vec<(String, &'static str)> {
        let problems = bind(settings).unwrap_err();
        problems.into_iter().map(|problem| (problem.pointer, problem.code)).collect()
    };
    assert_eq!(
        told(
            json!({"connector": "shop", "fields": {"tokn": "t", "key": {"env": "NONE"}}, "hosts": {"apy": "x"}, "defaults": {"form": "x"}})
        ),
        [
            ("/connections/main/fields/key".to_owned(), "field_unreadable"),
            ("/connections/main/fields/tokn".to_owned(), "unknown_field"),
            ("/connections/main/hosts/apy".to_owned(), "unknown_host"),
            ("/connections/main/defaults/form".to_owned(), "unknown_input"),
        ]
    );
    for host in ["nonsense", "ftp://x", "https://user:pass@x", "https://x/?a=1"] {
        let problems = told(json!({"connector": "shop", "hosts": {"api": host}}));
        assert_eq!(problems, [("/connections/main/hosts/api".to_owned(), "host_invalid")], "{host}");
    }
}

#[test]
fn windows_of_an_app_are_shared_by_its_connections_alone() {
    let bind = |name: &str, fields: serde_json::Value| {
        let written = &crate::manifest::Catalog::embedded().connectors["x"].value;
        let connector = std::sync::Arc::new(Connector::compile(written).unwrap());
        let settings = serde_json::from_value(serde_json::json!({"connector": "x", "fields": fields})).unwrap();
        Connection::bind(name, connector, &settings, &Secrets::new("")).unwrap()
    };
    let limits = Limits::new();
    let through = |connection: &Connection| {
        let action = connection.connector.action("search_tweets").unwrap();
        let keys = connection.limit_keys(action, &limits).unwrap();
        (0..1_000).filter(|_| limits.acquire(&keys, 0).is_ok()).count()
    };
    let first = bind("first", serde_json::json!({"bearer_token": "token-one"}));
    let second = bind("second", serde_json::json!({"bearer_token": "token-one"}));
    let other = bind("other", serde_json::json!({"bearer_token": "token-two"}));
    assert_eq!((through(&first), through(&second), through(&other)), (45, 0, 45));
    // What is stored of it names the app and not its token.
    let action = first.connector.action("search_tweets").unwrap();
    limits.block(&first.limit_keys(action, &limits).unwrap(), 5_000);
    let blocked = limits.blocked(0);
    assert_eq!((blocked.len(), blocked[0].connection.as_deref()), (1, None));
    assert!(blocked[0].name.starts_with("all x of ") && !blocked[0].name.contains("token-one"), "{}", blocked[0].name);
    let keys = second.limit_keys(action, &limits).unwrap();
    assert_eq!(limits.acquire(&keys, 0).unwrap_err().until_ms, 5_000);
}
