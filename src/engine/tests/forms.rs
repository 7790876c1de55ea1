//! What each step form does in a run.

use super::*;

#[test]
fn steps_see_what_earlier_steps_gave() {
    let flow = flow(
        r#"
steps:
  - {id: words, set: {text: "{{upper item.text}}", count: 2}}
  - id: sent
    action: service.post
    with: {to: "{{inputs.to}}", body: "{{steps.words.output.text}} {{flow.name}} {{run.id}}", count: "{{steps.words.output.count}}"}
  - {set: {status: "{{steps.sent.status}}", body: "{{steps.sent.output.body}}"}}
"#,
    );
    let mut world = World::new(&flow, json!({"text": "hi"}));
    assert_eq!(world.finish(echo), Ending::Succeeded);
    assert_eq!(world.calls[0].inputs, json!({"to": "+41", "body": "HI test run-1", "count": 2}));
    assert_eq!(world.output("2"), json!({"status": "succeeded", "body": "HI test run-1"}));
}

#[test]
fn templates_within_items_stay_text() {
    let flow = flow(
        r#"
steps:
  - {id: first, set: {text: "{{item.text}}"}}
  - {id: second, action: service.post, with: {text: "{{steps.first.output.text}}!"}}
  - {foreach: "array steps.second.output.text", steps: [{id: third, set: {text: "{{element}}"}}]}
"#,
    );
    let mut world = World::new(&flow, json!({"text": "{{inputs.to}}"}));
    world.finish(echo);
    assert_eq!(world.calls[0].inputs, json!({"text": "{{inputs.to}}!"}));
    assert_eq!(world.output("2[0].0"), json!({"text": "{{inputs.to}}!"}));
}

#[test]
fn conditions_choose_a_block_and_guards_skip_a_step() {
    let flow = flow(
        r#"
steps:
  - {id: guarded, if: "eq item.kind 'b'", set: {x: 1}}
  - if: eq item.kind 'a'
    then: [{id: chosen, set: {of: then}}]
    else: [{id: other, set: {of: else}}]
  - {set: {guarded: "{{steps.guarded.status}}", of: "{{coalesce steps.chosen.output.of steps.other.output.of}}"}}
  - {if: "eq item.kind 'a'", else: [{set: {never: true}}]}
"#,
    );
    for (kind, guarded, of, key) in [("a", "skipped", "then", "1.then.0"), ("b", "succeeded", "else", "1.else.0")] {
        let mut world = World::new(&flow, json!({"kind": kind}));
        assert_eq!(world.finish(echo), Ending::Succeeded, "{kind}");
        assert_eq!(world.output("2"), json!({"guarded": guarded, "of": of}));
        assert_eq!(world.entry(key).state, EntryState::Succeeded);
        assert_eq!(world.entry("1").state, EntryState::Succeeded);
    }
}

#[test]
fn loops_keep_their_turns_to_themselves() {
    let flow = flow(
        r#"
steps:
  - id: outer
    foreach: item.rows
    as: row
    collect: "{{row.name}}{{row_index}}{{default steps.inner.output ''}}"
    steps:
      - {if: "eq row_index 0", id: inner, action: service.upsert, with: {name: "{{row.name}}"}, on_error: continue}
      - {foreach: "row.tags", as: tag, steps: [{set: {tag: "{{row.name}}/{{tag}}"}}]}
  - {set: {all: "{{steps.outer.output}}", inner: "{{default steps.inner.status 'unseen'}}", row: "{{default row 'unbound'}}"}}
"#,
    );
    let item = json!({"rows": [{"name": "a", "tags": ["x", "y"]}, {"name": "b", "tags": []}]});
    let mut world = World::new(&flow, item);
    assert_eq!(world.finish(|_| Ok(json!("!"))), Ending::Succeeded);
    assert_eq!(world.output("1"), json!({"all": ["a0!", "b1"], "inner": "unseen", "row": "unbound"}));
    assert_eq!(world.output("0[0].1[1].0"), json!({"tag": "a/y"}));
    assert_eq!(world.entry("0[0].1[1].0").scope, "0[0].1[1]");
    assert_eq!(world.entry("0[1]").scope, "0[]");
    assert_eq!(world.entry("0[1].0").state, EntryState::Skipped);
}

#[test]
fn a_loop_needs_a_list() {
    let flow = flow("steps: [{foreach: item.rows, steps: [{set: {a: 1}}]}]");
    let Ending::Failed(failed) = World::new(&flow, json!({"rows": "text"})).finish(echo) else {
        panic!("a text is no list");
    };
    assert_eq!((failed.step.as_str(), failed.failure.code.as_str()), ("0", "foreach_no_list"));
}

#[test]
fn waits_last_as_long_as_they_say() {
    let cases = [
        ("wait: 10m", Some(600_000)),
        ("wait: \"{{item.pause}}\"", Some(90_000)),
        ("wait: {until: \"{{item.later}}\"}", Some(5_000)),
        ("wait: {until: item.number}", Some(7_000)),
        ("wait: {until: 2020-01-01T00:00:00Z}", None),
        ("wait: 0s", None),
    ];
    for (written, length_ms) in cases {
        let flow = flow(&format!("steps: [{{{written}}}, {{action: service.read}}]"));
        let item =
            json!({"pause": "1m30s", "later": crate::clock::rfc3339(START_MS + 5_000), "number": START_MS + 7_000});
        let mut world = World::new(&flow, item);
        let mut next = world.on(Event::Begin);
        if let Some(length_ms) = length_ms {
            assert_eq!(wait(next), (START_MS + length_ms, Reason::Wait), "{written}");
            world.now_ms += length_ms - 1;
            world.lose();
            assert_eq!(wait(world.on(Event::Due)).0, START_MS + length_ms, "{written}: too early");
            world.now_ms += 1;
            next = world.on(Event::Due);
        }
        assert_eq!(call(next).key, "1", "{written}");
    }
}

#[test]
fn stop_ends_the_run_from_within() {
    let flow = flow(
        r#"
steps:
  - foreach: item.list
    steps:
      - {id: end, if: "eq element 2", stop: {status: "failed", message: "met {{element}}"}}
      - {id: leave, if: "eq element 3", stop: {message: "enough"}}
      - {set: {a: 1}}
  - {action: service.post}
on_failure: [{set: {told: "{{error.step}}: {{error.message}} ({{error.code}})"}}]
"#,
    );
    let mut world = World::new(&flow, json!({"list": [1, 3]}));
    assert_eq!(world.finish(echo), Ending::Stopped { message: Some("enough".to_owned()) });
    assert_eq!(world.entry("0").state, EntryState::Succeeded);
    let mut world = World::new(&flow, json!({"list": [1, 2]}));
    let Ending::Failed(failed) = world.finish(echo) else { panic!("stop failed") };
    assert_eq!((failed.step.as_str(), failed.failure.code.as_str()), ("end", "stopped"));
    assert_eq!(world.output("on_failure.0"), json!({"told": "end: met 2 (stopped)"}));
    assert_eq!(world.entry("0").state, EntryState::Failed);
}

#[test]
fn http_requests_are_rendered_and_encoded_once() {
    let flow = flow(
        r#"
steps:
  - http: {method: POST, url: "{{item.base}}/a/{{item.name}}?q={{item.q}}", query: {page: "{{maybe item.page}}", n: 1}, headers: {X-Id: "{{item.name}}"}, json: {text: "{{item.name}}"}}
  - http: {url: "http://host/{{default item.none 'a}}b'}}"}
"#,
    );
    let mut world = World::new(&flow, json!({"base": "http://h:1/x", "name": "a b/ü", "q": "1&2"}));
    let first = call(world.on(Event::Begin));
    assert_eq!((first.target, first.needs_mark), (Target::Http, true));
    assert_eq!(
        *first.inputs,
        json!({"method": "POST", "url": "http://h:1/x/a/a%20b%2F%C3%BC?q=1%262", "query": {"n": 1}, "headers": {"X-Id": "a b/ü"}, "json": {"text": "a b/ü"}})
    );
    let second = call(world.on(Event::Answered { output: json!({"status": 200}) }));
    assert_eq!((&second.inputs["url"], second.needs_mark), (&json!("http://host/a%7D%7Db"), false));
}

#[test]
fn calls_say_what_the_worker_must_know() {
    let flow = flow(
        r#"
steps:
  - {id: post, title: Posting, action: service.keyed, with: {a: "{{maybe item.none}}", b: 1}, timeout: 5s, deadline: 3s}
  - {action: service.read}
"#,
    );
    let mut world = World::new(&flow, json!({}));
    let first = call(world.on(Event::Begin));
    assert_eq!((first.step.as_str(), first.title.as_deref()), ("post", Some("Posting")));
    assert_eq!(first.target.to_string(), "service.keyed");
    assert_eq!(*first.inputs, json!({"b": 1}));
    assert_eq!((first.timeout_ms, first.needs_mark), (Some(3_000), false));
    assert!(first.idempotency_key.is_some());
    let second = call(world.on(Event::Answered { output: Value::Null }));
    assert_eq!((second.step.as_str(), second.timeout_ms), ("1", Some(30_000)));
    assert_eq!(second.idempotency_key, None);
}

#[test]
fn every_mistake_of_a_flow_is_told_at_its_place() {
    let found = problems(
        r#"
steps:
  - {id: a, action: servize.read}
  - {id: a, action: service.reed, with: {text: "{{item."}}
  - {title: nothing}
  - {set: {a: 1}, wait: 5m}
  - {foreach: item.list, as: item, steps: [{action: nodot}], retry: {}}
  - {wait: soon}
  - {then: [{set: {a: 1}}]}
on_failure: [{if: "eq item.a", set: {a: 1}}]
"#,
    );
    let told: Vec<(&str, &str)> = found.iter().map(|problem| (problem.pointer.as_str(), problem.code)).collect();
    for expected in [
        ("/steps/0/action", "unknown_connector"),
        ("/steps/1/id", "duplicate_step_id"),
        ("/steps/1/action", "unknown_action"),
        ("/steps/2", "step_without_keyword"),
        ("/steps/3", "step_with_several_keywords"),
        ("/steps/4/as", "name_taken"),
        ("/steps/4/steps/0/action", "action_syntax"),
        ("/steps/4/retry", "setting_without_effect"),
        ("/steps/5/wait", "wait_invalid"),
        ("/steps/6/then", "if_without_condition"),
    ] {
        assert!(told.contains(&expected), "{expected:?} is not among {told:#?}");
    }
    assert!(told.iter().any(|(pointer, _)| *pointer == "/steps/1/with/text"), "{told:#?}");
    assert!(told.iter().any(|(pointer, _)| *pointer == "/on_failure/0/if"), "{told:#?}");
    let help = |code: &str| found.iter().find(|problem| problem.code == code).and_then(|problem| problem.help.clone());
    assert_eq!(help("unknown_connector").as_deref(), Some("did you mean `service`?"));
    assert_eq!(help("unknown_action").as_deref(), Some("did you mean `read`?"));
}

#[test]
fn the_forms_are_those_of_the_language() {
    let forms: Vec<&str> = crate::steps::FORMS.iter().map(|form| form.name).collect();
    assert_eq!(forms, manifest::flow::KEYWORDS);
}
