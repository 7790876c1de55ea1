//! What a failure means for the run: `on_error`, `on_failure`, and failures in there.

use super::*;

#[test]
fn a_failed_step_ends_the_run_unless_it_may_fail() {
    let flow = flow(
        r#"
steps:
  - {id: first, action: service.post, on_error: continue}
  - {set: {code: "{{steps.first.error.code}}", status: "{{steps.first.status}}", http: "{{default steps.first.error.status 0}}"}}
  - {id: second, action: service.post}
  - {set: {never: true}}
"#,
    );
    let mut world = World::new(&flow, json!({}));
    let ending = world.finish(|_| Err(Failure { status: Some(400), ..refused() }));
    let Ending::Failed(failed) = ending else { panic!("{ending:?}") };
    assert_eq!(failed.step, "second");
    assert_eq!(failed.failure.code, "http_400");
    assert_eq!(world.output("1"), json!({"code": "http_400", "status": "failed", "http": 400}));
    assert!(world.journal.iter().all(|entry| entry.key != "3"));
}

#[test]
fn a_failure_within_blocks_fails_what_is_around_it_up_to_one_that_may_fail() {
    let flow = flow(
        r#"
steps:
  - id: loop
    foreach: item.list
    on_error: continue
    steps:
      - {if: "true", then: [{id: inner, action: service.post, with: {n: "{{element}}"}}]}
  - {set: {status: "{{steps.loop.status}}", code: "{{steps.loop.error.code}}", element: "{{default element 'unbound'}}", inner: "{{default steps.inner.status 'unseen'}}"}}
"#,
    );
    let mut world = World::new(&flow, json!({"list": [1, 2, 3]}));
    let ending = world.finish(|call| match call.inputs["n"].as_i64() {
        Some(2) => Err(refused()),
        _ => Ok(json!("done")),
    });
    assert_eq!(ending, Ending::Succeeded);
    assert_eq!(world.calls.len(), 2, "the third element is not done");
    for (key, state) in [
        ("0", EntryState::Failed),
        ("0[1].0", EntryState::Failed),
        ("0[1].0.then.0", EntryState::Failed),
        ("0[0].0", EntryState::Succeeded),
    ] {
        assert_eq!(world.entry(key).state, state, "{key}");
    }
    assert_eq!(
        world.output("1"),
        json!({"status": "failed", "code": "http_400", "element": "unbound", "inner": "unseen"})
    );
}

#[test]
fn on_failure_sees_the_error_and_the_run_stays_failed() {
    let flow = flow(
        r#"
steps:
  - {id: before, set: {a: 1}}
  - {id: broken, action: service.post, with: {text: "{{item.missing}}"}}
on_failure:
  - {action: service.post, with: {body: "{{flow.name}} failed at {{error.step}}: {{error.code}} {{steps.before.output.a}}"}}
"#,
    );
    let mut world = World::new(&flow, json!({"text": "x"}));
    let told = call(world.on(Event::Begin));
    assert_eq!(told.key, "on_failure.0");
    assert_eq!(told.inputs["body"], "test failed at broken: template_missing_path 1");
    world.lose();
    assert_eq!(call(world.on(Event::Crashed)).inputs, told.inputs, "the error is still known after a restart");
    let Next::Ended(Ending::Failed(failed)) = world.on(Event::Answered { output: json!(1) }) else {
        panic!("a failed run")
    };
    assert_eq!((failed.step.as_str(), failed.on_failure), ("broken", None));
    assert_eq!(failed.failure.outcome, Outcome::NotSent);
}

#[test]
fn a_failure_within_on_failure_ends_it_and_both_are_told() {
    let flow = flow(
        r#"
steps: [{id: one, action: service.post}]
on_failure: [{id: two, action: service.post}, {id: three, action: service.post}]
"#,
    );
    let mut world = World::new(&flow, json!({}));
    let ending = world.finish(|call| Err(failure(&call.step, Outcome::NotDone, Verdict::Fail)));
    let Ending::Failed(failed) = ending else { panic!("{ending:?}") };
    assert_eq!((failed.step.as_str(), failed.failure.code.as_str()), ("one", "one"));
    let second = failed.on_failure.unwrap();
    assert_eq!((second.step.as_str(), second.failure.code.as_str()), ("two", "two"));
    assert_eq!(world.calls.len(), 2);
}

#[test]
fn an_ended_run_stays_ended() {
    let flow = flow("steps: [{set: {a: 1}}]");
    let mut world = World::new(&flow, json!({}));
    world.finish(echo);
    for event in [Event::Due, Event::Answered { output: json!(1) }, Event::Crashed] {
        let decision = world.decide(event);
        assert!(matches!(decision.next, Next::Ended(Ending::Succeeded)));
        assert!(decision.entries.is_empty());
    }
}
