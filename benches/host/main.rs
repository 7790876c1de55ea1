//! What the release binary reaches: one poll of 10,000 items with one POST each, on SQLite and on PostgreSQL, by
//! one host and by three; from start to first poll, idle memory, and 1,000 flows that find nothing. The sandbox
//! runs in another process; every request stays on loopback. Run with `scripts/bench`.
#![expect(clippy::expect_used, reason = "a measurement that cannot be set up has nothing to say")]

mod by_hand;
mod local;
#[expect(clippy::unwrap_used, clippy::panic, dead_code, reason = "the server of the tests, of which this needs a part")]
#[path = "../../tests/postgres/server.rs"]
mod postgres;

use std::time::{Duration, Instant};

use serde_json::json;

use self::local::{Host, Project, Sandbox, count, cpu, memory, pause, requests};

const ITEMS: u64 = 10_000;
const FLOWS: usize = 1_000;
/// What a provider takes to answer, and how much a host does at once, where waiting and not the two cores that all
/// hosts, the database and the provider share is to be the limit: 16 / 50 ms = 320 items/s for a host.
const ANSWER_MS: u64 = 50;
const RUNS: u32 = 16;
const SLOW_ITEMS: u64 = 5_000;

fn main() {
    // `cargo test --benches` only wants to know that this starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let given: Vec<String> = std::env::args().skip(1).collect();
    if let [by_hand::ARGUMENT, url, file] = given.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return by_hand::run(url, file);
    }
    let rounds = std::env::var("ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let is_wanted = |part: &str| std::env::var("ONLY").map_or(true, |only| only.split(',').any(|name| name == part));
    println!("one poll of {ITEMS} items with one POST each, durable, median of {rounds}");
    if is_wanted("sqlite") {
        let by_hand = median(rounds, || throughput(&Setting { is_by_hand: true, ..Setting::default() }));
        println!("  SQLite, a loop written by hand, without a journal of steps: {by_hand}");
        for effect in ["none", "natural"] {
            let median = median(rounds, || throughput(&Setting { effect, ..Setting::default() }));
            println!("  SQLite, effect {effect}: {median}");
        }
    }
    if is_wanted("postgresql") {
        let server = postgres::Server::start();
        for effect in ["none", "natural"] {
            let median = median(rounds, || {
                let database = server.database();
                throughput(&Setting { effect, store: Some(database.url()), ..Setting::default() })
            });
            println!("  PostgreSQL, effect {effect}: {median}");
        }
        for hosts in [1, 3] {
            let median = median(rounds.min(3), || {
                let database = server.database();
                throughput(&Setting {
                    store: Some(database.url()),
                    hosts,
                    answer_ms: ANSWER_MS,
                    runs: Some(RUNS),
                    items: SLOW_ITEMS,
                    ..Setting::default()
                })
            });
            println!(
                "  PostgreSQL, hosts: {hosts}, {SLOW_ITEMS} items, answers after {ANSWER_MS} ms, {RUNS} runs at once: {median}"
            );
        }
    }
    if is_wanted("idle") {
        for (words, of) in
            [("", Project::polling as fn(&Sandbox) -> Project), (", X and Twilio in use", Project::of_x_and_twilio)]
        {
            let mut starts: Vec<Start> = (0..rounds.max(1)).map(|_| start(of)).collect();
            starts.sort_by(|left, right| left.first_poll_ms.total_cmp(&right.first_poll_ms));
            println!("from start to first poll{words}: {}", starts.swap_remove(starts.len() / 2));
        }
    }
    if is_wanted("flows") {
        let (cpu_percent, memory_mb, peak_mb) = many_flows();
        println!(
            "{FLOWS} flows polled each minute with nothing new: {cpu_percent:.2} % of a core, {memory_mb:.1} MB, \
             {peak_mb:.1} MB at the start"
        );
    }
}

struct Setting {
    effect: &'static str,
    /// A database; a file of the project unless given.
    store: Option<String>,
    hosts: usize,
    answer_ms: u64,
    /// Runs at once of a host; as many as it does by itself unless given.
    runs: Option<u32>,
    items: u64,
    /// Not by a host: see `by_hand`.
    is_by_hand: bool,
}

impl Default for Setting {
    fn default() -> Self {
        Setting { effect: "none", store: None, hosts: 1, answer_ms: 0, runs: None, items: ITEMS, is_by_hand: false }
    }
}

/// CPU is of all hosts, the peak of the largest.
struct Throughput {
    per_second: f64,
    cpu_ms: f64,
    peak_mb: f64,
}

impl std::fmt::Display for Throughput {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Throughput { per_second, cpu_ms, peak_mb } = self;
        write!(formatter, "{per_second:.0} items/s, {cpu_ms:.3} ms CPU per item, peak {peak_mb:.1} MB")
    }
}

fn median(rounds: usize, mut measure: impl FnMut() -> Throughput) -> Throughput {
    let mut results: Vec<Throughput> = (0..rounds.max(1)).map(|_| measure()).collect();
    results.sort_by(|left, right| left.per_second.total_cmp(&right.per_second));
    results.swap_remove(results.len() / 2)
}

fn throughput(setting: &Setting) -> Throughput {
    let sandbox = Sandbox::start();
    let project = Project::new(&sandbox.json, setting.effect, 1, "1h", "all");
    if let Some(runs) = setting.runs {
        project.limit_runs(runs);
    }
    if setting.answer_ms > 0 {
        let slow =
            json!({"service": "json", "operation": "sink", "times": u32::MAX, "delay_answer_ms": setting.answer_ms});
        sandbox.post("/control/faults", &slow);
    }
    sandbox.post("/control/items", &json!({ "count": setting.items }));
    let start = || match setting.is_by_hand {
        true => Host { child: by_hand::start(&sandbox.json, project.path()) },
        false => Host::start(project.path(), setting.store.as_deref()),
    };
    let hosts: Vec<Host> = (0..setting.hosts).map(|_| start()).collect();
    let mut began = None;
    let deadline = Instant::now() + Duration::from_secs(120);
    let elapsed = loop {
        assert!(Instant::now() < deadline, "the items did not arrive in two minutes");
        let counts = sandbox.get("/control/counts");
        if began.is_none() && count(&counts, "list_items") > 0 {
            began = Some(Instant::now());
        }
        if count(&counts, "sink") >= setting.items {
            break began.map(|began: Instant| began.elapsed()).unwrap_or_default();
        }
        pause(5);
    };
    // The last answers are settled a moment after they were given.
    pause(300);
    let cpu_ms = hosts.iter().map(|host| cpu(host.child.id())).sum::<f64>();
    let peak_mb = hosts.iter().map(|host| memory(host.child.id(), "VmHWM:")).fold(0.0, f64::max);
    drop(hosts);
    #[expect(clippy::cast_precision_loss, reason = "a count of items in a report")]
    let items = setting.items as f64;
    Throughput { per_second: items / elapsed.as_secs_f64(), cpu_ms: cpu_ms / items, peak_mb }
}

/// The peak is that of the start.
struct Start {
    first_poll_ms: f64,
    idle_mb: f64,
    peak_mb: f64,
}

impl std::fmt::Display for Start {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Start { first_poll_ms, idle_mb, peak_mb } = self;
        write!(formatter, "{first_poll_ms:.1} ms; idle {idle_mb:.1} MB, peak {peak_mb:.1} MB")
    }
}

fn start(of: fn(&Sandbox) -> Project) -> Start {
    let sandbox = Sandbox::start();
    let project = of(&sandbox);
    let began = Instant::now();
    let host = Host::start(project.path(), None);
    while requests(&sandbox.get("/control/counts")) == 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "no poll in 20 seconds");
    }
    let first_poll_ms = began.elapsed().as_secs_f64() * 1_000.0;
    // The host gives its own text back 2, 6 and 14 seconds after its start, and less often from then on.
    pause(20_000);
    let process = host.child.id();
    Start { first_poll_ms, idle_mb: memory(process, "VmRSS:"), peak_mb: memory(process, "VmHWM:") }
}

fn many_flows() -> (f64, f64, f64) {
    let sandbox = Sandbox::start();
    sandbox.post("/control/items", &json!({ "count": 100 }));
    let project = Project::new(&sandbox.json, "none", FLOWS, "1m", "now");
    let host = Host::start(project.path(), None);
    // The first minute seeds every flow.
    pause(65_000);
    let before_ms = cpu(host.child.id());
    let measured = Instant::now();
    pause(60_000);
    let cpu_percent = (cpu(host.child.id()) - before_ms) / (measured.elapsed().as_secs_f64() * 10.0);
    let process = host.child.id();
    (cpu_percent, memory(process, "VmRSS:"), memory(process, "VmHWM:"))
}
