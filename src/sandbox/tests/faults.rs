//! Injected faults, and the control API over HTTP.

use super::*;

#[tokio::test]
async fn a_torn_connection_loses_the_answer_and_not_the_work() {
    let bench = Bench::start(|_| {}).await;
    let control = bench.sandbox.control();
    let post = |text: &str| {
        let request = bench.client.post(bench.sandbox.x_url() + "/2/tweets").bearer_auth(X_USER_TOKEN);
        request.json(&json!({"text": text})).send()
    };
    control.inject(Fault { operation: Some("post_tweet".into()), tear: true, ..Fault::default() }).unwrap();
    assert!(post("torn").await.is_err());
    control.inject(Fault { operation: Some("post_tweet".into()), drop_before: true, ..Fault::default() }).unwrap();
    assert!(post("dropped").await.is_err());
    assert_eq!(post("torn").await.unwrap().status(), 403, "the first one was taken");
    assert_eq!(post("dropped").await.unwrap().status(), 201, "the first one was not");
    let receipts = control.received(&ReceiptFilter::default());
    let seen: Vec<_> =
        receipts.iter().map(|receipt| (receipt.fingerprint.as_str(), receipt.torn, receipt.status)).collect();
    assert_eq!(seen, [("torn", true, 201), ("torn", false, 403), ("dropped", false, 201)]);
}

#[tokio::test]
async fn a_fault_answers_in_the_form_of_its_service() {
    let bench = Bench::start(|_| {}).await;
    let control = bench.sandbox.control();
    let path = "/2/tweets/search/recent?query=a";
    control.inject(Fault { status: Some(503), retry_after_s: Some(7), ..Fault::default() }).unwrap();
    let x = bench.x(path).await;
    assert_eq!((x.status, x.header("retry-after"), x.header("content-type")), (503, "7", "application/problem+json"));

    let date = Fault {
        status: Some(429),
        retry_after_s: Some(60),
        retry_after_as_date: true,
        reset_in_s: Some(30),
        ..Fault::default()
    };
    control.inject(date).unwrap();
    let x = bench.x(path).await;
    assert_eq!(x.header("retry-after"), "Fri, 20 Nov 2026 13:20:00 GMT");
    assert_eq!(x.header("x-rate-limit-reset"), (NOW_MS / 1000 + 30).to_string());

    control.inject(Fault { status: Some(429), service: Some(Service::Twilio), ..Fault::default() }).unwrap();
    assert_eq!(bench.x(path).await.status, 200, "meant for another service");
    assert_eq!(send(bench.twilio(Method::GET, "/Messages.json")).await.json()["code"], 20429);

    control.inject(Fault { garbage: true, ..Fault::default() }).unwrap();
    let garbage = bench.x(path).await;
    assert_eq!(garbage.status, 200);
    assert!(serde_json::from_str::<Value>(&garbage.text).is_err());
    control.inject(Fault { html: true, status: Some(502), ..Fault::default() }).unwrap();
    assert!(bench.x(path).await.text.starts_with("<!DOCTYPE html>"));
    control.inject(Fault { status: Some(500), body: Some("{\"own\":1}".into()), ..Fault::default() }).unwrap();
    assert_eq!(bench.x(path).await.json(), json!({"own": 1}));

    control.inject(Fault { status: Some(500), after_work: true, ..Fault::default() }).unwrap();
    assert_eq!(bench.post_tweet(&json!({"text": "done all the same"})).await.status, 500);
    assert_eq!(control.count(Service::X, "post_tweet").done, 1);
    assert_eq!(bench.x(path).await.status, 200, "no rule is left");
}

#[tokio::test]
async fn a_short_or_empty_page_has_a_token_and_loses_nothing() {
    let bench = Bench::start(|_| {}).await;
    let mut expected = bench.tweets("hello {n}", 12);
    expected.reverse();
    let control = bench.sandbox.control();
    control.inject(Fault { page_limit: Some(0), ..Fault::default() }).unwrap();
    control.inject(Fault { page_limit: Some(3), ..Fault::default() }).unwrap();
    let mut found = Vec::new();
    let mut sizes = Vec::new();
    let mut token = String::new();
    loop {
        let page = bench.x(&format!("/2/tweets/search/recent?query=hello{token}")).await.json();
        let page_ids = ids(&page["data"], "id");
        sizes.push(page_ids.len());
        found.extend(page_ids);
        match page["meta"]["next_token"].as_str() {
            Some(next) => token = format!("&pagination_token={next}"),
            None => break,
        }
    }
    assert_eq!(sizes, [0, 3, 9]);
    assert_eq!(found, expected);
}

#[tokio::test]
async fn everything_can_be_controlled_from_another_process() {
    let bench = Bench::start(|_| {}).await;
    let url = |path: &str| bench.sandbox.control_url() + path;
    let post = |path: &str, body: Value| send(bench.client.post(url(path)).json(&body));
    let made = post("/tweets", json!({"author": "carol", "text": "hi {n}", "count": 2})).await.json();
    assert_eq!(made["ids"].as_array().unwrap().len(), 2);
    assert_eq!(bench.x("/2/tweets/search/recent?query=from:carol").await.json()["meta"]["result_count"], 2);
    let sids = post("/sms", json!({"from": "+41790000001", "body": "hi"})).await.json()["sids"].clone();
    assert_eq!(post("/items", json!({"count": 3, "fields": {"a": 1}})).await.json(), json!({"first": 1, "last": 3}));
    assert_eq!(post("/faults", json!({"operation": "search_tweets", "status": 500})).await.status, 204);
    assert_eq!(bench.x("/2/tweets/search/recent?query=a").await.status, 500);
    let refused = post("/faults", json!({"operation": "nope"})).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text.contains("send_sms"), "{}", refused.text);
    assert_eq!(post("/faults", json!({"stauts": 500})).await.status, 422, "a typo must not pass for a fault");
    assert_eq!(post("/clock", json!({"advance_ms": 1_000})).await.json()["now_ms"], NOW_MS + 1_000);
    assert_eq!(post("/users", json!({"username": "carol", "hidden": true})).await.status, 204);
    assert_eq!(post("/users", json!({"username": "nobody", "hidden": true})).await.status, 404);
    let gone = send(bench.client.delete(url(&format!("/sms/{}", sids[0].as_str().unwrap())))).await;
    assert_eq!(gone.status, 204);

    bench.post_tweet(&json!({"text": "one"})).await;
    bench.post_tweet(&json!({"text": "two"})).await;
    let received = send(bench.client.get(url("/received?service=x&after=1"))).await.json();
    assert_eq!(ids(&received, "fingerprint"), ["two"]);
    let counts = send(bench.client.get(url("/counts"))).await.json();
    assert_eq!(counts["x"]["post_tweet"], json!({"requests": 2, "done": 2, "repeated": 0}));
    assert_eq!(post("/clear", json!({})).await.status, 204);
    assert_eq!(send(bench.client.get(url("/received"))).await.json(), json!([]));
    assert_eq!(send(bench.client.get(bench.sandbox.json_url() + "/items")).await.json()["total"], 0);
}

#[tokio::test]
async fn a_stopped_sandbox_has_written_its_ledger_and_left_its_ports() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let bench = Bench::start(|options| options.ledger_file = Some(path.clone())).await;
    bench.post_tweet(&json!({"text": "kept"})).await;
    let address = bench.sandbox.x_url();
    bench.sandbox.stop().await;
    let lines = std::fs::read_to_string(&path).unwrap();
    assert_eq!(serde_json::from_str::<Value>(lines.trim()).unwrap()["fingerprint"], "kept");
    assert!(bench.client.get(address).send().await.is_err());
    let again = Options { ledger_file: Some(folder.path().join("no/folder")), ..Options::default() };
    assert!(Sandbox::start(again).await.is_err_and(|error| error.to_string().contains("ledger file")));
}
