//! `kill -9` at random moments while items are polled, released and sent (by steps of a flow, or of a composite
//! action), restarted each time: 200 times on SQLite, and some on PostgreSQL. What the sandbox received is compared
//! with what the store says: one run per item, no action lost, none repeated but what was in flight at a kill. Each
//! request names the process that sent it (`life`), so nothing is guessed from times. The moments come from a seed,
//! which is printed: `TIDEGATE_KILL_SEED` gives them again.

use std::collections::BTreeMap;

use serde_json::Value;
use tidegate::clock::Clock;

use crate::processes::{Host, Project, Sandbox, pause, wait_for, wait_up_to};
use crate::stores::{On, Row, Store};

// `worker.runs`, as it is unless given: what can be in flight at a kill.
const IN_FLIGHT: usize = 64;
// The sink's answers and the listing of all items take so long while there are kills: at each there is something in
// flight, and however fast the machine is, work remains for the last: a life sends for less than a second.
const ANSWER_MS: u64 = 300;
const LISTING_MS: u64 = 3_000;
// Items of a page.
const PAGE: u64 = 100;

/// What one test does.
struct Case {
    on: On,
    kills: usize,
    items: u64,
    order: &'static str,
    /// The effects of the flow's steps.
    effects: &'static [&'static str],
    /// Whether the steps are those of a composite action that the flow calls.
    is_composite: bool,
}

/// The processes of one project, one after the other, and what they write.
struct Hosts {
    store: Store,
    project: Project,
}

/// One process, from its start to its kill; UTC epoch ms.
struct Life {
    began_ms: i64,
    ended_ms: i64,
}

/// Random numbers that a seed gives again (SplitMix64).
struct Random(u64);

/// What the journal says of a step of an item's run.
#[derive(Debug)]
struct Journaled {
    run: String,
    state: String,
    /// The sink's id, of a step that succeeded.
    answer: Option<u64>,
    /// The process whose request was answered.
    life: Option<usize>,
    started_ms: i64,
}

/// Requests of a step for an item, as (life, the sink's id), in order.
type Sent = Vec<(usize, u64)>;

#[test]
fn natural_actions_are_repeated_only_where_a_kill_met_them() {
    Case { on: On::Sqlite, kills: 50, items: 10_000, order: "asc", effects: &["natural"], is_composite: false }.run();
}

#[test]
fn actions_that_nothing_makes_safe_are_never_repeated() {
    Case { on: On::Sqlite, kills: 50, items: 10_000, order: "desc", effects: &["none"], is_composite: false }.run();
}

#[test]
fn a_kill_between_steps_repeats_no_step_that_was_settled() {
    Case { on: On::Sqlite, kills: 50, items: 4_000, order: "asc", effects: &["natural", "none"], is_composite: false }
        .run();
}

#[test]
fn a_kill_within_a_composite_repeats_no_step_that_was_settled() {
    Case { on: On::Sqlite, kills: 50, items: 4_000, order: "asc", effects: &["natural", "none"], is_composite: true }
        .run();
}

#[test]
fn a_kill_on_postgresql_repeats_no_step_that_was_settled() {
    let effects = &["natural", "none"];
    Case { on: On::Postgres, kills: 12, items: 3_000, order: "asc", effects, is_composite: false }.run();
}

/// What a repeat finds in the file is its own line only once, although all are equal.
#[test]
fn equal_lines_are_each_in_the_file_whatever_a_kill_met() {
    const ITEMS: u64 = 1_500;
    let sandbox = Sandbox::start();
    sandbox.add_items(ITEMS);
    let flow = "flow: ticks\ntrigger: {poll: shop.new, every: 1h, start: all}\nsteps:\n  \
        - {action: file.append, with: {path: ticks.txt, text: tick}}\n";
    let project = Project::new(&[
        ("connectors/shop.yaml", &crate::shop::connector(&sandbox)),
        ("flows/ticks.yaml", flow),
        ("tidegate.yaml", "egress: {allow: [\"127.0.0.1:*\"]}\nconnections: {shop: {connector: shop}}\n"),
    ]);
    let path = project.path("out/ticks.txt");
    let lines = || std::fs::read_to_string(&path).unwrap_or_default().lines().count() as u64;
    let mut life = 0;
    while lines() < ITEMS / 2 {
        let host = project.host(life);
        let before = lines();
        wait_for("more lines", || lines() >= before + 100);
        host.kill();
        life += 1;
    }
    let host = project.host(life);
    let done = || project.number("SELECT count(*) FROM runs WHERE state = 'succeeded'");
    wait_up_to(120, "the rest of the work", || done() == Some(i64::try_from(ITEMS).unwrap()));
    assert_eq!(host.stop(), Some(0));
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.lines().all(|line| line == "tick"), "{text}");
    assert!(lines() >= ITEMS, "{} lines of {ITEMS} after {life} kills", lines());
}

impl Case {
    fn run(&self) {
        let seed = match std::env::var("TIDEGATE_KILL_SEED") {
            Ok(seed) => seed.parse().unwrap(),
            Err(_) => uuid::Uuid::new_v4().as_u64_pair().0,
        };
        println!("TIDEGATE_KILL_SEED={seed}");
        let sandbox = Sandbox::start();
        sandbox.add_items(self.items);
        sandbox.slow("sink", ANSWER_MS);
        sandbox.slow("list_items", LISTING_MS * PAGE / self.items);
        let project = self.project(&sandbox);
        let hosts = Hosts { store: Store::new(self.on), project };
        let lives = self.kill(&hosts, &sandbox, &mut Random(seed));

        self.each_item_has_one_run(&hosts);
        let sunk = sandbox.sunk();
        for (at, effect) in self.effects.iter().enumerate() {
            let step = format!("step{at}");
            let sent = sent(&sunk, &step);
            let journal = hosts.journal(&step);
            match *effect {
                "natural" => self.natural(&sent, &journal, &lives),
                _ => self.none(&sent, &journal, &lives),
            }
        }
    }

    // So often as is asked for; then the rest is worked off, and the last process told to stop.
    fn kill(&self, hosts: &Hosts, sandbox: &Sandbox, random: &mut Random) -> Vec<Life> {
        let mut lives: Vec<Life> = Vec::new();
        let mut phases: BTreeMap<&str, usize> = BTreeMap::new();
        // While there is something to poll: what follows it is to be met as well.
        let polling_kills = self.kills / 3;
        while lives.len() < self.kills {
            let began_ms = Clock::System.now_ms();
            let mut host = hosts.begin(lives.len());
            // One in five is killed while it starts, the others at work, however long this machine takes to start.
            let (least, most) = if random.next().is_multiple_of(5) { (1, 300) } else { (10, 800) };
            if least > 1 {
                wait_for("the host's start", || hosts.are_held_by(&mut host));
                // What the one before had is free after a lease, which is longer than most lives here.
                if self.on == On::Postgres {
                    let before = requests(sandbox);
                    wait_for("the host to be at work", || requests(sandbox) > before);
                }
            }
            let until_ms = Clock::System.now_ms() + random.between(least, most);
            let kills = |phase: &str| phases.get(phase).copied().unwrap_or(0);
            let (polling_is_over, wants_release) = (kills("polling") >= polling_kills, kills("releasing") < 3);
            loop {
                let phase = hosts.phase();
                // The release of what was polled is over in a moment: it has to be waited for.
                let is_time = Clock::System.now_ms() >= until_ms || (wants_release && phase == "releasing");
                if is_time && !(polling_is_over && ["starting", "polling"].contains(&phase)) {
                    break;
                }
                pause(2);
            }
            host.kill();
            lives.push(Life { began_ms, ended_ms: Clock::System.now_ms() });
            *phases.entry(hosts.phase()).or_default() += 1;
            assert!(!hosts.are_done(), "the work was done after {} kills", lives.len());
        }
        println!("kills while {phases:?}");
        for phase in ["polling", "sending"] {
            assert!(phases.get(phase).is_some_and(|kills| *kills >= 2), "few kills while {phase}: {phases:?}");
        }
        sandbox.quick();
        let began_ms = Clock::System.now_ms();
        let host = hosts.begin(lives.len());
        wait_up_to(300, "the rest of the work", || hosts.are_done());
        assert_eq!(host.stop(), Some(0));
        lives.push(Life { began_ms, ended_ms: Clock::System.now_ms() });
        lives
    }

    fn each_item_has_one_run(&self, hosts: &Hosts) {
        let mut keys: Vec<u64> =
            hosts.rows("SELECT item_key FROM runs").iter().map(|row| row[0].parse().unwrap()).collect();
        keys.sort_unstable();
        assert_eq!(keys, (1..=self.items).collect::<Vec<u64>>(), "a run per item");
        let known = hosts.number("SELECT count(*) FROM ledger");
        assert_eq!(known, Some(i64::try_from(self.items).unwrap()), "keys in the ledger");
        let value = hosts.rows("SELECT value FROM triggers");
        assert_eq!(value, [[self.items.to_string()]], "how far the trigger has read");
        let mut states = hosts.rows("SELECT DISTINCT state FROM runs ORDER BY state").concat();
        states.retain(|state| state != "succeeded");
        if self.effects.contains(&"none") {
            assert_eq!(states, ["unknown"]);
        } else {
            assert_eq!(states, [""; 0]);
        }
        assert_eq!(hosts.number("SELECT count(*) FROM steps WHERE state = 'sending'"), Some(0));
    }

    // At least once; again only by a later process, where the earlier one was killed before it could settle.
    fn natural(&self, sent: &BTreeMap<u64, Sent>, journal: &BTreeMap<u64, Vec<Journaled>>, lives: &[Life]) {
        let mut in_flight = vec![0; lives.len()];
        for item in 1..=self.items {
            let sent = sent.get(&item).unwrap_or_else(|| panic!("item {item} was lost"));
            let rows = journal.get(&item).unwrap_or_else(|| panic!("item {item} is not in the journal"));
            let [row] = rows.as_slice() else { panic!("item {item}: {rows:?}") };
            assert_eq!(row.state, "succeeded", "item {item}");
            let (last, earlier) = sent.split_last().unwrap();
            assert_eq!(
                (row.life, row.answer),
                (Some(last.0), Some(last.1)),
                "item {item}: the settled request is the last of {sent:?}"
            );
            assert!(sent.is_sorted_by(|one, next| one.0 < next.0), "item {item} was repeated without a kill: {sent:?}");
            for (life, _) in earlier {
                in_flight[*life] += 1;
            }
        }
        plausible(&in_flight, "repeated");
    }

    // Never twice; what nobody knows of is parked, and was in flight at a kill.
    fn none(&self, sent: &BTreeMap<u64, Sent>, journal: &BTreeMap<u64, Vec<Journaled>>, lives: &[Life]) {
        let mut in_flight = vec![0; lives.len()];
        for item in 1..=self.items {
            let sent = sent.get(&item).map_or(&[][..], Vec::as_slice);
            assert!(sent.len() <= 1, "item {item} was repeated: {sent:?}");
            let rows = journal.get(&item).unwrap_or_else(|| panic!("item {item} is not in the journal"));
            let [row] = rows.as_slice() else { panic!("item {item}: {rows:?}") };
            match row.state.as_str() {
                "succeeded" => {
                    let answered = (row.life.unwrap(), row.answer.unwrap());
                    assert_eq!(sent, [answered], "item {item}");
                    assert_eq!(row.run, "succeeded", "item {item}");
                }
                "unknown" => {
                    assert_eq!(row.run, "unknown", "item {item}");
                    let is_of = |life: &Life| life.began_ms <= row.started_ms && row.started_ms <= life.ended_ms;
                    let life = lives.iter().position(is_of).unwrap();
                    assert!(sent.iter().all(|(sender, _)| *sender == life), "item {item}: marked in {life}, {sent:?}");
                    in_flight[life] += 1;
                }
                other => panic!("item {item} is {other}"),
            }
        }
        plausible(&in_flight, "unknown");
    }

    fn project(&self, sandbox: &Sandbox) -> Project {
        let actions: String = self
            .effects
            .iter()
            .enumerate()
            .map(|(at, effect)| ACTION.replace("AT", &at.to_string()).replace("EFFECT", effect))
            .collect();
        let steps: String = (0..self.effects.len()).map(|at| STEP.replace("AT", &at.to_string())).collect();
        let (actions, steps) = match self.is_composite {
            false => (actions, steps),
            true => {
                let inner = steps.replace("shop.send_", "send_").replace("item.id", "inputs.id");
                let inner: String = inner.lines().map(|line| format!("    {line}\n")).collect();
                (format!("{actions}{COMPOSITE}{inner}"), CALL.to_owned())
            }
        };
        let connector = CONNECTOR
            .replace("URL", &sandbox.url)
            .replace("ORDER", self.order)
            .replace("PAGE", &PAGE.to_string())
            .replace("ACTIONS", &actions);
        Project::new(&[
            ("connectors/shop.yaml", &connector),
            ("flows/ship.yaml", &format!("{FLOW}{steps}")),
            ("tidegate.yaml", SETTINGS),
        ])
    }
}

impl Hosts {
    fn begin(&self, life: usize) -> Host {
        self.store.host(&self.project, life)
    }

    fn are_held_by(&self, host: &mut Host) -> bool {
        self.store.is_held_by(host, &self.project)
    }

    fn rows(&self, query: &str) -> Vec<Row> {
        self.store.rows(&self.project, query)
    }

    fn number(&self, query: &str) -> Option<i64> {
        self.store.number(&self.project, query)
    }

    fn are_done(&self) -> bool {
        self.phase() == "sending"
            && self.number("SELECT count(*) FROM runs WHERE state IN ('held', 'queued', 'running')") == Some(0)
    }

    /// What a host is, or was killed, in the middle of.
    fn phase(&self) -> &'static str {
        match self.number("SELECT count(*) FROM triggers WHERE seeded = 1") {
            None => "starting",
            Some(0) => "polling",
            Some(_) if self.number("SELECT count(*) FROM walks") != Some(0) => "releasing",
            Some(_) => "sending",
        }
    }

    /// The journal's rows of a step, by item.
    fn journal(&self, step: &str) -> BTreeMap<u64, Vec<Journaled>> {
        let query = format!(
            "SELECT runs.item_key, runs.state AS run, steps.state, steps.output, steps.exchange, steps.started_at \
             FROM steps JOIN runs ON runs.id = steps.run WHERE steps.step = '{step}'"
        );
        let mut journal: BTreeMap<u64, Vec<Journaled>> = BTreeMap::new();
        for row in self.rows(&query) {
            let [item, run, state, output, exchange, started] = &row[..] else { panic!("{row:?}") };
            let json = |text: &String| (!text.is_empty()).then(|| serde_json::from_str::<Value>(text).unwrap());
            let answer = json(output).map(|output| output["id"].as_u64().unwrap());
            let life = json(exchange).map(|exchange| {
                let body = &exchange["request"]["body"];
                life(&serde_json::from_str(body.as_str().unwrap_or_else(|| panic!("{exchange}"))).unwrap())
            });
            let (run, state, started_ms) = (run.clone(), state.clone(), started.parse().unwrap());
            let journaled = Journaled { run, state, answer, life, started_ms };
            journal.entry(item.parse().unwrap()).or_default().push(journaled);
        }
        journal
    }
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
    request: {method: GET, path: /items, query: {limit: PAGE, order: ORDER}}
    response: {records: items, schema: {type: object, required: [id], properties: {id: {type: integer}}}}
    paginate: {type: page, into: {query: page}, size: PAGE}
ACTIONS
triggers:
  new:
    poll: list
    cursor: {field: id, type: integer, order: ORDER}
    key: id
"#;

const ACTION: &str = r#"  send_AT:
    effect: EFFECT
    inputs: {id: {type: integer, required: true}}
    request: {method: POST, path: /sink, json: {step: stepAT, id: "{{inputs.id}}", life: "{{connection.life}}"}}
"#;

const FLOW: &str = "flow: ship
trigger: {poll: shop.new, every: 1h, start: all}
concurrency: {limit: 64}
steps:
";

const STEP: &str = r#"  - id: stepAT
    action: shop.send_AT
    with: {id: "{{item.id}}"}
"#;

const COMPOSITE: &str = "  send_all:
    effect: none
    inputs: {id: {type: integer, required: true}}
    steps:
";

const CALL: &str = r#"  - action: shop.send_all
    with: {id: "{{item.id}}"}
"#;

const SETTINGS: &str = r#"egress: {allow: ["127.0.0.1:*"]}
worker: {lease: 1s}
connections: {shop: {connector: shop, fields: {life: {env: LIFE}}}}
"#;

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From `least` to `most`, each doubling of it as likely as the next.
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "milliseconds by chance")]
    fn between(&mut self, least: i64, most: i64) -> i64 {
        let part = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        (least as f64 * (most as f64 / least as f64).powf(part)) as i64
    }
}

fn requests(sandbox: &Sandbox) -> u64 {
    sandbox.requests("list_items") + sandbox.requests("sink")
}

fn sent(sunk: &[(Value, u64)], step: &str) -> BTreeMap<u64, Sent> {
    let mut sent: BTreeMap<u64, Sent> = BTreeMap::new();
    for (body, id) in sunk.iter().filter(|(body, _)| body["step"] == step) {
        sent.entry(body["id"].as_u64().unwrap()).or_default().push((life(body), *id));
    }
    sent
}

fn life(body: &Value) -> usize {
    body["life"].as_str().unwrap().parse().unwrap()
}

/// Some were in flight at kills, never more at one than the host has runs at work, and none at the stop.
fn plausible(in_flight: &[usize], what: &str) {
    let total: usize = in_flight.iter().sum();
    println!("{total} {what}: {in_flight:?}");
    assert!(total > 0, "no kill met a request in flight");
    assert!(in_flight.iter().all(|count| *count <= IN_FLIGHT), "more {what} than can be in flight: {in_flight:?}");
    assert_eq!(in_flight.last(), Some(&0), "{what} by the process that was told to stop");
}
