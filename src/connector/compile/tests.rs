use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::connector::Connection;
use crate::connector::builtin::Files;
use crate::connector::limits::Limits;
use crate::connector::prepare::{Call, Prepared};
use crate::secrets::Secrets;

fn written(document: Value) -> manifest::Connector {
    serde_json::from_value(document).unwrap()
}

fn layered() -> manifest::Connector {
    written(json!({
        "connector": "shop",
        "hosts": {"api": "https://api.example.com", "other": "https://other.example.com"},
        "defaults": {"host": "api", "timeout": "5s", "headers": {"X-A": "default", "X-B": "default"},
            "errors": {"message": "default", "rules": [{"status": 400, "then": "retry"}]},
            "limits": [{"rate": "5/1s"}]},
        "parts": {
            "first": {"request": {"method": "POST", "query": {"a": 1, "b": 1}, "headers": {"X-B": "first"}, "json": {"x": 1, "y": 1}},
                "response": {"records": "first", "remove": "p", "set": {"s": 1}}, "inputs": {"i": {"type": "string", "default": "part"}, "j": {"type": "string"}},
                "errors": {"rules": [{"status": 400, "then": "fail"}]}},
            "second": {"request": {"query": {"b": 2}}, "response": {"records": "second"}, "paginate": {"type": "link_header"}}
        },
        "actions": {
            "own": {"effect": "read", "use": ["first", "second"], "request": {"path": "/own", "query": {"c": 3}, "json": {"y": 2}},
                "response": {"remove": ["q"]}, "inputs": {"i": {"type": "string", "default": "own"}},
                "errors": {"message": "own", "rules": [{"status": 400, "then": "ignore"}]}, "timeout": "1s"},
            "plain": {"effect": "read", "host": "other", "limits": [], "request": {"path": "/plain"}}
        }
    }))
}

#[test]
fn defaults_lie_below_parts_and_parts_below_the_actions_own() {
    let connector = layered();
    let own = merged(&connector, &connector.actions["own"]);
    assert_eq!(Value::Object(own.request.query), json!({"a": 1, "b": 2, "c": 3}));
    assert_eq!(json!(own.request.headers), json!({"X-A": "default", "X-B": "first"}));
    assert_eq!(own.request.json, Some(json!({"x": 1, "y": 2})));
    assert_eq!(own.request.method, Some(manifest::connector::request::Method::Post));
    assert_eq!(own.response.records.as_deref(), Some("second"));
    assert_eq!(own.response.remove.as_slice(), ["p", "q"]);
    assert_eq!(own.inputs["i"].schema["default"], "own");
    assert!(own.inputs.contains_key("j") && own.paginate.is_some());
    assert_eq!(own.errors.message.as_deref(), Some("own"));
    let rules: Vec<_> = own.errors.rules.iter().map(|rule| rule.then).collect();
    use manifest::connector::Then;
    assert_eq!(rules, [Then::Ignore, Then::Fail, Then::Retry]);
    assert_eq!((own.timeout.unwrap().ms, own.host.as_deref()), (1_000, Some("api")));
    assert_eq!(own.limits.unwrap().len(), 1);
    let plain = merged(&connector, &connector.actions["plain"]);
    assert_eq!((plain.timeout.unwrap().ms, plain.host.as_deref()), (5_000, Some("other")));
    assert_eq!(plain.limits, Some(Vec::new()));
    assert!(connector_compiles(&connector));
}

fn connector_compiles(written: &manifest::Connector) -> bool {
    connector(written).is_ok()
}

#[test]
fn every_mistake_is_told_at_the_place_of_its_words() {
    let problems = connector(&written(json!({
        "connector": "shop",
        "hosts": {"api": "https://{{connection.region}"},
        "connection": {"auth": {"key": {"type": "bearer", "token": "{{nohelper connection.key}}"}}, "test": "lst"},
        "defaults": {"host": "api", "auth": ["kay"], "headers": {"X-A": "{{inputs.}}"}, "errors": {"message": "a["}},
        "parts": {"page": {"request": {"query": {"a": "{{nohelper 1}}"}}, "paginate": {"type": "cursor", "into": {}}}},
        "actions": {
            "list": {"effect": "read", "use": ["page", "pgae"], "request": {"path": "list", "json": 1, "raw": "x"},
                "response": {"where": "eq record.a"}, "inputs": {"n": {"type": "string", "pattern": "("}},
                "errors": {"rules": [{"status": "6xx", "then": "fail"}]}, "limits": [{"rate": "many"}, {"concurrent": 0}]},
            "send": {"effect": {"class": "lookup", "reconcile": {"action": "lists", "after": "1s", "within": "1m", "match": "eq 1"}}, "host": "apy"}
        },
        "triggers": {"new": {"poll": "lost", "key": "a[", "cursor": {"type": "snowflake", "shift": 99}}}
    })))
    .unwrap_err();
    let mut told: Vec<String> =
        problems.iter().map(|problem| format!("{} {}", problem.pointer, problem.code)).collect();
    told.sort();
    told.dedup();
    for expected in [
        "/actions/list/errors/rules/0/status status_invalid",
        "/actions/list/inputs/n/pattern schema_invalid",
        "/actions/list/limits/0/rate rate_invalid",
        "/actions/list/limits/1/concurrent rate_invalid",
        "/actions/list/request several_bodies",
        "/actions/list/request/path path_invalid",
        "/actions/list/use unknown_part",
        "/actions/send/effect/reconcile/action unknown_action",
        "/actions/send/host unknown_host",
        "/connection/auth/key/token template_unknown_helper",
        "/connection/test unknown_action",
        "/defaults/auth unknown_auth",
        "/defaults/errors/message jmespath_invalid",
        "/hosts/api template_syntax",
        "/parts/page/paginate paginate_invalid",
        "/parts/page/paginate/into paginate_invalid",
        "/parts/page/request/query/a template_unknown_helper",
        "/triggers/new/cursor cursor_invalid",
        "/triggers/new/cursor/shift cursor_invalid",
        "/triggers/new/key jmespath_invalid",
        "/triggers/new/poll unknown_action",
    ] {
        assert!(told.iter().any(|told| told == expected), "{expected} is not among\n{}", told.join("\n"));
    }
    let helps: Vec<&str> = problems.iter().filter_map(|problem| problem.help.as_deref()).collect();
    for name in ["page", "list", "api", "key"] {
        assert!(helps.contains(&format!("did you mean `{name}`?").as_str()), "{name}: {helps:?}");
    }
}

#[test]
fn what_is_asked_for_late_is_what_would_have_been_compiled_at_once() {
    for (name, loaded) in &manifest::Catalog::embedded().connectors {
        let whole = connector(&loaded.value).unwrap_or_else(|problems| panic!("{name}: {problems:#?}"));
        let text = serde_json::to_string(loaded.value.as_ref()).unwrap();
        let written = Arc::new(Written::new(text.into(), Arc::clone(&loaded.value)));
        let late = lazily(Arc::clone(&written)).unwrap();
        written.let_go();
        for action in loaded.value.actions.keys() {
            assert_eq!(format!("{:?}", late.action(action).unwrap()), format!("{:?}", whole.action(action).unwrap()));
        }
        written.let_go();
        for trigger in loaded.value.triggers.keys() {
            let (late, whole) = (late.trigger(trigger).unwrap(), whole.trigger(trigger).unwrap());
            assert_eq!(format!("{late:?}"), format!("{whole:?}"));
        }
        assert!(late.action("unheard_of").is_none() && late.trigger("unheard_of").is_none());
        let inputs: BTreeSet<&str> = whole.actions().flat_map(|action| action.inputs.names()).collect();
        assert_eq!(late.inputs.iter().map(String::as_str).collect::<BTreeSet<_>>(), inputs, "{name}");
    }
}

/// The hot path: what one POST costs before it leaves. `cargo test --release -- --ignored --nocapture`.
#[test]
#[ignore = "measures time"]
fn preparing_a_post_is_cheap() {
    let catalog = manifest::Catalog::embedded();
    let twilio = Arc::new(connector(&catalog.connectors["twilio"].value).unwrap());
    let settings = serde_json::from_value(json!({"connector": "twilio", "defaults": {"from": "+15550100"},
        "fields": {"account_sid": format!("AC{}", "0".repeat(32)), "auth_token": "token"}}));
    let connection = Connection::bind("t", Arc::clone(&twilio), &settings.unwrap(), &Secrets::default()).unwrap();
    let (connection, files, limits) = (Arc::new(connection), Files::default(), Limits::new());
    let action = twilio.action("send_sms").unwrap();
    let inputs = json!({"to": ["+15550199"], "body": "Tide is low"});
    let rounds = 20_000;
    let started = std::time::Instant::now();
    for _ in 0..rounds {
        let call = Call { element: Some(json!("+15550199")), ..Call::new(&connection, action, inputs.clone()) };
        std::hint::black_box(Prepared::new(call, &files, &limits, 0).unwrap());
    }
    println!("prepare: {:.2} µs", started.elapsed().as_secs_f64() * 1e6 / f64::from(rounds));
}
