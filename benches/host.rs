//! What the release binary reaches: one poll of 10,000 items with one POST each, from start to first poll,
//! idle memory, and 1,000 flows that find nothing. The sandbox runs in another process; every request stays on
//! loopback. Run with `scripts/bench`.
#![expect(clippy::expect_used, reason = "a measurement that cannot be set up has nothing to say")]

use std::fs;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_tidegate");
const ITEMS: u64 = 10_000;
const FLOWS: usize = 1_000;

fn main() {
    // `cargo test --benches` only wants to know that this starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let rounds = std::env::var("ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    println!("one poll of {ITEMS} items with one POST each, synchronous=FULL, median of {rounds}");
    for effect in ["none", "natural"] {
        let mut results: Vec<Throughput> = (0..rounds).map(|_| throughput(effect)).collect();
        results.sort_by(|left, right| left.per_second.total_cmp(&right.per_second));
        if let Some(median) = results.get(results.len() / 2) {
            let Throughput { per_second, cpu_ms, peak_mb } = median;
            println!(
                "  effect {effect:8} {per_second:>7.0} items/s, {cpu_ms:.3} ms CPU per item, peak {peak_mb:.1} MB"
            );
        }
    }
    let (first_poll_ms, idle_mb) = start();
    println!("from start to first poll {first_poll_ms:.1} ms; idle {idle_mb:.1} MB");
    if std::env::var_os("QUICK").is_none() {
        let (cpu_percent, memory_mb) = many_flows();
        println!("{FLOWS} flows polled each minute with nothing new: {cpu_percent:.2} % of a core, {memory_mb:.1} MB");
    }
}

struct Throughput {
    per_second: f64,
    cpu_ms: f64,
    peak_mb: f64,
}

fn throughput(effect: &str) -> Throughput {
    let sandbox = Sandbox::start();
    sandbox.post("/control/items", &json!({ "count": ITEMS }));
    let project = Project::new(&sandbox.json, effect, 1, "1h", "all");
    let mut host = Host::start(project.path());
    let mut began = None;
    let deadline = Instant::now() + Duration::from_secs(120);
    let elapsed = loop {
        assert!(Instant::now() < deadline, "the items did not arrive in two minutes");
        let counts = sandbox.get("/control/counts");
        if began.is_none() && count(&counts, "list_items") > 0 {
            began = Some(Instant::now());
        }
        if count(&counts, "sink") >= ITEMS {
            break began.map(|began: Instant| began.elapsed()).unwrap_or_default();
        }
        pause(5);
    };
    // The last answers are settled a moment after they were given.
    pause(300);
    let cpu_ms = cpu(host.child.id());
    let peak_mb = memory(host.child.id(), "VmHWM:");
    host.stop();
    #[expect(clippy::cast_precision_loss, reason = "a count of items in a report")]
    let items = ITEMS as f64;
    Throughput { per_second: items / elapsed.as_secs_f64(), cpu_ms: cpu_ms / items, peak_mb }
}

fn start() -> (f64, f64) {
    let sandbox = Sandbox::start();
    let project = Project::new(&sandbox.json, "none", 1, "1h", "now");
    let began = Instant::now();
    let mut host = Host::start(project.path());
    while count(&sandbox.get("/control/counts"), "list_items") == 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "no poll in 20 seconds");
    }
    let first_poll_ms = began.elapsed().as_secs_f64() * 1_000.0;
    pause(3_000);
    let idle_mb = memory(host.child.id(), "VmRSS:");
    host.stop();
    (first_poll_ms, idle_mb)
}

fn many_flows() -> (f64, f64) {
    let sandbox = Sandbox::start();
    sandbox.post("/control/items", &json!({ "count": 100 }));
    let project = Project::new(&sandbox.json, "none", FLOWS, "1m", "now");
    let mut host = Host::start(project.path());
    // The first minute seeds every flow.
    pause(65_000);
    let before_ms = cpu(host.child.id());
    let measured = Instant::now();
    pause(60_000);
    let cpu_percent = (cpu(host.child.id()) - before_ms) / (measured.elapsed().as_secs_f64() * 10.0);
    let memory_mb = memory(host.child.id(), "VmHWM:");
    host.stop();
    (cpu_percent, memory_mb)
}

struct Sandbox {
    child: Child,
    json: String,
}

impl Sandbox {
    fn start() -> Self {
        let mut child = Command::new(BINARY)
            .args(["sandbox", "--each-limit", "1000000"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the sandbox starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("its output is ours");
        BufReader::new(output).read_line(&mut line).expect("it says where it is");
        let urls: Value = serde_json::from_str(&line).expect("one line of JSON");
        let json = urls["json_url"].as_str().expect("the JSON server's URL").to_owned();
        Sandbox { child, json }
    }

    fn get(&self, path: &str) -> Value {
        http(&self.json, "GET", path, "")
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        http(&self.json, "POST", path, &body.to_string())
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Host {
    child: Child,
}

impl Host {
    fn start(directory: &Path) -> Self {
        let child = Command::new(BINARY)
            .args(["up", "--listen", "off", "--dir"])
            .arg(directory)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the host starts");
        Host { child }
    }

    fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Project {
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

impl Project {
    fn new(url: &str, effect: &str, flows: usize, every: &str, start: &str) -> Self {
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

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

fn count(counts: &Value, operation: &str) -> u64 {
    counts["json"][operation]["requests"].as_u64().unwrap_or(0)
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
fn cpu(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("the host is there");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: f64 = [11, 12].iter().filter_map(|at| fields.get(*at)?.parse::<f64>().ok()).sum();
    ticks * 10.0
}

fn memory(process: u32, what: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the host is there");
    let line = status.lines().find(|line| line.starts_with(what)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0) / 1_024.0
}

#[expect(clippy::disallowed_methods, reason = "a measurement lets time pass")]
fn pause(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}
