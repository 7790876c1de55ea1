//! A PostgreSQL that goes away under a host: `/health` says so and that it is over; and whether a host is at work on
//! one, which the commands that need a host ask.

use serde_json::{Value, json};

use crate::approvals::{PHONE, World};
use crate::ports::free_port;
use crate::postgres::server::{Server, database};
use crate::processes::{Project, wait_for};
use crate::public::health;

#[test]
fn health_says_that_the_database_is_away_and_that_it_is_back() {
    let server = Server::start();
    let database = server.database();
    let flow = "flow: tick\ntrigger: {every: 1h}\nsteps: [{action: log.write, with: {message: tick}}]\n";
    let project = Project::new(&[("flows/tick.yaml", flow), ("tidegate.yaml", "worker: {lease: 1s}\n")]);
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let mut command = project.command(&["up", "--log", "warn", "--listen", &listen, "--store", &database.url()]);
    let host = project.host_by(&mut command);
    let is =
        |status: u16, word: &str| health(port).is_some_and(|(code, said)| code == status && said["status"] == word);
    wait_for("the host to work", || is(200, "working"));
    server.stop("fast");
    let mut said = Value::Null;
    wait_for("the outage to be told", || {
        let Some((status, health)) = health(port) else { return false };
        said = health;
        status == 503
    });
    let attention = said["attention"][0].as_str().unwrap_or_default();
    assert!(said["status"] == "stalled" && attention.starts_with("store"), "{said}");
    server.start_again();
    wait_for("the outage to be over", || is(200, "working"));
    assert_eq!(host.stop(), Some(0), "{}", project.log());
}

#[test]
fn what_needs_a_host_asks_the_database_for_one() {
    let database = database();
    let mut world = World::on(Some(database.url()), "  - {id: ask, set: {a: 1}}");
    let to = format!("to={PHONE}");
    let body = "body={{approval.code}} <<UserActionRequiredURL>> please";
    let call = ["call", "twilio.send_sms_for_response", &to, body, "choices=go", "choices=wait", "--output", "json"];
    let (code, said) = std::thread::scope(|scope| {
        let called = scope.spawn(|| world.command(&call));
        let sent = world.await_sent(1).remove(0);
        assert_eq!(world.open(&sent.link, "POST", "choice=go").status, 200);
        called.join().unwrap()
    });
    assert_eq!(code, Some(0), "{said}");
    let (document, _) = said.split_at(said.rfind('}').unwrap() + 1);
    assert_eq!(serde_json::from_str::<Value>(document).unwrap()["output"]["choice"], json!("go"));
    // An answer that another process takes reaches the host as well.
    let (code, said) = std::thread::scope(|scope| {
        let called = scope.spawn(|| world.command(&call));
        world.await_sent(2);
        let id = database.sql("SELECT id FROM approvals WHERE state = 'open'");
        let (code, said) = world.command(&["approvals", "decide", &id, "wait"]);
        assert_eq!(code, Some(0), "{said}");
        called.join().unwrap()
    });
    assert!(code == Some(0) && said.contains("\"choice\": \"wait\""), "{said}");
    // A host that was killed holds its session no longer.
    world.stop();
    let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    wait_for("the host's sessions to end", || database.sql(others) == "0");
    let (code, said) = world.command(&call);
    assert!(code == Some(1) && said.contains("approval_needs_host"), "{said}");
    // What the host published is published again; its account's token stands in the file.
    let (code, said) = world.command(&["apply"]);
    assert!(code == Some(0) && said.contains("in clear") && said.contains("phone.auth_token"), "{said}");
    assert!(!said.contains(tidegate::sandbox::TWILIO_AUTH_TOKEN), "{said}");
    assert_eq!(database.sql("SELECT count(*) FROM runs WHERE flow = '(call)' AND state = 'succeeded'"), "2");
}
