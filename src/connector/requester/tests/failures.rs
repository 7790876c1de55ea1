//! What is told when it goes wrong: code, outcome, and no secret.

use super::*;

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
        let failure = send(&post(server.url("/p?token=hunter22")), &[&server]).await.unwrap_err();
        assert_eq!(failure.code, "connection_lost", "{failure:?}");
        assert_eq!(failure.outcome, outcome, "{failure:?}");
        assert_eq!(failure.verdict, Verdict::Retry { after_ms: None });
        assert!(failure.message.starts_with(&format!("POST 127.0.0.1:{}/p: ", server.port)), "{failure}");
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
    let failure = requester.send(&request, &Credentials::None, &allowed, short, None).await.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.outcome), ("timeout", Outcome::Unknown));
    assert_eq!(server.requests().len(), 1);

    // The TLS handshake never ends, so that nothing of the request was written.
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://127.0.0.1:{}/", mute.local_addr().unwrap().port());
    let request = post(url.parse().unwrap());
    let failure = requester.send(&request, &Credentials::None, &allowed, short, None).await.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.outcome), ("timeout", Outcome::NotSent), "{failure}");

    // The head and part of the body came in time, the rest did not.
    let stalled = Server::start(|_| Reply::Send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".into())).await;
    let request = post(stalled.url("/"));
    let failure = requester.send(&request, &Credentials::None, &allowed, short, None).await.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.outcome), ("timeout", Outcome::Unknown));
    assert_eq!(failure.status, Some(200));
}

#[tokio::test]
async fn large_answers_are_refused_however_they_are_packed() {
    // 256 KiB of zeros in 289 bytes.
    let bomb = base64::engine::general_purpose::STANDARD.decode(BOMB).unwrap();
    let mut packed =
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", bomb.len()).into_bytes();
    packed.extend_from_slice(&bomb);
    let told = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n".to_vec();
    let mut endless = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    endless.resize(70_000, b'a');
    for answer in [packed, told, endless] {
        let server = Server::start(move |_| Reply::Close(answer.clone())).await;
        let failure = send(&post(server.url("/")), &[&server]).await.unwrap_err();
        assert_eq!((failure.code.as_str(), failure.outcome), ("response_too_large", Outcome::Unknown), "{failure}");
        assert_eq!(failure.verdict, Verdict::Fail);
    }
    let garbled = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 12\r\n\r\nnot gzipped!".to_vec();
    let server = Server::start(move |_| Reply::Close(garbled.clone())).await;
    let failure = send(&post(server.url("/")), &[&server]).await.unwrap_err();
    assert_eq!(failure.code, "response_unreadable", "{failure}");
}

#[tokio::test]
async fn private_addresses_are_refused_in_every_disguise() {
    let server = Server::start(|_| ok("")).await;
    let requester = requester(&[]);
    for host in ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "10.0.0.1", "localhost", "2130706433"] {
        let request = get(&format!("http://{host}:{}/", server.port));
        let failure = requester.send(&request, &Credentials::None, &HostSet::default(), SOON, None).await.unwrap_err();
        assert_eq!((failure.code.as_str(), failure.outcome), ("egress_refused", Outcome::NotSent), "{host}: {failure}");
        assert!(failure.help.unwrap().contains("egress.allow"));
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_permitted_port_of_a_name_permits_no_other() {
    let server = Server::start(|_| ok("")).await;
    let other = Server::start(|_| ok("")).await;
    let requester = requester(&[&format!("localhost:{}", server.port)]);
    for (port, permitted) in [(server.port, true), (other.port, false), (server.port, true)] {
        let request = get(&format!("http://localhost:{port}/"));
        let result = requester.send(&request, &Credentials::None, &HostSet::default(), SOON, None).await;
        assert_eq!(result.is_ok(), permitted, "{result:?}");
    }
}

#[tokio::test]
async fn a_host_that_is_not_there_is_told_apart() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let plain = Server::start(|_| Reply::Close(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())).await;
    let speaks_no_tls = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = speaks_no_tls.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = speaks_no_tls.accept().await.unwrap();
        stream.write_all(b"220 mail.test ESMTP\r\n").await.unwrap();
        assert!(stream.read(&mut [0; 512]).await.unwrap() > 0);
    });
    for (url, code) in [
        (format!("http://{closed}/"), "connect_failed"),
        ("http://nowhere.invalid/".to_owned(), "name_not_found"),
        (format!("https://127.0.0.1:{port}/"), "tls_failed"),
    ] {
        let failure = send(&post(url.parse().unwrap()), &[&plain]).await.unwrap_err();
        assert_eq!((failure.code.as_str(), failure.outcome), (code, Outcome::NotSent), "{failure}");
        assert_eq!(failure.verdict, Verdict::Retry { after_ms: None });
    }
}

const BOMB: &str = "H4sIAAAAAAACA+3BMQEAAADCoPVP7W0HoAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA3gAi6g7iAAAEAA==";
