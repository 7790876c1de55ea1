//! Sessions and signed assertions, at a service of the test's own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tidegate::clock::Clock;
use tidegate::connector::{AdHoc, Call, Connection};

use super::{Memory, NOW, bind, executor};

/// Gives `session-1`, `session-2`, ... and takes the last one alone.
#[derive(Default)]
struct Service {
    log_ins: AtomicU64,
    received: Mutex<Vec<(String, HeaderMap, String)>>,
}

async fn log_in(State(service): State<Arc<Service>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = String::from_utf8(to_bytes(body, 65_536).await.unwrap().to_vec()).unwrap();
    service.received.lock().unwrap().push((parts.uri.path().to_owned(), parts.headers, body.clone()));
    if body.contains("wrong") {
        return Response::builder().status(403).body(Body::from(r#"{"message":"bad password wrong-pass"}"#)).unwrap();
    }
    let number = service.log_ins.fetch_add(1, Ordering::SeqCst) + 1;
    let text = json!({"data": {"token": format!("session-{number}"), "ttl": 600}, "access_token": format!("session-{number}")});
    let answer = Response::builder().header("set-cookie", format!("sid=session-{number}; Path=/; HttpOnly"));
    answer.body(Body::from(text.to_string())).unwrap()
}

async fn list(State(service): State<Arc<Service>>, headers: HeaderMap) -> (StatusCode, String) {
    let live = format!("session-{}", service.log_ins.load(Ordering::SeqCst));
    let shown = ["authorization", "cookie", "x-token"].iter().filter_map(|name| headers.get(*name));
    let is_good = shown.map(|value| value.to_str().unwrap()).any(|value| value.ends_with(&live));
    service.received.lock().unwrap().push(("/list".to_owned(), headers.clone(), String::new()));
    if is_good { (StatusCode::OK, "[]".to_owned()) } else { (StatusCode::UNAUTHORIZED, "{}".to_owned()) }
}

async fn service() -> (Arc<Service>, String) {
    let service = Arc::new(Service::default());
    let router = Router::new()
        .route("/log-in", post(log_in))
        .route("/moved", post(|| async { (StatusCode::TEMPORARY_REDIRECT, [("location", "/log-in")]) }))
        .route("/list", get(list))
        .with_state(Arc::clone(&service));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (service, url)
}

fn shop(url: &str, scheme: Value, fields: Value) -> Arc<Connection> {
    let written = json!({
        "connector": "shop",
        "hosts": {"api": url},
        "connection": {
            "fields": {"user": {"type": "string"}, "password": {"type": "string", "secret": true}},
            "auth": {"main": scheme}
        },
        "defaults": {"auth": "main"},
        "actions": {"list": {"effect": "read", "request": {"path": "/list"}}}
    });
    let written = serde_json::from_value(written).unwrap();
    bind(&written, json!({"connector": "shop", "active": true, "fields": fields}))
}

fn session(more: Value) -> Value {
    let mut scheme = json!({"type": "session", "login": {
        "to": "/log-in", "json": {"name": "{{connection.user}}", "secret": "{{connection.password}}"}}});
    scheme.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    scheme
}

fn fields() -> Value {
    json!({"user": "ann", "password": "hunter22-\"quoted\""})
}

#[tokio::test]
async fn a_session_is_had_once_and_again_when_it_ends_or_is_refused() {
    let (service, url) = service().await;
    let clock = Clock::manual(NOW);
    let executor = executor(&clock, &Arc::new(Memory::default()));
    let scheme = session(json!({"token": "data.token", "expires_in": "data.ttl"}));
    let connection = shop(&url, scheme, fields());
    let call = async || {
        let action = connection.connector.action("list").unwrap();
        executor.call(Call::new(&connection, action, json!({}))).await.result
    };
    call().await.unwrap();
    call().await.unwrap();
    assert_eq!(service.log_ins.load(Ordering::SeqCst), 1);
    let (path, _, body) = service.received.lock().unwrap()[0].clone();
    assert_eq!(
        (path.as_str(), serde_json::from_str::<Value>(&body).unwrap()["secret"].clone()),
        ("/log-in", fields()["password"].clone())
    );
    // Somebody else logged in: ours is refused, had again, and the request repeated.
    service.log_ins.fetch_add(1, Ordering::SeqCst);
    call().await.unwrap();
    assert_eq!(service.log_ins.load(Ordering::SeqCst), 3);
    clock.advance(600_000);
    call().await.unwrap();
    assert_eq!(service.log_ins.load(Ordering::SeqCst), 4);
    let ad_hoc = AdHoc {
        connection: Some(&connection),
        inputs: json!({"url": format!("{url}/list")}),
        timeout_ms: None,
        after_uncertain: false,
    };
    let prepared = executor.prepare_ad_hoc(ad_hoc).unwrap();
    let permit = executor.permit(&prepared).ok().unwrap();
    assert_eq!(executor.send(prepared, permit).await.result.unwrap().into_output()["status"], 200);
}

#[tokio::test]
async fn a_session_token_goes_where_the_service_wants_it() {
    for (more, header, expected) in [
        (json!({"token": "data.token"}), "authorization", "Bearer session-1"),
        (json!({"token_cookie": "sid"}), "cookie", "sid=session-1"),
        (json!({"token": "data.token", "name": "X-Token"}), "x-token", "session-1"),
        (json!({"token": "data.token", "prefix": "Token "}), "authorization", "Token session-1"),
    ] {
        let (service, url) = service().await;
        let executor = executor(&Clock::manual(NOW), &Arc::new(Memory::default()));
        let connection = shop(&url, session(more), fields());
        let action = connection.connector.action("list").unwrap();
        executor.call(Call::new(&connection, action, json!({}))).await.result.unwrap();
        let (_, headers, _) = service.received.lock().unwrap()[1].clone();
        assert_eq!(headers[header], expected);
    }
}

#[tokio::test]
async fn a_refused_log_in_and_one_that_is_sent_elsewhere_are_told_without_the_password() {
    let (service, url) = service().await;
    let executor = executor(&Clock::manual(NOW), &Arc::new(Memory::default()));
    let wrong = shop(&url, session(json!({"token": "data.token"})), json!({"user": "ann", "password": "wrong-pass"}));
    let action = wrong.connector.action("list").unwrap();
    let refused = executor.call(Call::new(&wrong, action, json!({}))).await.result.unwrap_err();
    assert_eq!(refused.code, "token_refused");
    assert!(refused.message.contains("connection `main`") && !refused.message.contains("wrong-pass"), "{refused}");
    let mut moved = session(json!({"token": "data.token"}));
    moved["login"]["to"] = json!("/moved");
    let moved = shop(&url, moved, fields());
    let refused = executor.call(Call::new(&moved, action, json!({}))).await.result.unwrap_err();
    assert_eq!(refused.code, "redirect_refused");
    assert_eq!(service.log_ins.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_assertion_is_signed_and_exchanged() {
    let (service, url) = service().await;
    let executor = executor(&Clock::manual(NOW), &Arc::new(Memory::default()));
    let scheme = json!({"type": "jwt", "algorithm": "HS256", "key": "{{connection.password}}", "key_id": "k1",
        "claims": {"iss": "{{connection.user}}", "aud": "shop"}, "token": "/log-in"});
    let connection = shop(&url, scheme, fields());
    let action = connection.connector.action("list").unwrap();
    executor.call(Call::new(&connection, action, json!({}))).await.result.unwrap();
    let (_, _, body) = service.received.lock().unwrap()[0].clone();
    let form: std::collections::HashMap<_, _> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let parts: Vec<&str> = form["assertion"].split('.').collect();
    let part = |at: usize| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[at]).unwrap()).unwrap() };
    assert_eq!(part(0), json!({"alg": "HS256", "typ": "JWT", "kid": "k1"}));
    assert_eq!(part(1), json!({"iss": "ann", "aud": "shop", "iat": NOW / 1_000, "exp": NOW / 1_000 + 600}));
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, fields()["password"].as_str().unwrap().as_bytes());
    let signed = format!("{}.{}", parts[0], parts[1]);
    ring::hmac::verify(&key, signed.as_bytes(), &URL_SAFE_NO_PAD.decode(parts[2]).unwrap()).unwrap();
}

/// Made for this test.
const RSA_KEY: &str = "\
-----BEGIN PRIVATE KEY-----\n\
MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQC2N62XG/rS/zeD\n\
E/qZWKY3CLuD73yv5f3Yq9Wf30YWYEAA+Q92nK3NyvaZCpIebYLQQrAtBwHNrYP7\n\
TxnwJC6W1EPT8F2CsWQn1YjObApXaS33nLDgVyfdLa5j69D/QnKamfuyLbAbzCOy\n\
EsEnuHlIONRdfqA9YmqFN4m7o1iQdDZ7WC0sStP23H/lVTnvjNF3uzeeUq57RA+a\n\
IxpUFZPR14IkchwXTmzLmoNsHo5MIOaVwLrdNfReCjA6tj2Zto81KOpUlQE16p6P\n\
XjUkMPLt8TuVjeoJuyEcUkEn+J9aIAh6+Jqvc5k2qbTBuehxB3Tsft0m2evXkV79\n\
HjWtqBMnAgMBAAECggEAH3P37mQBhUdRnTonIS4orso+l/UQWEqCaVKr8sc3EWi2\n\
05QqQ6ai56l3rI4jD8aGdI12XKdfe9HOPOR4DTgppJZqSNyuP3+AUtHspfkHRfRd\n\
X2b4LxlMQ8T9W7kaX91n6+DVjfmN8xZnOPc8yS7yHHHW0nankUD6MxmVmEKHaJOj\n\
22sEOnk6X4jDZ0TWVh0pclfmcUOknCcf6UcfudxDaUC73Gjdi0cDXdHPxkP6w5ml\n\
tIYxET70ni8r4WuLW2RS9bl5hqWInRJ7OjE+5Lmzpr2pj+c01AdX1vMo40C72k18\n\
3DA5c+srNLJUXCB+tI/PTHwZAY/DsMgtAXLV+qsmAQKBgQDvCww0emZ12/EYNPlk\n\
WAZTqUBIx5ioZSrBA5dRUu7xOx4qMh2ihZnMyzPSLlO9D5OktTgqBMGJKH8nipd9\n\
thaiRB5hVfVETRfFcX3uD8va0Sx/xAYEG5mKTHIt/L/qd/nG5bHTop4Q9pBEVWNu\n\
nS6d/6BiBcFidcofKfz+swgFJwKBgQDDJLF/NPQnxrvFSQC5aFS0VUFyXBIuXz6W\n\
k2ZSRwVRXrNYFEIfhZYD0HHKR5AGO9ouOBz+KQzm1TCmHyTO3x4FuFrao+wYrq94\n\
jR/9cV4PIS9+jtt3BBy6B1ozUQWbJCFdTPjkzhzetfGE0zGU7Ouoz3D5tKXGad8b\n\
IKypU9RCAQKBgHvf88E2NOaaxcPPn/W6D/1G1kNg++E4HAHOBJpmKeDky+r98ZGJ\n\
Pnx8SSyASXDOI6rVJnfP4yNa0xoAniTNOcl5F21FiEaO1OTCvYmisfeBMlg7kwqJ\n\
6vVaTEk8k4/EALJr0c1klhkgTP68aTynQ8Mo90oUxXRqqgWgUrUCvgM9AoGAJQF0\n\
V3cnRdO+D++EH6TVS01Pl+w11m1hZRSWtsuZCpE22WEeGPQwOpDwwzdG7Ke0/EbP\n\
2LLYK34KN7Z4OHK/Mr5/HC8xuoyF4gqBIoK5H41fgFR+8dbpy61RQaH/uifj29mY\n\
6Wrctq8yGcojAObc2apc9j13omS5Vl+f3oxzGAECgYAGaYo/3F5BsEY0ysF/Kk9J\n\
Ymf07hoZsoUtXAGpFm2HMcBVtInOCia1+4y4fLrgt1XAOf92J5K3F1Zjs/7jsnBL\n\
WrsNyJm1ju/5c/frBDdgqK++GxRra5ZoWXbBDZdNwj/qZCqljolbJ+KuXnh2Eg2c\n\
BEUtA5jDZxFYcozvY5kmuA==\n\
-----END PRIVATE KEY-----";

#[tokio::test]
async fn an_assertion_by_rsa_is_the_token_where_nothing_exchanges_it() {
    let (service, url) = service().await;
    let executor = executor(&Clock::manual(NOW), &Arc::new(Memory::default()));
    let scheme = json!({"type": "jwt", "algorithm": "RS256", "key": "{{connection.password}}", "lifetime": "5m"});
    let connection = shop(&url, scheme.clone(), json!({"user": "ann", "password": RSA_KEY}));
    let action = connection.connector.action("list").unwrap();
    let refused = executor.call(Call::new(&connection, action, json!({}))).await.result.unwrap_err();
    assert_eq!(refused.status, Some(401), "this service knows no assertions");
    let (_, headers, _) = service.received.lock().unwrap()[0].clone();
    let token = headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap().to_owned();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let der: String = RSA_KEY.lines().filter(|line| !line.starts_with("-----")).collect();
    let pair = ring::signature::RsaKeyPair::from_pkcs8(&base64::engine::general_purpose::STANDARD.decode(der).unwrap())
        .unwrap();
    let public =
        ring::signature::UnparsedPublicKey::new(&ring::signature::RSA_PKCS1_2048_8192_SHA256, pair.public().as_ref());
    public.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    assert!(!format!("{refused:?}").contains(signature));

    let broken = shop(&url, scheme, json!({"user": "ann", "password": "no key"}));
    let refused = executor.call(Call::new(&broken, action, json!({}))).await.result.unwrap_err();
    assert!(refused.message.contains("it is not PEM"), "{}", refused.message);
}
