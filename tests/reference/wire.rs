//! A server on loopback that keeps what passes: it gives recorded answers one after the other, or hands each
//! request on to another server, byte for byte (so that signatures over the host still hold). HTTP is read by
//! hand, because the bytes themselves are what is examined.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use url::Url;

use super::fixture;

/// The running server.
pub struct Wire {
    address: SocketAddr,
    passed: Arc<Mutex<Vec<Passed>>>,
    task: JoinHandle<()>,
}

/// One request with its answer.
#[derive(Clone, Debug)]
pub struct Passed {
    pub request: Message,
    pub answer: Message,
}

/// The start line, the headers and the body of a request or an answer.
#[derive(Clone, Debug)]
pub struct Message {
    pub start: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    raw: Vec<u8>,
}

enum Behind {
    Recorded(Mutex<VecDeque<fixture::Answer>>),
    Server(SocketAddr),
}

impl Wire {
    /// Gives these answers, in order.
    pub async fn recorded(answers: impl IntoIterator<Item = fixture::Answer>) -> Wire {
        Wire::start(Behind::Recorded(Mutex::new(answers.into_iter().collect()))).await
    }

    /// Stands before another server.
    pub async fn before(url: &str) -> Wire {
        let url = Url::parse(url).unwrap();
        Wire::start(Behind::Server(url.socket_addrs(|| None).unwrap()[0])).await
    }

    async fn start(behind: Behind) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let passed = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&passed);
        let behind = Arc::new(behind);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, Arc::clone(&behind), Arc::clone(&kept)));
            }
        });
        Wire { address, passed, task }
    }

    /// Where it is asked.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What passed so far.
    pub fn passed(&self) -> Vec<Passed> {
        self.passed.lock().unwrap().clone()
    }

    /// What passed since it was last taken.
    pub fn take(&self) -> Vec<Passed> {
        std::mem::take(&mut self.passed.lock().unwrap())
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Message {
    async fn read(stream: &mut TcpStream) -> Option<Message> {
        let mut raw = Vec::new();
        let head = loop {
            if let Some(end) = raw.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut raw).await.unwrap() == 0 {
                assert!(raw.is_empty(), "a message ended in its head");
                return None;
            }
        };
        let text = String::from_utf8(raw[..head].to_vec()).unwrap();
        let mut lines = text.trim_end().split("\r\n");
        let start = lines.next().unwrap().to_owned();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap());
        let is_chunked = headers.iter().any(|(name, _)| name == "transfer-encoding");
        assert!(!is_chunked, "a length is told before the body: {start}");
        while raw.len() < head + length {
            assert_ne!(stream.read_buf(&mut raw).await.unwrap(), 0, "a message ended in its body");
        }
        assert_eq!(raw.len(), head + length, "one message at a time: {start}");
        let body = raw[head..].to_vec();
        Some(Message { start, headers, body, raw })
    }

    /// The `position`th word of the start line.
    fn word(&self, position: usize) -> &str {
        self.start.split(' ').nth(position).unwrap()
    }

    /// A request's method.
    pub fn method(&self) -> &str {
        self.word(0)
    }

    /// A request's target, as a URL on a host that does not matter.
    pub fn url(&self) -> Url {
        Url::parse("http://host").unwrap().join(self.word(1)).unwrap()
    }

    /// A request's query, decoded.
    pub fn query(&self) -> Vec<(String, String)> {
        self.url().query_pairs().into_owned().collect()
    }

    /// The pairs of a form, decoded.
    pub fn form(&self) -> Vec<(String, String)> {
        url::form_urlencoded::parse(&self.body).into_owned().collect()
    }

    /// The body as JSON; null where it is something else.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// An answer's status.
    pub fn status(&self) -> u16 {
        self.word(1).parse().unwrap()
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name)?;
        Some(&found.1)
    }
}

async fn serve(mut stream: TcpStream, behind: Arc<Behind>, passed: Arc<Mutex<Vec<Passed>>>) {
    while let Some(request) = Message::read(&mut stream).await {
        let answer = match &*behind {
            Behind::Recorded(answers) => {
                let answer = answers.lock().unwrap().pop_front();
                written(&answer.unwrap_or_else(|| panic!("one request too many: {}", request.start)))
            }
            Behind::Server(address) => {
                let mut server = TcpStream::connect(address).await.unwrap();
                server.write_all(&request.raw).await.unwrap();
                Message::read(&mut server).await.expect("the server gives an answer")
            }
        };
        let raw = answer.raw.clone();
        let is_last = request.header("connection") == Some("close");
        passed.lock().unwrap().push(Passed { request, answer });
        stream.write_all(&raw).await.unwrap();
        if is_last {
            return;
        }
    }
}

/// A recorded answer as bytes. Headers about its transport were those of another body.
fn written(answer: &fixture::Answer) -> Message {
    const TRANSPORT: [&str; 4] = ["connection", "content-encoding", "content-length", "transfer-encoding"];
    let body = answer.bytes();
    let start = format!("HTTP/1.1 {} Recorded", answer.status);
    let mut headers = answer.headers.clone();
    headers.retain(|(name, _)| !TRANSPORT.contains(&name.as_str()));
    if answer.status != 204 {
        headers.push(("content-length".to_owned(), body.len().to_string()));
    }
    let mut head = format!("{start}\r\n");
    for (name, value) in &headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut raw = format!("{head}\r\n").into_bytes();
    raw.extend(&body);
    Message { start, headers, body, raw }
}
