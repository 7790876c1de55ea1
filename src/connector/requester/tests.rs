//! Real HTTP on loopback: what leaves, where it may go, and what is told when it goes wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::connector::auth::Credentials;
use crate::engine::{Outcome, Verdict};
use crate::manifest::connector::auth::{Auth, KeyPlace};

const SOON: Duration = Duration::from_secs(20);

/// A server that answers as it is told and remembers what it got.
struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

enum Reply {
    /// Bytes, then the connection stays open.
    Send(String),
    /// Bytes, then the connection is closed.
    Close(Vec<u8>),
    /// Nothing, ever.
    Hang,
}

impl Server {
    async fn start(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server {
            port: listener.local_addr().unwrap().port(),
            requests: Arc::default(),
            connections: Arc::default(),
        };
        let (requests, connections) = (server.requests.clone(), server.connections.clone());
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, requests.clone(), answer.clone()));
            }
        });
        server
    }

    fn url(&self, path: &str) -> Url {
        format!("http://127.0.0.1:{}{path}", self.port)
            .parse()
            .unwrap()
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    requests: Arc<Mutex<Vec<String>>>,
    answer: Arc<impl Fn(&str) -> Reply>,
) {
    while let Some(request) = read_request(&mut stream).await {
        requests.lock().push(request.clone());
        match answer(&request) {
            Reply::Send(text) => stream.write_all(text.as_bytes()).await.unwrap(),
            Reply::Close(bytes) => {
                stream.write_all(&bytes).await.unwrap();
                return;
            }
            Reply::Hang => std::future::pending().await,
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = header(head, "content-length").map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return Some(text);
            }
        }
        let mut buffer = [0; 4_096];
        let count = stream
            .read(&mut buffer)
            .await
            .ok()
            .filter(|count| *count > 0)?;
        bytes.extend_from_slice(&buffer[..count]);
    }
}

fn header(request: &str, name: &str) -> Option<String> {
    request
        .split("\r\n\r\n")
        .next()?
        .lines()
        .skip(1)
        .find_map(|line| {
            let (given, value) = line.split_once(": ")?;
            given.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
}

fn ok(body: &str) -> Reply {
    Reply::Send(format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nDate: Fri, 15 Jan 2027 08:00:00 GMT\r\nX-Some: Thing\r\n\r\n{body}",
        body.len()
    ))
}

fn redirect(status: u16, location: &str) -> Reply {
    Reply::Send(format!(
        "HTTP/1.1 {status} Moved\r\nContent-Length: 0\r\nLocation: {location}\r\n\r\n"
    ))
}

fn requester(allow: &[&str]) -> Requester {
    let allow: Vec<String> = allow.iter().map(|&rule| rule.to_owned()).collect();
    Requester::new(RequesterOptions {
        egress: Egress::new(&allow).unwrap(),
        clock: Clock::manual(1_800_000_000_000),
        max_response_bytes: 64 * 1024,
        user_agent: "tidegate-test".into(),
    })
    .unwrap()
}

fn post(url: Url) -> HttpRequest {
    HttpRequest {
        method: Method::POST,
        url,
        headers: vec![
            ("X-Own".into(), "internal".into()),
            ("Cookie".into(), "a=b".into()),
            ("Accept".into(), "application/json".into()),
        ],
        body: Body::Json(r#"{"text":"hi"}"#.into()),
    }
}

fn get(url: &str) -> HttpRequest {
    HttpRequest {
        method: Method::GET,
        url: url.parse().unwrap(),
        headers: vec![],
        body: Body::Empty,
    }
}

fn bearer() -> Credentials {
    Credentials::new(&Auth::Bearer {
        token: "hunter22".into(),
    })
    .unwrap()
}

/// Sends with a bearer token that may go to the servers named.
async fn send(request: &HttpRequest, homes: &[&Server]) -> Result<HttpResponse, Failure> {
    let allowed = HostSet::new(homes.iter().map(|server| server.url("/")));
    requester(&["127.0.0.1:*", "[::1]:*"])
        .send(request, &bearer(), &allowed, SOON, None)
        .await
}

#[tokio::test]
async fn a_request_arrives_as_it_was_made_and_the_answer_is_read() {
    let server = Server::start(|_| ok("fine")).await;
    let response = send(&post(server.url("/2/tweets?x=1")), &[&server])
        .await
        .unwrap();
    assert_eq!(
        (response.status, response.body.as_ref()),
        (200, b"fine".as_slice())
    );
    assert_eq!(response.header("x-some"), Some("Thing"));
    assert_eq!(response.date_ms, Some(1_800_000_000_000));
    assert_eq!(response.hops, 0);
    let request = &server.requests()[0];
    assert!(
        request.starts_with("POST /2/tweets?x=1 HTTP/1.1\r\n"),
        "{request}"
    );
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
    request.body = Body::Form(vec![
        ("Body".into(), "a b&c=+é".into()),
        ("To".into(), "+41".into()),
    ]);
    send(&request, &[&server]).await.unwrap();
    request.body = Body::Empty;
    send(&request, &[&server]).await.unwrap();
    let requests = server.requests();
    assert!(
        requests[0].ends_with("\r\n\r\nBody=a%20b%26c%3D%2B%C3%A9&To=%2B41"),
        "{}",
        requests[0]
    );
    assert_eq!(
        header(&requests[0], "content-type").unwrap(),
        "application/x-www-form-urlencoded"
    );
    assert_eq!(header(&requests[1], "content-length").unwrap(), "0");
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let server = Server::start(|_| ok("x")).await;
    let requester = requester(&["127.0.0.1:*"]);
    for _ in 0..5 {
        let request = post(server.url("/"));
        requester
            .send(
                &request,
                &Credentials::None,
                &HostSet::default(),
                SOON,
                None,
            )
            .await
            .unwrap();
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn credentials_and_own_headers_do_not_follow_a_redirect_to_strangers() {
    let home = Arc::new(Mutex::new(String::new()));
    let back = home.clone();
    let stranger = Server::start(move |_| redirect(307, &back.lock())).await;
    let away = stranger.url("/collect").to_string();
    let server = Server::start(move |request| {
        if request.contains(" /back ") {
            ok("end")
        } else {
            redirect(307, &away)
        }
    })
    .await;
    *home.lock() = server.url("/back").to_string();

    let response = send(&post(server.url("/a")), &[&server]).await.unwrap();
    assert_eq!((response.hops, response.url.path()), (2, "/back"));
    let [first, back] = server.requests().try_into().unwrap();
    assert_eq!(
        header(&first, "authorization").as_deref(),
        Some("Bearer hunter22")
    );
    // Neither the stranger nor where the stranger sends us gets anything that is ours.
    for request in [&stranger.requests()[0], &back] {
        for name in ["authorization", "x-own", "cookie"] {
            assert_eq!(header(request, name), None, "{request}");
        }
        assert_eq!(
            header(request, "accept").as_deref(),
            Some("application/json")
        );
        assert!(
            request.starts_with("POST ") && request.ends_with(r#"{"text":"hi"}"#),
            "{request}"
        );
    }
}

#[tokio::test]
async fn a_key_in_query_or_body_stays_at_home_too() {
    let stranger = Server::start(|_| ok("")).await;
    let away = stranger.url("/").to_string();
    let server = Server::start(move |_| redirect(308, &away)).await;
    for place in [KeyPlace::Query, KeyPlace::Body, KeyPlace::Header] {
        let key = Credentials::new(&Auth::ApiKey {
            r#in: place,
            name: "key".into(),
            value: "hunter22".into(),
        })
        .unwrap();
        let allowed = HostSet::new([server.url("/")]);
        let request = post(server.url("/"));
        requester(&["127.0.0.1:*"])
            .send(&request, &key, &allowed, SOON, None)
            .await
            .unwrap();
    }
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.contains("hunter22"))
    );
    assert!(
        stranger
            .requests()
            .iter()
            .all(|request| !request.contains("hunter22"))
    );
    assert_eq!(stranger.requests().len(), 3);
}

#[tokio::test]
async fn a_redirect_among_the_connections_own_hosts_keeps_everything() {
    let other = Server::start(|_| ok("end")).await;
    let away = other.url("/next").to_string();
    let server = Server::start(move |_| redirect(303, &away)).await;
    send(&post(server.url("/a")), &[&server, &other])
        .await
        .unwrap();
    let request = &other.requests()[0];
    assert!(
        request.starts_with("GET /next ") && request.ends_with("\r\n\r\n"),
        "{request}"
    );
    assert_eq!(
        header(request, "authorization").as_deref(),
        Some("Bearer hunter22")
    );
    assert_eq!(header(request, "x-own").as_deref(), Some("internal"));
    assert_eq!(header(request, "content-type"), None);
}

#[tokio::test]
async fn redirects_that_do_not_end_are_given_up() {
    let circle =
        Server::start(|request| redirect(307, if request.contains(" /a ") { "/b" } else { "/a" }))
            .await;
    let failure = send(&post(circle.url("/a")), &[&circle]).await.unwrap_err();
    assert_eq!(
        (failure.code.as_str(), failure.outcome),
        ("redirect_loop", Outcome::NotDone)
    );
    assert_eq!(circle.requests().len(), 2);

    let count = AtomicUsize::new(0);
    let endless = Server::start(move |_| {
        redirect(307, &format!("/{}", count.fetch_add(1, Ordering::SeqCst)))
    })
    .await;
    let failure = send(&post(endless.url("/a")), &[&endless])
        .await
        .unwrap_err();
    assert_eq!(failure.code, "redirect_loop");
    assert_eq!(endless.requests().len(), 6);
}

#[tokio::test]
async fn what_fails_after_a_303_may_have_been_done() {
    let server = Server::start(|_| redirect(303, "http://10.0.0.1/done")).await;
    let failure = send(&post(server.url("/")), &[&server]).await.unwrap_err();
    assert_eq!(
        (failure.code.as_str(), failure.outcome),
        ("egress_refused", Outcome::Unknown)
    );
    let server = Server::start(|_| redirect(307, "http://10.0.0.1/there")).await;
    let failure = send(&post(server.url("/")), &[&server]).await.unwrap_err();
    assert_eq!(
        (failure.code.as_str(), failure.outcome),
        ("egress_refused", Outcome::NotSent)
    );
}

#[tokio::test]
async fn an_answer_that_breaks_off_leaves_the_outcome_open() {
    let cut = b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\nonly this";
    let refused = b"HTTP/1.1 400 No\r\nContent-Length: 100\r\n\r\nonly this";
    for (bytes, outcome) in [
        (b"".as_slice(), Outcome::Unknown),
        (b"HTTP/1.1 20", Outcome::Unknown),
        (cut, Outcome::Unknown),
        (refused, Outcome::NotDone),
    ] {
        let server = Server::start(move |_| Reply::Close(bytes.to_vec())).await;
        let failure = send(&post(server.url("/p?token=hunter22")), &[&server])
            .await
            .unwrap_err();
        assert_eq!(failure.code, "connection_lost", "{failure:?}");
        assert_eq!(failure.outcome, outcome, "{failure:?}");
        assert_eq!(failure.verdict, Verdict::Retry { after_ms: None });
        assert!(
            failure
                .message
                .starts_with(&format!("POST 127.0.0.1:{}/p: ", server.port)),
            "{failure}"
        );
        assert!(!format!("{failure:?}").contains("hunter22"), "{failure:?}");
    }
}

#[tokio::test]
async fn a_timeout_tells_whether_the_request_left() {
    let server = Server::start(|_| Reply::Hang).await;
    let short = Duration::from_millis(300);
    let requester = requester(&["127.0.0.1:*"]);
    let allowed = HostSet::default();
    let request = post(server.url("/"));
    let failure = requester
        .send(&request, &Credentials::None, &allowed, short, None)
        .await
        .unwrap_err();
    assert_eq!(
        (failure.code.as_str(), failure.outcome),
        ("timeout", Outcome::Unknown)
    );
    assert_eq!(server.requests().len(), 1);

    // The TLS handshake never ends, so that nothing of the request was written.
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://127.0.0.1:{}/", mute.local_addr().unwrap().port());
    let request = post(url.parse().unwrap());
    let failure = requester
        .send(&request, &Credentials::None, &allowed, short, None)
        .await
        .unwrap_err();
    assert_eq!(
        (failure.code.as_str(), failure.outcome),
        ("timeout", Outcome::NotSent),
        "{failure}"
    );

    // The head and part of the body came in time, the rest did not.
    let stalled =
        Server::start(|_| Reply::Send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".into()))
            .await;
    let request = post(stalled.url("/"));
    let failure = requester
        .send(&request, &Credentials::None, &allowed, short, None)
        .await
        .unwrap_err();
    assert_eq!(
        (failure.code.as_str(), failure.outcome),
        ("timeout", Outcome::Unknown)
    );
    assert_eq!(failure.status, Some(200));
}

#[tokio::test]
async fn large_answers_are_refused_however_they_are_packed() {
    // 256 KiB of zeros in 289 bytes.
    let bomb = base64::engine::general_purpose::STANDARD
        .decode(BOMB)
        .unwrap();
    let mut packed = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        bomb.len()
    )
    .into_bytes();
    packed.extend_from_slice(&bomb);
    let told = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n".to_vec();
    let mut endless = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    endless.resize(70_000, b'a');
    for answer in [packed, told, endless] {
        let server = Server::start(move |_| Reply::Close(answer.clone())).await;
        let failure = send(&post(server.url("/")), &[&server]).await.unwrap_err();
        assert_eq!(
            (failure.code.as_str(), failure.outcome),
            ("response_too_large", Outcome::Unknown),
            "{failure}"
        );
        assert_eq!(failure.verdict, Verdict::Fail);
    }
    let garbled =
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 12\r\n\r\nnot gzipped!"
            .to_vec();
    let server = Server::start(move |_| Reply::Close(garbled.clone())).await;
    let failure = send(&post(server.url("/")), &[&server]).await.unwrap_err();
    assert_eq!(failure.code, "response_unreadable", "{failure}");
}

#[tokio::test]
async fn an_answer_in_many_chunks_is_joined() {
    let body = "0123456789".repeat(5_000);
    let chunks: String = body
        .as_bytes()
        .chunks(777)
        .map(|chunk| {
            format!(
                "{:x}\r\n{}\r\n",
                chunk.len(),
                std::str::from_utf8(chunk).unwrap()
            )
        })
        .collect();
    let answer = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n");
    let server = Server::start(move |_| Reply::Send(answer.clone())).await;
    let response = send(&get(server.url("/").as_str()), &[]).await.unwrap();
    assert_eq!(response.body, body);
}

#[tokio::test]
async fn private_addresses_are_refused_in_every_disguise() {
    let server = Server::start(|_| ok("")).await;
    let requester = requester(&[]);
    for host in [
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
        "10.0.0.1",
        "localhost",
        "localhost.",
        "2130706433",
    ] {
        let request = get(&format!("http://{host}:{}/", server.port));
        let failure = requester
            .send(
                &request,
                &Credentials::None,
                &HostSet::default(),
                SOON,
                None,
            )
            .await
            .unwrap_err();
        assert_eq!(
            (failure.code.as_str(), failure.outcome),
            ("egress_refused", Outcome::NotSent),
            "{host}: {failure}"
        );
        assert!(failure.help.unwrap().contains("egress.allow"));
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_permitted_port_of_a_name_permits_no_other() {
    let server = Server::start(|_| ok("")).await;
    let other = Server::start(|_| ok("")).await;
    let requester = requester(&[&format!("localhost:{}", server.port)]);
    for (port, permitted) in [
        (server.port, true),
        (other.port, false),
        (server.port, true),
    ] {
        let request = get(&format!("http://localhost:{port}/"));
        let result = requester
            .send(
                &request,
                &Credentials::None,
                &HostSet::default(),
                SOON,
                None,
            )
            .await;
        assert_eq!(result.is_ok(), permitted, "{result:?}");
    }
}

#[tokio::test]
async fn a_host_that_is_not_there_is_told_apart() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let plain = Server::start(|_| Reply::Close(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())).await;
    let speaks_no_tls = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = speaks_no_tls.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = speaks_no_tls.accept().await.unwrap();
        stream.write_all(b"220 mail.test ESMTP\r\n").await.unwrap();
        stream.read(&mut [0; 512]).await.unwrap();
    });
    for (url, code) in [
        (format!("http://{closed}/"), "connect_failed"),
        ("http://nowhere.invalid/".to_owned(), "name_not_found"),
        (format!("https://127.0.0.1:{port}/"), "tls_failed"),
    ] {
        let failure = send(&post(url.parse().unwrap()), &[&plain])
            .await
            .unwrap_err();
        assert_eq!(
            (failure.code.as_str(), failure.outcome),
            (code, Outcome::NotSent),
            "{failure}"
        );
        assert_eq!(failure.verdict, Verdict::Retry { after_ms: None });
    }
}

#[tokio::test]
async fn a_proxy_is_used_and_addresses_behind_it_are_guarded() {
    let proxy = Server::start(|_| ok("by proxy")).await;
    let address = format!("http://127.0.0.1:{}", proxy.port);
    // The proxy was chosen in the settings: it needs no rule.
    let requester = requester(&[]);
    let none = HostSet::default();
    let request = get("http://service.test/path");
    let response = requester
        .send(&request, &Credentials::None, &none, SOON, Some(&address))
        .await
        .unwrap();
    assert_eq!(response.body.as_ref(), b"by proxy");
    assert!(proxy.requests()[0].starts_with("GET http://service.test/path HTTP/1.1"));
    let request = get("http://169.254.169.254/");
    let failure = requester
        .send(&request, &Credentials::None, &none, SOON, Some(&address))
        .await
        .unwrap_err();
    assert_eq!(failure.code, "egress_refused");
}

#[tokio::test]
async fn headers_that_can_not_be_sent_are_refused() {
    let server = Server::start(|_| ok("")).await;
    let mut request = post(server.url("/"));
    request
        .headers
        .push(("X-Note".into(), "a\r\nX-Evil: 1".into()));
    let failure = send(&request, &[&server]).await.unwrap_err();
    assert_eq!(
        (failure.code.as_str(), failure.outcome),
        ("header_invalid", Outcome::NotSent)
    );
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
                    requester
                        .send(&request, &bearer(), &allowed, SOON, None)
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    println!(
        "{} requests in {:?}, both sides on one thread",
        64 * 300,
        started.elapsed()
    );
    assert!(server.connections.load(Ordering::SeqCst) <= 64);
}

const BOMB: &str = "H4sIAAAAAAACA+3BMQEAAADCoPVP7W0HoAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA3gAi6g7iAAAEAA==";
