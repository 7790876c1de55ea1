//! OAuth 1.0a in three legs.

use serde_json::json;
use tidegate::connector::grants::Told;
use tidegate::sandbox::{X_CONSUMER_KEY, X_CONSUMER_SECRET, X_USERNAME};

use super::{CALLBACK, Stage, back, key};

async fn stage() -> Stage {
    Stage::new(json!({"consumer_key": X_CONSUMER_KEY, "consumer_secret": X_CONSUMER_SECRET})).await
}

#[tokio::test]
async fn a_user_signs_in_and_requests_are_signed_for_them() {
    let stage = stage().await;
    let refused = stage.get_me().await.result.unwrap_err();
    assert_eq!(refused.code, "sign_in_needed");
    assert!(refused.help.unwrap().contains("sign-in main --scheme user"));
    let begun = stage.begin("user", Some(CALLBACK)).await;
    assert!(back(&begun.url, "allow").await.starts_with(CALLBACK));
    let told = stage.decide(&begun, "allow").await;
    let grant = stage.finish("user", &begun, told).await.unwrap();
    assert_eq!(grant.account.as_deref(), Some(format!("@{X_USERNAME}").as_str()));
    stage.memory.put(key("user"), grant);
    let sent = stage.get_me().await;
    assert_eq!(sent.result.unwrap().into_output()["username"], X_USERNAME);
    // An ad-hoc request of the connection is signed as well.
    let shown = serde_json::to_string(&sent.exchange).unwrap();
    assert!(!shown.contains("sandbox-access-token-secret"), "{shown}");
}

#[tokio::test]
async fn a_pin_stands_for_the_callback_where_there_is_no_browser() {
    let stage = stage().await;
    let begun = stage.begin("user", None).await;
    assert_eq!(back(&begun.url, "allow").await, "", "the PIN is on the page");
    let wrong = stage.finish("user", &begun, Told::Typed("7654321".to_owned())).await.unwrap_err();
    assert_eq!(wrong.code, "sign_in_expired", "{wrong:?}");
    let grant = stage.finish("user", &begun, Told::Typed(" 1234567\n".to_owned())).await.unwrap();
    assert!(grant.token_secret.is_some());
}

#[tokio::test]
async fn what_is_denied_mismatched_late_or_repeated_is_refused() {
    let stage = stage().await;
    let begun = stage.begin("user", Some(CALLBACK)).await;
    let denied = stage.decide(&begun, "deny").await;
    assert_eq!(stage.finish("user", &begun, denied).await.unwrap_err().code, "sign_in_denied");

    let (one, two) = (stage.begin("user", Some(CALLBACK)).await, stage.begin("user", Some(CALLBACK)).await);
    let of_two = stage.decide(&two, "allow").await;
    assert_eq!(stage.finish("user", &one, of_two.clone()).await.unwrap_err().code, "sign_in_mismatch");
    let without = Told::Callback(vec![("oauth_token".to_owned(), one.state.clone())]);
    assert_eq!(stage.finish("user", &one, without).await.unwrap_err().code, "sign_in_incomplete");

    stage.finish("user", &two, of_two.clone()).await.unwrap();
    assert_eq!(stage.finish("user", &two, of_two).await.unwrap_err().code, "sign_in_expired", "once only");

    let told = stage.decide(&one, "allow").await;
    stage.clock.advance(15 * 60_000);
    let late = stage.finish("user", &one, told).await.unwrap_err();
    assert_eq!(late.code, "sign_in_expired");
    assert!(late.message.contains("Invalid or expired token"), "{}", late.message);
}

#[tokio::test]
async fn wrong_keys_and_given_tokens_are_told_before_a_browser_opens() {
    let wrong = Stage::new(json!({"consumer_key": X_CONSUMER_KEY, "consumer_secret": "wrong-consumer-secret"})).await;
    let refused = wrong.executor.begin_sign_in(&wrong.connection, "user", Some(CALLBACK)).await.unwrap_err();
    assert_eq!(refused.code, "token_refused");
    assert!(refused.message.contains("Could not authenticate you") && !refused.message.contains("wrong-consumer"));
    let given = json!({"consumer_key": "k", "consumer_secret": "s", "access_token": "t", "access_token_secret": "u"});
    let given = Stage::new(given).await;
    let refused = given.executor.begin_sign_in(&given.connection, "user", None).await.unwrap_err();
    assert_eq!(refused.code, "sign_in_given");
    let refused = given.executor.begin_sign_in(&given.connection, "user2", None).await.unwrap_err();
    assert_eq!((refused.code.as_str(), refused.message.contains("client_id")), ("auth_missing", true));
}
