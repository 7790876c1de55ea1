//! OAuth 2 with PKCE.

use serde_json::json;
use tidegate::connector::grants::{Told, challenge};
use tidegate::sandbox::{NewMessage, X_CONSUMER_KEY, X_CONSUMER_SECRET};
use url::Url;

use super::{CALLBACK, NOW, Stage, key};

/// RFC 7636, appendix B.
#[test]
fn the_challenge_of_the_rfc() {
    assert_eq!(challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
}

#[tokio::test]
async fn a_user_signs_in_with_every_parameter_that_x_wants() {
    let stage = Stage::with_client().await;
    let begun = stage.begin("user2", Some(CALLBACK)).await;
    let url = Url::parse(&begun.url).unwrap();
    let named = |name: &str| url.query_pairs().find(|(given, _)| given == name).map(|(_, value)| value.into_owned());
    assert_eq!(url.path(), "/i/oauth2/authorize");
    assert_eq!(named("redirect_uri").as_deref(), Some(CALLBACK));
    assert_eq!(named("code_challenge_method").as_deref(), Some("S256"));
    assert!(named("scope").unwrap().contains("offline.access"));
    let other = stage.begin("user2", Some(CALLBACK)).await;
    assert_ne!(named("state").unwrap(), other.state, "states are never the same");
    let told = stage.decide(&begun, "allow").await;
    let grant = stage.finish("user2", &begun, told).await.unwrap();
    assert_eq!(grant.expires_at, Some(NOW + 7_200_000));
    assert!(!format!("{grant:?} {begun:?}").contains("sandbox"));
    stage.memory.put(key("user2"), grant);
    let sent = stage.get_me().await;
    let shown = serde_json::to_string(&sent.exchange).unwrap();
    assert!(sent.result.is_ok() && !shown.contains("sandbox-access"), "{shown}");
}

#[tokio::test]
async fn what_somebody_sent_becomes_a_file_for_who_signed_in() {
    let stage = Stage::signed_in().await;
    let new = NewMessage { from: "ada".to_owned(), text: "Look".to_owned(), picture: true, chosen: None };
    let message = stage.sandbox.control().add_message(&new);
    let medium: u64 = message.parse().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let executor = super::executor_with_files(&stage.clock, &stage.memory, vec![folder.path().to_owned()]);
    let action = stage.connection.connector.action("download_media").unwrap();
    let download = |media_id: String| {
        let inputs = json!({"message_id": message, "media_id": media_id, "resource_id": "picture.png"});
        executor.call(tidegate::connector::Call::new(&stage.connection, action, inputs))
    };
    let saved = download(medium.to_string()).await.result.unwrap().into_output();
    assert!(std::fs::read(saved["path"].as_str().unwrap()).unwrap().starts_with(b"\x89PNG"), "{saved}");
    let gone = download("1".to_owned()).await.result.unwrap_err();
    assert_eq!((gone.status, gone.code.as_str()), (Some(404), "http_404"));
}

#[tokio::test]
async fn what_is_denied_mismatched_late_or_repeated_is_refused() {
    let stage = Stage::with_client().await;
    let begun = stage.begin("user2", Some(CALLBACK)).await;
    let denied = stage.decide(&begun, "deny").await;
    let refused = stage.finish("user2", &begun, denied).await.unwrap_err();
    assert_eq!((refused.code.as_str(), refused.message.contains("denied")), ("sign_in_denied", true));

    let other = stage.begin("user2", Some(CALLBACK)).await;
    let of_other = stage.decide(&other, "allow").await;
    assert_eq!(stage.finish("user2", &begun, of_other.clone()).await.unwrap_err().code, "sign_in_mismatch");
    let stateless = Told::Callback(vec![("code".to_owned(), "c".to_owned())]);
    assert_eq!(stage.finish("user2", &begun, stateless).await.unwrap_err().code, "sign_in_mismatch");
    stage.finish("user2", &other, of_other.clone()).await.unwrap();
    assert_eq!(stage.finish("user2", &other, of_other).await.unwrap_err().code, "sign_in_expired", "once only");

    let told = stage.decide(&begun, "allow").await;
    stage.clock.advance(30_000);
    let late = stage.finish("user2", &begun, told).await.unwrap_err();
    assert_eq!(late.code, "sign_in_expired");
    assert!(late.message.contains("authorization code was invalid"), "{}", late.message);
}

#[tokio::test]
async fn a_typed_address_counts_as_the_callback_and_its_state_is_compared() {
    let stage = Stage::with_client().await;
    let begun = stage.begin("user2", Some(CALLBACK)).await;
    let address = super::back(&begun.url, "allow").await;
    let altered = address.replace("state=", "state=x");
    assert_eq!(stage.finish("user2", &begun, Told::Typed(altered)).await.unwrap_err().code, "sign_in_mismatch");
    stage.finish("user2", &begun, Told::Typed(address)).await.unwrap();
}

#[tokio::test]
async fn a_wrong_client_secret_is_told_without_it() {
    let stage = Stage::new(json!({"client_id": "sandboxClientId", "client_secret": "wrong-client-secret"})).await;
    let begun = stage.begin("user2", Some(CALLBACK)).await;
    let told = stage.decide(&begun, "allow").await;
    let refused = stage.finish("user2", &begun, told).await.unwrap_err();
    assert!(refused.message.contains("invalid_client"), "{}", refused.message);
    assert!(!format!("{refused:?}").contains("wrong-client-secret"));
}

#[tokio::test]
async fn an_app_has_its_own_token_for_key_and_secret_once() {
    let stage = Stage::new(json!({"consumer_key": X_CONSUMER_KEY, "consumer_secret": X_CONSUMER_SECRET})).await;
    let action = stage.connection.connector.action("list_counts").unwrap();
    for _ in 0..3 {
        let call = tidegate::connector::Call::new(&stage.connection, action, json!({}));
        stage.executor.call(call).await.result.unwrap();
    }
    assert_eq!(stage.asked("app_token"), 1);
    // Nobody signed in, so the account is proven by what needs no person.
    let proof = stage.executor.prove(&stage.connection).await;
    assert_eq!((proof.action.as_deref(), proof.result.is_ok()), (Some("x.list_counts"), true));
}
