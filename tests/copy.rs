//! `tidegate store copy` from outside: a store in the middle of everything goes to PostgreSQL and back, and a host
//! there finishes what was begun; a copy is killed; and what must not be copied, or copied to, is refused.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::postgres::server::{Database, database};
use crate::processes::{Project, Sandbox, wait_for};
use crate::shop;

const ITEMS: u64 = 200;
// `worker.runs`, unless it is given: what can be in flight at a kill.
const IN_FLIGHT: usize = 64;

const FLOWS: [(&str, &str); 4] = [
    (
        "flows/ship.yaml",
        "flow: ship\ntrigger: {poll: shop.new, every: 1h, start: all}\nconcurrency: {limit: 8}\nsteps:\n  \
         - {action: shop.send, with: {id: \"{{item.id}}\", step: ship}}\n",
    ),
    (
        "flows/chain.yaml",
        "flow: chain\ntrigger: {poll: shop.followed, every: 1h, start: all}\nsteps:\n  \
         - {action: shop.note, with: {id: \"{{item.id}}\", step: chain}}\n",
    ),
    (
        "flows/ask.yaml",
        "flow: ask\ntrigger: {poll: shop.new, where: eq item.id 1, every: 1h, start: all}\nsteps:\n  \
         - id: ask\n    approval:\n      \
         send: {action: log.write, with: {message: \"an approval waits: {{approval.id}}\"}}\n      \
         choices: [approve, reject]\n  \
         - {action: shop.send, with: {id: \"{{item.id}}\", step: \"{{steps.ask.output.choice}}\"}}\n",
    ),
    (
        "flows/fail.yaml",
        "flow: fail\ntrigger: {poll: shop.new, where: eq item.id 2, every: 1h, start: all}\nsteps:\n  \
         - {action: shop.lose, retry: {attempts: 1}}\n",
    ),
];

const SETTINGS: &str =
    "egress: {allow: [\"127.0.0.1:*\"]}\nworker: {lease: 1s}\nconnections: {shop: {connector: shop}}\n";

fn project(sandbox: &Sandbox) -> Project {
    let connector = shop::connector(sandbox);
    let mut files = vec![("connectors/shop.yaml", connector.as_str()), ("tidegate.yaml", SETTINGS)];
    files.extend(FLOWS);
    Project::new(&files)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// What the command tells of a copy that went well.
fn copied(project: &Project, from: &str, to: &str) -> Value {
    let output = project.command(&["store", "copy", from, to, "--output", "json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn refused(project: &Project, from: &str, to: &str, code: &str) -> String {
    let output = project.command(&["store", "copy", from, to]).output().unwrap();
    let exit = if code == "copy_same" { 2 } else { 3 };
    assert_eq!(output.status.code(), Some(exit), "{}", said(&output));
    let said = said(&output);
    assert!(said.contains(&format!("code: {code}\n")), "{code}: {said}");
    said
}

fn count(database: &Database, condition: &str) -> i64 {
    database.sql(&format!("SELECT count(*) FROM {condition}")).parse().unwrap()
}

#[test]
fn a_store_in_the_middle_of_everything_moves_and_the_rest_is_done_there() {
    let (sandbox, database) = (Sandbox::start(), database());
    sandbox.add_items(ITEMS);
    sandbox.slow("sink", 1_000);
    sandbox.slow("list_chained", 5_000);
    let project = project(&sandbox);
    let host = format!("api={}", sandbox.twilio);
    let sid = format!("account_sid={}", tidegate::sandbox::TWILIO_ACCOUNT_SID);
    let token = format!("auth_token={}", tidegate::sandbox::TWILIO_AUTH_TOKEN);
    let made = project
        .command(&["connect", "twilio", "--name", "support", "--host", &host, "--set", &sid, "--set", &token])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", said(&made));

    let host = project.host(0);
    let number = |query: &str| project.number(query).unwrap_or(0);
    wait_for("a store in the middle of everything", || {
        number("SELECT count(*) FROM approvals WHERE state = 'open'") == 1
            && number("SELECT count(*) FROM runs WHERE state = 'failed'") == 1
            && number("SELECT count(*) FROM runs WHERE flow = 'ship' AND state = 'succeeded'") >= 8
            && number("SELECT count(*) FROM steps WHERE state = 'sending'") > 0
            && number("SELECT count(*) FROM walks WHERE flow = 'chain' AND pages > 0") == 1
    });
    host.kill();
    let sending = number("SELECT count(*) FROM steps WHERE state = 'sending'");
    assert!(sending > 0 && number("SELECT count(*) FROM walks") == 1, "nothing was open at the kill");

    let (file, back) = (project.store().display().to_string(), project.path("back.db").display().to_string());
    let there = copied(&project, &file, &database.url());
    let again = copied(&project, &database.url(), &back);
    assert_eq!(there["tables"], again["tables"], "digests over and back");
    let rows = |table: &str| {
        let tables = there["tables"].as_array().unwrap();
        tables.iter().find(|found| found["table"] == table).unwrap()["rows"].as_i64().unwrap()
    };
    assert_eq!(rows("runs"), number("SELECT count(*) FROM runs"));
    assert_eq!((rows("walks"), rows("approvals"), rows("accounts"), rows("sealing_keys")), (1, 1, 1, 1));
    assert_eq!(count(&database, "steps WHERE state = 'sending'"), sending);
    let shown = project.command(&["runs", "list", "--flow", "fail", "--state", "failed", "--store", &back]).output();
    assert!(said(&shown.unwrap()).contains("failed"));

    sandbox.quick();
    let host = project.host_on(&database.url(), 1);
    let unfinished = "runs WHERE state IN ('held', 'queued', 'running')";
    wait_for("the rest of the work", || {
        count(&database, "walks") == 0 && count(&database, &format!("{unfinished} AND flow <> 'ask'")) == 0
    });
    let id = database.sql("SELECT id FROM approvals WHERE state = 'open'");
    let decided =
        project.command(&["approvals", "decide", &id, "approve", "--store", &database.url()]).output().unwrap();
    assert!(decided.status.success(), "{}", said(&decided));
    wait_for("what was approved", || count(&database, unfinished) == 0);
    let tested = project.command(&["connections", "test", "support", "--store", &database.url()]).output().unwrap();
    assert!(tested.status.success(), "the sealed secrets open there: {}", said(&tested));
    assert_eq!(host.stop(), Some(0), "{}", project.log());

    compare(&sandbox, &database);
}

/// Every item once in every flow; nothing lost, and nothing of class `none` sent twice, over both hosts.
fn compare(sandbox: &Sandbox, database: &Database) {
    let mut sent: BTreeMap<(String, u64), usize> = BTreeMap::new();
    for (body, _) in sandbox.sunk() {
        *sent.entry((body["step"].as_str().unwrap().to_owned(), body["id"].as_u64().unwrap())).or_default() += 1;
    }
    let times = |step: &str, id: u64| sent.get(&(step.to_owned(), id)).copied().unwrap_or(0);
    let (mut unknown, mut seen) = (0, 0);
    for line in database.sql("SELECT flow, item_key, state FROM runs").lines() {
        let columns: Vec<&str> = line.split('|').collect();
        let [flow, id, state] = columns[..] else { panic!("{line}") };
        let id: u64 = id.parse().unwrap();
        seen += 1;
        match (flow, state) {
            ("ship", "succeeded") => assert_eq!(times("ship", id), 1, "{line}"),
            ("ship", "unknown") => {
                assert!(times("ship", id) <= 1, "{line}");
                unknown += 1;
            }
            ("chain", "succeeded") => assert!(times("chain", id) >= 1, "{line}"),
            ("ask", "succeeded") => assert_eq!((id, times("approve", 1)), (1, 1), "{line}"),
            ("fail", "failed") => assert_eq!(id, 2, "{line}"),
            ("ask" | "fail", "filtered") => {}
            _ => panic!("{line}"),
        }
    }
    assert_eq!(seen, 4 * ITEMS, "a run per item and flow");
    assert_eq!(count(database, "(SELECT DISTINCT flow, item_key FROM runs) AS keys").unsigned_abs(), seen);
    assert!((1..=IN_FLIGHT).contains(&unknown), "{unknown} unknown");
    assert_eq!(count(database, "steps WHERE state = 'sending'"), 0);
}

/// A store with so much in it that a copy takes a while.
fn large(project: &Project) -> String {
    let mut host = project.host(0);
    wait_for("the store is taken", || host.has_store(project));
    project.await_number("SELECT count(*) FROM triggers", 1);
    assert_eq!(host.stop(), Some(0), "{}", project.log());
    let store = rusqlite::Connection::open(project.store()).unwrap();
    let rows = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000) \
                INSERT INTO ledger SELECT 'tick', 0, 'key ' || i, i, i FROM n";
    store.execute_batch(rows).unwrap();
    project.store().display().to_string()
}

const TICK: &str = "flow: tick\ntrigger: {every: 1h}\nsteps:\n  - {action: log.write, with: {message: tick}}\n";

#[test]
fn a_copy_that_is_killed_leaves_no_store_and_is_begun_anew() {
    let database = database();
    let project = Project::new(&[("flows/tick.yaml", TICK), ("tidegate.yaml", "listen: off\n")]);
    let file = large(&project);
    for target in [project.path("copy.db").display().to_string(), database.url()] {
        let mut copying = project.command(&["store", "copy", &file, &target]);
        let mut child = copying.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        child.kill().unwrap();
        let ended = child.wait().unwrap();
        assert_eq!(ended.code(), None, "it was over before the kill: {line}");
        assert!(line.starts_with("ledger: 20000 ") && line.ends_with("rows so far\n"), "{line}");

        for command in [&["up"][..], &["runs", "list"]] {
            let output = project.command(&[command, &["--store", &target]].concat()).output().unwrap();
            let said = said(&output);
            assert_eq!(output.status.code(), Some(3), "{said}");
            assert!(said.contains("code: store_unfinished"), "{said}");
        }
        let whole = copied(&project, &file, &target);
        let tables = whole["tables"].as_array().unwrap();
        assert!(tables.iter().any(|table| table["table"] == "ledger" && table["rows"] == 30_000), "{whole}");
        let output = project.command(&["runs", "list", "--store", &target]).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        refused(&project, &file, &target, "store_not_empty");
    }
}

#[test]
fn what_must_not_be_copied_is_refused_and_left_alone() {
    let database = database();
    let project = Project::new(&[("flows/tick.yaml", TICK), ("tidegate.yaml", "listen: off\nworker: {lease: 1s}\n")]);
    let (file, fresh) = (project.store().display().to_string(), project.path("fresh.db").display().to_string());
    refused(&project, &file, &fresh, "store_missing");

    let mut host = project.host(0);
    wait_for("the store is taken", || host.has_store(&project));
    project.await_number("SELECT count(*) FROM triggers", 1);
    let told = refused(&project, &file, &fresh, "store_locked");
    assert!(told.contains("another host works on") && told.contains("process "), "{told}");
    refused(&project, &fresh, &file, "store_missing");
    assert_eq!(host.stop(), Some(0));

    let host = project.host_on(&database.url(), 1);
    let is_made = "SELECT to_regclass('public.triggers') IS NOT NULL";
    wait_for("the host on the database", || {
        database.sql(is_made) == "t" && database.sql("SELECT count(*) FROM triggers") == "1"
    });
    for (from, to) in [(database.url(), fresh.clone()), (file.clone(), database.url())] {
        let told = refused(&project, &from, &to, "store_in_use");
        assert!(told.contains("hosts work on the database") && told.contains("listening on off"), "{told}");
    }
    // One that is stopped in its tracks may wake: its lease is over, its session is not.
    host.signal("-STOP");
    wait_for("the end of its lease", || {
        database.sql("SELECT lease_until < extract(epoch FROM clock_timestamp()) * 1000 FROM nodes") == "t"
    });
    refused(&project, &database.url(), &fresh, "store_in_use");
    host.signal("-CONT");
    assert_eq!(host.stop(), Some(0));
    refused(&project, &file, &database.url(), "store_not_empty");
    refused(&project, &file, &file, "copy_same");
    refused(&project, &file, "mysql://ada:hidden@db/gate", "store_unsupported");
    let told = refused(&project, &file, "postgres://ada:hidden@127.0.0.1:1/gate", "store_unreachable");
    assert!(!told.contains("hidden") && !told.contains("ada"), "{told}");

    // It can be worked on, but not copied: a newer version has added something.
    let store = rusqlite::Connection::open(project.store()).unwrap();
    store.execute_batch("INSERT INTO migrations VALUES (98, 'more', 'sum', 1, 0)").unwrap();
    drop(store);
    refused(&project, &file, &fresh, "store_newer");
    assert!(!project.path("fresh.db").exists(), "a target was made for nothing");
}
