//! Two versions on one store: what a newer host will add to the tables is added by hand, and this version's hosts
//! go on beside it, until something is changed that they cannot go on with.

use crate::postgres::server::{Database, database};
use crate::processes::{Project, Sandbox, wait_for};
use crate::shop;

const FLOW: &str = r#"flow: ship
trigger: {poll: shop.new, every: 1s, start: all}
steps:
  - {action: shop.send, with: {id: "{{item.id}}"}}
"#;

const SETTINGS: &str =
    "egress: {allow: [\"127.0.0.1:*\"]}\nworker: {lease: 1s}\nconnections: {shop: {connector: shop}}\n";

/// What a newer version may do to the tables, and how it says so.
const EXPANDS: &str = "CREATE TABLE colours (name TEXT NOT NULL PRIMARY KEY);
    ALTER TABLE runs ADD COLUMN colour TEXT;
    ALTER TABLE triggers ADD COLUMN weight BIGINT NOT NULL DEFAULT 7;
    CREATE INDEX runs_colour ON runs (colour) WHERE colour IS NOT NULL;
    INSERT INTO migrations (version, name, checksum, needs, applied_at_ms) VALUES (98, 'colours', 'abc', 1, 0);";
const BREAKS: &str =
    "INSERT INTO migrations (version, name, checksum, needs, applied_at_ms) VALUES (99, 'stricter', 'def', 99, 0)";

fn project(sandbox: &Sandbox) -> Project {
    let connector = shop::connector(sandbox);
    Project::new(&[("connectors/shop.yaml", &connector), ("flows/ship.yaml", FLOW), ("tidegate.yaml", SETTINGS)])
}

fn succeeded(database: &Database) -> i64 {
    let tables = "SELECT to_regclass('public.runs') IS NOT NULL";
    if database.sql(tables) != "t" {
        return 0;
    }
    database.sql("SELECT count(*) FROM runs WHERE state = 'succeeded'").parse().unwrap()
}

#[test]
fn hosts_go_on_beside_a_newer_one_until_it_changes_what_they_need() {
    let (sandbox, database) = (Sandbox::start(), database());
    let project = project(&sandbox);
    sandbox.add_items(30);
    let mut one = project.host_on(&database.url(), 0);
    wait_for("the first items", || succeeded(&database) == 30);

    // The newer host comes: the older one works on, and another older one may start.
    database.sql(EXPANDS);
    sandbox.add_items(30);
    wait_for("items after the change", || succeeded(&database) == 60);
    let two = project.host_on(&database.url(), 1);
    wait_for("two hosts", || database.sql("SELECT count(*) FROM nodes") == "2");
    sandbox.add_items(30);
    wait_for("items of both", || succeeded(&database) == 90);
    assert!(one.ended().is_none(), "{}", project.log());
    assert_eq!((one.stop(), two.stop()), (Some(0), Some(0)), "{}", project.log());
    assert_eq!(database.sql("SELECT count(*) FROM runs WHERE colour IS NOT NULL"), "0");
    assert_eq!(database.sql("SELECT weight FROM triggers"), "7");

    database.sql(BREAKS);
    let before = database.sql("SELECT count(*) FROM migrations");
    let mut refused = project.host_on(&database.url(), 2);
    assert_eq!(refused.wait(), Some(3));
    let said = project.log();
    assert!(said.contains("code: store_newer") && said.contains("needs schema version 99"), "{said}");
    assert_eq!(database.sql("SELECT count(*) FROM migrations"), before);
    assert_eq!(sandbox.requests("sink"), 90);
}

#[test]
fn a_file_that_a_newer_version_expanded_is_worked_on() {
    let sandbox = Sandbox::start();
    let project = project(&sandbox);
    sandbox.add_items(30);
    let finished = "SELECT count(*) FROM runs WHERE state = 'succeeded'";
    let host = project.host(0);
    project.await_number(finished, 30);
    assert_eq!(host.stop(), Some(0));
    let change = |statements: &str| {
        rusqlite::Connection::open(project.store()).unwrap().execute_batch(statements).unwrap();
    };
    change(EXPANDS);
    sandbox.add_items(30);
    let host = project.host(1);
    project.await_number(finished, 60);
    assert_eq!(host.stop(), Some(0), "{}", project.log());
    assert_eq!(sandbox.requests("sink"), 60);
    change(BREAKS);
    let mut host = project.host(2);
    assert_eq!(host.wait(), Some(3));
    assert!(project.log().contains("code: store_newer"), "{}", project.log());
}
