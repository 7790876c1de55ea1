//! What a measurement stands on: the sandbox and hosts as processes, a project in a folder, and what `/proc` says
//! of a process. Called by the measurements of `main.rs`.

use std::fs;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tidegate::sandbox::{
    TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_NUMBER, X_ACCESS_TOKEN, X_ACCESS_TOKEN_SECRET, X_CONSUMER_KEY,
    X_CONSUMER_SECRET,
};

const BINARY: &str = env!("CARGO_BIN_EXE_tidegate");

/// The local services, in a process of their own.
pub struct Sandbox {
    child: Child,
    pub json: String,
    x: String,
    twilio: String,
}

impl Sandbox {
    pub fn start() -> Self {
        let mut child = Command::new(BINARY)
            .args(["sandbox", "--each-limit", "1000000"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the sandbox starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("its output is ours");
        BufReader::new(output).read_line(&mut line).expect("it says where it is");
        let urls: Value = serde_json::from_str(&line).expect("one line of JSON");
        let url = |service: &str| urls[service].as_str().expect("a server's URL").to_owned();
        Sandbox { child, json: url("json"), x: url("x"), twilio: url("twilio") }
    }

    pub fn get(&self, path: &str) -> Value {
        http(&self.json, "GET", path, "")
    }

    pub fn post(&self, path: &str, body: &Value) -> Value {
        http(&self.json, "POST", path, &body.to_string())
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A host at work; it is killed when it is let go.
pub struct Host {
    pub child: Child,
}

impl Host {
    /// On a project and its own state file, or on a database; three of them can share the folder then.
    pub fn start(directory: &Path, store: Option<&str>) -> Self {
        let mut command = Command::new(BINARY);
        command.args(["up", "--listen", "off", "--dir"]).arg(directory);
        if let Some(store) = store {
            command.env("TIDEGATE_STORE", store);
        }
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the host starts");
        Host { child }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A project in a folder that goes with it.
pub struct Project {
    folder: tempfile::TempDir,
}

const CONNECTOR: &str = r#"connector: bench
title: Bench
hosts: {api: "URL"}
defaults: {host: api, auth: [open], timeout: 30s}
connection:
  auth: {open: {type: none}}
actions:
  list:
    effect: read
    request: {method: GET, path: /items, query: {limit: 100}}
    response: {records: items, schema: {type: object, required: [id], properties: {id: {type: integer}}}}
    paginate: {type: page, into: {query: page}, size: 100}
  send:
    effect: EFFECT
    inputs: {id: {type: integer, required: true}, text: {type: string, required: true}}
    request: {method: POST, path: /sink, json: {id: "{{inputs.id}}", text: "{{inputs.text}}"}}
triggers:
  new:
    poll: list
    cursor: {field: id, type: integer, order: asc}
    key: id
"#;

const FLOW: &str = r#"flow: bench-AT
trigger: {poll: bench.new, every: EVERY, start: START}
concurrency: {limit: 64}
steps:
  - action: bench.send
    with: {id: "{{item.id}}", text: "item {{item.id}}"}
"#;

const SETTINGS: &str = "egress: {allow: [\"127.0.0.1:*\"]}\nconnections: {bench: {connector: bench}}\n";

/// What the flows inside the program need: an account at the sandbox's X, and one at its Twilio.
const ACCOUNTS: &str = "public: {url: \"https://gate.example.org\", listen: \"off\"}
egress: {allow: [\"127.0.0.1:*\"]}
connections:
  local-x:
    connector: x
    hosts: {api: \"X_URL\"}
    fields: {consumer_key: \"X_KEY\", consumer_secret: \"X_SECRET\", access_token: \"X_TOKEN\", access_token_secret: \"X_TOKEN_SECRET\"}
  support:
    connector: twilio
    hosts: {api: \"TWILIO_URL\"}
    fields: {account_sid: \"TWILIO_SID\", auth_token: \"TWILIO_TOKEN\"}
    defaults: {from: \"TWILIO_NUMBER\"}
flows:
  tweet-to-sms: {inputs: {query: \"#harbour\", to: [\"+15550142009\"]}}
  sms-to-tweet: {inputs: {trusted: [\"+15550142001\"]}}
  outage-watch: {inputs: {query: \"@harbourgate down\", on_call: \"+15550142009\"}}
";

impl Project {
    /// One flow that polls a service of its own.
    pub fn polling(sandbox: &Sandbox) -> Self {
        Project::new(&sandbox.json, "none", 1, "1h", "now")
    }

    /// The flows of the README that use X and Twilio, with the sandbox's accounts.
    pub fn of_x_and_twilio(sandbox: &Sandbox) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a file");
        fs::create_dir(folder.path().join("flows")).expect("a folder");
        write("flows/tweet-to-sms.yaml", include_str!("../../flows/tweet-to-sms.yaml"));
        write("flows/sms-to-tweet.yaml", include_str!("../../flows/sms-to-tweet.yaml"));
        write("flows/outage-watch.yaml", include_str!("../../flows/outage-watch.yaml"));
        let given = [
            ("X_URL", sandbox.x.as_str()),
            ("X_KEY", X_CONSUMER_KEY),
            ("X_SECRET", X_CONSUMER_SECRET),
            ("X_TOKEN_SECRET", X_ACCESS_TOKEN_SECRET),
            ("X_TOKEN", X_ACCESS_TOKEN),
            ("TWILIO_URL", sandbox.twilio.as_str()),
            ("TWILIO_SID", TWILIO_ACCOUNT_SID),
            ("TWILIO_TOKEN", TWILIO_AUTH_TOKEN),
            ("TWILIO_NUMBER", TWILIO_NUMBER),
        ];
        let settings = given.iter().fold(ACCOUNTS.to_owned(), |text, (name, value)| text.replace(name, value));
        write("tidegate.yaml", &settings);
        Project { folder }
    }

    pub fn new(url: &str, effect: &str, flows: usize, every: &str, start: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["connectors", "flows"] {
            fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a file");
        write("connectors/bench.yaml", &CONNECTOR.replace("URL", url).replace("EFFECT", effect));
        for at in 0..flows {
            let flow = FLOW.replace("AT", &at.to_string()).replace("EVERY", every).replace("START", start);
            write(&format!("flows/bench-{at}.yaml"), &flow);
        }
        write("tidegate.yaml", SETTINGS);
        Project { folder }
    }

    /// Its host does no more than so many runs at once.
    pub fn limit_runs(&self, runs: u32) {
        let settings = format!("{SETTINGS}worker: {{runs: {runs}}}\n");
        fs::write(self.folder.path().join("tidegate.yaml"), settings).expect("a file");
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

pub fn count(counts: &Value, operation: &str) -> u64 {
    counts["json"][operation]["requests"].as_u64().unwrap_or(0)
}

/// Of all services and operations.
pub fn requests(counts: &Value) -> u64 {
    let services = counts.as_object().into_iter().flat_map(|services| services.values());
    let operations = services.filter_map(Value::as_object).flat_map(|operations| operations.values());
    operations.filter_map(|operation| operation["requests"].as_u64()).sum()
}

// A request by hand: this process must cost as little as possible beside what it measures.
fn http(base: &str, method: &str, path: &str, body: &str) -> Value {
    let address = base.strip_prefix("http://").expect("a plain URL");
    let mut stream = std::net::TcpStream::connect(address).expect("the sandbox listens");
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
    .expect("it takes a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let text = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
    serde_json::from_str(text).unwrap_or(Value::Null)
}

/// User and system time of a process, in milliseconds; Linux counts hundredths of a second.
pub fn cpu(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("the host is there");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: f64 = [11, 12].iter().filter_map(|at| fields.get(*at)?.parse::<f64>().ok()).sum();
    ticks * 10.0
}

pub fn memory(process: u32, what: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the host is there");
    let line = status.lines().find(|line| line.starts_with(what)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0) / 1_024.0
}

#[expect(clippy::disallowed_methods, reason = "a measurement lets time pass")]
pub fn pause(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}
