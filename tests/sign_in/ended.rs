//! A grant that the service renews no more, at a host at work: the connection is marked, its polls stop, a person is
//! told once, and a new sign-in sets all of it going again. The client's secret comes from a file.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate::sandbox::{X_CLIENT_ID, X_CLIENT_SECRET};

use super::pages::Host;
use super::processes::{Project, ended};
use super::{back, open};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_that_is_renewed_no_more_marks_the_connection_stops_its_polls_and_alerts_once() {
    let project = Project::new(&format!("client_id: {X_CLIENT_ID}, client_secret: {{file: client-secret}}")).await;
    project.write("client-secret", X_CLIENT_SECRET);
    project.write("flows/watch.yaml", "flow: watch\ntrigger: {poll: x.new_dm, every: 1s}\nsteps: [{stop: {}}]\n");
    project.write(
        "flows/tell.yaml",
        "flow: tell\ntrigger: {manual: true}\nsteps:\n  - {action: file.append, with: {path: told.txt, text: \"{{item.kind}} {{item.message}}\"}}\n",
    );
    project.add("alerts: [{flow: tell, on: attention, connections: main}]\n");
    let sign_in = async || {
        let (child, url) = project.sign_in(&["--port", "0", "--scheme", "user2"]);
        assert!(open(&back(&url, "allow").await).await.contains("Signed in"));
        let output = ended(child).await;
        assert!(output.status.success(), "{output:?}");
    };
    project.sandbox.control().set_token_lifetime(1_000);
    sign_in().await;
    let refused = json!({"service": "x", "operation": "token", "status": 400, "every": 1,
        "body": "{\"error\":\"invalid_grant\",\"error_description\":\"Value passed for the token was invalid.\"}"});
    project.sandbox.control().inject(serde_json::from_value(refused).unwrap()).unwrap();
    // Processes read the machine's clock: the token ends by itself.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let _host = Host(project.start(&["up", "--log", "error"]));
    let told = || std::fs::read_to_string(project.path("out/told.txt")).unwrap_or_default();
    wait_until("an alert", || async { !told().is_empty() }).await;
    assert!(told().starts_with("attention connection `main`") && told().contains("sign in again"), "{}", told());
    let listed = async || -> Value {
        let output = ended(project.start(&["connections", "list", "--output", "json"])).await;
        serde_json::from_slice::<Value>(&output.stdout).unwrap()[0].clone()
    };
    assert_eq!(listed().await["state"], "attention");
    // The flow would have been polled twice by now, and asked for a token each time.
    let asked = project.asked("token");
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!((project.asked("token"), project.asked("list_messages"), told().lines().count()), (asked, 0, 1));

    project.sandbox.control().clear_faults();
    project.sandbox.control().set_token_lifetime(7_200_000);
    sign_in().await;
    wait_until("a poll", || async { project.asked("list_messages") > 0 }).await;
    assert_eq!(listed().await["state"], "working");
}

async fn wait_until<F: Future<Output = bool>>(what: &str, is_so: impl Fn() -> F) {
    for _ in 0..600 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{what} did not come");
}
