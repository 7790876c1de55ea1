//! Calling actions and testing accounts: what the service says, in words, and what follows from it.

use tidegate::app::{Exit, call, connections, connectors, flows, health, project};

use super::*;

fn pairs(pairs: &[&str]) -> call::Inputs {
    call::Inputs { pairs: pairs.iter().map(|pair| (*pair).to_owned()).collect(), json: None }
}

#[tokio::test]
async fn an_action_is_called_with_what_a_person_writes() {
    let project = Project::new(&[]).await;
    let tweet = sandbox::NewTweet { text: "All clear #tide".to_owned(), ..Default::default() };
    let ids = project.sandbox.control().add_tweets(&tweet);
    let called = call::call(&project.place(), "x.search_tweets", pairs(&["query=#tide", "max_results=010"]), None)
        .await
        .unwrap();
    assert_eq!((called.status.as_str(), called.connection.as_deref()), ("succeeded", Some("timeline")));
    assert_eq!(called.output.pointer("/0/id").and_then(|id| id.as_str()), Some(ids[0].as_str()));
    let column = called.table.columns.iter().position(|column| column == "text").unwrap();
    assert_eq!(called.table.rows[0][column], "All clear #tide");
    let exchange = called.exchanges[0].to_string();
    assert!(exchange.contains("/2/tweets/search/recent") && !exchange.contains(sandbox::X_BEARER_TOKEN), "{exchange}");
    let given = pairs(&["to=+15550199001", "to=+15550199002", "body=Hello"]);
    let sms = call::call(&project.place(), "twilio.send_sms", given, None).await.unwrap();
    assert_eq!(sms.table.rows.len(), 2);
    assert_eq!(project.sandbox.control().count(sandbox::Service::Twilio, "send_sms").done, 2);
}

#[tokio::test]
async fn calls_that_make_no_sense_are_told_before_anything_is_sent() {
    let project = Project::new(&[]).await;
    for (action, given, connection, code, exit) in [
        ("search_tweets", vec![], None, "action_unknown", Exit::Usage),
        ("x.serach_tweets", vec![], None, "action_unknown", Exit::Problem),
        ("y.search_tweets", vec![], None, "connector_unknown", Exit::Problem),
        ("x.search_tweets", vec!["qeury=a"], None, "input_unknown", Exit::Usage),
        ("x.search_tweets", vec!["query=a"], Some("phone"), "connection_unknown", Exit::Connection),
        ("x.search_tweets", vec!["query=a"], Some("timelin"), "connection_unknown", Exit::Connection),
    ] {
        let error = call::call(&project.place(), action, pairs(&given), connection).await.unwrap_err();
        assert_eq!((error.code.as_str(), error.exit), (code, exit), "{action} {given:?}");
    }
    let missing = call::call(&project.place(), "x.search_tweets", pairs(&[]), None).await.unwrap_err();
    assert!(missing.message.contains("query") && missing.exit == Exit::Problem, "{missing:?}");
    assert_eq!(project.sandbox.control().count(sandbox::Service::X, "search_tweets").requests, 0);
}

#[tokio::test]
async fn a_wrong_token_says_what_the_service_answered_and_what_to_do() {
    let project = Project::new(&[]).await;
    project.settings_with_token("00000000000000000000000000000000", "");
    let tested = connections::test(&project.place(), Some("phone")).await.unwrap().remove(0);
    assert!(!tested.works);
    assert_eq!(tested.action.as_deref(), Some("twilio.fetch_account"));
    assert!(tested.message.contains("401"), "{tested:?}");
    assert!(tested.help.is_some(), "{tested:?}");
    let called = call::call(&project.place(), "twilio.fetch_account", pairs(&[]), None).await.unwrap_err();
    assert_eq!(called.exit, Exit::Connection);
    project.settings("");
    assert!(connections::test(&project.place(), Some("phone")).await.unwrap().remove(0).works);
    assert_eq!(
        connections::test(&project.place(), Some("phnoe")).await.unwrap_err().help.as_deref(),
        Some("did you mean `phone`?")
    );
}

#[tokio::test]
async fn a_host_that_is_not_there_is_named() {
    let project = Project::new(&[]).await;
    let text = project.read("tidegate.yaml").replace(&project.sandbox.json_url(), "http://127.0.0.1:1");
    project.write("tidegate.yaml", &text);
    let tested = connections::test(&project.place(), Some("feed")).await.unwrap().remove(0);
    assert!(!tested.works && tested.message.contains("127.0.0.1:1") && tested.help.is_some(), "{tested:?}");
    let error = call::call(&project.place(), "json.get", pairs(&["path=/items"]), None).await.unwrap_err();
    assert_eq!(error.exit, Exit::Service);
    // Without `egress.allow` nothing private is asked at all.
    project.write("tidegate.yaml", &project.read("tidegate.yaml").replace("allow: [\"127.0.0.1:*\"]", ""));
    let refused = connections::test(&project.place(), Some("feed")).await.unwrap().remove(0);
    assert!(refused.help.is_some_and(|help| help.contains("egress")), "{}", refused.message);
}

#[tokio::test]
async fn polls_go_on_once_the_account_works_again() {
    let incoming = "flow: incoming\ntrigger: {poll: twilio.incoming_sms}\nsteps:\n  - {action: log.write, with: {message: \"{{item.sid}}\"}}\n";
    let project = Project::new(&[("flows/incoming.yaml", incoming)]).await;
    project.settings_with_token("00000000000000000000000000000000", "");
    let working = project.work().await;
    let state = async |view: &View| flows::list(view).await.unwrap().remove(0).state;
    until("its polls are stopped", async || state(&working.live.view()).await == "attention").await;
    let health = health::health(&working.live.view(), working.live.since()).await.unwrap();
    assert_eq!(health.status, "attention");
    assert!(health.attention.iter().any(|told| told.starts_with("connection `phone`")), "{:?}", health.attention);
    working.stop().await;
    let row =
        connections::list(&project.view().await).await.unwrap().into_iter().find(|row| row.name == "phone").unwrap();
    assert_eq!((row.state.as_str(), row.flows), ("attention", vec!["incoming".to_owned()]));
    project.settings("");
    let tested = connections::test(&project.place(), None).await.unwrap();
    let phone = tested.iter().find(|tested| tested.name == "phone").unwrap();
    assert_eq!((phone.works, phone.resumed.as_slice()), (true, ["incoming".to_owned()].as_slice()));
    assert_eq!(state(&project.view().await).await, "enabled");
}

#[tokio::test]
async fn a_connector_is_its_own_documentation() {
    let project = Project::new(&[]).await;
    let loaded = project::load(&project.place());
    let names: Vec<String> = connectors::list(&loaded).into_iter().map(|row| row.name).collect();
    assert_eq!(names, ["file", "json", "log", "twilio", "x"]);
    let shown = connectors::show(&loaded, "twilio").unwrap();
    let send = shown.operations.iter().find(|operation| operation.name == "twilio.send_sms").unwrap();
    let to = send.inputs.iter().find(|input| input.name == "to").unwrap();
    assert_eq!((send.note.as_str(), to.kind.as_str(), to.required), ("lookup", "string or array (phone)", true));
    assert!(shown.fields.iter().any(|field| field.name == "auth_token" && field.secret));
    assert_eq!(connectors::show(&loaded, "twillio").unwrap_err().help.as_deref(), Some("did you mean `twilio`?"));
}
