//! Switching flows off and on by hand, and reading again.

use tidegate::app::{flows, triggers};

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
async fn a_rewind_starts_new_runs_for_old_items() {
    let project = Project::new(&[("flows/lines.yaml", LIST_TO_FILE), ("flows/hello.yaml", BY_HAND)]).await;
    project.sandbox.control().add_items(&sandbox::NewItems { count: 2, ..Default::default() });
    let working = project.work().await;
    until("two lines", async || lines(&project.path("out/lines.txt")) == 2).await;
    let view = working.live.view();
    assert_eq!(triggers::rewind(&view, "hello", None).await.unwrap_err().code, "trigger_not_polled");
    assert_eq!(triggers::rewind(&view, "lines", Some("2999-01-01")).await.unwrap_err().code, "time_ahead");
    // From another process's place, as the command line does it.
    let row = triggers::rewind(&project.view().await, "lines", None).await.unwrap();
    assert_eq!((row.generation, row.seeded), (2, true));
    until("the same two again", async || lines(&project.path("out/lines.txt")) == 4).await;
    working.stop().await;
}
