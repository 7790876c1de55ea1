//! When an attempt is repeated, looked up, parked or given up: the table of design section 6.

use super::*;

/// What a run asks for after its first attempt failed.
fn after(action: &str, failure: Failure) -> Next {
    let flow = flow(&format!("steps: [{{action: service.{action}, with: {{text: a}}}}]"));
    let mut world = World::new(&flow, json!({}));
    call(world.on(Event::Begin));
    world.now_ms += 1_000;
    world.on(Event::Failed(failure))
}

fn told(next: &Next) -> String {
    match next {
        Next::Wait { reason, .. } => format!("{reason:?}"),
        Next::Unknown => "Unknown".to_owned(),
        Next::Ended(Ending::Failed(_)) => "Failed".to_owned(),
        other => format!("{other:?}"),
    }
}

#[test]
fn every_effect_and_outcome_has_its_consequence() {
    let retry = Verdict::Retry { after_ms: None };
    let limited = Verdict::RateLimited { until_ms: START_MS + 60_000 };
    let cases = [
        (Outcome::NotSent, retry, ["Retry", "Retry", "Retry", "Retry", "Retry"]),
        (Outcome::NotDone, retry, ["Retry", "Retry", "Retry", "Retry", "Retry"]),
        (Outcome::NotDone, limited, ["RateLimit", "RateLimit", "RateLimit", "RateLimit", "RateLimit"]),
        (Outcome::NotDone, Verdict::Fail, ["Failed", "Failed", "Failed", "Failed", "Failed"]),
        (Outcome::NotDone, Verdict::Reauth, ["Failed", "Failed", "Failed", "Failed", "Failed"]),
        (Outcome::NotDone, Verdict::Reconcile, ["Failed", "Failed", "Failed", "Failed", "Failed"]),
        (Outcome::Unknown, retry, ["Retry", "Retry", "Retry", "LookUp", "Unknown"]),
        (Outcome::Unknown, Verdict::Fail, ["Failed", "Failed", "Failed", "LookUp", "Unknown"]),
    ];
    for (outcome, verdict, expected) in cases {
        for (action, expected) in ["read", "upsert", "keyed", "tweet", "post"].iter().zip(expected) {
            let next = after(action, failure("code", outcome, verdict));
            assert_eq!(told(&next), expected, "{action} {outcome:?} {verdict:?}");
        }
    }
}

#[test]
fn attempts_are_counted_and_waits_grow() {
    let cases = [
        ("action: service.read", 5, 1.0),
        ("action: service.upsert", 3, 1.0),
        ("action: service.read, retry: {attempts: 2, initial: 1s}", 2, 0.1),
        ("action: service.post, retry: {attempts: 4, initial: 4m}", 4, 24.0),
    ];
    for (step, attempts, factor) in cases {
        let flow = flow(&format!("steps: [{{{step}}}]"));
        let mut world = World::new(&flow, json!({}));
        let Ending::Failed(failed) = world.finish(|_| Err(busy())) else { panic!("{step}") };
        assert_eq!(failed.failure.code, "busy", "{step}");
        assert_eq!(world.calls.len(), attempts, "{step}");
        for (number, pair) in world.calls.windows(2).enumerate() {
            let full = (10_000.0 * factor * f64::from(1 << number)).min(600_000.0);
            let waited = (pair[1].at_ms - pair[0].at_ms) as f64;
            assert!(waited <= full && waited >= full * 0.8, "{step}: attempt {number} waited {waited} of {full}");
        }
        let attempted: Vec<u32> = world.calls.iter().map(|call| call.attempt).collect();
        assert_eq!(attempted, (1..=attempts as u32).collect::<Vec<_>>());
    }
}

#[test]
fn a_fixed_wait_is_fixed_and_the_services_word_is_heeded() {
    let flow = flow("steps: [{action: service.read, retry: {backoff: fixed, initial: 3s}}]");
    let mut world = World::new(&flow, json!({}));
    call(world.on(Event::Begin));
    assert_eq!(wait(world.on(Event::Failed(busy()))).0, START_MS + 3_000);
    world.now_ms = START_MS + 3_000;
    call(world.on(Event::Due));
    let told = failure("busy", Outcome::NotDone, Verdict::Retry { after_ms: Some(9_000) });
    assert_eq!(wait(world.on(Event::Failed(told))).0, START_MS + 12_000);
}

#[test]
fn limits_use_up_no_attempts() {
    let flow = flow("steps: [{action: service.read, retry: {attempts: 1}}]");
    let mut world = World::new(&flow, json!({}));
    let mut left = 10;
    let ending = world.finish(|call| {
        assert_eq!(call.attempt, 1);
        left -= 1;
        let until_ms = START_MS + 1_000 * (10 - left);
        if left > 0 {
            Err(failure("http_429", Outcome::NotDone, Verdict::RateLimited { until_ms }))
        } else {
            Ok(json!(1))
        }
    });
    assert_eq!(ending, Ending::Succeeded);
    assert_eq!(world.calls[9].at_ms, START_MS + 9_000);
    assert!(!world.calls[9].after_uncertain, "a refusal is no uncertainty");
}

#[test]
fn a_deadline_ends_the_waiting_not_the_hope() {
    let flow = flow(
        "steps: [{id: s, action: service.read, deadline: 25s, retry: {attempts: 9, backoff: fixed, initial: 10s}}]",
    );
    let mut world = World::new(&flow, json!({}));
    let Ending::Failed(failed) = world.finish(|_| Err(busy())) else { panic!("too late") };
    assert_eq!(failed.failure.code, "deadline_exceeded");
    assert!(failed.failure.message.contains("it failed with busy"), "{}", failed.failure.message);
    assert_eq!(world.calls.len(), 3);
    assert_eq!(world.now_ms, START_MS + 20_000, "it does not wait for what comes too late");
}

#[test]
fn what_was_found_is_done() {
    let flow =
        flow("steps: [{id: t, action: service.tweet, with: {text: hello}}, {set: {id: \"{{steps.t.output.id}}\"}}]");
    let mut world = World::new(&flow, json!({}));
    assert!(call(world.on(Event::Begin)).needs_mark);
    world.mark();
    world.now_ms += 2_000;
    assert_eq!(wait(world.on(Event::Failed(torn()))), (START_MS + 5_000, Reason::LookUp));
    world.now_ms = START_MS + 5_000;
    world.lose();
    let Next::Reconcile(look) = world.on(Event::Due) else { panic!("a look-up") };
    assert_eq!((look.since_ms, &*look.inputs), (START_MS, &json!({"text": "hello"})));
    assert_eq!(look.reconcile.action, "read");
    assert_eq!(wait(world.on(Event::NotFound { doubt: None })), (START_MS + 10_000, Reason::LookUp));
    world.now_ms = START_MS + 10_000;
    assert!(matches!(world.on(Event::Due), Next::Reconcile(_)));
    let next = world.on(Event::Found { output: json!({"id": "7"}) });
    assert!(matches!(next, Next::Ended(Ending::Succeeded)));
    assert_eq!(world.output("1"), json!({"id": "7"}));
    assert_eq!(world.entry("0").state, EntryState::Succeeded);
}

#[test]
fn what_stays_absent_is_repeated_or_left_to_a_person() {
    for (action, is_repeated) in [("tweet", true), ("shy", false)] {
        let flow = flow(&format!("steps: [{{action: service.{action}, with: {{text: a}}}}]"));
        let mut world = World::new(&flow, json!({}));
        call(world.on(Event::Begin));
        world.mark();
        let mut next = world.on(Event::Failed(torn()));
        let mut looks = 0;
        while let Next::Wait { due_ms, reason: Reason::LookUp } = next {
            assert!(due_ms <= START_MS + 60_000, "{action}: never later than `within`");
            world.now_ms = due_ms;
            world.lose();
            assert!(matches!(world.on(Event::Due), Next::Reconcile(_)), "{action}");
            looks += 1;
            next = world.on(Event::NotFound { doubt: None });
        }
        assert_eq!((world.now_ms, looks), (START_MS + 60_000, 5), "{action}: the last look is at the end");
        if is_repeated {
            let again = call(next);
            assert_eq!((again.attempt, again.after_uncertain), (2, true));
        } else {
            assert!(matches!(next, Next::Unknown));
            assert_eq!(world.entry("0").state, EntryState::Unknown);
        }
    }
}

#[test]
fn absence_proves_nothing_of_what_may_have_been_sent_long_after_its_mark() {
    // A machine that slept between the two.
    let flow = flow("steps: [{action: service.tweet, with: {text: a}}]");
    let mut world = World::new(&flow, json!({}));
    call(world.on(Event::Begin));
    world.mark();
    world.now_ms = START_MS + 3_600_000;
    assert!(matches!(world.on(Event::Failed(torn())), Next::Reconcile(_)), "it is looked for at once");
    let mut next = world.on(Event::NotFound { doubt: None });
    while let Next::Wait { due_ms, reason: Reason::LookUp } = next {
        world.now_ms = due_ms;
        world.on(Event::Due);
        next = world.on(Event::NotFound { doubt: None });
    }
    assert_eq!(world.now_ms, START_MS + 3_600_000 + 60_000);
    assert_eq!(call(next).attempt, 2);
}

#[test]
fn a_refusal_as_a_repeat_is_looked_up_only_after_uncertainty() {
    let duplicate = || failure("http_403", Outcome::NotDone, Verdict::Reconcile);
    let flow = flow("steps: [{action: service.tweet, with: {text: a}}]");
    let mut world = World::new(&flow, json!({}));
    call(world.on(Event::Begin));
    world.on(Event::Failed(torn()));
    world.now_ms = START_MS + 60_000;
    world.on(Event::Due);
    assert!(call(world.on(Event::NotFound { doubt: None })).after_uncertain);
    assert!(matches!(world.on(Event::Failed(duplicate())), Next::Reconcile(_)), "looked up at once");
    assert_eq!(wait(world.on(Event::NotFound { doubt: None })).1, Reason::LookUp);
    world.now_ms += 60_000;
    world.on(Event::Due);
    let Next::Ended(Ending::Failed(failed)) = world.on(Event::NotFound { doubt: None }) else {
        panic!("it is the repeat of something else")
    };
    assert_eq!(failed.failure.code, "http_403");
}

#[test]
fn absence_that_is_doubted_is_left_to_a_person() {
    let flow = flow("steps: [{action: service.tweet, with: {text: a}}]");
    let mut world = World::new(&flow, json!({}));
    call(world.on(Event::Begin));
    world.on(Event::Failed(torn()));
    world.now_ms = START_MS + 60_000;
    assert!(matches!(world.on(Event::Due), Next::Reconcile(_)));
    assert!(matches!(world.on(Event::NotFound { doubt: Some("who knows".to_owned()) }), Next::Unknown));
    let message = &world.entry("0").error.as_ref().unwrap().message;
    assert!(message.contains("who knows"), "{message}");
}

#[test]
fn a_retry_begins_with_what_the_run_before_left_open() {
    for (action, expected) in [("post", "Unknown"), ("tweet", "LookUp"), ("keyed", "Call"), ("upsert", "Call")] {
        let flow = flow(&format!("steps: [{{action: service.{action}, with: {{text: a}}}}]"));
        let mut ended = World::new(&flow, json!({}));
        call(ended.on(Event::Begin));
        match action {
            // Ended by a person while it was being sent.
            "post" | "tweet" => ended.mark(),
            _ => drop(ended.on(Event::Failed(torn()))),
        }
        let mut retry = World::new(&flow, json!({}));
        retry.run.reuse(ended.journal.clone());
        let next = retry.on(Event::Begin);
        match &next {
            Next::Call(call) => assert_eq!((expected, call.after_uncertain), ("Call", true), "{action}"),
            next => assert_eq!(told(next), expected, "{action}"),
        }
        if expected != "Call" {
            assert!(retry.run.is_uncertain());
            // Taken up again it stands where it stood, and is not asked about once more.
            retry.lose();
            retry.run.reuse(ended.journal.clone());
            assert!(retry.run.is_uncertain());
        }
        if action == "post" {
            assert!(retry.run.unknown().is_some());
            assert_eq!(call(retry.on(Event::Settled(Settlement::Retry))).attempt, 2);
        }
    }
}

#[test]
fn a_look_up_that_fails_is_made_again_and_proves_nothing() {
    let flow = flow("steps: [{action: service.tweet, with: {text: a}}]");
    let mut world = World::new(&flow, json!({}));
    call(world.on(Event::Begin));
    world.on(Event::Failed(torn()));
    world.now_ms = START_MS + 5_000;
    world.on(Event::Due);
    let limited = failure("http_429", Outcome::NotDone, Verdict::RateLimited { until_ms: START_MS + 900_000 });
    assert_eq!(wait(world.on(Event::Failed(limited))).0, START_MS + 900_000);
    world.now_ms = START_MS + 900_000;
    assert!(matches!(world.on(Event::Due), Next::Reconcile(_)));
    assert!(matches!(world.on(Event::Failed(refused())), Next::Unknown), "absence was never seen");
}

#[test]
fn a_person_settles_what_nobody_knows() {
    let cases =
        [(Settlement::Done(json!({"id": 1})), "done"), (Settlement::Retry, "again"), (Settlement::Failed, "failed")];
    for (settlement, expected) in cases {
        let flow = flow(
            "steps: [{id: p, action: service.post, deadline: 1m, retry: {attempts: 1}}, {set: {id: \"{{steps.p.output.id}}\"}}]",
        );
        let mut world = World::new(&flow, json!({}));
        call(world.on(Event::Begin));
        assert!(matches!(world.on(Event::Failed(torn())), Next::Unknown));
        assert!(matches!(world.on(Event::Due), Next::Unknown), "only a person ends it");
        world.now_ms += 3_600_000;
        world.lose();
        match (world.on(Event::Settled(settlement)), expected) {
            (Next::Ended(Ending::Succeeded), "done") => {
                assert_eq!(world.output("1"), json!({"id": 1}))
            }
            (Next::Call(call), "again") => {
                assert_eq!((call.attempt, call.after_uncertain), (2, true))
            }
            (Next::Ended(Ending::Failed(failed)), "failed") => {
                assert_eq!(failed.failure.code, "timeout")
            }
            (next, _) => panic!("{expected}: {next:?}"),
        }
    }
}

#[test]
fn a_crash_after_the_mark_is_an_unknown_outcome_and_before_it_a_repeat() {
    for (action, expected) in [("post", "Unknown"), ("tweet", "LookUp")] {
        for is_marked in [false, true] {
            for event in [Event::Crashed, Event::Begin] {
                let flow = flow(&format!("steps: [{{action: service.{action}, with: {{text: a}}}}]"));
                let mut world = World::new(&flow, json!({}));
                call(world.on(Event::Begin));
                if is_marked {
                    world.mark();
                }
                world.lose();
                let next = world.on(event);
                if is_marked {
                    assert_eq!(told(&next), expected, "{action}");
                    assert_eq!(world.entry("0").error.as_ref().map(|failure| failure.code.as_str()), Some("crashed"));
                } else {
                    let again = call(next);
                    assert_eq!((again.attempt, again.after_uncertain), (1, false), "{action}");
                }
            }
        }
    }
}

#[test]
fn attempts_that_the_hosts_end_cut_short_use_none_up() {
    let flow = flow("steps: [{action: service.tweet, with: {text: a}, retry: {attempts: 2}}]");
    let mut world = World::new(&flow, json!({}));
    call(world.on(Event::Begin));
    let absent = |world: &mut World<'_>| {
        world.now_ms += 60_000;
        world.lose();
        assert!(matches!(world.on(Event::Due), Next::Reconcile(_)));
        world.on(Event::NotFound { doubt: None })
    };
    for attempt in 2..9 {
        world.mark();
        world.lose();
        assert_eq!(told(&world.on(Event::Crashed)), "LookUp");
        assert_eq!(call(absent(&mut world)).attempt, attempt);
    }
    // The service's own failures do.
    assert_eq!(told(&world.on(Event::Failed(torn()))), "LookUp");
    assert_eq!(call(absent(&mut world)).attempt, 9);
    assert_eq!(told(&world.on(Event::Failed(torn()))), "LookUp");
    assert!(matches!(absent(&mut world), Next::Ended(Ending::Failed(_))));
}

#[test]
fn a_mark_whose_maker_may_still_be_at_it_is_left_to_a_person() {
    for action in ["post", "tweet"] {
        let flow = flow(&format!("steps: [{{action: service.{action}, with: {{text: a}}}}]"));
        let mut world = World::new(&flow, json!({}));
        call(world.on(Event::Begin));
        world.mark();
        world.lose();
        assert!(matches!(world.on(Event::Orphaned), Next::Unknown), "{action}");
        assert_eq!(world.entry("0").error.as_ref().map(|failure| failure.code.as_str()), Some("orphaned"));
        call(world.on(Event::Settled(Settlement::Retry)));
    }
    // What is safe to repeat has no mark.
    let flow = flow("steps: [{action: service.read}]");
    let mut world = World::new(&flow, json!({}));
    call(world.on(Event::Begin));
    world.lose();
    call(world.on(Event::Orphaned));
}

#[test]
fn a_mark_made_after_a_wait_counts_although_the_frames_are_older() {
    for first in [busy(), failure("http_429", Outcome::NotDone, Verdict::RateLimited { until_ms: START_MS + 5_000 })] {
        let flow = flow("steps: [{action: service.post}]");
        let mut world = World::new(&flow, json!({}));
        call(world.on(Event::Begin));
        world.mark();
        world.now_ms = wait(world.on(Event::Failed(first))).0;
        world.lose();
        call(world.decide(Event::Due).next);
        world.mark();
        world.lose();
        assert!(matches!(world.on(Event::Crashed), Next::Unknown));
    }
}

#[test]
fn events_that_do_not_fit_change_nothing() {
    let flow = flow("steps: [{action: service.read}]");
    let mut world = World::new(&flow, json!({}));
    call(world.on(Event::Begin));
    let due_ms = wait(world.on(Event::Failed(busy()))).0;
    let frames = world.run.frames();
    for event in [
        Event::Answered { output: json!(1) },
        Event::NotFound { doubt: None },
        Event::Settled(Settlement::Retry),
        Event::Failed(busy()),
    ] {
        assert_eq!(wait(world.on(event)).0, due_ms);
        assert_eq!(world.run.frames(), frames);
    }
}

#[test]
fn a_mark_is_heeded_where_no_frames_were_ever_committed() {
    let flow = flow("steps: [{action: service.post}]");
    let mut world = World::new(&flow, json!({}));
    call(world.decide(Event::Begin).next);
    world.mark();
    assert_eq!(world.frames, None);
    world.now_ms += 1_000;
    world.lose();
    assert!(matches!(world.on(Event::Crashed), Next::Unknown));
    assert_eq!(world.entry("0").started_ms, START_MS);
}

#[test]
fn a_retry_that_fails_again_does_what_it_says_on_failure_again() {
    let text = "steps: [{action: service.post}]\non_failure: [{wait: 1m}, {action: service.keyed, with: {text: a}}]";
    let flow = flow(text);
    let fails = |call: &Call| if call.key == "0" { Err(refused()) } else { Ok(json!(1)) };
    let mut failed = World::new(&flow, json!({}));
    assert!(matches!(failed.finish(fails), Ending::Failed(_)));
    let mut retry = World::new(&flow, json!({}));
    retry.run = Run::begin(&flow, Facts { run_id: "run-2".to_owned(), ..facts(json!({})) });
    retry.run.reuse(failed.journal);
    assert!(matches!(retry.finish(fails), Ending::Failed(_)));
    assert_eq!(retry.calls.iter().map(|call| call.key.as_str()).collect::<Vec<_>>(), ["0", "on_failure.1"]);
    assert_eq!(retry.now_ms, START_MS + 60_000);
    let key = |world: &World| world.calls[1].idempotency_key.clone().unwrap();
    let first: Vec<_> = failed.calls.iter().filter_map(|call| call.idempotency_key.clone()).collect();
    assert_ne!(first, [key(&retry)], "a service does not take it for the first one's");
}
