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
