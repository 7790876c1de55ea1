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
    let project = Project::new(&[("flows/ship.yaml", FLOW), ("tidegate.yaml", SETTINGS)]);
    let sandbox = Sandbox::start_with_ledger(&project.path(LEDGER));
    project.write("connectors/shop.yaml", &CONNECTOR.replace("URL", &sandbox.url));
    sandbox.slow("sink", ANSWER_MS);
    let mut work = Work { database: &database, sandbox: &sandbox, items: 0 };
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
    let told = std::fs::read_to_string(project.path(LEDGER)).unwrap();
    work.compare(&done(&told));
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

    fn compare(&self, done: &Done) {
        let keys = self.database.sql("SELECT item_key FROM runs");
        let mut keys: Vec<u64> = keys.lines().map(|key| key.parse().unwrap()).collect();
        keys.sort_unstable();
        assert_eq!(keys, (1..=self.items).collect::<Vec<u64>>(), "a run per item");
        assert_eq!(self.database.sql("SELECT count(*) FROM ledger"), self.items.to_string(), "keys in the ledger");
        assert_eq!(self.database.sql("SELECT count(*) FROM steps WHERE state = 'sending'"), "0");

        // How each step ended; those that are repeated have a row per attempt.
        let journal = self.database.sql(
            "SELECT DISTINCT ON (runs.id, steps.step) runs.item_key, steps.step, steps.state, runs.state \
             FROM steps JOIN runs ON runs.id = steps.run ORDER BY runs.id, steps.step, steps.attempt DESC",
        );
        let (mut unknown, mut ended) = (0, BTreeMap::new());
        for line in journal.lines() {
            let columns: Vec<&str> = line.split('|').collect();
            let [item, step, state, run] = columns[..] else { panic!("{line}") };
            let item: u64 = item.parse().unwrap();
            let times = done.get(&(step.to_owned(), item)).copied().unwrap_or(0);
            ended.insert(item, run.to_owned());
            match (step, state) {
                ("natural", "succeeded") => assert!(times >= 1, "{line}: it was lost"),
                ("key" | "lookup", "succeeded") => assert_eq!(times, 1, "{line}"),
                ("none", "succeeded") => assert_eq!((times, run), (1, "succeeded"), "{line}"),
                ("lookup" | "none", "unknown") => {
                    assert!(times <= 1 && run == "unknown", "{line}: sent {times} times");
                    unknown += 1;
                }
                _ => panic!("{line}: sent {times} times"),
            }
        }
        assert!(ended.values().all(|run| run == "succeeded" || run == "unknown"), "{ended:?}");
        let all_of = |step: &str| (1..=self.items).all(|item| done.contains_key(&(step.to_owned(), item)));
        assert!(all_of("natural") && all_of("key"), "one was lost");
        let repeated: usize = done.iter().filter(|((step, _), _)| step == "natural").map(|(_, times)| times - 1).sum();
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

/// How often the provider did what a step wants of an item, by step and item.
type Done = BTreeMap<(String, u64), usize>;

fn done(ledger: &str) -> Done {
    let mut done = Done::new();
    let receipts = ledger.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    // What a key came a second time for was not done again, and has no id.
    for receipt in receipts.filter(|receipt| receipt["id"].is_string()) {
        let body: serde_json::Value = serde_json::from_str(receipt["fingerprint"].as_str().unwrap()).unwrap();
        let step = body["class"].as_str().unwrap().to_owned();
        *done.entry((step, body["item"].as_u64().unwrap())).or_default() += 1;
    }
    done
}

const LEDGER: &str = "ledger.jsonl";

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
  put:
    effect: natural
    inputs: {item: {type: integer, required: true}}
    request: {method: POST, path: /sink, json: {class: natural, item: "{{inputs.item}}"}}
  pay:
    effect: {class: key, header: Idempotency-Key}
    inputs: {item: {type: integer, required: true}}
    request: {method: POST, path: /keyed, json: {class: key, item: "{{inputs.item}}"}}
  order:
    effect:
      class: lookup
      reconcile: {action: orders, with: {ref: "{{inputs.item}}"}, after: 500ms, within: 5s, match: "eq record.item inputs.item", absent: retry}
    inputs: {item: {type: integer, required: true}}
    request: {method: POST, path: /orders, json: {class: lookup, item: "{{inputs.item}}", ref: "r{{inputs.item}}"}}
  orders:
    effect: read
    inputs: {ref: {type: integer, required: true}}
    request: {method: GET, path: /orders, query: {ref: "r{{inputs.ref}}"}}
    response: {records: orders, many: true, schema: {type: object, required: [id, item], properties: {id: {type: string}, item: {type: integer}}}}
  send:
    effect: none
    inputs: {item: {type: integer, required: true}}
    request: {method: POST, path: /sink, json: {class: none, item: "{{inputs.item}}"}}
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
  - {id: natural, action: shop.put, with: {item: "{{item.id}}"}}
  - {id: key, action: shop.pay, with: {item: "{{item.id}}"}}
  - {id: lookup, action: shop.order, with: {item: "{{item.id}}"}}
  - {id: none, action: shop.send, with: {item: "{{item.id}}"}}
"#;

const SETTINGS: &str = r#"egress: {allow: ["127.0.0.1:*"]}
worker: {lease: 1s}
connections: {shop: {connector: shop}}
"#;
