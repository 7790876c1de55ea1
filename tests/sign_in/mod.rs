//! Signing in and what comes of it: whole exchanges with the sandbox's X and with a small service of the test's
//! own, over real connections. The clock is the test's; grants are kept in memory as the store keeps them.

mod ended;
mod log_in;
mod pages;
mod processes;
mod renewal;
mod three_legs;
mod with_pkce;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tidegate::clock::Clock;
use tidegate::connector::egress::Egress;
use tidegate::connector::grants::{Begun, Claim, Ended, Grant, GrantKey, Grants, Kept, Later, Told};
use tidegate::connector::limits::Limits;
use tidegate::connector::requester::{MAX_RESPONSE_BYTES, Requester, RequesterOptions};
use tidegate::connector::{Call, Connection, Connector, Executor, Sent};
use tidegate::engine::Failure;
use tidegate::manifest::{self, Catalog};
use tidegate::sandbox::{self, Sandbox, Service};
use tidegate::secrets::Secrets;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// 2026-11-20T12:00:00Z, the time at which every test begins.
const NOW: i64 = 1_795_176_000_000;
const CALLBACK: &str = "http://127.0.0.1:7499/sign-in/callback";

/// Keeps grants as the store does, but for the disk.
#[derive(Default)]
pub struct Memory {
    rows: Mutex<HashMap<GrantKey, Row>>,
    /// The store takes nothing.
    is_full: AtomicBool,
}

#[derive(Clone)]
struct Row {
    kept: Kept,
    claim: Option<String>,
    was_interrupted: bool,
}

impl Memory {
    fn put(&self, key: GrantKey, grant: Grant) {
        let mut rows = self.rows.lock().unwrap();
        let version = rows.get(&key).map_or(1, |row| row.kept.version + 1);
        let kept = Kept { grant, version, refused: None };
        rows.insert(key, Row { kept, claim: None, was_interrupted: false });
    }

    fn kept(&self, scheme: &str) -> Kept {
        self.rows.lock().unwrap()[&key(scheme)].kept.clone()
    }
}

impl Grants for Memory {
    fn read<'a>(&'a self, key: &'a GrantKey) -> Later<'a, Option<Kept>> {
        Box::pin(async move { Ok(self.rows.lock().unwrap().get(key).map(|row| row.kept.clone())) })
    }

    fn claim<'a>(&'a self, key: &'a GrantKey, version: i64) -> Later<'a, Claim> {
        Box::pin(async move {
            let mut rows = self.rows.lock().unwrap();
            let row = rows.get_mut(key).unwrap();
            if row.kept.version != version {
                return Ok(Claim::Changed);
            }
            if row.claim.is_some() {
                return Ok(Claim::Busy);
            }
            row.claim = Some("ticket".to_owned());
            Ok(Claim::Mine { ticket: "ticket".to_owned(), was_interrupted: row.was_interrupted })
        })
    }

    fn end<'a>(&'a self, key: &'a GrantKey, _: &'a str, ended: Ended) -> Later<'a, bool> {
        Box::pin(async move {
            if self.is_full.load(Ordering::SeqCst) {
                return Err(Failure::not_sent("store_full", "the disk is full"));
            }
            let mut rows = self.rows.lock().unwrap();
            let row = rows.get_mut(key).unwrap();
            row.claim = None;
            match ended {
                Ended::Renewed(grant) => row.kept = Kept { grant, version: row.kept.version + 1, refused: None },
                Ended::Refused(why) => row.kept.refused = Some(why),
                Ended::NotSent => {}
                Ended::Unknown => row.was_interrupted = true,
            }
            Ok(true)
        })
    }
}

/// A sandbox, and what a process on it has.
pub struct Stage {
    pub sandbox: Sandbox,
    pub clock: Clock,
    pub memory: Arc<Memory>,
    executor: Executor,
    pub connection: Arc<Connection>,
}

fn key(scheme: &str) -> GrantKey {
    GrantKey { connection: "main".to_owned(), scheme: scheme.to_owned() }
}

fn executor(clock: &Clock, memory: &Arc<Memory>) -> Executor {
    executor_with_files(clock, memory, Vec::new())
}

pub fn executor_with_files(clock: &Clock, memory: &Arc<Memory>, folders: Vec<PathBuf>) -> Executor {
    let requester = Requester::new(RequesterOptions {
        egress: Egress::new(&["127.0.0.1:*".to_owned()]).unwrap(),
        clock: clock.clone(),
        max_response_bytes: MAX_RESPONSE_BYTES,
        user_agent: "tidegate-test".to_owned(),
        ca: None,
    })
    .unwrap();
    let memory: Arc<Memory> = Arc::clone(memory);
    Executor::new(requester, Limits::new(), clock.clone(), folders).with_grants(memory)
}

fn bind(written: &manifest::Connector, settings: Value) -> Arc<Connection> {
    let settings = serde_json::from_value(settings).unwrap();
    let connector = Arc::new(Connector::compile(written).unwrap());
    Arc::new(Connection::bind("main", connector, &settings, &Secrets::new("")).unwrap())
}

/// The fields of a connection by the sandbox's OAuth 2 client.
fn client() -> Value {
    json!({"client_id": sandbox::X_CLIENT_ID, "client_secret": sandbox::X_CLIENT_SECRET})
}

/// The embedded connector X, at the sandbox.
fn x(url: &str, fields: Value) -> Arc<Connection> {
    let written = Catalog::embedded().connectors["x"].value.clone();
    bind(&written, json!({"connector": "x", "active": true, "fields": fields, "hosts": {"api": url, "site": url}}))
}

impl Stage {
    async fn new(fields: Value) -> Stage {
        let clock = Clock::manual(NOW);
        let sandbox =
            Sandbox::start(sandbox::Options { clock: clock.clone(), ..sandbox::Options::default() }).await.unwrap();
        let url = sandbox.x_url();
        Stage::at(sandbox, clock, &url, fields)
    }

    /// On a sandbox that is asked at `url`, by a client that has signed in there.
    pub async fn signed_in_at(sandbox: Sandbox, clock: Clock, url: &str) -> Stage {
        let stage = Stage::at(sandbox, clock, url, client());
        stage.sign_in().await;
        stage
    }

    fn at(sandbox: Sandbox, clock: Clock, url: &str, fields: Value) -> Stage {
        let memory = Arc::new(Memory::default());
        let executor = executor(&clock, &memory);
        let connection = x(url, fields);
        Stage { sandbox, clock, memory, executor, connection }
    }

    /// With an app's OAuth 2 client.
    async fn with_client() -> Stage {
        Stage::new(client()).await
    }

    /// The same, signed in.
    async fn signed_in() -> Stage {
        let stage = Stage::with_client().await;
        stage.sign_in().await;
        stage
    }

    async fn sign_in(&self) {
        let begun = self.begin("user2", Some(CALLBACK)).await;
        let told = self.decide(&begun, "allow").await;
        let grant = self.finish("user2", &begun, told).await.unwrap();
        self.memory.put(key("user2"), grant);
    }

    async fn begin(&self, scheme: &str, callback: Option<&str>) -> Begun {
        self.executor.begin_sign_in(&self.connection, scheme, callback).await.unwrap()
    }

    async fn finish(&self, scheme: &str, begun: &Begun, told: Told) -> Result<Grant, Failure> {
        self.executor.finish_sign_in(&self.connection, scheme, begun, told).await
    }

    /// What the service sends the browser back with, once the user has decided.
    async fn decide(&self, begun: &Begun, decision: &str) -> Told {
        Told::Callback(url::Url::parse(&back(&begun.url, decision).await).unwrap().query_pairs().into_owned().collect())
    }

    async fn get_me(&self) -> Sent {
        get_me(&self.executor, &self.connection).await
    }

    fn asked(&self, operation: &str) -> u64 {
        self.sandbox.control().count(Service::X, operation).requests
    }
}

async fn get_me(executor: &Executor, connection: &Arc<Connection>) -> Sent {
    let action = Arc::clone(connection.connector.action("get_me").unwrap());
    executor.call(Call::new(connection, &action, json!({}))).await
}

/// Opens the address as a browser would, decides, and says where it is sent on to.
async fn back(url: &str, decision: &str) -> String {
    assert!(open(url).await.starts_with("HTTP/1.1 200"), "the page where the user decides");
    let answer = open(&format!("{url}&decision={decision}")).await;
    let place = answer.lines().find_map(|line| line.strip_prefix("location: "));
    place.unwrap_or_default().trim().to_owned()
}

/// The answer to one GET, as it came.
async fn open(url: &str) -> String {
    request("GET", url, "").await
}

/// The answer to one request without a body; `headers` end with line breaks.
async fn request(method: &str, url: &str, headers: &str) -> String {
    let url = url::Url::parse(url).unwrap();
    let host = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
    let target = &url[url::Position::BeforePath..];
    let mut stream = tokio::net::TcpStream::connect(&host).await.unwrap();
    let request = format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\n{headers}connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}
