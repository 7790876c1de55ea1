//! What our connector sends to X and what the sandbox answers, held against X's own OpenAPI document: the last
//! version with the names that the connector sends.

use std::collections::BTreeSet;

use rstest::rstest;
use serde_json::json;
use tidegate::engine::Verdict;
use tidegate::sandbox::{self, Fault, NewMessage, NewTweet, Options, RateLimits, Service};

use super::bench::{Bench, NOW_MS, POST, TWEET, Version, account};
use crate::reference::settle;

const DAY_MS: i64 = 24 * 3_600_000;

#[rstest]
#[case::tweet_names(TWEET)]
#[case::post_names(POST)]
#[tokio::test]
async fn every_action_of_x_is_as_its_document_says(#[case] version: Version) {
    let Some(mut bench) = Bench::of(version, "every_action_of_x_is_as_its_document_says", |_| {}).await else {
        return;
    };
    let tweet = |text: &str| NewTweet { text: text.to_owned(), ..NewTweet::default() };
    let ids = bench.tweets(NewTweet {
        count: 250,
        spacing_ms: 1_000,
        at_ms: Some(NOW_MS - DAY_MS),
        ..tweet("rust {n} https://example.org/{n} @bob #tag")
    });
    let long =
        bench.tweets(NewTweet { author: "bob".to_owned(), at_ms: Some(NOW_MS - DAY_MS), ..tweet(&"rust ".repeat(80)) });
    bench.tweets(NewTweet { quote_of: Some(ids[0].clone()), at_ms: Some(NOW_MS - 60_000), ..tweet("rust quoted") });
    bench.tweets(NewTweet {
        reply_to: Some(ids[1].clone()),
        author: "bob".to_owned(),
        at_ms: Some(NOW_MS - 60_000),
        ..tweet("rust answered")
    });

    // Pages, all parameters, nothing found, and an author that is not there.
    let found = bench.call("search_tweets", json!({"query": "rust", "max_results": 1000})).await.unwrap();
    assert_eq!(found.as_array().unwrap().len(), 253);
    bench
        .call(
            "search_tweets",
            json!({"query": "rust", "since_id": ids[0], "until_id": ids[200], "sort_order": "recency"}),
        )
        .await
        .unwrap();
    let times = json!({"query": "rust -is:retweet", "start_time": "2026-11-18T00:00:00Z", "end_time": "2026-11-19T00:00:00Z", "sort_order": "relevancy", "max_results": 10});
    bench.call("search_tweets", times).await.unwrap();
    assert_eq!(bench.call("search_tweets", json!({"query": "nothing"})).await.unwrap(), json!([]));
    bench.sandbox.control().hide_user("bob", true);
    bench.call("search_tweets", json!({"query": "from:bob"})).await.unwrap();
    bench.sandbox.control().hide_user("bob", false);

    for granularity in ["minute", "hour", "day"] {
        bench.call("list_counts", json!({"query": "rust", "granularity": granularity})).await.unwrap();
    }
    bench.call("get_user", json!({"username": "@alice"})).await.unwrap();
    bench.refused("get_user", json!({"username": "nobody_here"}), 200).await;
    bench.call("get_me", json!({})).await.unwrap();

    let first = bench.call("create_tweet", json!({"text": "hello, world: 100 % ünïcode & emoji 👋"})).await.unwrap();
    for (inputs, settings) in
        [("reply_to", "following"), ("quote", "mentionedUsers"), ("quote", "subscribers"), ("reply_to", "verified")]
    {
        let mut inputs = json!({inputs: long[0]});
        inputs["text"] = json!(format!("hello again, {settings}"));
        inputs["reply_settings"] = json!(settings);
        bench.call("create_tweet", inputs).await.unwrap();
    }
    bench.call("get_own_tweets", json!({"max_results": 3, "since_id": first["id"]})).await.unwrap();
    bench.call("get_tweet", json!({"id": first["id"]})).await.unwrap();
    let archive = json!({"query": "rust", "start_time": "2026-10-01T00:00:00Z", "max_results": 300});
    assert_eq!(bench.call("search_archive", archive).await.unwrap().as_array().unwrap().len(), 253);
    let users = bench.call("get_users", json!({"usernames": ["alice", "bob"], "pinned_tweets": true})).await.unwrap();
    assert_eq!(users.as_array().unwrap().len(), 2);
    for number in 0..7 {
        bench.sandbox.control().follow(&format!("fan{number}"), sandbox::X_USERNAME);
    }
    bench.sandbox.control().follow(sandbox::X_USERNAME, "alice");
    bench.call("search_users", json!({"query": "fan", "page": 2, "count": 3})).await.unwrap();
    let own_id = json!({"user_id": sandbox::X_USER_ID});
    for (action, inputs) in [
        ("get_user_timeline", json!({"user_id": users[0]["id"], "exclude": ["replies", "retweets"]})),
        ("get_home_timeline", json!({"max_results": 20})),
        ("get_mentions", json!({"user_id": users[1]["id"], "max_results": 12})),
        ("get_followers", own_id.clone()),
        ("get_following", own_id),
        ("get_my_followers", json!({"max_results": 5})),
        ("get_my_following", json!({})),
    ] {
        let listed = bench.call(action, inputs).await.unwrap();
        assert!(!listed.as_array().unwrap().is_empty(), "{action}");
    }
    let own = bench.call("get_own_tweets", json!({"max_results": 3200})).await.unwrap();
    assert_eq!(own.as_array().unwrap().len(), 5);
    bench.call("delete_tweet", json!({"id": first["id"]})).await.unwrap();

    let mut asked: BTreeSet<String> = ["search_tweets", "list_counts", "get_user", "get_me"].map(String::from).into();
    asked.extend(["create_tweet", "get_own_tweets", "delete_tweet", "get_tweet", "search_archive"].map(String::from));
    asked.extend(["get_users", "search_users", "get_user_timeline", "get_home_timeline"].map(String::from));
    asked.extend(["get_mentions", "get_followers", "get_following"].map(String::from));
    asked.extend(["get_my_followers", "get_my_following"].map(String::from));
    asked.extend(super::writing::ASKED.iter().map(|name| (*name).to_owned()));
    // What somebody has to sign in for by OAuth 2 is asked below; an address that the document does not have is asked
    // of the sandbox elsewhere.
    asked.extend(["download_media", "download_signed_media"].map(String::from));
    let requests = bench.account.actions().filter(|action| !action.is_composite);
    let all: BTreeSet<String> = requests.map(|action| action.name.clone()).collect();
    assert_eq!(asked, all, "an action that nothing here asks");
    settle(&bench.wrong);
}

#[tokio::test]
async fn an_account_that_signed_in_by_oauth_2_asks_as_the_document_says() {
    let test = "an_account_that_signed_in_by_oauth_2_asks_as_the_document_says";
    let Some(mut bench) = Bench::signed_in(test).await else {
        return;
    };
    let message = NewMessage { from: "ada".to_owned(), text: "Look".to_owned(), picture: true, chosen: None };
    let message = bench.sandbox.control().add_message(&message);
    bench.call("get_me", json!({})).await.unwrap();
    let got = bench.call("get_messages", json!({})).await.unwrap();
    let url = got[0]["media"][0]["url"].as_str().unwrap();
    let [resource_id, media_id, message_id] = url.rsplit('/').take(3).collect::<Vec<_>>()[..] else {
        panic!("{url}");
    };
    assert_eq!(message_id, message);
    let picture = json!({"message_id": message_id, "media_id": media_id, "resource_id": resource_id});
    let saved = bench.call("download_media", picture).await.unwrap();
    // The service says `application/octet-stream`; the file says what it is.
    assert_eq!(saved["type"], "image/png");
    let gone = json!({"message_id": message_id, "media_id": "1", "resource_id": resource_id});
    bench.refused("download_media", gone, 404).await;
    let posted = bench.call("create_tweet", json!({"text": "by OAuth 2"})).await.unwrap();
    bench.call("delete_tweet", json!({"id": posted["id"]})).await.unwrap();
    settle(&bench.wrong);
}

#[tokio::test]
async fn a_public_account_of_x_asks_as_the_app() {
    let Some(mut bench) = Bench::start("a_public_account_of_x_asks_as_the_app", |_| {}).await else {
        return;
    };
    bench.account = account(
        &bench.wire,
        &json!({"access_token": null, "access_token_secret": null, "user_id": sandbox::X_USER_ID}),
    );
    for (action, inputs) in [
        ("search_tweets", json!({"query": "rust"})),
        ("list_counts", json!({})),
        ("get_user", json!({"username": "alice"})),
        ("get_own_tweets", json!({})),
    ] {
        // There is no `alice` yet; what counts is how it was asked.
        let called = bench.call(action, inputs).await;
        assert!(called.is_ok() || action == "get_user", "{action}: {called:?}");
    }
    settle(&bench.wrong);
}

#[tokio::test]
async fn refusals_of_the_x_sandbox_are_as_its_document_says() {
    let Some(mut bench) = Bench::start("refusals_of_the_x_sandbox_are_as_its_document_says", |_| {}).await else {
        return;
    };
    let old =
        bench.tweets(NewTweet { at_ms: Some(NOW_MS - 30 * DAY_MS), text: "old".to_owned(), ..NewTweet::default() });
    let stale = bench.refused("search_tweets", json!({"query": "old", "since_id": old[0]}), 400).await;
    assert_eq!(stale.verdict, Verdict::CursorExpired);
    let stale =
        bench.refused("search_tweets", json!({"query": "old", "start_time": "2026-10-01T00:00:00Z"}), 400).await;
    assert_eq!(stale.verdict, Verdict::CursorExpired);
    let long = json!({"query": "x".repeat(600)});
    assert_eq!(bench.refused("search_tweets", long, 400).await.verdict, Verdict::Fail);

    bench.call("create_tweet", json!({"text": "once"})).await.unwrap();
    let again = bench.refused("create_tweet", json!({"text": "once"}), 403).await;
    assert_eq!(again.verdict, Verdict::Fail);
    let foreign = bench.tweets(NewTweet { text: "not mine".to_owned(), ..NewTweet::default() });
    assert_eq!(bench.refused("delete_tweet", json!({"id": foreign[0]}), 403).await.verdict, Verdict::Fail);
    bench.refused("delete_tweet", json!({"id": "12345"}), 200).await;

    for status in [404, 429, 500, 503] {
        let fault = Fault { service: Some(Service::X), status: Some(status), ..Fault::default() };
        bench.sandbox.control().inject(fault).unwrap();
        bench.account = account(&bench.wire, &json!({}));
        bench.refused("get_me", json!({}), status).await;
    }
    bench.account = account(&bench.wire, &json!({"access_token_secret": "a-wrong-secret"}));
    assert_eq!(bench.refused("get_me", json!({}), 401).await.verdict, Verdict::Reauth);
    bench.account = account(&bench.wire, &json!({"bearer_token": "a-wrong-token"}));
    assert_eq!(bench.refused("list_counts", json!({}), 401).await.verdict, Verdict::Reauth);
    settle(&bench.wrong);
}

#[tokio::test]
async fn a_used_up_window_of_x_is_as_its_document_says() {
    let few = |options: &mut Options| options.rate_limits = RateLimits::Each(1);
    let Some(mut bench) = Bench::start("a_used_up_window_of_x_is_as_its_document_says", few).await else {
        return;
    };
    bench.call("get_me", json!({})).await.unwrap();
    // Another process of ours does not know of the first one's requests.
    bench.account = account(&bench.wire, &json!({}));
    let limited = bench.refused("get_me", json!({}), 429).await;
    assert_eq!(limited.verdict, Verdict::RateLimited { until_ms: NOW_MS + 15 * 60_000 });
    settle(&bench.wrong);
}
