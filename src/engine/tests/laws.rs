//! Laws: losing the process changes nothing, and a long loop costs what its length says.

use proptest::prelude::*;

use super::*;

const EVERYTHING: &str = r#"
steps:
  - {id: start, set: {at: "{{now}}", list: [1, 2, 3]}}
  - {id: page, action: service.read, with: {at: "{{now}}"}}
  - if: eq item.kind 'long'
    then:
      - {id: picked, action: service.upsert, with: {page: "{{steps.page.output.at}}"}}
      - id: rows
        foreach: steps.start.output.list
        as: row
        collect: {row: "{{row}}", got: "{{steps.one.output.n}}"}
        steps:
          - {id: one, action: service.keyed, with: {n: "{{row}}", of: "{{row_index}}"}}
          - {if: "eq row 2", wait: 90s}
          - {foreach: item.tags, as: tag, steps: [{id: two, action: service.keyed, with: {tag: "{{tag}}", row: "{{row}}", one: "{{steps.one.output.n}}"}}]}
    else:
      - {action: service.upsert, on_error: continue}
  - {id: all, action: service.send_all, with: {to: "{{item.tags}}", rows: "{{default steps.rows.output 'none'}}"}, on_error: continue}
  - {id: last, action: service.upsert, with: {status: "{{steps.all.status}}", error: "{{default steps.all.error.code 'none'}}", item: "{{item}}"}}
  - {action: service.keyed, with: {fail: true, steps: "{{steps.last.output}}"}}
on_failure:
  - {id: told, action: service.upsert, with: {message: "{{error.step}} {{error.message}}", start: "{{steps.start.output.at}}"}}
  - {set: {done: "{{steps.told.output}}"}}
"#;

/// Composites within a loop and within each other, pauses, an early end, and a failure deep inside.
const COMPOSITES: &str = r#"
steps:
  - {id: start, set: {at: "{{now}}"}}
  - id: each
    foreach: item.tags
    as: tag
    collect: "{{steps.post.output}}"
    steps:
      - {id: post, action: service.thread, with: {texts: ["{{tag}}", "{{steps.start.output.at}}"], stop: "{{eq tag 'b'}}"}}
  - {id: nested, action: service.twice, with: {text: "{{item.kind}}"}, retry: {attempts: 4, initial: 2s}, deadline: 10m}
  - id: wait
    repeat: {until: "eq steps.got.output.turn 2", limit: 2}
    steps: [{id: got, action: service.upsert, with: {turn: "{{turn}}", nested: "{{default steps.nested.output 'none'}}"}}]
  - {action: service.thread, with: {texts: ["{{steps.wait.output.got.turn}}"], fail: true}, on_error: continue}
  - {id: end, action: service.upsert, with: {fail: true, each: "{{steps.each.output}}"}}
on_failure:
  - {action: service.twice, with: {text: "{{error.step}}"}}
"#;

/// Fails now and then, by what is asked and not by when.
fn moody(call: &Call) -> Result<Value, Failure> {
    let mood = call.key.len() + call.inputs.to_string().len() + call.attempt as usize;
    if call.inputs.get("fail").is_some() || (call.key.starts_with("3[") && call.element == Some(json!("b"))) {
        return Err(refused());
    }
    match mood % 5 {
        0 => Err(torn()),
        1 => Err(busy()),
        _ => echo(call),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Loss {
    /// Before the decision is committed.
    BeforeCommit,
    /// After it, before anything is done.
    AfterCommit,
    /// After the call was answered, before the answer is taken in.
    AfterAnswer,
}

/// Runs to the end and loses the process wherever `loss` says so. Time passes with commits only.
fn run<'f>(flow: &'f Flow, item: Value, mut loss: impl FnMut(usize) -> Option<Loss>) -> (World<'f>, Ending) {
    let mut world = World::new(flow, item);
    let mut event = Event::Begin;
    let mut point = 0;
    let mut committed_ms = world.now_ms;
    loop {
        let lost = loss(point);
        point += 1;
        let decision = world.decide(event);
        if lost == Some(Loss::BeforeCommit) {
            world.now_ms = committed_ms;
            world.lose();
            event = Event::Crashed;
            continue;
        }
        world.commit(&decision);
        committed_ms = world.now_ms;
        if lost == Some(Loss::AfterCommit) && !matches!(decision.next, Next::Ended(_)) {
            world.lose();
            event = Event::Crashed;
            continue;
        }
        event = match decision.next {
            Next::Call(call) => {
                let answer = moody(&call);
                world.now_ms += 1_000;
                if lost == Some(Loss::AfterAnswer) {
                    world.now_ms -= 1_000;
                    world.lose();
                    Event::Crashed
                } else {
                    match answer {
                        Ok(output) => Event::Answered { output },
                        Err(failure) => Event::Failed(failure),
                    }
                }
            }
            Next::Wait { due_ms, .. } => {
                world.now_ms = world.now_ms.max(due_ms);
                Event::Due
            }
            Next::Ended(ending) => return (world, ending),
            other => panic!("{other:?}"),
        };
    }
}

/// The calls, repeats of the same attempt left out.
fn distinct(world: &World) -> Vec<Seen> {
    let mut calls = world.calls.clone();
    calls.dedup_by(|next, previous| {
        (&next.key, next.attempt) == (&previous.key, previous.attempt) && {
            assert_eq!(next.inputs, previous.inputs, "a repeat asks for the same");
            assert_eq!(next.idempotency_key, previous.idempotency_key);
            true
        }
    });
    calls
}

fn items() -> [Value; 2] {
    [json!({"kind": "long", "tags": ["a", "b"]}), json!({"kind": "short", "tags": []})]
}

fn assert_same(flow: &Flow, item: &Value, loss: impl FnMut(usize) -> Option<Loss>) {
    let (whole, ending) = run(flow, item.clone(), |_| None);
    let (lossy, lossy_ending) = run(flow, item.clone(), loss);
    assert_eq!(lossy_ending, ending);
    assert_eq!(distinct(&lossy), distinct(&whole));
    assert_eq!(lossy.journal, whole.journal);
}

#[test]
fn losing_the_process_at_any_one_point_changes_nothing() {
    let flow = flow(EVERYTHING);
    for item in items() {
        let (whole, _) = run(&flow, item.clone(), |_| None);
        assert!(whole.calls.len() > 4, "the flow does something");
        for lost in 0..whole.calls.len() * 3 {
            for loss in [Loss::BeforeCommit, Loss::AfterCommit, Loss::AfterAnswer] {
                assert_same(&flow, &item, |point| (point == lost).then_some(loss));
            }
        }
    }
}

#[test]
fn losing_the_process_within_a_composite_changes_nothing() {
    let flow = flow(COMPOSITES);
    for item in items() {
        let (whole, _) = run(&flow, item.clone(), |_| None);
        assert!(whole.calls.len() > 10, "the flow does something");
        for lost in 0..whole.calls.len() * 3 {
            let loss = [Loss::BeforeCommit, Loss::AfterCommit, Loss::AfterAnswer][lost % 3];
            assert_same(&flow, &item, |point| (point == lost).then_some(loss));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn losing_the_process_again_and_again_changes_nothing(losses in prop::collection::vec(0_u8..6, 0..200), long: bool, composites: bool) {
        let flow = flow(if composites { COMPOSITES } else { EVERYTHING });
        let item = &items()[usize::from(!long)];
        assert_same(&flow, item, |point| match losses.get(point) {
            Some(0) => Some(Loss::BeforeCommit),
            Some(1) => Some(Loss::AfterCommit),
            Some(2) => Some(Loss::AfterAnswer),
            _ => None,
        });
    }

    #[test]
    fn frames_of_another_make_are_refused_without_a_panic(frames in "[\\[\\]{}:,\"a-z0-9_]{0,60}") {
        let flow = flow(EVERYTHING);
        prop_assert_eq!(Run::resume(&flow, facts(json!({})), Some(&frames), Vec::new()).err().map(|failure| failure.code), Some("frames_unreadable".to_owned()));
    }
}

#[test]
fn frames_that_do_not_fit_the_flow_are_refused() {
    let flow = flow("steps: [{set: {a: 1}}]");
    for frames in [
        r#"{"section":"steps","clock_ms":0,"frames":[]}"#,
        r#"{"section":"steps","clock_ms":0,"frames":[{"block":0,"at":2,"turn":0,"started_ms":0}]}"#,
        r#"{"section":"steps","clock_ms":0,"frames":[{"block":0,"at":0,"turn":0,"started_ms":0},{"block":0,"at":0,"turn":0,"started_ms":0}]}"#,
        r#"{"section":"steps","clock_ms":0,"frames":[{"block":0,"at":0,"turn":0,"started_ms":0}],"current":{"phase":"sending","attempt":1,"entered_ms":0}}"#,
    ] {
        let refused = Run::resume(&flow, facts(json!({})), Some(frames), Vec::new());
        assert_eq!(refused.err().map(|failure| failure.code).as_deref(), Some("frames_unreadable"), "{frames}");
    }
}

#[test]
fn a_long_loop_costs_what_its_length_says() {
    let flow = flow(
        r#"steps: [{id: l, foreach: item.list, collect: "{{element}}", steps: [{action: service.keyed, with: {n: "{{element}}"}}]}, {set: {n: "{{len steps.l.output}}"}}]"#,
    );
    let count = 10_000;
    let mut world = World::new(&flow, json!({"list": (0..count).collect::<Vec<_>>()}));
    let mut lists = 0;
    let mut event = Event::Begin;
    loop {
        let decision = world.decide(event);
        assert!(decision.entries.len() <= 4, "a decision writes what has just happened");
        lists += decision.entries.iter().filter(|entry| entry.input.as_deref().is_some_and(Value::is_array)).count();
        world.commit(&decision);
        event = match decision.next {
            Next::Call(call) => Event::Answered { output: call.inputs["n"].clone() },
            Next::Ended(ending) => break assert_eq!(ending, Ending::Succeeded),
            other => panic!("{other:?}"),
        };
        if world.calls.len() == 7_000 {
            world.lose();
            event = Event::Crashed;
            world.calls.push(world.calls[0].clone());
        }
    }
    assert_eq!(lists, 1, "the list is journaled once");
    assert!(world.longest_frames < 300, "{} bytes", world.longest_frames);
    assert!(world.written <= 2 * count + 4, "{} entries", world.written);
    assert_eq!(world.output("1"), json!({"n": count}));
}

#[test]
fn a_long_repetition_costs_what_its_length_says() {
    let flow = flow(
        r#"steps: [{id: r, repeat: {until: "eq turn 5000", every: 1s, limit: 5000}, steps: [{id: read, action: service.read, with: {turn: "{{turn}}"}}]}, {set: {last: "{{steps.r.output}}"}}]"#,
    );
    let mut world = World::new(&flow, json!({}));
    let mut event = Event::Begin;
    loop {
        let decision = world.decide(event);
        assert!(decision.entries.len() <= 4, "a decision writes what has just happened");
        world.commit(&decision);
        event = match decision.next {
            Next::Call(call) => {
                assert_eq!(call.scope, format!("0[{}]", world.calls.len() - 1), "only the turn is read back");
                Event::Answered { output: call.inputs["turn"].clone() }
            }
            Next::Wait { due_ms, .. } => {
                world.now_ms = due_ms;
                if due_ms % 7 == 0 {
                    world.lose();
                }
                Event::Due
            }
            Next::Ended(ending) => break assert_eq!(ending, Ending::Succeeded),
            other => panic!("{other:?}"),
        };
    }
    assert_eq!(world.calls.len(), 5_000);
    assert!(world.longest_frames < 300, "{} bytes", world.longest_frames);
    assert_eq!(world.output("1"), json!({"last": {"turns": 5_000, "read": 5_000}}));
}

#[test]
fn much_that_is_decided_at_once_is_committed_in_parts() {
    let flow = flow(r#"steps: [{foreach: item.list, steps: [{set: {n: "{{element}}"}}]}]"#);
    let mut world = World::new(&flow, json!({"list": (0..5_000).collect::<Vec<_>>()}));
    let mut commits = 0;
    let mut event = Event::Begin;
    loop {
        let decision = world.decide(event);
        assert!(decision.entries.len() <= 1_001);
        world.commit(&decision);
        commits += 1;
        match decision.next {
            Next::Wait { due_ms, reason: Reason::Commit } => assert_eq!(due_ms, world.now_ms),
            Next::Ended(ending) => break assert_eq!(ending, Ending::Succeeded),
            other => panic!("{other:?}"),
        }
        if commits == 3 {
            world.lose();
        }
        event = Event::Due;
    }
    assert_eq!(commits, 6);
    assert_eq!(world.journal.iter().filter(|entry| entry.form == "set").count(), 5_000);
}

#[test]
fn a_journal_with_holes_is_refused() {
    let flow = flow(EVERYTHING);
    let item = items()[0].clone();
    let (mut loop_seen, mut elements_seen) = (false, false);
    let mut world = World::new(&flow, item);
    let mut event = Event::Begin;
    loop {
        event = match world.on(event) {
            Next::Call(call) => {
                let frames = world.frames.clone().unwrap();
                let without = |key: &str| {
                    let left = world.journal.iter().filter(|entry| entry.key != key).cloned().collect();
                    Run::resume(&flow, world.facts.clone(), Some(&frames), left).err().map(|failure| failure.code)
                };
                let incomplete = Some("journal_incomplete".to_owned());
                if call.key == "2.then.1[2].0" {
                    assert_eq!(without("2.then.1"), incomplete, "the loop's list");
                    assert_eq!(without("2.then.1[0]"), incomplete, "what a turn left");
                    loop_seen = true;
                }
                if call.key == "3[1]" {
                    assert_eq!(without("3[0]"), incomplete, "what an element gave");
                    elements_seen = true;
                }
                match echo(&call) {
                    Ok(output) => Event::Answered { output },
                    Err(failure) => Event::Failed(failure),
                }
            }
            Next::Wait { due_ms, .. } => {
                world.now_ms = due_ms;
                Event::Due
            }
            _ => break,
        };
    }
    assert!(loop_seen && elements_seen);
}
