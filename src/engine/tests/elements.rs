//! Actions that make one request per element of a list of their own.

use super::*;

fn codes(output: &Value) -> Vec<&str> {
    let results = output["results"].as_array().unwrap();
    results.iter().map(|result| result["status"].as_str().unwrap()).collect()
}

#[test]
fn each_element_is_a_request_and_an_entry_of_its_own() {
    let flow = flow(
        r#"steps: [{id: sms, action: service.send, with: {to: "{{item.to}}", body: hi}}, {set: {s: "{{steps.sms.output.status}}"}}]"#,
    );
    let mut world = World::new(&flow, json!({"to": ["1", "2", "3"]}));
    let ending = world.finish(|call| match call.element.as_ref().and_then(Value::as_str) {
        Some("2") => Err(refused()),
        _ => echo(call),
    });
    assert_eq!(ending, Ending::Succeeded, "one that failed does not fail the step");
    let keys: Vec<&str> = world.calls.iter().map(|call| call.key.as_str()).collect();
    assert_eq!(keys, ["0[0]", "0[1]", "0[2]"]);
    assert_eq!(
        world.output("0"),
        json!({"status": "partially_successful", "results": [
            {"element": "1", "status": "successful", "output": {"element": "1"}},
            {"element": "2", "status": "failed", "error": {"code": "http_400", "message": "it failed with http_400", "status": null, "service_code": null, "outcome": "not_done", "help": null}},
            {"element": "3", "status": "successful", "output": {"element": "3"}},
        ]})
    );
    assert_eq!(world.output("1"), json!({"s": "partially_successful"}));
    assert_eq!(world.entry("0[1]").error.as_ref().map(|failure| failure.code.as_str()), Some("http_400"));
    assert_eq!(world.entry("0[1]").scope, "0[]");
}

#[test]
fn the_step_fails_when_all_fail_or_when_none_may() {
    let cases = [
        ("send", 0, "successful", EntryState::Succeeded),
        ("send", 1, "partially_successful", EntryState::Succeeded),
        ("send", 2, "failed", EntryState::Failed),
        ("send_all", 0, "successful", EntryState::Succeeded),
        ("send_all", 1, "partially_successful", EntryState::Failed),
        ("send_all", 2, "failed", EntryState::Failed),
    ];
    for (action, failing, status, state) in cases {
        let flow = flow(&format!("steps: [{{action: service.{action}, with: {{to: [1, 2]}}}}]"));
        let mut world = World::new(&flow, json!({}));
        world.finish(|call| match call.element.as_ref().and_then(Value::as_i64) {
            Some(number) if number <= failing => Err(refused()),
            _ => echo(call),
        });
        assert_eq!(world.entry("0").state, state, "{action} {failing}");
        assert_eq!(world.output("0")["status"], status, "{action} {failing}");
        assert_eq!(world.calls.len(), 2, "the others are still done");
    }
}

#[test]
fn lists_of_one_of_none_and_by_default() {
    for (with, calls) in [("{to: \"+41\"}", 1), ("{to: []}", 0), ("{body: x}", 1), ("{to: [1, 2]}", 2)] {
        let flow = flow(&format!("steps: [{{action: service.send, with: {with}}}]"));
        let mut world = World::new(&flow, json!({}));
        assert_eq!(world.finish(echo), Ending::Succeeded, "{with}");
        assert_eq!(world.calls.len(), calls, "{with}");
        assert_eq!(codes(&world.output("0")).len(), calls, "{with}");
    }
}

#[test]
fn a_retry_repeats_only_what_was_not_done_even_after_a_restart() {
    let flow = flow("steps: [{action: service.send_all, with: {to: [1, 2, 3]}}]");
    let mut world = World::new(&flow, json!({}));
    call(world.on(Event::Begin));
    call(world.on(Event::Answered { output: json!("first") }));
    let (due_ms, reason) = wait(world.on(Event::Failed(busy())));
    assert_eq!(reason, Reason::Retry);
    world.lose();
    world.now_ms = due_ms;
    let again = call(world.on(Event::Crashed));
    assert_eq!((again.key.as_str(), again.attempt, again.element), ("0[1]", 2, Some(json!(2))));
    let third = call(world.on(Event::Answered { output: json!("second") }));
    assert_eq!((third.key.as_str(), third.attempt), ("0[2]", 1), "the next element counts its own attempts");
    world.lose();
    call(world.on(Event::Crashed));
    assert!(matches!(world.on(Event::Answered { output: json!("third") }), Next::Ended(Ending::Succeeded)));
    let outputs: Vec<Value> =
        world.output("0")["results"].as_array().unwrap().iter().map(|result| result["output"].clone()).collect();
    assert_eq!(outputs, [json!("first"), json!("second"), json!("third")]);
    let keys: Vec<&Option<String>> = world.calls.iter().map(|call| &call.idempotency_key).collect();
    assert_eq!(keys[1], keys[2], "a repeat has the same key");
    assert_ne!(keys[0], keys[1], "another element has another");
}

#[test]
fn an_element_nobody_knows_about_waits_for_a_person() {
    let flow = flow("steps: [{action: service.send, with: {to: [1, 2]}}]");
    let mut world = World::new(&flow, json!({}));
    call(world.on(Event::Begin));
    assert!(matches!(world.on(Event::Failed(torn())), Next::Unknown));
    assert_eq!(world.entry("0[0]").state, EntryState::Unknown);
    world.lose();
    let second = call(world.on(Event::Settled(Settlement::Failed)));
    assert_eq!(second.key, "0[1]");
    world.on(Event::Answered { output: json!("ok") });
    assert_eq!(codes(&world.output("0")), ["failed", "successful"]);
    assert_eq!(world.entry("0[0]").error.as_ref().map(|failure| failure.code.as_str()), Some("timeout"));
}

#[test]
fn a_retry_of_a_failed_run_does_only_what_was_not_done() {
    let flow = flow(
        r#"
steps:
  - {id: first, action: service.post, with: {a: 1}}
  - {wait: 1h}
  - {foreach: [1, 2], steps: [{action: service.post, with: {n: "{{element}}", a: "{{steps.first.output}}"}}]}
  - {action: service.send_all, with: {to: [1, 2, 3]}}
"#,
    );
    let mut failed = World::new(&flow, json!({}));
    let ending = failed.finish(|call| match call.element.as_ref().and_then(Value::as_i64) {
        Some(2) => Err(refused()),
        _ => Ok(json!("old")),
    });
    assert!(matches!(ending, Ending::Failed(_)));
    assert_eq!(failed.calls.len(), 6);
    let mut retry = World::new(&flow, json!({}));
    retry.run.reuse(failed.journal);
    assert_eq!(retry.finish(|_| Ok(json!("new"))), Ending::Succeeded);
    let keys: Vec<&str> = retry.calls.iter().map(|call| call.key.as_str()).collect();
    assert_eq!(keys, ["3[1]"]);
    assert_eq!(retry.now_ms, START_MS, "the wait is over");
    assert_eq!(retry.output("3")["results"][0]["output"], "old");
    assert_eq!(retry.output("3")["results"][1]["output"], "new");
}

#[test]
fn a_retry_remembers_what_the_failed_run_never_found_out() {
    let flow = flow("steps: [{action: service.send_all, with: {to: [1, 2]}}]");
    let mut failed = World::new(&flow, json!({}));
    call(failed.on(Event::Begin));
    let mut last = failed.on(Event::Failed(torn()));
    let ending = loop {
        match last {
            Next::Wait { due_ms, .. } => {
                failed.now_ms = due_ms;
                last = failed.on(Event::Due);
            }
            Next::Call(call) if call.key == "0[0]" => last = failed.on(Event::Failed(torn())),
            Next::Call(_) => last = failed.on(Event::Answered { output: json!("ok") }),
            Next::Ended(ending) => break ending,
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(ending, Ending::Failed(_)), "{ending:?}");
    let first_key = failed.calls[0].idempotency_key.clone();
    let mut retry = World::new(&flow, json!({}));
    retry.run.reuse(failed.journal);
    let again = call(retry.on(Event::Begin));
    assert_eq!(again.key, "0[0]");
    assert!(again.after_uncertain, "the first attempts may have been done");
    assert_eq!(again.idempotency_key, first_key, "a provider recognises the repeat");
    assert!(matches!(retry.on(Event::Answered { output: json!("ok") }), Next::Ended(Ending::Succeeded)));
}
