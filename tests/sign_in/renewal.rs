//! A token that ends, or is refused, is renewed once, whoever needs it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::json;
use tidegate::engine::{Outcome, Verdict};
use tidegate::sandbox::{X_CLIENT_ID, X_CLIENT_SECRET};

use super::{NOW, Stage, executor, get_me, key, x};

const TWO_HOURS_MS: i64 = 7_200_000;

#[tokio::test]
async fn tasks_of_two_processes_that_need_it_at_once_make_one_request() {
    let stage = Stage::signed_in().await;
    stage.clock.advance(TWO_HOURS_MS);
    let url = stage.sandbox.x_url();
    let fields = json!({"client_id": X_CLIENT_ID, "client_secret": X_CLIENT_SECRET});
    let processes: Vec<_> =
        (0..2).map(|_| Arc::new((executor(&stage.clock, &stage.memory), x(&url, fields.clone())))).collect();
    let before = stage.asked("token");
    let tasks = (0..16).map(|task| {
        let process = Arc::clone(&processes[task % 2]);
        tokio::spawn(async move { get_me(&process.0, &process.1).await.result.map(|_| ()) })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap().unwrap();
    }
    assert_eq!(stage.asked("token") - before, 1);
    assert_eq!(stage.memory.kept("user2").version, 2);
}

#[tokio::test]
async fn it_is_renewed_shortly_before_its_end_and_used_to_the_last_where_the_service_is_down() {
    let stage = Stage::signed_in().await;
    stage.get_me().await.result.unwrap();
    stage.clock.advance(TWO_HOURS_MS - 60_001);
    stage.get_me().await.result.unwrap();
    assert_eq!(stage.asked("token"), 1, "of the sign-in");
    stage.clock.advance(1);
    let fault = json!({"service": "x", "operation": "token", "status": 503, "times": 1});
    stage.sandbox.control().inject(serde_json::from_value(fault).unwrap()).unwrap();
    stage.get_me().await.result.unwrap();
    assert_eq!((stage.asked("token"), stage.memory.kept("user2").version), (2, 1));
    stage.get_me().await.result.unwrap();
    assert_eq!((stage.asked("token"), stage.memory.kept("user2").version), (3, 2));
}

#[tokio::test]
async fn a_refusal_in_the_middle_leads_to_one_renewal_and_one_repeat() {
    let stage = Stage::signed_in().await;
    stage.get_me().await.result.unwrap();
    let fault = json!({"service": "x", "operation": "get_me", "status": 401, "times": 1});
    stage.sandbox.control().inject(serde_json::from_value(fault).unwrap()).unwrap();
    stage.get_me().await.result.unwrap();
    assert_eq!((stage.asked("token"), stage.asked("get_me")), (2, 3));
    // Refused again with the new one: then it is not the token, and a person is asked.
    let fault = json!({"service": "x", "operation": "get_me", "status": 401, "times": 2});
    stage.sandbox.control().inject(serde_json::from_value(fault).unwrap()).unwrap();
    let refused = stage.get_me().await.result.unwrap_err();
    assert_eq!((refused.verdict, refused.outcome), (Verdict::Reauth, Outcome::NotDone));
    assert_eq!((stage.asked("token"), stage.asked("get_me")), (3, 5));
}

#[tokio::test]
async fn a_refresh_token_that_is_refused_is_told_and_never_sent_again() {
    let stage = Stage::signed_in().await;
    let mut grant = stage.memory.kept("user2").grant;
    grant.refresh_token = Some("somebody-used-it-before".to_owned());
    stage.memory.put(key("user2"), grant);
    stage.clock.advance(TWO_HOURS_MS);
    for _ in 0..2 {
        let refused = stage.get_me().await.result.unwrap_err();
        assert_eq!((refused.code.as_str(), refused.verdict), ("sign_in_ended", Verdict::Reauth));
        assert_eq!(refused.outcome, Outcome::NotSent);
        assert!(refused.message.contains("has to sign in again"), "{}", refused.message);
        assert!(!format!("{refused:?}").contains("somebody-used-it"));
    }
    assert_eq!((stage.asked("token"), stage.asked("get_me")), (2, 0));
}

#[tokio::test]
async fn what_a_killed_process_may_have_used_up_is_said() {
    let stage = Stage::signed_in().await;
    stage.clock.advance(TWO_HOURS_MS);
    // The service answered, and the process ended before the answer was stored.
    let mut lost = stage.memory.kept("user2").grant;
    lost.refresh_token = Some("used-up-by-the-lost-renewal".to_owned());
    stage.memory.put(key("user2"), lost);
    stage.memory.rows.lock().unwrap().get_mut(&key("user2")).unwrap().was_interrupted = true;
    let refused = stage.get_me().await.result.unwrap_err();
    assert_eq!(refused.code, "sign_in_ended");
    assert!(refused.message.contains("cut off before its answer could be stored"), "{}", refused.message);
}

#[tokio::test]
async fn nothing_is_signed_with_what_the_store_did_not_take() {
    let stage = Stage::signed_in().await;
    stage.clock.advance(TWO_HOURS_MS);
    stage.memory.is_full.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        let failure = stage.get_me().await.result.unwrap_err();
        assert_eq!((failure.code.as_str(), failure.verdict), ("store_full", Verdict::Retry { after_ms: None }));
    }
    assert_eq!((stage.asked("token"), stage.asked("get_me")), (2, 0), "one renewal, and no use of it");
    stage.memory.is_full.store(false, Ordering::SeqCst);
    stage.get_me().await.result.unwrap();
    assert_eq!((stage.asked("token"), stage.memory.kept("user2").version), (2, 2));
}

#[tokio::test]
async fn a_grant_goes_to_the_hosts_alone_that_it_was_had_from() {
    let stage = Stage::signed_in().await;
    let other = super::Sandbox::start(tidegate::sandbox::Options::default()).await.unwrap();
    let moved = x(&other.x_url(), json!({"client_id": X_CLIENT_ID, "client_secret": X_CLIENT_SECRET}));
    let refused = get_me(&stage.executor, &moved).await.result.unwrap_err();
    assert_eq!(refused.code, "sign_in_ended");
    assert!(refused.message.contains("other hosts"), "{}", refused.message);
    assert_eq!(other.control().count(super::Service::X, "get_me").requests, 0);
    assert!(stage.memory.kept("user2").grant.expires_at.unwrap() > NOW);
}

#[tokio::test]
async fn what_was_looked_up_of_an_account_is_forgotten_when_somebody_signs_in_anew() {
    let stage = Stage::signed_in().await;
    let action = Arc::clone(stage.connection.connector.action("get_messages").unwrap());
    let list = || async {
        let call = tidegate::connector::Call::new(&stage.connection, &action, json!({}));
        stage.executor.call(call).await.result.unwrap();
        stage.asked("get_me")
    };
    assert_eq!((list().await, list().await), (1, 1));
    // A renewed token is the same account's.
    stage.clock.advance(TWO_HOURS_MS);
    assert_eq!((list().await, stage.memory.kept("user2").version), (1, 2));
    let begun = stage.begin("user2", Some(super::CALLBACK)).await;
    let told = stage.decide(&begun, "allow").await;
    let grant = stage.finish("user2", &begun, told).await.unwrap();
    stage.memory.put(key("user2"), grant);
    stage.connection.forget_tokens();
    assert_eq!((list().await, list().await), (2, 2));
}

#[tokio::test]
async fn so_it_is_under_another_token_that_is_given() {
    let stage = Stage::signed_in().await;
    let url = stage.sandbox.x_url();
    let ask = |token: &str| {
        let fields =
            json!({"consumer_key": "ck", "consumer_secret": "cs", "access_token": token, "access_token_secret": "s"});
        let connection = x(&url, fields);
        let executor = &stage.executor;
        async move {
            let action = Arc::clone(connection.connector.action("get_messages").unwrap());
            let sent = executor.call(tidegate::connector::Call::new(&connection, &action, json!({}))).await;
            sent.result.unwrap_err().message
        }
    };
    let own =
        json!({"service": "x", "operation": "get_me", "status": 200, "body": "{\"data\":{\"id\":\"7\"}}", "times": 9});
    stage.sandbox.control().inject(serde_json::from_value(own).unwrap()).unwrap();
    ask("one").await;
    ask("one").await;
    assert_eq!(stage.asked("get_me"), 1);
    ask("two").await;
    assert_eq!(stage.asked("get_me"), 2);
}
