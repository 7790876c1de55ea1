//! A small service of its own for tests of actions: notes that are added and listed, with ids of any form, a clock
//! that need not be ours, and an answer to each `POST` that the test chooses.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::clock::{Clock, rfc3339};

/// What becomes of one `POST`; the note is added unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fate {
    Added,
    /// The connection is closed instead of an answer.
    Torn,
    /// The same, and nothing is added.
    Dropped,
    /// `303` to a page that answers with this status.
    Redirected(u16),
    /// Answered with this status.
    Told(u16),
    /// The same, and nothing is added.
    Refused(u16),
    /// Answered when the test says so.
    Held,
}

/// The service.
#[derive(Clone)]
pub(super) struct Notes {
    pub url: String,
    pub release: Arc<Notify>,
    books: Arc<Mutex<Books>>,
}

struct Books {
    clock: Clock,
    tells_time: bool,
    ids: VecDeque<Value>,
    fates: VecDeque<Fate>,
    notes: Vec<Value>,
    is_listing: bool,
    lists_oldest_first: bool,
    lists_a_part: bool,
    posts: usize,
    looks: usize,
}

impl Notes {
    /// One whose notes get these ids, in order.
    pub async fn start(clock: Clock, ids: &[Value]) -> Notes {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let books = Books {
            clock,
            tells_time: true,
            ids: ids.iter().cloned().collect(),
            fates: VecDeque::new(),
            notes: Vec::new(),
            is_listing: true,
            lists_oldest_first: false,
            lists_a_part: false,
            posts: 0,
            looks: 0,
        };
        let service = Notes { url, release: Arc::default(), books: Arc::new(Mutex::new(books)) };
        let serving = service.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = serving.clone();
                tokio::spawn(async move { service.serve(stream).await });
            }
        });
        service
    }

    /// What becomes of the next requests that add something; those after them are as they should be.
    pub fn next(&self, fates: &[Fate]) {
        self.books.lock().fates.extend(fates);
    }

    pub fn keep_time_to_itself(&self) {
        self.books.lock().tells_time = false;
    }

    /// Whether what was added is listed.
    pub fn list(&self, is_listing: bool) {
        self.books.lock().is_listing = is_listing;
    }

    /// From now on the oldest are listed first.
    pub fn list_oldest_first(&self) {
        self.books.lock().lists_oldest_first = true;
    }

    /// From now on nothing is listed, and that not all can be listed is told beside it.
    pub fn list_a_part(&self) {
        self.books.lock().lists_a_part = true;
    }

    /// How many requests to add something came.
    pub fn posts(&self) -> usize {
        self.books.lock().posts
    }

    /// How often the list was asked for.
    pub fn looks(&self) -> usize {
        self.books.lock().looks
    }

    /// How many notes there are.
    pub fn count(&self) -> usize {
        self.books.lock().notes.len()
    }

    async fn serve(&self, mut stream: TcpStream) {
        while let Some((head, body)) = read(&mut stream).await {
            let Some(answer) = self.answer(&head, &body).await else { return };
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    async fn answer(&self, head: &str, body: &str) -> Option<String> {
        if head.starts_with("GET /after/") {
            let status = head.split(['/', ' ']).nth(3).and_then(|status| status.parse().ok());
            return Some(self.written(status.unwrap_or(500), &json!({"message": "later"})));
        }
        if head.starts_with("GET ") {
            let notes: Vec<Value> = {
                let mut books = self.books.lock();
                books.looks += 1;
                if books.lists_a_part {
                    drop(books);
                    return Some(self.written(200, &json!({"notes": [], "message": "a part could not be read"})));
                }
                let mut listed: Vec<Value> = books.notes.iter().rev().filter(|_| books.is_listing).cloned().collect();
                if books.lists_oldest_first {
                    listed.reverse();
                }
                listed
            };
            return Some(self.written(200, &json!({"notes": notes})));
        }
        let (fate, note) = {
            let mut books = self.books.lock();
            books.posts += 1;
            let fate = books.fates.pop_front().unwrap_or(Fate::Added);
            let text = serde_json::from_str::<Value>(body).unwrap_or_default()["text"].clone();
            let note = match fate {
                Fate::Dropped | Fate::Refused(_) => Value::Null,
                _ => {
                    let id = books.ids.pop_front().unwrap_or_else(|| json!("last"));
                    // Services date by the second.
                    let at_ms = books.clock.now_ms().div_euclid(1_000) * 1_000;
                    let note = json!({"id": id, "text": text, "created_at": rfc3339(at_ms)});
                    books.notes.push(note.clone());
                    note
                }
            };
            (fate, note)
        };
        match fate {
            Fate::Added => Some(self.written(201, &note)),
            Fate::Torn | Fate::Dropped => None,
            Fate::Redirected(status) => Some(format!(
                "HTTP/1.1 303 See Other\r\nLocation: {}/after/{status}\r\nContent-Length: 0\r\n\r\n",
                self.url
            )),
            Fate::Told(status) | Fate::Refused(status) => {
                Some(self.written(status, &json!({"message": "this is duplicate content"})))
            }
            Fate::Held => {
                self.release.notified().await;
                Some(self.written(201, &note))
            }
        }
    }

    fn written(&self, status: u16, body: &Value) -> String {
        let books = self.books.lock();
        let date = match books.tells_time {
            true => format!("Date: {}\r\n", http_date(books.clock.now_ms())),
            false => String::new(),
        };
        let body = body.to_string();
        let length = body.len();
        format!(
            "HTTP/1.1 {status} Told\r\n{date}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    }
}

fn http_date(epoch_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(epoch_ms).unwrap().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

async fn read(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_lowercase();
            let length = length.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some((head.to_owned(), body.to_owned()));
            }
        }
        let mut buffer = [0; 4_096];
        let count = stream.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&buffer[..count]);
    }
}
