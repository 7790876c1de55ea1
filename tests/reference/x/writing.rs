//! Uploads, messages, retweets and webhooks of X: each request on the sandbox, held against X's own document,
//! and what was recorded of them.

use rstest::rstest;
use serde_json::{Map, json};
use tidegate::sandbox::{NewMessage, NewTweet};

use super::bench::{Bench, POST, TWEET, Version};
use super::replay::Replay;
use crate::reference::answer::Given;
use crate::reference::fixture::Recorded;
use crate::reference::settle;

/// The actions that are asked here. Those of version 1.1, and one that sends nothing, are not in the document.
pub const ASKED: &[&str] = &[
    "append_upload",
    "answer_crc",
    "check_subscription",
    "create_group",
    "create_message",
    "create_message_with_options",
    "create_retweet",
    "delete_message",
    "delete_message_event",
    "delete_webhook",
    "finalize_upload",
    "get_message",
    "get_message_event",
    "get_message_events",
    "get_messages",
    "get_upload",
    "indicate_typing",
    "initialize_upload",
    "list_subscriptions",
    "list_webhooks",
    "mark_read",
    "register_webhook",
    "set_alt_text",
    "subscribe_webhook",
    "undo_retweet",
    "unsubscribe_webhook",
    "validate_webhook",
];

#[rstest]
#[case::tweet_names(TWEET)]
#[case::post_names(POST)]
#[tokio::test]
async fn what_is_written_to_x_is_as_its_document_says(#[case] version: Version) {
    let Some(mut bench) = Bench::of(version, "what_is_written_to_x_is_as_its_document_says", |_| {}).await else {
        return;
    };
    let tweet = NewTweet { text: "low tide".to_owned(), ..NewTweet::default() };
    let tweet = bench.tweets(tweet).remove(0);
    bench.call("create_retweet", json!({"id": tweet})).await.unwrap();
    bench.call("undo_retweet", json!({"id": tweet})).await.unwrap();

    // An upload for messages: the chunk is multipart, which the document describes by its members alone.
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("wave.gif");
    std::fs::write(&path, "GIF89a1234").unwrap();
    let begun = json!({"media_type": "image/gif", "total_bytes": 10, "media_category": "dm_gif"});
    let upload = bench.call("initialize_upload", begun).await.unwrap()["id"].clone();
    let chunk = json!({"id": upload, "path": path, "segment_index": 0});
    bench.account.call("append_upload", chunk).await.result.unwrap();
    bench.wire.take();
    bench.call("finalize_upload", json!({"id": upload})).await.unwrap();
    for state in ["in_progress", "succeeded"] {
        let looked = bench.call("get_upload", json!({"id": upload})).await.unwrap();
        assert_eq!(looked["processing_info"]["state"], state);
    }
    bench.call("set_alt_text", json!({"id": upload, "alt_text": "A wave"})).await.unwrap();

    let message = NewMessage { from: "ada".to_owned(), text: "hello".to_owned(), picture: true, chosen: None };
    let received = bench.sandbox.control().add_message(&message);
    let got = bench.call("get_messages", json!({})).await.unwrap();
    assert_eq!(
        (&got[0]["id"], &got[0]["is_own"], &got[0]["media"][0]["type"]),
        (&json!(received), &json!(false), &json!("photo"))
    );
    let ada = got[0]["sender_id"].clone();
    let sent = bench.call("create_message", json!({"to": ada, "text": "👋", "media_id": upload})).await.unwrap();
    let conversation = json!({"conversation_id": sent["dm_conversation_id"], "text": "again"});
    bench.call("create_message", conversation).await.unwrap();
    bench.call("create_group", json!({"participant_ids": [ada, "1"], "text": "both"})).await.unwrap();
    let with = bench.call("get_messages", json!({"user_id": ada})).await.unwrap();
    assert_eq!(with.as_array().unwrap().len(), 3);
    let of = json!({"conversation_id": sent["dm_conversation_id"], "max_results": 2});
    assert_eq!(bench.call("get_messages", of).await.unwrap().as_array().unwrap().len(), 2);
    bench.call("get_message", json!({"id": sent["dm_event_id"]})).await.unwrap();
    bench.call("delete_message", json!({"id": sent["dm_event_id"]})).await.unwrap();
    bench.refused("get_message", json!({"id": sent["dm_event_id"]}), 404).await;

    // What version 1.1 tells besides: which quick reply was chosen.
    let chosen =
        NewMessage { from: "ada".to_owned(), text: "Yes".to_owned(), picture: false, chosen: Some("1".to_owned()) };
    let chosen = bench.sandbox.control().add_message(&chosen);
    let events = bench.account.call("get_message_events", json!({"max_results": 2})).await.result.unwrap().records;
    // Two of one second have no order.
    let answer = events.iter().find(|event| event["id"] == json!(chosen));
    let answer = answer.unwrap_or_else(|| panic!("{events:#?}"));
    assert_eq!(answer["quick_reply"], json!({"metadata": "1"}));
    let one = bench.account.call("get_message_event", json!({"id": chosen})).await.result.unwrap().records;
    assert_eq!((one.len(), &one[0]), (1, answer));
    bench.account.call("delete_message_event", json!({"id": chosen})).await.result.unwrap();
    bench.wire.take();

    let hook = bench.call("register_webhook", json!({"url": "https://example.org/x"})).await.unwrap()["id"].clone();
    bench.refused("register_webhook", json!({"url": "https://example.org/x"}), 400).await;
    bench.call("list_webhooks", json!({})).await.unwrap();
    bench.call("validate_webhook", json!({"id": hook})).await.unwrap();
    bench.call("subscribe_webhook", json!({"id": hook})).await.unwrap();
    bench.call("check_subscription", json!({"id": hook})).await.unwrap();
    let listed = bench.call("list_subscriptions", json!({"id": hook})).await.unwrap();
    bench.call("unsubscribe_webhook", json!({"id": hook, "user_id": listed[0]["user_id"]})).await.unwrap();
    bench.call("delete_webhook", json!({"id": hook})).await.unwrap();
    settle(&bench.wrong);
}

/// The action of a recorded exchange that is about one of these; none for any other.
pub fn replay_of(recorded: &Recorded) -> Option<Replay> {
    let Recorded { request, answer } = recorded;
    if answer.status >= 400 {
        return None;
    }
    let segments: Vec<&str> = request.url.path_segments()?.filter(|segment| !segment.is_empty()).collect();
    let mut replay =
        Replay { action: "", inputs: Map::new(), given: Vec::new(), is_ours: true, user_id: "1".to_owned(), most: 100 };
    let mut take = |input: &str, value: serde_json::Value| replay.inputs.insert(input.to_owned(), value);
    match (request.method.as_str(), segments.as_slice()) {
        ("POST", ["2", "users", id, "retweets"]) => {
            take("id", request.member("/tweet_id").unwrap_or(json!("1")));
            (replay.action, replay.user_id) = ("create_retweet", (*id).to_owned());
        }
        ("DELETE", ["2", "users", id, "retweets", tweet]) => {
            take("id", json!(tweet));
            (replay.action, replay.user_id) = ("undo_retweet", (*id).to_owned());
        }
        ("POST", ["2", "dm_conversations", place @ .., "messages"]) => {
            match place {
                ["with", user] => take("to", json!(user)),
                [conversation] => take("conversation_id", json!(conversation)),
                _ => return None,
            };
            take("text", request.member("/text").unwrap_or(json!("anything")));
            replay.action = "create_message";
        }
        ("POST", ["2", "dm_conversations"]) => {
            take("participant_ids", request.member("/participant_ids")?);
            take("text", request.member("/message/text").unwrap_or(json!("anything")));
            replay.action = "create_group";
            replay.given.push(Given::Json("/participant_ids", request.member("/participant_ids")?));
        }
        ("GET", ["2", "dm_events"]) => replay.action = "get_messages",
        ("GET", ["2", "dm_conversations", place @ .., "dm_events"]) => {
            match place {
                ["with", user] => take("user_id", json!(user)),
                [conversation] => take("conversation_id", json!(conversation)),
                _ => return None,
            };
            replay.action = "get_messages";
        }
        ("GET", ["2", "media", "upload"]) => {
            take("id", json!(request.query("media_id")?));
            replay.action = "get_upload";
        }
        ("POST", ["2", "media", "upload", id, "finalize"]) => {
            take("id", json!(id));
            replay.action = "finalize_upload";
        }
        ("GET", ["1.1", "direct_messages", "events", "list.json"]) => replay.action = "get_message_events",
        ("POST", ["1.1", "direct_messages", "indicate_typing.json"]) => {
            take("to", json!(request.query("recipient_id")?));
            replay.action = "indicate_typing";
        }
        _ => return None,
    }
    Some(replay)
}
