//! What is deployed from files, and what becomes of edits.

use tidegate::app::{Exit, flows, project, up};

use super::*;

#[tokio::test]
async fn a_project_works_as_it_is_written() {
    let project = Project::new(&[("flows/lines.yaml", LIST_TO_FILE)]).await;
    project.settings("flows: {lines: {every: 1h, inputs: {file: 007}}}\n");
    project.sandbox.control().add_items(&sandbox::NewItems { count: 3, ..Default::default() });
    let working = project.work().await;
    // `007` is text, because the input asks for text.
    until("three lines", async || lines(&project.path("out/007")) == 3).await;
    let row = flows::list(&working.live.view()).await.unwrap().remove(0);
    assert_eq!((row.trigger.as_str(), row.state.as_str()), ("json.new_item every 1h", "enabled"));
    until("three runs", async || {
        flows::show(&working.live.view(), "lines").await.unwrap().row.runs.get("succeeded") == Some(&3)
    })
    .await;
    let summary = working.stop().await;
    assert_eq!(summary.runs.get("succeeded"), Some(&3));
}

#[tokio::test]
async fn what_the_command_line_gives_comes_before_the_settings() {
    let project = Project::new(&[("flows/lines.yaml", LIST_TO_FILE)]).await;
    project.settings("flows: {lines: {inputs: {file: settings.txt}}}\n");
    project.sandbox.control().add_items(&sandbox::NewItems::default());
    let set = |set: &str| Place { sets: vec![set.to_owned()], ..project.place() };
    let wrong = project::load(&set("lines.fiel=x"));
    let told = wrong.diagnostics.iter().find(|found| found.code == "set_unknown").unwrap();
    assert_eq!(told.help.as_deref(), Some("did you mean `file`?"));
    let up = up::start(&set("lines.file=given.txt")).await.unwrap();
    let written = async {
        until("a line", async || lines(&project.path("out/given.txt")) == 1).await;
    };
    up.work(written).await.unwrap();
    assert_eq!(lines(&project.path("out/settings.txt")), 0);
}

#[tokio::test]
async fn a_flow_that_cannot_work_leaves_the_others_alone() {
    let needs = "flow: needs\ninputs: {who: {type: string, required: true}}\ntrigger: {every: 1h}\nsteps:\n  - {action: log.write, with: {message: \"{{inputs.who}}\"}}\n";
    let project = Project::new(&[("flows/hello.yaml", BY_HAND), ("flows/needs.yaml", needs)]).await;
    let up = project.up().await;
    let (works, told) = deployed(&up);
    assert_eq!(works, ["hello"]);
    assert!(told.iter().any(|told| told.contains("`who` is missing")), "{told:?}");
    up.work(async {}).await.unwrap();
    // The missing input is given: it works, without anybody saying so by hand.
    project.settings("flows: {needs: {inputs: {who: you}}}\n");
    let up = project.up().await;
    assert_eq!(deployed(&up).0, ["hello", "needs"]);
    let rows = flows::list(&up.live().view()).await.unwrap();
    assert!(rows.iter().all(|row| row.state == "enabled"), "{rows:#?}");
}

#[tokio::test]
async fn errors_in_files_start_nothing() {
    let project = Project::new(&[(
        "flows/hello.yaml",
        "flow: hello\ntrigger: {manual: true}\nsteps:\n  - {action: log.wirte}\n",
    )])
    .await;
    let error = up::start(&project.place()).await.err().unwrap();
    assert_eq!((error.code.as_str(), error.exit), ("project_unsound", Exit::Problem));
    let found = error.diagnostics.iter().find(|found| found.code == "unknown_action").unwrap();
    assert_eq!((found.line, error.files.contains_key(&found.file)), (4, true));
    assert!(!project.path("tidegate.db").exists());
}

#[tokio::test]
async fn a_broken_edit_is_told_once_and_a_good_one_is_taken_up() {
    let project = Project::new(&[("flows/hello.yaml", BY_HAND)]).await;
    let up = project.up().await;
    let live = up.live();
    let mut changes = up.changes();
    // An edit that comes before the work begins is seen all the same.
    project.write("flows/hello.yaml", &BY_HAND.replace("item.name", "item.name eq"));
    let (stop, stopped) = oneshot::channel::<()>();
    let work = tokio::spawn(up.work(async {
        let _ = stopped.await;
    }));
    let told = async |changes: &mut tokio::sync::broadcast::Receiver<Change>| {
        tokio::time::timeout(Duration::from_secs(10), changes.recv()).await.expect("a change is told").unwrap()
    };
    let Change::Refused { diagnostics, .. } = told(&mut changes).await else { panic!("it was taken up") };
    assert!(!diagnostics.is_empty());
    assert_eq!(live.project().text(Path::new("flows/hello.yaml")), Some(BY_HAND));
    project.write("flows/hello.yaml", &BY_HAND.replace("flow: hello", "flow: hello\ntitle: Says hello"));
    project.write("flows/notify.yaml", TO_SMS);
    let Change::Deployed { flows: works, .. } = told(&mut changes).await else { panic!("it was refused") };
    assert_eq!(works, ["hello", "notify"]);
    std::fs::remove_file(project.path("flows/hello.yaml")).unwrap();
    let Change::Deployed { flows: works, .. } = told(&mut changes).await else { panic!("it was refused") };
    assert_eq!(works, ["notify"]);
    let rows = flows::list(&live.view()).await.unwrap();
    let states: Vec<&str> = rows.iter().map(|row| row.state.as_str()).collect();
    assert_eq!(states, ["gone", "enabled"]);
    stop.send(()).unwrap();
    work.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_second_host_is_told_who_holds_the_store() {
    let project = Project::new(&[("flows/hello.yaml", BY_HAND)]).await;
    let first = project.up().await;
    let error = up::start(&project.place()).await.err().unwrap();
    assert_eq!((error.code.as_str(), error.exit), ("store_locked", Exit::Host));
    assert!(error.message.contains(&format!("process {}", std::process::id())), "{error}");
    first.work(async {}).await.unwrap();
    project.up().await;
}

#[tokio::test]
async fn the_address_of_another_database_is_refused_without_its_password() {
    let project = Project::new(&[]).await;
    let place = Place { store: Some("mysql://me:s3cret@host/db".to_owned()), ..project.place() };
    let error = up::start(&place).await.err().unwrap();
    assert_eq!(error.code, "store_unsupported");
    assert!(!format!("{error:?}").contains("s3cret"));
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_told_without_its_password() {
    let project = Project::new(&[]).await;
    let place = Place { store: Some("postgres://me:s3cret@127.0.0.1:1/db".to_owned()), ..project.place() };
    let error = up::start(&place).await.err().unwrap();
    assert_eq!((error.code.as_str(), error.exit), ("store_unreachable", Exit::Host));
    assert!(error.message.contains("db at 127.0.0.1:1"), "{error}");
    assert!(!format!("{error:?}").contains("s3cret"));
}
