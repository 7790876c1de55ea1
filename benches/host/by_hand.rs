//! The measure of the measure: the same work by a loop that somebody wrote for it alone, without YAML and without a
//! journal of steps. It reads the list page by page into SQLite (`synchronous=FULL`), sends 16 items at a time, and
//! commits what is done in groups. Run by `main.rs` as a process of its own; no part of the program calls it.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use futures_util::{StreamExt as _, stream};
use rusqlite::Connection;
use serde_json::{Value, json};

/// The argument that makes the measurement's own binary the loop.
pub const ARGUMENT: &str = "by-hand";

const AT_ONCE: usize = 16;

/// Starts the loop against the service at `url`, with its state in `folder`.
pub fn start(url: &str, folder: &Path) -> Child {
    let itself = std::env::current_exe().expect("this program has a file");
    let mut command = Command::new(itself);
    command.arg(ARGUMENT).arg(url).arg(folder.join("by-hand.db"));
    command.stdout(Stdio::null()).spawn().expect("the loop starts")
}

/// The loop itself. It stays when it is done, so that it can be looked at.
pub fn run(url: &str, file: &str) {
    let store = Connection::open(file).expect("a file");
    store
        .execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; \
             CREATE TABLE items (id INTEGER PRIMARY KEY, is_done INTEGER NOT NULL DEFAULT 0) STRICT",
        )
        .expect("a table");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(work(url, store));
    loop {
        std::thread::park();
    }
}

async fn work(url: &str, mut store: Connection) {
    // Plain HTTP needs none, but a client is not made without.
    rustls::crypto::ring::default_provider().install_default().expect("there is no other");
    let client = reqwest::Client::new();
    let mut ids: Vec<i64> = Vec::new();
    for page in 1.. {
        let text = client.get(format!("{url}/items?limit=100&page={page}")).send().await.expect("an answer");
        let text = text.bytes().await.expect("its body");
        let body: Value = serde_json::from_slice(&text).expect("JSON");
        let items = body["items"].as_array().cloned().unwrap_or_default();
        let transaction = store.transaction().expect("a transaction");
        let found = items.iter().filter_map(|item| item["id"].as_i64());
        for id in found {
            let inserted = transaction
                .prepare_cached("INSERT OR IGNORE INTO items (id) VALUES (?1)")
                .and_then(|mut statement| statement.execute([id]));
            if inserted.expect("a row") == 1 {
                ids.push(id);
            }
        }
        transaction.commit().expect("it is kept");
        if items.len() < 100 {
            break;
        }
    }
    let (done, settled) = mpsc::channel::<i64>();
    let writer = std::thread::spawn(move || settle(&mut store, &settled));
    stream::iter(ids)
        .for_each_concurrent(AT_ONCE, |id| {
            let (client, done) = (&client, done.clone());
            async move {
                let body = json!({"id": id, "text": format!("item {id}")});
                let sent = client
                    .post(format!("{url}/sink"))
                    .header("content-type", "application/json")
                    .body(body.to_string())
                    .send()
                    .await;
                let answer = sent.and_then(reqwest::Response::error_for_status).expect("it is taken");
                answer.bytes().await.expect("its body");
                done.send(id).expect("the writer is there");
            }
        })
        .await;
    drop(done);
    writer.join().expect("the writer ends");
}

/// One commit for all that was done since the last.
fn settle(store: &mut Connection, settled: &mpsc::Receiver<i64>) {
    while let Ok(first) = settled.recv() {
        let transaction = store.transaction().expect("a transaction");
        for id in std::iter::once(first).chain(settled.try_iter()) {
            transaction
                .prepare_cached("UPDATE items SET is_done = 1 WHERE id = ?1")
                .and_then(|mut statement| statement.execute([id]))
                .expect("a row");
        }
        transaction.commit().expect("it is kept");
    }
}
