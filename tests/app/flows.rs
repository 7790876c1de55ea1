//! Switching flows off and on by hand, and reading again.

use serde_json::json;
use tidegate::app::runs::repeat::{How, Which, repeat};
use tidegate::app::{flows, health, run, runs, triggers};

use super::*;

#[tokio::test]
async fn what_is_off_by_hand_stays_off() {
    let project = Project::new(&[("flows/hello.yaml", BY_HAND)]).await;
    project.up().await.work(async {}).await.unwrap();
    let row = flows::disable(&project.view().await, "hello").await.unwrap();
    assert_eq!((row.state.as_str(), row.reason.as_deref()), ("disabled", Some("by hand")));
    // A restart, an edit, and an absence of the file.
    project.write("flows/hello.yaml", &BY_HAND.replace("Hello", "Good morning"));
    project.up().await.work(async {}).await.unwrap();
    std::fs::remove_file(project.path("flows/hello.yaml")).unwrap();
    project.up().await.work(async {}).await.unwrap();
    project.write("flows/hello.yaml", BY_HAND);
    project.up().await.work(async {}).await.unwrap();
    let row = flows::list(&project.view().await).await.unwrap().remove(0);
    assert_eq!((row.state.as_str(), row.reason.as_deref()), ("disabled", Some("by hand")));
    assert_eq!(flows::enable(&project.view().await, "hello").await.unwrap().state, "enabled");
    project.up().await.work(async {}).await.unwrap();
    assert_eq!(flows::list(&project.view().await).await.unwrap().remove(0).state, "enabled");
}

#[tokio::test]
async fn the_settings_are_not_overruled_by_hand() {
    let project = Project::new(&[("flows/hello.yaml", BY_HAND)]).await;
    project.settings("flows: {hello: {enabled: false}}\n");
    project.up().await.work(async {}).await.unwrap();
    assert_eq!(flows::enable(&project.view().await, "hello").await.unwrap_err().code, "flow_off_by_file");
}

#[tokio::test]
async fn unknown_flows_are_told_with_what_was_meant() {
    let project = Project::new(&[("flows/hello.yaml", BY_HAND)]).await;
    assert_eq!(flows::disable(&project.view().await, "hello").await.unwrap_err().code, "store_missing");
    project.up().await.work(async {}).await.unwrap();
    let error = flows::disable(&project.view().await, "helo").await.unwrap_err();
    assert_eq!((error.code.as_str(), error.help.as_deref()), ("flow_unknown", Some("did you mean `hello`?")));
}

#[tokio::test]
async fn a_flow_that_no_host_took_up_is_told_as_such() {
    let project = Project::new(&[("flows/hello.yaml", BY_HAND)]).await;
    let list = async |flow: &str| {
        let filter = runs::Filter { flow: Some(flow.to_owned()), ..runs::Filter::default() };
        runs::list(&project.view().await, filter).await
    };
    assert_eq!(list("helo").await.unwrap_err().code, "flow_unknown", "also before there is a store");
    assert!(list("hello").await.unwrap().is_empty());
    let ran = run::run(&project.place(), "hello", Some(json!({"name": "Ann"})), false).await.unwrap();
    let id = ran.run.unwrap().row.id;
    let view = project.view().await;
    assert_eq!(triggers::show(&view, "hello").await.unwrap_err().code, "flow_new");
    let unknown = triggers::show(&view, "helo").await.unwrap_err();
    assert_eq!((unknown.code, unknown.help.as_deref()), ("flow_unknown".into(), Some("did you mean `hello`?")));
    let replayed = repeat(&view, How::Replay, Which::Named(vec![id.clone()]), false, &mut |_| {}).await;
    assert!(format!("{replayed:?}").contains("flow_new"), "{replayed:?}");
    // Its file is gone then, and that is what is to be put right.
    std::fs::remove_file(project.path("flows/hello.yaml")).unwrap();
    let replayed = repeat(&project.view().await, How::Replay, Which::Named(vec![id.clone()]), false, &mut |_| {}).await;
    assert!(format!("{replayed:?}").contains("flow_gone"), "{replayed:?}");
    let short = runs::show(&view, &id[id.len() - 4..]).await.unwrap_err();
    assert!(short.message.contains("too short"), "{short:?}");
}

#[tokio::test]
async fn an_enabled_flow_whose_polls_fail_says_why() {
    let fails = LIST_TO_FILE.replace("/linked", "/nowhere");
    let project = Project::new(&[("flows/lines.yaml", &fails), ("flows/hello.yaml", BY_HAND)]).await;
    let working = project.work().await;
    let row = async |name: &str| {
        let rows = flows::list(&project.view().await).await.unwrap();
        rows.into_iter().find(|row| row.name == name).unwrap()
    };
    until("a failed poll", async || row("lines").await.failures > 0).await;
    let lines = row("lines").await;
    assert_eq!(lines.state, "enabled");
    assert!(lines.last_failure.as_deref().is_some_and(|why| why.contains("404")), "{lines:?}");
    assert_eq!((row("hello").await.failures, row("hello").await.last_failure), (0, None));
    let health = health::health(&working.live).await.unwrap();
    assert_eq!(health.status, "working", "the host asks again by itself");
    assert!(health.failing.len() == 1 && health.failing[0].starts_with("flow `lines`: "), "{health:?}");
    working.stop().await;
}

#[tokio::test]
async fn a_rewind_starts_new_runs_for_old_items() {
    let project = Project::new(&[("flows/lines.yaml", LIST_TO_FILE), ("flows/hello.yaml", BY_HAND)]).await;
    project.sandbox.control().add_items(&sandbox::NewItems { count: 2, ..Default::default() });
    let working = project.work().await;
    until("two lines", async || lines(&project.path("out/lines.txt")) == 2).await;
    let view = working.live.view();
    assert_eq!(triggers::rewind(&view, "hello", None).await.unwrap_err().code, "trigger_not_polled");
    assert_eq!(triggers::rewind(&view, "lines", Some("2999-01-01")).await.unwrap_err().code, "time_ahead");
    let undated = triggers::rewind(&view, "lines", Some("2026-11-01")).await.unwrap_err();
    assert_eq!(undated.code, "rewind_undated", "a time means nothing to items without dates: {undated:?}");
    assert_eq!(triggers::rewind(&view, "replies:brand", None).await.unwrap_err().code, "flow_unknown");
    // From another process's place, as the command line does it.
    let row = triggers::rewind(&project.view().await, "lines", None).await.unwrap();
    assert_eq!((row.generation, row.seeded), (2, true));
    until("the same two again", async || lines(&project.path("out/lines.txt")) == 4).await;
    working.stop().await;
}
