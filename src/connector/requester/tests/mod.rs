//! Real HTTP on loopback: what leaves, where it may go, and what is told when it goes wrong.

mod failures;
mod files;
mod redirects;
mod sending;

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
        format!("http://127.0.0.1:{}{path}", self.port).parse().unwrap()
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().clone()
    }
}

async fn serve(mut stream: TcpStream, requests: Arc<Mutex<Vec<String>>>, answer: Arc<impl Fn(&str) -> Reply>) {
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
        let count = stream.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&buffer[..count]);
    }
}

fn header(request: &str, name: &str) -> Option<String> {
    request.split("\r\n\r\n").next()?.lines().skip(1).find_map(|line| {
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
    Reply::Send(format!("HTTP/1.1 {status} Moved\r\nContent-Length: 0\r\nLocation: {location}\r\n\r\n"))
}

fn requester(allow: &[&str]) -> Requester {
    let allow: Vec<String> = allow.iter().map(|&rule| rule.to_owned()).collect();
    Requester::new(RequesterOptions {
        egress: Egress::new(&allow).unwrap(),
        clock: Clock::manual(1_800_000_000_000),
        max_response_bytes: 64 * 1024,
        user_agent: "tidegate-test".into(),
        ca: None,
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
    HttpRequest { method: Method::GET, url: url.parse().unwrap(), headers: vec![], body: Body::Empty }
}

fn bearer() -> Credentials {
    Credentials::new(&Auth::Bearer { token: "hunter22".into() }).unwrap()
}

/// Sends with a bearer token that may go to the servers named.
async fn send(request: &HttpRequest, homes: &[&Server]) -> Result<HttpResponse, Failure> {
    let allowed = HostSet::new(homes.iter().map(|server| server.url("/")));
    requester(&["127.0.0.1:*", "[::1]:*"]).send(request, &bearer(), &allowed, SOON, None).await
}
