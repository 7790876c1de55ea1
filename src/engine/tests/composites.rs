//! Composite actions and `repeat`: what their steps see, what their callers get, and what ends them.

use super::*;

fn done(steps: &str, item: Value) -> (Ending, Vec<Seen>, Vec<Entry>) {
    let flow = flow(steps);
    let mut world = World::new(&flow, item);
    let ending = world.finish(echo);
    (ending, world.calls.clone(), world.journal.clone())
}

fn entry<'j>(journal: &'j [Entry], key: &str) -> &'j Entry {
    journal.iter().rfind(|entry| entry.key == key).unwrap_or_else(|| panic!("no entry {key}"))
}

#[test]
fn its_steps_are_journaled_below_the_step_that_calls_it() {
    let (ending, calls, journal) = done(
        "steps: [{set: {a: 1}}, {id: post, action: service.thread, with: {texts: [a, b]}}, {id: end, set: {got: \"{{steps.post.output}}\"}}]",
        json!({}),
    );
    assert_eq!(ending, Ending::Succeeded);
    let keys: Vec<&str> = calls.iter().map(|call| call.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "1.steps.0",
            "1.steps.1[0].0",
            "1.steps.1[1].0",
            "1.steps.2[0].0",
            "1.steps.2[1].0",
            "1.steps.2[2].0",
            "1.steps.4"
        ]
    );
    assert_eq!(calls[0].inputs["by"], "me", "the connection is read");
    assert_eq!(calls[5].at_ms, START_MS + 10_000, "two pauses");
    assert_eq!(entry(&journal, "1.steps.2[0]").state, EntryState::Succeeded, "the pause is journaled");
    assert_eq!(entry(&journal, "1").form, "composite");
    assert_eq!(
        entry(&journal, "1").input.as_deref(),
        Some(&json!({"inputs": {"texts": ["a", "b"]}, "connection": {"account": "me"}}))
    );
    assert_eq!(entry(&journal, "2").output, Some(json!({"got": {"texts": ["a", "b"], "turns": 3, "last": 3}})));
}

#[test]
fn its_steps_see_nothing_of_the_flow_and_the_flow_nothing_of_them() {
    let (_, calls, _) = done(
        "steps: [{id: first, set: {text: mine}}, {action: service.thread, with: {texts: [x]}}, {action: service.read, with: {seen: \"{{steps.first.output.text}}\", other: \"{{default steps.rest 'none'}}\"}}]",
        json!({}),
    );
    assert_eq!(calls[1].inputs, json!({"text": "x", "first": "x"}), "its own `first`");
    assert_eq!(calls.last().unwrap().inputs, json!({"seen": "mine", "other": "none"}));
}

#[test]
fn two_calls_of_one_composite_make_different_ids() {
    let (_, calls, _) = done(
        "steps: [{action: service.thread, with: {texts: [x]}}, {action: service.thread, with: {texts: [x]}}]",
        json!({}),
    );
    let id = |key: &str| calls.iter().find(|call| call.key == key).map(|call| call.inputs["id"].clone());
    assert_eq!(id("0.steps.2[0].0"), id("0.steps.2[1].0"));
    assert!(id("0.steps.2[0].0").is_some() && id("0.steps.2[0].0") != id("1.steps.2[0].0"));
}

#[test]
fn an_early_end_gives_what_there_is() {
    let (ending, _, journal) = done(
        "steps: [{id: post, action: service.thread, with: {texts: [x], stop: true}}, {set: {after: 1}}]",
        json!({}),
    );
    assert_eq!(ending, Ending::Succeeded);
    assert_eq!(entry(&journal, "0").output, Some(json!({"texts": ["x"], "turns": 3})));
    assert!(journal.iter().any(|entry| entry.key == "1"), "the flow goes on");
}

#[test]
fn a_failure_names_the_step_inside_and_can_be_gone_over() {
    let yaml = |more: &str| {
        format!(
            "steps: [{{id: post, action: service.strict, with: {{n: 7}}{more}}}, {{id: end, action: service.read, with: {{why: \"{{{{steps.post.error.message}}}}\"}}}}]"
        )
    };
    for (fails_at, step, message) in
        [("0.steps.0", "post.steps.0", "it failed with http_400"), ("", "post.steps.1", "not 7")]
    {
        let flow = flow(&yaml(""));
        let mut world = World::new(&flow, json!({}));
        let ending = world.finish(|call| if call.key == fails_at { Err(refused()) } else { echo(call) });
        let Ending::Failed(failed) = ending else { panic!("{ending:?}") };
        assert_eq!((failed.step.as_str(), failed.failure.message.as_str()), (step, message));
    }
    let flow = flow(&yaml(", on_error: continue"));
    let mut world = World::new(&flow, json!({}));
    assert_eq!(world.finish(echo), Ending::Succeeded);
    assert_eq!(world.output("1"), json!({"why": "not 7"}));
}

#[test]
fn what_it_is_given_is_refused_before_anything_is_done() {
    let (ending, calls, journal) = done("steps: [{id: post, action: service.thread, with: {refuse: 1}}]", json!({}));
    let Ending::Failed(failed) = ending else { panic!("{ending:?}") };
    assert_eq!((failed.step.as_str(), failed.failure.code.as_str(), calls.len()), ("post", "input_invalid", 0));
    assert_eq!(entry(&journal, "0").input.as_deref(), Some(&json!({"refuse": 1})));
}

#[test]
fn retry_and_timeout_of_the_caller_are_those_of_the_steps() {
    let flow = flow(
        "steps: [{action: service.careful, with: {n: 1}, timeout: 7s, retry: {attempts: 2, backoff: fixed, initial: 3s}}]",
    );
    let mut world = World::new(&flow, json!({}));
    let first = call(world.on(Event::Begin));
    assert_eq!((first.timeout_ms, first.needs_mark), (Some(7_000), true));
    let (due_ms, _) = wait(world.on(Event::Failed(busy())));
    assert_eq!(due_ms, START_MS + 3_000);
    world.now_ms = due_ms;
    assert_eq!(call(world.on(Event::Due)).attempt, 2);
    // The second failure is the last; the composite itself goes over it.
    let next = call(world.on(Event::Failed(busy())));
    assert_eq!((next.key.as_str(), &*next.inputs), ("0.steps.2", &json!({"error": "busy"})));
}

#[test]
fn its_deadline_ends_it_whatever_its_steps_go_over() {
    for (with, lasts) in [("{n: 1}", 20_000), ("{n: 1, wait: 30s}", 0)] {
        let flow = flow(&format!(
            "steps: [{{id: it, action: service.careful, with: {with}, deadline: 10s, on_error: continue}}, {{action: service.read, with: {{code: \"{{{{steps.it.error.code}}}}\"}}}}]"
        ));
        let mut world = World::new(&flow, json!({}));
        call(world.on(Event::Begin));
        world.now_ms += lasts;
        let next = call(world.on(Event::Answered { output: json!(1) }));
        assert_eq!((next.key.as_str(), &*next.inputs), ("1", &json!({"code": "deadline_exceeded"})), "{with}");
        assert_eq!(world.now_ms, START_MS + lasts, "nothing is waited for in vain");
    }
}

#[test]
fn an_unknown_outcome_inside_parks_the_run_and_is_settled_there() {
    let flow = flow("steps: [{action: service.careful, with: {n: 1}}]");
    let mut world = World::new(&flow, json!({}));
    call(world.on(Event::Begin));
    world.mark();
    world.lose();
    assert!(matches!(world.on(Event::Crashed), Next::Unknown));
    assert_eq!(world.entry("0.steps.0").state, EntryState::Unknown);
    let next = call(world.on(Event::Settled(Settlement::Done(json!("by hand")))));
    assert_eq!(next.key, "0.steps.2");
}

#[test]
fn a_retried_run_does_again_what_failed_inside_and_nothing_else() {
    let flow = flow("steps: [{action: service.thread, with: {texts: [a]}}, {action: service.twice, with: {text: b}}]");
    let mut failed = World::new(&flow, json!({}));
    let ending = failed.finish(|call| if call.key == "1.steps.1.steps.4" { Err(refused()) } else { echo(call) });
    let Ending::Failed(why) = ending else { panic!("{ending:?}") };
    assert_eq!(why.step, "1.steps.1.last");
    let mut world = World::new(&flow, json!({}));
    world.run.reuse(failed.journal.clone());
    assert_eq!(world.finish(echo), Ending::Succeeded);
    let keys: Vec<&str> = world.calls.iter().map(|call| call.key.as_str()).collect();
    assert_eq!(keys, ["1.steps.1.steps.4"]);
    assert_eq!(world.now_ms, START_MS, "pauses that were waited for are not waited for again");
}

#[test]
fn a_repetition_that_never_ends_fails_by_its_limit() {
    let flow = flow("steps: [{id: wait, repeat: {until: \"false\", limit: 3}, steps: [{action: service.read}]}]");
    let mut world = World::new(&flow, json!({}));
    let Ending::Failed(failed) = world.finish(echo) else { panic!("it ended well") };
    assert_eq!((failed.step.as_str(), failed.failure.code.as_str()), ("wait", "repeat_limit"));
    assert_eq!(world.calls.len(), 3);
}

#[test]
fn a_repetition_pauses_as_its_turn_says_and_ends_by_its_deadline() {
    let flow = flow(
        "steps: [{id: wait, repeat: {until: \"false\", every: \"{{steps.look.output.after}}\", limit: 9}, deadline: 25s, on_error: continue, steps: [{id: look, action: service.read}]}, {set: {code: \"{{steps.wait.error.code}}\"}}]",
    );
    let mut world = World::new(&flow, json!({}));
    assert_eq!(world.finish(|_| Ok(json!({"after": "10s"}))), Ending::Succeeded);
    let times: Vec<i64> = world.calls.iter().map(|call| call.at_ms - START_MS).collect();
    assert_eq!(times, [0, 10_000, 20_000]);
    assert_eq!(world.output("1"), json!({"code": "deadline_exceeded"}));
}

#[test]
fn what_calls_itself_is_refused() {
    let service = "connector: service\nactions:\n  a: {effect: none, steps: [{action: b}]}\n  b: {effect: none, steps: [{action: service.a}]}\n";
    let service: manifest::Connector = serde_yaml::from_str(service).unwrap();
    let flow: manifest::Flow =
        serde_yaml::from_str("flow: test\ntrigger: {manual: true}\nsteps: [{action: service.a}]").unwrap();
    let connectors = BTreeMap::from([("service".to_owned(), Arc::new(service))]);
    let problems = Flow::compile(&flow, &connectors).unwrap_err();
    assert_eq!((problems[0].code, problems[0].pointer.as_str()), ("composite_unusable", "/steps/0/action"));
    assert!(problems[0].message.contains("calls itself"), "{}", problems[0].message);
}
