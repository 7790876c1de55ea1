//! What limits let through, what they learn from answers, and what survives a restart.

use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::manifest::OneOrMany;

const NOW_MS: i64 = 1_800_000_000_000;

fn asker<'a>(connection: &'a str, action: &'a str) -> Asker<'a> {
    Asker { connector: "x", connection, app: None, action }
}

fn rate(text: &str) -> Limit {
    Limit { rate: Some(text.into()), ..Limit::default() }
}

fn told(text: &str) -> Limit {
    Limit { headers: Some(LimitHeaders { remaining: "X-Left".into(), reset: "X-Reset".into() }), ..rate(text) }
}

fn answer(left: &str, reset: &str, date_ms: Option<i64>) -> HttpResponse {
    HttpResponse {
        saved: None,
        status: 200,
        headers: vec![("x-left".into(), left.into()), ("x-reset".into(), reset.into())],
        body: Bytes::new(),
        date_ms,
        url: "http://127.0.0.1/".parse().unwrap(),
        elapsed_ms: 0,
        hops: 0,
        accepted: false,
    }
}

/// How many of 1,000 requests at one moment get through.
fn let_through(limits: &Limits, keys: &Keys, now_ms: i64) -> usize {
    (0..1_000).filter(|_| limits.acquire(keys, now_ms).is_ok()).count()
}

#[test]
fn a_rate_lets_a_tenth_through_at_once_and_tells_when_the_next_may_go() {
    let limits = Limits::new();
    let keys = limits.keys(asker("a", "post"), &[rate("300/15m")]).unwrap();
    assert_eq!(let_through(&limits, &keys, NOW_MS), 30);
    let blocked = limits.acquire(&keys, NOW_MS).unwrap_err();
    assert!(!blocked.is_busy());
    assert_eq!(let_through(&limits, &keys, blocked.until_ms), 1);
}

#[test]
fn each_action_and_connection_has_its_own_unless_they_share_it() {
    let limits = Limits::new();
    let shared = Limit { actions: OneOrMany::Many(vec!["post".into(), "delete".into()]), ..rate("1/1h") };
    let app = Limit { scope: Scope::App, ..rate("2/1h") };
    let post = limits.keys(asker("a", "post"), std::slice::from_ref(&shared)).unwrap();
    let delete = limits.keys(asker("a", "delete"), std::slice::from_ref(&shared)).unwrap();
    let get = limits.keys(asker("a", "get"), std::slice::from_ref(&shared)).unwrap();
    let other = limits.keys(asker("b", "post"), std::slice::from_ref(&shared)).unwrap();
    assert_eq!(let_through(&limits, &post, NOW_MS), 1);
    assert_eq!(let_through(&limits, &delete, NOW_MS), 0);
    assert_eq!(let_through(&limits, &get, NOW_MS), 1_000);
    assert_eq!(let_through(&limits, &other, NOW_MS), 1);

    let one = limits.keys(asker("a", "list"), std::slice::from_ref(&app)).unwrap();
    let two = limits.keys(asker("b", "list"), &[app]).unwrap();
    assert_eq!(let_through(&limits, &one, NOW_MS), 1);
    assert_eq!(let_through(&limits, &two, NOW_MS), 0);
}

#[test]
fn connections_of_one_app_share_and_those_of_another_do_not() {
    let limits = Limits::new();
    let shared = [Limit { scope: Scope::App, ..rate("1/1h") }];
    let keys = |connection, app| limits.keys(Asker { app, ..asker(connection, "list") }, &shared).unwrap();
    let (one, two, other, unknown) =
        (keys("a", Some("1f")), keys("b", Some("1f")), keys("c", Some("2e")), keys("d", None));
    assert_eq!(let_through(&limits, &one, NOW_MS), 1);
    assert_eq!(let_through(&limits, &two, NOW_MS), 0);
    assert_eq!(let_through(&limits, &other, NOW_MS), 1);
    assert_eq!(let_through(&limits, &unknown, NOW_MS), 1);
}

#[test]
fn what_is_refused_by_one_limit_is_counted_by_none() {
    let limits = Limits::new();
    let both = [rate("1/1h"), rate("100/1h")];
    let keys = limits.keys(asker("a", "post"), &both).unwrap();
    assert_eq!(let_through(&limits, &keys, NOW_MS), 1);
    let wide = limits.keys(asker("a", "post"), &[rate("100/1h")]).unwrap();
    assert_eq!(let_through(&limits, &wide, NOW_MS), 9);
}

#[tokio::test]
async fn a_place_is_given_back_and_who_waits_is_told() {
    let limits = Limits::new();
    let two = Limit { concurrent: Some(2), ..Limit::default() };
    let keys = limits.keys(asker("a", "post"), &[two]).unwrap();
    let first = limits.acquire(&keys, NOW_MS).unwrap();
    let _second = limits.acquire(&keys, NOW_MS).unwrap();
    let blocked = limits.acquire(&keys, NOW_MS).unwrap_err();
    assert!(blocked.is_busy() && blocked.until_ms > NOW_MS);
    // Freed before anybody listens: the wake-up must not be lost.
    drop(first);
    tokio::time::timeout(Duration::from_secs(5), blocked.freed()).await.unwrap();
    let _third = limits.acquire(&keys, NOW_MS).unwrap();
    assert!(limits.acquire(&keys, NOW_MS).is_err());
}

#[test]
fn nothing_left_blocks_until_the_reset_on_the_services_clock() {
    let limits = Limits::new();
    let keys = limits.keys(asker("a", "post"), &[told("300/15m")]).unwrap();
    // Its clock is 30 s behind ours: its reset in 60 s of its time is in 60 s of ours as well.
    let their_now_ms = NOW_MS - 30_000;
    let reset = (their_now_ms / 1_000 + 60).to_string();
    limits.learn(&keys, &answer("0", &reset, Some(their_now_ms)), NOW_MS);
    assert_eq!(limits.acquire(&keys, NOW_MS).unwrap_err().until_ms, NOW_MS + 60_000);
    assert_eq!(limits.blocked_until_ms("x", "a", NOW_MS), Some(NOW_MS + 60_000));
    assert_eq!(limits.blocked_until_ms("x", "b", NOW_MS), None);
    assert!(limits.acquire(&keys, NOW_MS + 60_000).is_ok());
}

#[test]
fn the_services_count_goes_before_ours() {
    let limits = Limits::new();
    let keys = limits.keys(asker("a", "post"), &[told("10/1h")]).unwrap();
    limits.learn(&keys, &answer("50", "3600", None), NOW_MS);
    // An older answer of the same window overtaken on its way, and one that arrives late with more left.
    limits.learn(&keys, &answer("40", "3600", None), NOW_MS + 500);
    limits.learn(&keys, &answer("45", "3599", None), NOW_MS + 500);
    assert_eq!(let_through(&limits, &keys, NOW_MS + 600), 40);
    // A new window begins.
    limits.learn(&keys, &answer("3", "7200", None), NOW_MS + 3_700_000);
    assert_eq!(let_through(&limits, &keys, NOW_MS + 3_700_000), 3);
}

#[test]
fn headers_that_say_nothing_useful_change_nothing() {
    let limits = Limits::new();
    let keys = limits.keys(asker("a", "post"), &[told("10/1h")]).unwrap();
    for (left, reset) in [("", "60"), ("0", "soon"), ("-1", "60"), ("many", "60")] {
        limits.learn(&keys, &answer(left, reset, None), NOW_MS);
    }
    assert!(limits.acquire(&keys, NOW_MS).is_ok());
    // A reset in the year 2100 is asked about again after a day.
    limits.learn(&keys, &answer("0", "4102444800", None), NOW_MS);
    assert_eq!(limits.acquire(&keys, NOW_MS).unwrap_err().until_ms, NOW_MS + 86_400_000);
}

#[test]
fn a_429_blocks_its_action_and_survives_a_restart() {
    let limits = Limits::new();
    let keys = limits.keys(asker("a", "post"), &[]).unwrap();
    let other = limits.keys(asker("a", "get"), &[]).unwrap();
    limits.block(&keys, NOW_MS + 5_000);
    limits.block(&keys, NOW_MS + 1_000);
    assert_eq!(limits.acquire(&keys, NOW_MS).unwrap_err().until_ms, NOW_MS + 5_000);
    assert!(limits.acquire(&other, NOW_MS).is_ok());

    let stored: Vec<_> = limits.blocked(NOW_MS).into_iter().map(|block| (block.name, block.until_ms)).collect();
    assert_eq!(stored.len(), 1);
    let restarted = Limits::new();
    let before = restarted.keys(asker("b", "post"), &[]).unwrap();
    restarted.restore(stored);
    let keys = restarted.keys(asker("a", "post"), &[]).unwrap();
    assert_eq!(restarted.acquire(&keys, NOW_MS).unwrap_err().until_ms, NOW_MS + 5_000);
    assert!(restarted.acquire(&keys, NOW_MS + 5_000).is_ok());
    assert!(restarted.acquire(&before, NOW_MS).is_ok());
}

#[test]
fn limits_that_let_nothing_through_are_refused() {
    let limits = Limits::new();
    let none = Limit { concurrent: Some(0), ..Limit::default() };
    for limit in [rate("0/1s"), rate("often"), none] {
        assert!(limits.keys(asker("a", "post"), &[limit]).is_err());
    }
}
