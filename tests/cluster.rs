//! Three hosts on one PostgreSQL, disturbed in every way while they work: killed, stopped for three leases and
//! woken, cut off, and the database restarted and crashed under them. What the sandbox received is compared with
//! what the store says: one run per item, no action lost, none that nothing makes safe done twice.

use std::collections::BTreeMap;

use crate::postgres::server::{Database, Server};
use crate::processes::{Host, Project, Sandbox, pause, wait_for, wait_up_to};

// So many items are unfinished when something is disturbed. With answers that take their time, three hosts need
// seconds for them, however fast the machine is.
const BACKLOG: u64 = 400;
const HOSTS: usize = 3;
const ANSWER_MS: u64 = 500;
const LEASE_MS: u64 = 1_000;
// `worker.runs`, unless it is given: what can be in flight on a host.
const IN_FLIGHT: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Disturbance {
    Kill,
    Pause,
    Cut,
    Restart,
    Crash,
}

/// The order of disturbances: each of them twice, and kills the most often.
const ROUNDS: [Disturbance; 12] = [
    Disturbance::Kill,
    Disturbance::Cut,
    Disturbance::Pause,
    Disturbance::Kill,
    Disturbance::Restart,
    Disturbance::Cut,
    Disturbance::Kill,
    Disturbance::Crash,
    Disturbance::Pause,
    Disturbance::Restart,
    Disturbance::Kill,
    Disturbance::Crash,
];

#[test]
fn nothing_is_lost_and_nothing_doubled_whatever_is_done_to_three_hosts() {
    let server = Server::start();
    let database = server.database();
    let sandbox = Sandbox::start();
    sandbox.slow("sink", ANSWER_MS);
    let mut work = Work { database: &database, sandbox: &sandbox, items: 0 };
    let project = project(&sandbox);
    let mut kills = 0;
    let mut lives = 0;
    let mut begin = || {
        lives += 1;
        project.host_on(&database.url(), lives)
    };
    let mut hosts: Vec<Host> = (0..HOSTS).map(|_| begin()).collect();
    for disturbance in ROUNDS {
        work.get_under_way();
        match disturbance {
            Disturbance::Kill => {
                hosts.remove(0).kill();
                hosts.push(begin());
                kills += 1;
                // One that finds no database when it starts says so and ends.
                wait_for("the new host", || database.sql("SELECT count(*) FROM nodes") == (HOSTS + kills).to_string());
            }
            Disturbance::Pause => {
                hosts[0].signal("-STOP");
                pause(3 * LEASE_MS);
                hosts[0].signal("-CONT");
                hosts.rotate_left(1);
            }
            Disturbance::Cut => drop(database.sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )),
            Disturbance::Restart | Disturbance::Crash => {
                server.stop(if disturbance == Disturbance::Crash { "immediate" } else { "fast" });
                pause(300);
                server.start_again();
            }
        }
        for host in &mut hosts {
            assert!(host.ended().is_none(), "a host ended: {}", project.log());
        }
    }
    sandbox.quick();
    wait_up_to(300, "the rest of the work", || work.unfinished() == 0);
    for host in hosts {
        assert_eq!(host.stop(), Some(0), "{}", project.log());
    }
    work.compare();
}

#[test]
fn what_is_published_is_what_hosts_work_with() {
    let database = crate::postgres::server::database();
    let project = Project::new(&[("flows/tick.yaml", TICK), ("tidegate.yaml", "worker: {lease: 1s}\n")]);
    let one = project.host_on(&database.url(), 0);
    let definition = || database.sql("SELECT definition FROM triggers WHERE flow = 'tick'");
    let versions = || database.sql("SELECT string_agg(CAST(version AS TEXT), ',' ORDER BY version) FROM publications");
    wait_for("the first host's own files", || {
        database.sql("SELECT to_regclass('public.triggers') IS NOT NULL") == "t" && !definition().is_empty()
    });
    let first = definition();
    assert_eq!(versions(), "1");
    let hosts = [one, project.host_on(&database.url(), 1)];

    // A broken project publishes nothing, and neither does the same one again.
    project.write("flows/tick.yaml", &TICK.replace("log.write", "log.wriet"));
    let refused = project.apply(&database.url());
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    project.write("flows/tick.yaml", TICK);
    assert!(project.apply(&database.url()).status.success());
    assert_eq!((versions(), definition()), ("1".to_owned(), first.clone()));

    project.write("flows/tick.yaml", &TICK.replace("message: tick", "message: tock"));
    project.write("flows/more.yaml", &TICK.replace("flow: tick", "flow: more"));
    let applied = project.apply(&database.url());
    let said = String::from_utf8(applied.stdout).unwrap();
    assert!(said.starts_with("published as version 2: 3 files with 2 flows"), "{said}");
    wait_for("the hosts to take it up", || definition() != first);
    assert_eq!(database.sql("SELECT count(*) FROM triggers WHERE state = 'enabled'"), "2");
    for host in hosts {
        assert_eq!(host.stop(), Some(0), "{}", project.log());
    }
}

const TICK: &str = "flow: tick
trigger: {every: 1h}
steps:
  - {action: log.write, with: {message: tick}}
";

/// What the hosts have to do: the sandbox's items, which grow.
struct Work<'a> {
    database: &'a Database,
    sandbox: &'a Sandbox,
    items: u64,
}

impl Work<'_> {
    // Adds items until enough are unfinished, and sees the hosts send again: what is disturbed next is at work.
    fn get_under_way(&mut self) {
        loop {
            let more = BACKLOG.saturating_sub(self.unfinished());
            self.sandbox.add_items(more);
            self.items += more;
            let before = self.sandbox.requests("sink");
            wait_for("the hosts to send", || self.sandbox.requests("sink") > before);
            pause(250);
            if self.unfinished() > 0 {
                return;
            }
        }
    }

    fn unfinished(&self) -> u64 {
        // The first host makes the tables.
        if self.database.sql("SELECT to_regclass('public.runs') IS NULL") == "t" {
            return self.items;
        }
        let query = "SELECT count(*) FROM runs WHERE state NOT IN ('held', 'queued', 'running')";
        self.items - self.database.sql(query).parse::<u64>().unwrap()
    }

    fn compare(&self) {
        let keys = self.database.sql("SELECT item_key FROM runs");
        let mut keys: Vec<u64> = keys.lines().map(|key| key.parse().unwrap()).collect();
        keys.sort_unstable();
        assert_eq!(keys, (1..=self.items).collect::<Vec<u64>>(), "a run per item");
        assert_eq!(self.database.sql("SELECT count(*) FROM ledger"), self.items.to_string(), "keys in the ledger");
        assert_eq!(self.database.sql("SELECT count(*) FROM steps WHERE state = 'sending'"), "0");

        let mut sent: BTreeMap<(String, u64), usize> = BTreeMap::new();
        for (body, _) in self.sandbox.sunk() {
            let step = body["step"].as_str().unwrap().to_owned();
            *sent.entry((step, body["id"].as_u64().unwrap())).or_default() += 1;
        }
        let journal = self.database.sql(
            "SELECT runs.item_key, steps.step, steps.state, runs.state, count(*) OVER (PARTITION BY runs.id, steps.step) \
             FROM steps JOIN runs ON runs.id = steps.run",
        );
        let (mut unknown, mut steps) = (0, 0);
        for line in journal.lines() {
            let columns: Vec<&str> = line.split('|').collect();
            let [item, step, state, run, rows] = columns[..] else { panic!("{line}") };
            assert_eq!(rows, "1", "{line}");
            let times = sent.get(&(step.to_owned(), item.parse().unwrap())).copied().unwrap_or(0);
            steps += 1;
            match (step, state) {
                ("safe", "succeeded") => assert!(times >= 1, "{line}: it was lost"),
                ("unsafe", "succeeded") => assert_eq!((times, run), (1, "succeeded"), "{line}"),
                ("unsafe", "unknown") => {
                    assert!(times <= 1 && run == "unknown", "{line}: sent {times} times");
                    unknown += 1;
                }
                _ => panic!("{line}: sent {times} times"),
            }
        }
        assert_eq!(steps, 2 * self.items, "two steps per item");
        let repeated: usize = sent.iter().filter(|((step, _), _)| step == "safe").map(|(_, times)| times - 1).sum();
        // What was in flight at a kill; and what a host had in hand that was not heard of, and said so when it
        // was back: a pause does that, and a machine so busy that a lease runs out.
        let told = "SELECT count(DISTINCT told.run) FROM notices, json_array_elements_text(details::json -> 'runs') \
                    AS told (run) JOIN runs ON runs.id = told.run WHERE kind = 'taken_over' AND state = 'unknown'";
        let told: usize = self.database.sql(told).parse().unwrap();
        let kills = ROUNDS.iter().filter(|round| **round == Disturbance::Kill).count();
        println!("{unknown} unknown, {told} of them told by their hosts; {repeated} repeated");
        assert!(unknown > 0, "nothing was in flight at a kill");
        assert!(unknown - told <= kills * IN_FLIGHT, "{unknown} unknown, {told} told");
    }
}

fn project(sandbox: &Sandbox) -> Project {
    Project::new(&[
        ("connectors/shop.yaml", &CONNECTOR.replace("URL", &sandbox.url)),
        ("flows/ship.yaml", FLOW),
        ("tidegate.yaml", SETTINGS),
    ])
}

const CONNECTOR: &str = r#"connector: shop
title: Shop
hosts: {api: "URL"}
defaults: {host: api, auth: [open], timeout: 30s}
connection:
  auth: {open: {type: none}}
actions:
  list:
    effect: read
    inputs: {since: {type: string}}
    request: {method: GET, path: /items, query: {limit: 100, order: asc, since: "{{maybe inputs.since}}"}}
    response: {records: items, schema: {type: object, required: [id], properties: {id: {type: integer}}}}
    paginate: {type: page, into: {query: page}, size: 100}
  send_safe:
    effect: natural
    inputs: {id: {type: integer, required: true}}
    request: {method: POST, path: /sink, json: {step: safe, id: "{{inputs.id}}"}}
  send_unsafe:
    effect: none
    inputs: {id: {type: integer, required: true}}
    request: {method: POST, path: /sink, json: {step: unsafe, id: "{{inputs.id}}"}}
triggers:
  new:
    poll: list
    with: {since: "{{maybe cursor.since}}"}
    cursor: {field: id, type: integer, order: asc}
    key: id
"#;

const FLOW: &str = r#"flow: ship
trigger: {poll: shop.new, every: 1s, start: all}
concurrency: {limit: 64}
steps:
  - id: safe
    action: shop.send_safe
    with: {id: "{{item.id}}"}
  - id: unsafe
    action: shop.send_unsafe
    with: {id: "{{item.id}}"}
"#;

const SETTINGS: &str = r#"egress: {allow: ["127.0.0.1:*"]}
worker: {lease: 1s}
connections: {shop: {connector: shop}}
"#;
