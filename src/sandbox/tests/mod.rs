//! The sandbox over real HTTP, as a connector meets it.

mod faults;
mod twilio;
mod x;

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use super::*;

/// 2026-11-20T13:19:00Z
const NOW_MS: i64 = 1_795_180_740_000;

/// A sandbox at a clock that stands still, and a client.
struct Bench {
    sandbox: Sandbox,
    client: Client,
    clock: Clock,
}

struct Reply {
    status: u16,
    headers: reqwest::header::HeaderMap,
    text: String,
}

impl Bench {
    async fn start(change: impl FnOnce(&mut Options)) -> Bench {
        // Whoever installs it first wins; all of them install the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock = Clock::manual(NOW_MS);
        let mut options = Options { clock: clock.clone(), ..Options::default() };
        change(&mut options);
        let sandbox = Sandbox::start(options).await.unwrap();
        let client = Client::builder().no_proxy().build().unwrap();
        Bench { sandbox, client, clock }
    }

    /// A call to X with the app's bearer token.
    async fn x(&self, path: &str) -> Reply {
        send(self.client.get(self.sandbox.x_url() + path).bearer_auth(X_BEARER_TOKEN)).await
    }

    /// A call to X as the user, signed.
    fn x_signed(&self, method: Method, path: &str, nonce: &str) -> RequestBuilder {
        let url = self.sandbox.x_url() + path;
        let header = auth::authorization(method.as_str(), &url, nonce, self.clock.now_ms());
        self.client.request(method, url).header("authorization", header)
    }

    async fn post_tweet(&self, body: &Value) -> Reply {
        let url = self.sandbox.x_url() + "/2/tweets";
        send(self.client.post(url).bearer_auth(X_USER_TOKEN).json(body)).await
    }

    fn twilio(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}/2010-04-01/Accounts/{TWILIO_ACCOUNT_SID}{path}", self.sandbox.twilio_url());
        self.client.request(method, url).basic_auth(TWILIO_ACCOUNT_SID, Some(TWILIO_AUTH_TOKEN))
    }

    fn tweets(&self, text: &str, count: u64) -> Vec<String> {
        self.sandbox.control().add_tweets(&NewTweet { text: text.into(), count, spacing_ms: 0, ..NewTweet::default() })
    }
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

async fn send(request: RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Reply { status, headers, text: response.text().await.unwrap() }
}

fn ids(list: &Value, member: &str) -> Vec<String> {
    let records = list.as_array().cloned().unwrap_or_default();
    records.iter().map(|record| record[member].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn every_answer_is_dated_by_the_clock() {
    let bench = Bench::start(|_| {}).await;
    assert_eq!(bench.x("/nothing").await.header("date"), "Fri, 20 Nov 2026 13:19:00 GMT");
    bench.clock.advance(61_000);
    assert_eq!(bench.x("/2/users/by/username/alice").await.header("date"), "Fri, 20 Nov 2026 13:20:01 GMT");
}

#[tokio::test]
async fn the_json_service_pages_in_three_ways() {
    let bench = Bench::start(|options| options.json_token = Some("secret".into())).await;
    let base = bench.sandbox.json_url();
    let get = |url: String| send(bench.client.get(url).bearer_auth("secret"));
    assert_eq!(send(bench.client.get(format!("{base}/items"))).await.status, 401);
    let fields = json!({"colour": "red", "title": "T"}).as_object().unwrap().clone();
    assert_eq!(bench.sandbox.control().add_items(&NewItems { fields, count: 25, at_ms: None }), (1, 25));

    let page = get(format!("{base}/items?since=10&limit=10&page=2")).await.json();
    assert_eq!(page["items"].as_array().unwrap().len(), 5);
    assert_eq!(
        page["items"][0],
        json!({"id": 21, "created_at": "2026-11-20T13:19:00.000Z", "title": "T", "colour": "red"})
    );
    assert_eq!(page["total"], 15);
    let newest = get(format!("{base}/items?limit=1&order=desc")).await.json();
    assert_eq!(newest["items"][0]["id"], 25);
    assert_eq!(get(format!("{base}/items?since=2026-11-20T13:19:00Z")).await.json()["total"], 0);

    let mut linked = Vec::new();
    let mut next = Some(format!("{base}/linked?limit=10"));
    while let Some(url) = next {
        let page = get(url).await;
        linked.extend(page.json().as_array().unwrap().iter().map(|item| item["id"].as_u64().unwrap()));
        next = page.header("link").strip_prefix('<').and_then(|link| Some(link.split_once('>')?.0.to_owned()));
    }
    assert_eq!(linked, (1..=25).collect::<Vec<_>>());

    let mut chained = 0;
    let mut next = Some(format!("{base}/chained?limit=10&since=3"));
    while let Some(url) = next {
        let page = get(url).await.json();
        chained += page["items"].as_array().unwrap().len();
        next = page["next_url"].as_str().map(Into::into);
    }
    assert_eq!(chained, 22);
}

#[tokio::test]
async fn the_sink_takes_json_and_keeps_a_receipt() {
    let bench = Bench::start(|_| {}).await;
    let post = |body: &'static str| {
        send(bench.client.post(bench.sandbox.json_url() + "/sink").header("idempotency-key", "k1").body(body))
    };
    assert_eq!(post("{\"a\": [1]}").await.status, 201);
    assert_eq!(post("{\"a\"").await.status, 400);
    assert_eq!(post("{\"a\": [1]}").await.json(), json!({"id": 2}));
    let receipts = bench.sandbox.control().received(&ReceiptFilter::default());
    assert_eq!(receipts.iter().map(|receipt| receipt.status).collect::<Vec<_>>(), [201, 400, 201]);
    assert_eq!(receipts[0].fingerprint, "{\"a\": [1]}");
    assert_eq!(receipts[0].idempotency_key.as_deref(), Some("k1"));
    assert_eq!(bench.sandbox.control().count(Service::Json, "sink"), Count { requests: 3, done: 2, repeated: 1 });
}
