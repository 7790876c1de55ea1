//! The process ends at each named point (`tidegate::crash`), as if killed with -9, in the middle of a flow over
//! 10,000 items with an action of every effect class, two of them within a composite, and is started again. What
//! the provider, a process of its own, has in its synced ledger in the end is compared with the items: nothing is
//! lost, and nothing is done twice but an upsert that was in flight when the process ended.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::Value;
use tidegate::clock::Clock;
use tidegate::crash::POINTS;

use crate::processes::{Project, Sandbox, pause, wait_for, wait_up_to};
use crate::stores::{On, Store};

const LEDGER: &str = "ledger.jsonl";
// What can be in flight at a crash: `worker.runs`, as it is unless given.
const IN_FLIGHT: usize = 64;
// How soon after its start a process sends something; of most starts, as a machine may be busy with others.
const RECOVERY_S: f64 = 5.0;
// What can only be met while the items are polled comes first: there are 100 pages, and one release at their end.
const WHILE_POLLING: &[(&str, u64)] = &[
    ("prune.before", 1),
    ("prune.after", 1),
    ("claim.before", 1),
    ("claim.after", 1),
    ("page.before", 3),
    ("page.after", 5),
    ("page.before", 12),
    ("page.after", 15),
    ("release.before", 1),
    ("release.after", 1),
];

#[test]
fn nothing_is_lost_or_done_twice_wherever_the_process_ends() {
    Crashes::new(On::Sqlite).run(2);
}

#[test]
fn nothing_is_lost_or_done_twice_on_postgresql_wherever_the_process_ends() {
    Crashes::new(On::Postgres).run(1);
}

struct Crashes {
    items: u64,
    project: Project,
    store: Store,
    /// Until everything was worked off.
    sandbox: Option<Sandbox>,
    lives: Vec<Life>,
}

/// One process; UTC epoch ms.
struct Life {
    began_ms: i64,
    ended_ms: i64,
    /// How long it took until it sent something.
    recovered_s: Option<f64>,
}

/// What the provider did of one class: by item, the processes that asked for it, in order.
type Done = BTreeMap<u64, Vec<usize>>;

impl Crashes {
    fn new(on: On) -> Self {
        let items = std::env::var("TIDEGATE_CRASH_ITEMS").map_or(10_000, |text| text.parse().unwrap());
        let project = Project::new(&[("flows/ship.yaml", FLOW), ("tidegate.yaml", SETTINGS)]);
        let sandbox = Sandbox::start_with_ledger(&project.path(LEDGER));
        sandbox.add_items(items);
        project.write("connectors/shop.yaml", &CONNECTOR.replace("URL", &sandbox.url));
        Crashes { items, project, store: Store::new(on), sandbox: Some(sandbox), lives: Vec::new() }
    }

    // Each point that is passed while runs are at work is met `rounds` times, at different depths of the work.
    fn run(mut self, rounds: u64) {
        for (point, at) in WHILE_POLLING {
            self.crash(point, *at);
        }
        for round in 0..rounds {
            for point in POINTS.iter().filter(|point| WHILE_POLLING.iter().all(|(polling, _)| polling != *point)) {
                let at = match point.split('.').next() {
                    Some("deploy") => 1,
                    Some("match") => {
                        // Otherwise only crashes leave something to look up.
                        self.sandbox.as_ref().unwrap().tear("order", 100);
                        1 + round
                    }
                    _ => 40 + 70 * round,
                };
                self.crash(point, at);
            }
        }
        let began = Instant::now();
        let host = self.store.host(&self.project, self.lives.len());
        wait_up_to(900, "the rest of the work", || self.is_done());
        assert_eq!(host.stop(), Some(0));
        println!("{} crashes; the rest took {:.1} s", self.lives.len(), began.elapsed().as_secs_f64());
        self.sandbox.take().unwrap().end();
        let ledger = std::fs::read_to_string(self.project.path(LEDGER)).unwrap();
        let ledger: Vec<Value> = ledger.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        self.compare(&ledger);
    }

    fn crash(&mut self, point: &str, at: u64) {
        if point.starts_with("prune") {
            // One host prunes for all, and the one that is gone counts as alive for a while.
            wait_for("the last lease's end", || self.store.leases(&self.project) == 0);
        }
        let before = self.requests();
        let (began, began_ms) = (Instant::now(), Clock::System.now_ms());
        let mut command = self.store.up(&self.project, self.lives.len());
        let mut child = command.env("TIDEGATE_CRASH_AT", format!("{point}:{at}")).spawn().unwrap();
        let mut recovered_s = None;
        let mut looked = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if recovered_s.is_none() && self.requests() > before {
                recovered_s = Some(began.elapsed().as_secs_f64());
            }
            let is_time = looked.elapsed().as_secs() >= 2;
            if is_time && (self.is_done() || began.elapsed().as_secs() > 600) {
                let _ = child.kill();
                let _ = child.wait();
                panic!("{point} was not passed {at} times in {:?}: {}", began.elapsed(), self.project.log());
            }
            if is_time {
                looked = Instant::now();
            }
            pause(5);
        };
        assert_eq!(status.code(), None, "{point}: the process ended by itself: {}", self.project.log());
        println!(
            "{point}, {at}: after {:.1} s and {} requests",
            began.elapsed().as_secs_f64(),
            self.requests() - before
        );
        self.lives.push(Life { began_ms, ended_ms: Clock::System.now_ms(), recovered_s });
    }

    fn requests(&self) -> u64 {
        let sandbox = self.sandbox.as_ref().unwrap();
        ["list_items", "sink", "keyed", "order"].iter().map(|operation| sandbox.requests(operation)).sum()
    }

    fn is_done(&self) -> bool {
        let number = |query| self.store.number(&self.project, query);
        number("SELECT count(*) FROM triggers WHERE seeded = 1") == Some(1)
            && number("SELECT count(*) FROM walks") == Some(0)
            && number("SELECT count(*) FROM runs WHERE state IN ('held', 'queued', 'running')") == Some(0)
    }

    fn rows(&self, query: &str) -> Vec<Vec<String>> {
        self.store.rows(&self.project, query)
    }

    fn compare(&self, ledger: &[Value]) {
        self.recovery();
        self.each_item_has_one_run();
        let all: Vec<u64> = (1..=self.items).collect();
        for class in ["natural", "key", "lookup"] {
            let done = done(ledger, class);
            assert!(done.keys().eq(&all), "{class}: {} of {} items were done", done.len(), self.items);
            if class != "natural" {
                let twice: Vec<_> = done.iter().filter(|(_, lives)| lives.len() > 1).collect();
                assert!(twice.is_empty(), "{class} done twice: {twice:?}");
            }
        }
        self.natural(&done(ledger, "natural"));
        self.none(&done(ledger, "none"));
    }

    fn recovery(&self) {
        let mut recovered: Vec<f64> = self.lives.iter().filter_map(|life| life.recovered_s).collect();
        recovered.sort_by(f64::total_cmp);
        let (median, longest) = (recovered[recovered.len() / 2], *recovered.last().unwrap());
        println!("work went on after {median:.1} s, at the longest after {longest:.1} s");
        assert!(longest < RECOVERY_S, "work went on after {longest:.1} s only: {recovered:.1?}");
    }

    fn each_item_has_one_run(&self) {
        let mut keys: Vec<u64> =
            self.rows("SELECT item_key FROM runs").iter().map(|row| row[0].parse().unwrap()).collect();
        keys.sort_unstable();
        assert_eq!(keys, (1..=self.items).collect::<Vec<u64>>(), "a run per item");
        let others = self.rows("SELECT state, error FROM runs WHERE state NOT IN ('succeeded', 'unknown') LIMIT 3");
        assert!(others.is_empty(), "runs that are neither done nor unknown: {others:?}");
        let parked = self.rows(
            "SELECT step FROM steps WHERE state = 'unknown' AND run IN (SELECT id FROM runs WHERE state = 'unknown') \
             AND step <> 'none' AND NOT EXISTS (SELECT 1 FROM steps later WHERE later.run = steps.run \
             AND later.key = steps.key AND later.state = 'succeeded')",
        );
        assert!(parked.is_empty(), "only class none may be unknown: {parked:?}");
    }

    // An upsert may be done again, by a later process, where it was in flight when the earlier one ended.
    fn natural(&self, done: &Done) {
        let mut again = vec![0; self.lives.len() + 1];
        for (item, lives) in done {
            assert!(lives.is_sorted_by(|one, next| one < next), "item {item} was repeated without a crash: {lives:?}");
            let (_, earlier) = lives.split_last().unwrap();
            earlier.iter().for_each(|life| again[*life] += 1);
        }
        println!("{} of class natural were done again", again.iter().sum::<usize>());
        assert!(again.iter().all(|count| *count <= IN_FLIGHT), "more than can have been in flight: {again:?}");
    }

    // Never twice; and whatever nobody knows of was in flight when a process ended.
    fn none(&self, done: &Done) {
        let twice: Vec<_> = done.iter().filter(|(_, lives)| lives.len() > 1).collect();
        assert!(twice.is_empty(), "none done twice: {twice:?}");
        let mut unknown = BTreeMap::new();
        let mut in_flight = vec![0; self.lives.len()];
        for row in self.rows(
            "SELECT runs.item_key, steps.started_at FROM steps JOIN runs ON runs.id = steps.run \
             WHERE runs.state = 'unknown' AND steps.state = 'unknown' AND steps.step = 'none'",
        ) {
            let started_ms: i64 = row[1].parse().unwrap();
            let is_of = |life: &Life| life.began_ms <= started_ms && started_ms <= life.ended_ms;
            let life = self.lives.iter().position(is_of);
            let life = life.unwrap_or_else(|| panic!("{row:?} is of no process that ended by a crash"));
            in_flight[life] += 1;
            unknown.insert(row[0].parse::<u64>().unwrap(), life);
        }
        let states = self.rows("SELECT count(*) FROM runs WHERE state = 'unknown'");
        assert_eq!(states[0][0], unknown.len().to_string(), "runs that are unknown");
        let were_done = unknown.keys().filter(|item| done.contains_key(item)).count();
        println!("{} of class none are unknown, {were_done} of them were done", unknown.len());
        assert!(in_flight.iter().all(|count| *count <= IN_FLIGHT), "more than can have been in flight: {in_flight:?}");
        for item in 1..=self.items {
            let is_told = done.contains_key(&item) || unknown.contains_key(&item);
            assert!(is_told, "item {item} was lost, and nobody was told");
        }
    }
}

fn done(ledger: &[Value], class: &str) -> Done {
    let mut done = Done::new();
    // What a key came a second time for was not done again, and has no id.
    for receipt in ledger.iter().filter(|receipt| receipt["id"].is_string()) {
        let body: Value = serde_json::from_str(receipt["fingerprint"].as_str().unwrap()).unwrap();
        if body["class"] == class {
            let life = body["life"].as_str().unwrap().parse().unwrap();
            done.entry(body["item"].as_u64().unwrap()).or_default().push(life);
        }
    }
    done
}

const CONNECTOR: &str = r#"connector: shop
title: Shop
hosts: {api: "URL"}
defaults: {host: api, auth: [open], timeout: 30s}
connection:
  fields: {life: {type: string, required: true}}
  auth: {open: {type: none}}
actions:
  list:
    effect: read
    request: {method: GET, path: /items, query: {limit: 100}}
    response: {records: items, schema: {type: object, required: [id], properties: {id: {type: integer}}}}
    paginate: {type: page, into: {query: page}, size: 100}
  look:
    effect: read
    request: {method: GET, path: /items, query: {limit: 1}}
    response: {records: items}
  put:
    effect: natural
    inputs: {item: {type: integer, required: true}}
    request: {method: POST, path: /sink, json: {class: natural, life: "{{connection.life}}", item: "{{inputs.item}}"}}
  pay:
    effect: {class: key, header: Idempotency-Key}
    inputs: {item: {type: integer, required: true}}
    request: {method: POST, path: /keyed, json: {class: key, life: "{{connection.life}}", item: "{{inputs.item}}"}}
  order:
    effect:
      class: lookup
      reconcile: {action: orders, with: {ref: "{{inputs.item}}"}, after: 100ms, within: 300ms, match: "eq record.item inputs.item", absent: retry}
    inputs: {item: {type: integer, required: true}}
    request: {method: POST, path: /orders, json: {class: lookup, life: "{{connection.life}}", item: "{{inputs.item}}", ref: "r{{inputs.item}}"}}
  orders:
    effect: read
    inputs: {ref: {type: integer, required: true}}
    request: {method: GET, path: /orders, query: {ref: "r{{inputs.ref}}"}}
    response: {records: orders, many: true, schema: {type: object, required: [id, item], properties: {id: {type: string}, item: {type: integer}}}}
  send:
    effect: none
    inputs: {item: {type: integer, required: true}}
    request: {method: POST, path: /sink, json: {class: none, life: "{{connection.life}}", item: "{{inputs.item}}"}}
  ship:
    effect: none
    inputs: {item: {type: integer, required: true}}
    steps:
      - {action: put, with: {item: "{{inputs.item}}"}}
      - {action: pay, with: {item: "{{inputs.item}}"}}
triggers:
  new:
    poll: list
    cursor: {field: id, type: integer, order: asc}
    key: id
"#;

const FLOW: &str = r#"flow: ship
trigger: {poll: shop.new, every: 1h, start: all}
concurrency: {limit: 64}
steps:
  - {id: look, action: shop.look}
  - {action: shop.ship, with: {item: "{{item.id}}"}}
  - {id: lookup, action: shop.order, with: {item: "{{item.id}}"}}
  - {id: none, action: shop.send, with: {item: "{{item.id}}"}}
"#;

const SETTINGS: &str = r#"egress: {allow: ["127.0.0.1:*"]}
worker: {lease: 1s}
connections: {shop: {connector: shop, fields: {life: {env: LIFE}}}}
"#;
