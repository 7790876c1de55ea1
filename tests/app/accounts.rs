//! Calling actions and testing accounts: what the service says, in words, and what follows from it.

use std::collections::BTreeSet;

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
    let called = call::call(
        &project.place(),
        "x.search_tweets",
        pairs(&["query=#tide", "max_results=010"]),
        call::Way::default(),
    )
    .await
    .unwrap();
    assert_eq!((called.result.status.title(), called.connection.as_deref()), ("Successful", Some("timeline")));
    assert_eq!(called.result.output.pointer("/0/id").and_then(|id| id.as_str()), Some(ids[0].as_str()));
    let column = called.result.tables[0].columns.iter().position(|column| column == "Tweet Text").unwrap();
    assert_eq!(called.result.tables[0].rows[0][column], "All clear #tide");
    let exchange = called.exchanges[0].to_string();
    assert!(exchange.contains("/2/tweets/search/recent") && !exchange.contains(sandbox::X_BEARER_TOKEN), "{exchange}");
    let given = pairs(&["to=+15550199001", "to=+15550199002", "body=Hello"]);
    let sms = call::call(&project.place(), "twilio.send_sms", given, call::Way::default()).await.unwrap();
    assert_eq!(sms.result.tables[0].rows.len(), 2);
    assert_eq!(project.sandbox.control().count(sandbox::Service::Twilio, "send_sms").done, 2);
}

#[tokio::test]
async fn a_list_says_where_it_goes_on_and_is_gone_on_with() {
    let project = Project::new(&[]).await;
    let tweets = sandbox::NewTweet { text: "All clear {n}".to_owned(), count: 45, ..Default::default() };
    project.sandbox.control().add_tweets(&tweets);
    let (mut ids, mut next, mut calls) = (BTreeSet::new(), None, 0);
    loop {
        let mut given = vec!["query=clear".to_owned(), "max_results=20".to_owned()];
        given.extend(next.map(|token| format!("next_token={token}")));
        let inputs = call::Inputs { pairs: given, json: None };
        let called = call::call(&project.place(), "x.search_tweets", inputs, call::Way::default()).await.unwrap();
        let found = called.result.output.as_array().unwrap().iter();
        ids.extend(found.map(|tweet| tweet["id"].as_str().unwrap().to_owned()));
        calls += 1;
        next = called.next_token;
        if next.is_none() {
            break;
        }
    }
    assert_eq!((ids.len(), calls), (45, 3));
}

#[tokio::test]
async fn the_medium_of_a_message_becomes_a_file_and_the_credentials_stay_behind() {
    let project = Project::new(&[]).await;
    let picture = sandbox::NewSms { media: 1, ..Default::default() };
    let sid = project.sandbox.control().add_sms(&picture).remove(0);
    let call = |action: &'static str, given: Vec<String>| {
        let inputs = call::Inputs { pairs: given, json: None };
        let place = project.place();
        async move { call::call(&place, action, inputs, call::Way::default()).await.unwrap() }
    };
    let media = call("twilio.list_media", vec![format!("sid={sid}")]).await.result.output;
    let medium = media[0]["sid"].as_str().unwrap();
    // The other host refuses whoever brings credentials along.
    let given = vec![format!("sid={sid}"), format!("media_sid={medium}"), "save_to=picture.png".to_owned()];
    let saved = call("twilio.get_media", given).await.result.output;
    assert_eq!(saved["type"], "image/png");
    let bytes = std::fs::read(project.path("out/picture.png")).unwrap();
    assert!(bytes.starts_with(b"\x89PNG"), "{saved}");
}

#[tokio::test]
async fn what_is_attached_to_a_direct_message_becomes_a_file() {
    let project = Project::new(&[]).await;
    let url = project.sandbox.x_url();
    project.settings(&format!(
        "  brand: {{connector: x, fields: {{consumer_key: {}, consumer_secret: {}, access_token: {}, access_token_secret: {}}}, hosts: {{api: \"{url}\", media: \"{url}\"}}}}\n",
        sandbox::X_CONSUMER_KEY,
        sandbox::X_CONSUMER_SECRET,
        sandbox::X_ACCESS_TOKEN,
        sandbox::X_ACCESS_TOKEN_SECRET,
    ));
    let new = sandbox::NewMessage { from: "ada".to_owned(), text: "Look".to_owned(), picture: true, chosen: None };
    project.sandbox.control().add_message(&new);
    let way = || call::Way { connection: Some("brand"), ..call::Way::default() };
    // The address is the same by both versions, and each leads to the picture.
    for action in ["x.get_messages", "x.get_message_events"] {
        let listed = call::call(&project.place(), action, pairs(&[]), way()).await.unwrap().result.output;
        let medium = &listed[0]["media"][0];
        let address = medium["url"].as_str().or(medium["media_url_https"].as_str()).unwrap_or_default();
        let given = pairs(&[&format!("url={address}"), "save_to=received.png"]);
        let saved = call::call(&project.place(), "x.get_message_media", given, way()).await.unwrap().result;
        assert_eq!(saved.output["type"], "image/png", "{action}: {listed} {:?}", saved.error.map(|error| error.detail));
    }
    assert!(std::fs::read(project.path("out/received.png")).unwrap().starts_with(b"\x89PNG"));
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
        let way = call::Way { connection, ..call::Way::default() };
        let error = call::call(&project.place(), action, pairs(&given), way).await.unwrap_err();
        assert_eq!((error.code.as_str(), error.exit), (code, exit), "{action} {given:?}");
    }
    let missing = call::call(&project.place(), "x.search_tweets", pairs(&[]), call::Way::default()).await.unwrap();
    let error = missing.result.error.unwrap();
    assert!(error.detail.contains("query") && missing.exit == Some(Exit::Usage), "{error:?}");
    assert_eq!((error.message.as_str(), error.code.as_str()), ("Search tweets failed.", "input_invalid"));
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
    let called = call::call(&project.place(), "twilio.fetch_account", pairs(&[]), call::Way::default()).await.unwrap();
    assert_eq!(called.exit, Some(Exit::Connection));
    let error = called.result.error.unwrap();
    assert_eq!((error.message.as_str(), error.status), ("Fetch the account failed.", Some(401)));
    assert_eq!(called.result.raw[0]["code"], 20003);
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
    let called = call::call(&project.place(), "json.get", pairs(&["path=/items"]), call::Way::default()).await.unwrap();
    assert_eq!(called.exit, Some(Exit::Service));
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
    let health = health::health(&working.live).await.unwrap();
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
    assert_eq!(names, ["email", "file", "json", "log", "twilio", "x"]);
    let shown = connectors::show(&loaded, "twilio").unwrap();
    let send = shown.operations.iter().find(|operation| operation.name == "twilio.send_sms").unwrap();
    let to = send.inputs.iter().find(|input| input.name == "to").unwrap();
    assert_eq!((send.note.as_str(), to.kind.as_str(), to.required), ("lookup", "string or array (phone)", true));
    assert!(shown.fields.iter().any(|field| field.name == "auth_token" && field.secret));
    assert_eq!(connectors::show(&loaded, "twillio").unwrap_err().help.as_deref(), Some("did you mean `twilio`?"));
}
