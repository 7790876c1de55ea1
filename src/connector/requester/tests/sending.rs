//! What leaves, and how the answer is read.

use super::*;

#[tokio::test]
async fn a_request_arrives_as_it_was_made_and_the_answer_is_read() {
    let server = Server::start(|_| ok("fine")).await;
    let response = send(&post(server.url("/2/tweets?x=1")), &[&server]).await.unwrap();
    assert_eq!((response.status, response.body.as_ref()), (200, b"fine".as_slice()));
    assert_eq!(response.header("x-some"), Some("Thing"));
    assert_eq!(response.date_ms, Some(1_800_000_000_000));
    assert_eq!(response.hops, 0);
    let request = &server.requests()[0];
    assert!(request.starts_with("POST /2/tweets?x=1 HTTP/1.1\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\n{\"text\":\"hi\"}"), "{request}");
    for (name, value) in [
        ("authorization", "Bearer hunter22"),
        ("content-type", "application/json"),
        ("content-length", "13"),
        ("x-own", "internal"),
        ("user-agent", "tidegate-test"),
    ] {
        assert_eq!(header(request, name).as_deref(), Some(value), "{request}");
    }
    assert_eq!(header(request, "transfer-encoding"), None);
}

#[tokio::test]
async fn forms_are_encoded_and_an_empty_post_has_a_length() {
    let server = Server::start(|_| ok("")).await;
    let mut request = post(server.url("/"));
    request.body = Body::Form(vec![("Body".into(), "a b&c=+é".into()), ("To".into(), "+41".into())]);
    send(&request, &[&server]).await.unwrap();
    request.body = Body::Empty;
    send(&request, &[&server]).await.unwrap();
    let requests = server.requests();
    assert!(requests[0].ends_with("\r\n\r\nBody=a%20b%26c%3D%2B%C3%A9&To=%2B41"), "{}", requests[0]);
    assert_eq!(header(&requests[0], "content-type").unwrap(), "application/x-www-form-urlencoded");
    assert_eq!(header(&requests[1], "content-length").unwrap(), "0");
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let server = Server::start(|_| ok("x")).await;
    let requester = requester(&["127.0.0.1:*"]);
    for _ in 0..5 {
        let request = post(server.url("/"));
        requester.send(&request, &Credentials::None, &HostSet::default(), SOON, None).await.unwrap();
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_answer_in_many_chunks_is_joined() {
    let body = "0123456789".repeat(5_000);
    let chunks: String = body
        .as_bytes()
        .chunks(777)
        .map(|chunk| format!("{:x}\r\n{}\r\n", chunk.len(), std::str::from_utf8(chunk).unwrap()))
        .collect();
    let answer = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n");
    let server = Server::start(move |_| Reply::Send(answer.clone())).await;
    let response = send(&get(server.url("/").as_str()), &[]).await.unwrap();
    assert_eq!(response.body, body);
}

#[tokio::test]
async fn a_proxy_is_used_and_addresses_behind_it_are_guarded() {
    let proxy = Server::start(|_| ok("by proxy")).await;
    let address = format!("http://127.0.0.1:{}", proxy.port);
    // The proxy was chosen in the settings: it needs no rule.
    let requester = requester(&[]);
    let none = HostSet::default();
    let request = get("http://service.test/path");
    let response = requester.send(&request, &Credentials::None, &none, SOON, Some(&address)).await.unwrap();
    assert_eq!(response.body.as_ref(), b"by proxy");
    assert!(proxy.requests()[0].starts_with("GET http://service.test/path HTTP/1.1"));
    let request = get("http://169.254.169.254/");
    let failure = requester.send(&request, &Credentials::None, &none, SOON, Some(&address)).await.unwrap_err();
    assert_eq!(failure.code, "egress_refused");
}

#[tokio::test]
async fn headers_that_can_not_be_sent_are_refused() {
    let server = Server::start(|_| ok("")).await;
    let mut request = post(server.url("/"));
    request.headers.push(("X-Note".into(), "a\r\nX-Evil: 1".into()));
    let failure = send(&request, &[&server]).await.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.outcome), ("header_invalid", Outcome::NotSent));
    assert!(server.requests().is_empty());
}

/// Many at once over one client, with a look at what it costs: `cargo test --release -- --ignored --nocapture cost`.
#[tokio::test]
#[ignore = "a measurement"]
async fn cost_of_a_request() {
    let server = Server::start(|_| ok(r#"{"data":{"id":"1"}}"#)).await;
    let requester = Arc::new(requester(&["127.0.0.1:*"]));
    let started = std::time::Instant::now();
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let (requester, request) = (requester.clone(), post(server.url("/2/tweets")));
            tokio::spawn(async move {
                let allowed = HostSet::new([request.url.clone()]);
                for _ in 0..300 {
                    requester.send(&request, &bearer(), &allowed, SOON, None).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    println!("{} requests in {:?}, both sides on one thread", 64 * 300, started.elapsed());
    assert!(server.connections.load(Ordering::SeqCst) <= 64);
}
