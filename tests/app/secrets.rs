//! A flow's secret inputs: the service gets them, and nothing that is kept or shown holds them.

use serde_json::json;
use tidegate::app::run;
use tidegate::sandbox::Fault;

use super::*;

const SECRET: &str = "FLOWSECRET99";
const SIGNED: &str = "flow: signed\ninputs: {pw: {type: string, secret: true, required: true}}\ntrigger: {manual: true}\nsteps:\n  - {id: auth, set: {header: \"Bearer {{inputs.pw}}\"}}\n  - {action: log.write, with: {message: \"with {{inputs.pw}}\"}}\n  - {id: sent, action: json.post, with: {path: /sink, body: {p: \"{{steps.auth.output.header}}\"}}, retry: {attempts: 2, initial: 1ms, max: 1ms}}\n  - {http: {method: POST, url: \"URL/sink\", headers: {x-plain: \"{{inputs.pw}}\"}, json: {again: \"{{inputs.pw}}\"}}}\n  - {action: file.append, with: {path: kept.txt, text: \"{{inputs.pw}}\"}}\n";

async fn project() -> Project {
    let project = Project::new(&[]).await;
    project.write("flows/signed.yaml", &SIGNED.replace("URL", &project.sandbox.json_url()));
    project.settings(&format!("flows: {{signed: {{inputs: {{pw: {SECRET}}}}}}}\n"));
    project
}

/// What the service got, as it was written.
fn received(project: &Project) -> Vec<String> {
    let receipts = project.sandbox.control().received(&sandbox::ReceiptFilter::default());
    receipts.into_iter().filter(|receipt| receipt.id.is_some()).map(|receipt| receipt.fingerprint).collect()
}

fn files_that_hold(project: &Project, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(project.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = if path.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
        if bytes.windows(text.len()).any(|part| part == text.as_bytes()) {
            found.push(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    found
}

#[tokio::test]
async fn a_secret_input_reaches_the_service_and_nothing_else() {
    let project = project().await;
    // Refused once, so that the run is left and read again from the store before it sends. What says no time is waited
    // for a minute.
    let sink = Some("sink".to_owned());
    let busy = Fault { operation: sink, status: Some(429), retry_after_s: Some(1), times: Some(1), ..Fault::default() };
    project.sandbox.control().inject(busy).unwrap();
    let run = run::run(&project.place(), "signed", None, false).await.unwrap().run.unwrap();
    assert_eq!(run.row.state, "succeeded", "{run:#?}");
    let got = received(&project);
    assert_eq!(got.len(), 2, "{got:?}");
    assert!(got[0].contains(&format!("Bearer {SECRET}")) && got[1].contains(SECRET), "{got:?}");
    assert_eq!(project.read("out/kept.txt"), format!("{SECRET}\n"), "a file that the flow writes is its own affair");
    let told = serde_json::to_string(&run).unwrap();
    assert!(!told.contains(SECRET) && told.contains("•••"), "{told}");
    assert!(told.contains("exchange") && told.contains("x-plain"), "the exchanges are there: {told}");
    assert_eq!(files_that_hold(&project, SECRET), ["tidegate.yaml"], "the store does not");
}

#[tokio::test]
async fn a_dry_run_does_not_show_it() {
    let project = project().await;
    let ran = run::run(&project.place(), "signed", Some(json!({})), true).await.unwrap();
    let told = serde_json::to_string(&ran).unwrap();
    assert!(ran.requests.iter().all(|preview| preview.error.is_none()), "{told}");
    assert!(!told.contains(SECRET) && told.contains("•••"), "{told}");
}

#[tokio::test]
async fn a_secret_of_the_command_line_is_not_given_to_another_process() {
    let project = project().await;
    let working = project.work().await;
    let mut place = project.place();
    place.sets = vec!["pw=another".to_owned()];
    let error = run::run(&place, "signed", None, false).await.unwrap_err();
    assert_eq!(error.code, "secret_given", "{error:?}");
    // The host uses what the settings give.
    let ran = run::run(&project.place(), "signed", None, false).await.unwrap();
    assert!(ran.by_host && received(&project)[0].contains(SECRET), "{:?}", received(&project));
    working.stop().await;
}
