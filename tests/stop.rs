//! Stops that are asked for, stores that are refused, and files that change under a host at work: what a user
//! does to a running program, seen from outside. (`cli.rs` has the second host and the port in use.)

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::Value;

use crate::ports::free_port;
use crate::processes::{Host, Project, Sandbox, pause, wait_for};
use crate::public::health;
use crate::shop;

const UNFINISHED: &str = "SELECT count(*) FROM runs WHERE state IN ('held', 'queued', 'running')";
const SUCCEEDED: &str = "SELECT count(*) FROM runs WHERE state = 'succeeded'";
const UNKNOWN: &str = "SELECT count(*) FROM runs WHERE state = 'unknown'";
const SENDING: &str = "SELECT count(*) FROM steps WHERE state = 'sending'";
const WALKS: &str = "SELECT count(*) FROM walks";

const SETTINGS: &str = "egress: {allow: [\"127.0.0.1:*\"]}\nconnections: {shop: {connector: shop}}\n";

fn flow(name: &str, trigger: &str, every: &str, text: &str) -> String {
    format!(
        "flow: {name}\ntrigger: {{poll: shop.{trigger}, every: {every}, start: all}}\nsteps:\n  \
         - action: shop.send\n    with: {{id: \"{{{{item.id}}}}\", step: {text}}}\n"
    )
}

fn project(sandbox: &Sandbox) -> Project {
    let flow = flow("ship", "new", "1h", "first");
    let connector = shop::connector(sandbox);
    Project::new(&[("connectors/shop.yaml", &connector), ("flows/ship.yaml", &flow), ("tidegate.yaml", SETTINGS)])
}

/// How often the sink took each item.
fn taken(sandbox: &Sandbox) -> BTreeMap<u64, usize> {
    let mut taken = BTreeMap::new();
    for (body, _) in sandbox.sunk() {
        *taken.entry(body["id"].as_u64().unwrap()).or_default() += 1;
    }
    taken
}

/// A host whose requests hang in the sink.
fn stuck(sandbox: &Sandbox, project: &Project) -> Host {
    sandbox.add_items(10);
    sandbox.slow("sink", 100_000);
    let host = project.host(0);
    wait_for("ten requests in flight", || sandbox.requests("sink") == 10);
    host
}

/// What hung is parked by the next host, which sends nothing again.
fn parks_what_hung(sandbox: &Sandbox, project: &Project) {
    assert_eq!(project.number(SENDING), Some(10));
    sandbox.quick();
    let host = project.host(1);
    project.await_number(UNKNOWN, 10);
    assert_eq!(host.stop(), Some(0));
    assert_eq!(sandbox.requests("sink"), 10);
    assert_eq!(project.number(SENDING), Some(0));
}

#[test]
fn a_stop_finishes_what_is_under_way() {
    let sandbox = Sandbox::start();
    sandbox.add_items(200);
    sandbox.slow("list_items", 50);
    sandbox.slow("sink", 200);
    let project = project(&sandbox);

    // What was sent is settled, whenever the host is told to stop.
    let settled = |most: u64| {
        let sent = sandbox.requests("sink");
        assert!(sent < most, "all {sent} items were sent on the way out");
        assert_eq!(project.number(SENDING), Some(0));
        assert_eq!(project.number(SUCCEEDED), i64::try_from(sent).ok());
        sent
    };

    let host = project.host(0);
    wait_for("a few pages", || sandbox.requests("list_items") >= 3);
    assert_eq!(host.stop(), Some(0));
    let pages = sandbox.requests("list_items");
    assert!(pages < 10, "the whole list was read on the way out: {pages} pages");
    assert_eq!(project.number(WALKS), Some(1), "how far it came is kept");
    let sent = settled(pages * 20);

    let host = project.host(1);
    project.await_number(WALKS, 0);
    wait_for("a few more requests", || sandbox.requests("sink") >= sent + 20);
    assert_eq!(host.stop(), Some(0));
    let sent = settled(200);
    assert_eq!(project.number(UNFINISHED), i64::try_from(200 - sent).ok());
    // Pages that were committed are not asked for again: ten in all, and the one at whose end the list ends.
    assert!(sandbox.requests("list_items") <= 11, "{}", sandbox.requests("list_items"));

    let host = project.host(2);
    project.await_number(SUCCEEDED, 200);
    assert_eq!(host.stop(), Some(0));
    let taken = taken(&sandbox);
    assert_eq!(taken.len(), 200);
    assert!(taken.values().all(|times| *times == 1), "{taken:?}");
    assert_eq!(project.number(WALKS), Some(0));
}

#[test]
fn a_second_signal_stops_at_once() {
    for second in ["-TERM", "-INT"] {
        let sandbox = Sandbox::start();
        let project = project(&sandbox);
        let mut host = stuck(&sandbox, &project);
        host.signal("-TERM");
        let began = Instant::now();
        // Two that arrive before the first was seen are one to the system.
        while host.ended().is_none() && began.elapsed() < Duration::from_secs(15) {
            pause(50);
            host.signal(second);
        }
        // The drain alone would have taken 20 s.
        assert!(host.ended().is_some(), "signals were ignored for 15 s");
        assert_eq!(host.wait(), Some(130));
        parks_what_hung(&sandbox, &project);
    }
}

#[test]
fn a_stop_does_not_wait_for_ever() {
    let sandbox = Sandbox::start();
    let project = project(&sandbox);
    project.write("tidegate.yaml", &format!("{SETTINGS}worker: {{drain: 300ms}}\n"));
    let host = stuck(&sandbox, &project);
    assert_eq!(host.stop(), Some(0));
    let said = project.log();
    assert!(said.contains("10 pieces of work did not finish in time"), "{said}");
    parks_what_hung(&sandbox, &project);
}

#[test]
fn a_store_that_is_not_sound_is_refused_and_left_alone() {
    let sandbox = Sandbox::start();
    sandbox.add_items(200);
    let project = project(&sandbox);
    let host = project.host(0);
    project.await_number(SUCCEEDED, 200);
    assert_eq!(host.stop(), Some(0));
    let whole = fs::read(project.store()).unwrap();

    let mut torn = whole.clone();
    torn[whole.len() / 2..].fill(0xa5);
    let mut overwritten = whole.clone();
    overwritten[..16].fill(0);
    let cut = whole[..whole.len() / 2].to_vec();
    fs::write(project.path("newer.db"), &whole).unwrap();
    let store = Connection::open(project.path("newer.db")).unwrap();
    store.execute_batch("PRAGMA journal_mode = DELETE; PRAGMA user_version = 99").unwrap();
    drop(store);
    let newer = fs::read(project.path("newer.db")).unwrap();
    fs::remove_file(project.path("newer.db")).unwrap();

    for (bytes, code) in [
        (torn, "store_damaged"),
        (cut, "store_damaged"),
        (overwritten, "store_not_ours"),
        (b"a letter to a friend, which is no database at all".to_vec(), "store_not_ours"),
        (newer, "store_newer"),
    ] {
        fs::write(project.store(), &bytes).unwrap();
        fs::write(project.path("host.log"), "").unwrap();
        let files = files(&project);
        let mut host = project.host(1);
        assert_eq!(host.wait(), Some(3), "{code}");
        let said = project.log();
        assert_eq!(said.matches("error: ").count(), 1, "{said}");
        assert!(said.contains(&format!("code: {code}")), "{code}: {said}");
        assert!(said.contains("tidegate.db"), "{said}");
        assert!(fs::read(project.store()).unwrap() == bytes, "{code}: the file was changed");
        assert_eq!(self::files(&project), files, "{code}: files were added or removed");
    }

    // The same file, whole again, is taken up.
    fs::write(project.store(), &whole).unwrap();
    let mut host = project.host(2);
    wait_for("the store is taken", || host.has_store(&project));
    assert_eq!(host.stop(), Some(0), "{}", project.log());
    assert_eq!(project.number(SUCCEEDED), Some(200));
}

fn files(project: &Project) -> BTreeSet<String> {
    let folder = fs::read_dir(project.path("")).unwrap();
    folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn an_edit_that_is_not_taken_up_is_told_wherever_one_looks() {
    let flow = "flow: tick\ntrigger: {every: 1h}\nsteps: [{action: log.write, with: {message: tick}}]\n";
    let project = Project::new(&[("flows/tick.yaml", flow)]);
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let _host = project.host_by(&mut project.command(&["up", "--log", "warn", "--listen", &listen]));
    let is = |word: &str| health(port).is_some_and(|(status, said)| status == 200 && said["status"] == word);
    wait_for("the host to work", || is("working"));
    project.write("flows/tick.yaml", &flow.replace("log.write", "log.wriet"));
    wait_for("the edit to be told", || is("attention"));
    let (_, said) = health(port).unwrap();
    let attention = said["attention"][0].as_str().unwrap();
    assert!(attention.starts_with("files: there is an error") && attention.contains("tidegate check"), "{said}");
    let listed = project.command(&["flows", "list", "--output", "json"]).output().unwrap();
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed[0]["state"], "enabled");
    assert!(listed[0]["reason"].as_str().unwrap().contains("works as it was before"), "{listed}");
    project.write("flows/tick.yaml", flow);
    wait_for("the mended file to be taken up", || is("working"));
}

#[test]
fn changed_files_are_taken_up_and_broken_ones_are_not() {
    let sandbox = Sandbox::start();
    let project = project(&sandbox);
    project.write("flows/ship.yaml", &flow("ship", "new", "1s", "first"));
    let mut host = project.host(0);
    let mut shipped = 0;
    // Adds an item and gives the text that it is sent with.
    let mut ship = || -> Value {
        sandbox.add_items(1);
        shipped += 1;
        let mut sunk = Vec::new();
        wait_for("the item is sent", || {
            sunk = sandbox.sunk();
            sunk.iter().any(|(body, _)| body["id"] == shipped)
        });
        let of_it: Vec<&Value> = sunk.iter().map(|(body, _)| body).filter(|body| body["id"] == shipped).collect();
        assert_eq!(of_it.len(), 1, "{of_it:?}");
        of_it[0]["step"].clone()
    };
    assert_eq!(ship(), "first");

    project.write("flows/ship.yaml", &flow("ship", "new", "1s", "second"));
    // Items that were found before the edit was seen keep what they began with.
    wait_for("the edit is taken up", || ship() == "second");

    let broken = flow("ship", "new", "1s", "third").replace("item.id", "item.idd");
    project.write("flows/ship.yaml", &broken);
    let reported = "ship.yaml:5:";
    wait_for("the broken edit is reported", || project.log().contains(reported));
    assert_eq!(ship(), "second", "what worked before goes on");
    assert_eq!(ship(), "second");
    let said = project.log();
    assert!(said.contains("item.idd") && said.contains("what worked before goes on"), "{said}");
    assert_eq!(said.matches(reported).count(), 1, "it is told once:\n{said}");

    project.write("flows/ship.yaml", &flow("ship", "new", "1s", "third"));
    wait_for("the mended file is taken up", || ship() == "third");

    // A flow that joins, by another way of listing, shows that time passes for the one that goes.
    project.write("flows/follow.yaml", &flow("follow", "followed", "1s", "followed"));
    fs::remove_file(project.path("flows/ship.yaml")).unwrap();
    project.await_number("SELECT count(*) FROM triggers WHERE flow = 'ship' AND state <> 'enabled'", 1);
    // A poll may have been under way.
    let followed = sandbox.requests("list_chained");
    wait_for("a poll of the other flow", || sandbox.requests("list_chained") > followed + 1);
    let (listed, followed) = (sandbox.requests("list_items"), sandbox.requests("list_chained"));
    wait_for("three polls of the other flow", || sandbox.requests("list_chained") >= followed + 3);
    assert_eq!(sandbox.requests("list_items"), listed, "the flow without a file is polled");

    // Its file comes back: nothing that it had sent is sent again.
    project.write("flows/ship.yaml", &flow("ship", "new", "1s", "back"));
    wait_for("it is polled again", || sandbox.requests("list_items") > listed);
    sandbox.add_items(1);
    wait_for("the newest item is sent", || sandbox.sunk().iter().any(|(body, _)| body["step"] == "back"));
    assert!(host.ended().is_none(), "{}", project.log());
    assert_eq!(host.stop(), Some(0));
    let back = sandbox.sunk().iter().filter(|(body, _)| body["step"] == "back").count();
    assert_eq!(back, 1, "what was sent before the file went was sent again");
}
