//! Runs by hand: once, dry, again, and what nobody knows settled by a person.

use serde_json::json;
use tidegate::app::run;
use tidegate::app::runs::repeat::{How, Repeated, Which, repeat};
use tidegate::app::runs::{self, Settlement};
use tidegate::sandbox::{Fault, Service};
use tidegate::store::id;
use tidegate::store::runs::{NewRun, State};

use super::*;

#[tokio::test]
async fn a_run_by_hand_needs_no_host() {
    let project = Project::new(&[("flows/hello.yaml", BY_HAND)]).await;
    let ran = run::run(&project.place(), "hello", Some(json!({"name": "you"})), false).await.unwrap();
    let shown = ran.run.unwrap();
    assert_eq!((ran.by_host, shown.row.state.as_str()), (false, "succeeded"));
    assert_eq!(project.read("out/hello.txt"), "Hello you\n");
    assert_eq!(shown.steps[0].input, Some(json!({"path": "hello.txt", "text": "Hello you"})));
    assert_eq!(run::run(&project.place(), "helo", None, false).await.unwrap_err().code, "flow_unknown");
}

#[tokio::test]
async fn a_run_by_hand_is_taken_up_by_the_host_at_work() {
    let project = Project::new(&[("flows/hello.yaml", BY_HAND)]).await;
    let working = project.work().await;
    let ran = run::run(&project.place(), "hello", Some(json!({"name": "host"})), false).await.unwrap();
    assert_eq!((ran.by_host, ran.run.unwrap().row.state.as_str()), (true, "succeeded"));
    assert_eq!(project.read("out/hello.txt"), "Hello host\n");
    working.stop().await;
}

#[tokio::test]
async fn a_dry_run_shows_writes_and_sends_none() {
    let project = Project::new(&[("flows/notify.yaml", TO_SMS)]).await;
    let ran = run::run(&project.place(), "notify", Some(json!({"name": "you"})), true).await.unwrap();
    let steps: Vec<(&str, bool)> = ran.requests.iter().map(|preview| (preview.action.as_str(), preview.sent)).collect();
    assert!(steps.contains(&("twilio.send_sms", false)) && steps.contains(&("log.write", false)), "{steps:?}");
    assert!(ran.requests.iter().all(|preview| preview.error.is_none()), "{:#?}", ran.requests);
    let sms = ran.requests.iter().find(|preview| preview.action == "twilio.send_sms").unwrap();
    let request = sms.request.clone().unwrap().to_string();
    assert!(request.contains("Hello you") && request.contains("+15550199001"), "{request}");
    assert!(!request.contains(sandbox::TWILIO_AUTH_TOKEN));
    assert_eq!(project.sandbox.control().count(Service::Twilio, "send_sms").requests, 0);
    assert!(!project.path("tidegate.db").exists());
    // What would fail is told, too.
    let ran = run::run(&project.place(), "notify", Some(json!({})), true).await.unwrap();
    assert!(
        ran.requests.iter().any(|preview| preview.error.as_deref().is_some_and(|error| error.contains("name"))),
        "{:#?}",
        ran.requests
    );
}

#[tokio::test]
async fn a_run_is_found_replayed_and_cancelled() {
    let project = Project::new(&[("flows/hello.yaml", BY_HAND)]).await;
    project.up().await.work(async {}).await.unwrap();
    let ran = run::run(&project.place(), "hello", Some(json!({"name": "you"})), false).await.unwrap();
    let id = ran.run.unwrap().row.id;
    let view = project.view().await;
    let end = &id[id.len() - 8..];
    assert_eq!(runs::show(&view, end).await.unwrap().row.id, id);
    assert_eq!(runs::cancel(&view, &id).await.unwrap_err().code, "run_over");
    let again = replay(&view, end).await;
    assert_eq!(again.state, "queued");
    let shown = runs::show(&view, &again.id).await.unwrap();
    assert_eq!((shown.replay_of.as_deref(), shown.item), (Some(id.as_str()), Some(json!({"name": "you"}))));
    let working = project.work().await;
    until("the second hello", async || project.read("out/hello.txt") == "Hello you\nHello you\n").await;
    working.stop().await;
    let view = project.view().await;
    let third = replay(&view, &id).await;
    assert_eq!(runs::cancel(&view, &third.id).await.unwrap().state, "cancelled");
    let listed =
        runs::list(&view, runs::Filter { state: Some("succeeded".to_owned()), ..Default::default() }).await.unwrap();
    assert_eq!(listed.len(), 2);
    let wrong =
        runs::list(&view, runs::Filter { state: Some("suceeded".to_owned()), ..Default::default() }).await.unwrap_err();
    assert_eq!(wrong.help.as_deref(), Some("did you mean `succeeded`?"));
}

#[tokio::test]
async fn what_nobody_knows_is_settled_by_a_person() {
    // A sink that nothing makes safe to repeat: a torn answer parks the run.
    let sink = "flow: sink\ntrigger: {manual: true}\nsteps:\n  - {id: sent, action: json.post, with: {path: /sink, body: {n: \"{{item.n}}\"}}}\n  - {action: file.append, with: {path: sent.txt, text: \"{{json steps.sent.output}}\"}}\n";
    let project = Project::new(&[("flows/sink.yaml", sink)]).await;
    let tear = Fault { operation: Some("sink".to_owned()), tear: true, times: Some(3), ..Fault::default() };
    project.sandbox.control().inject(tear).unwrap();
    let mut ids = Vec::new();
    for n in 0..3 {
        let run = run::run(&project.place(), "sink", Some(json!({"n": n})), false).await.unwrap().run.unwrap();
        assert_eq!(run.row.state, "unknown", "{run:#?}");
        ids.push(run.row.id);
    }
    let view = project.view().await;
    for (id, said) in
        ids.iter().zip([Settlement::Done(json!({"receipt": "by phone"})), Settlement::Retry, Settlement::Failed])
    {
        assert_eq!(runs::settle(&view, id, said).await.unwrap().state, "running");
    }
    assert_eq!(runs::settle(&view, &ids[0], Settlement::Retry).await.unwrap_err().code, "run_not_unknown");
    let before = project.sandbox.control().count(Service::Json, "sink").requests;
    let working = project.work().await;
    let states = async || {
        let mut states = Vec::new();
        for id in &ids {
            states.push(runs::show(&view, id).await.unwrap().row.state);
        }
        states
    };
    until("all three are over", async || !states().await.iter().any(|state| state == "running")).await;
    working.stop().await;
    let view = project.view().await;
    let done = runs::show(&view, &ids[0]).await.unwrap();
    assert_eq!(done.row.state, "succeeded", "{done:#?}");
    assert_eq!(runs::show(&view, &ids[2]).await.unwrap().row.state, "failed");
    assert!(project.read("out/sent.txt").contains("by phone"), "{}", project.read("out/sent.txt"));
    // The one that was to be tried again was; nothing else was sent a second time.
    assert_eq!(project.sandbox.control().count(Service::Json, "sink").requests, before + 1);
}

#[tokio::test]
async fn failed_runs_are_retried_from_the_step_that_failed_each_once() {
    let order = "flow: order\ntrigger: {manual: true}\nsteps:\n  - {action: file.append, with: {path: begun.txt, text: \"n{{item.n}}\"}}\n  - {id: sent, action: json.post, with: {path: /sink, body: {n: \"{{item.n}}\"}}, retry: {attempts: 1}}\n  - {action: file.append, with: {path: done.txt, text: \"n{{item.n}}\"}}\n";
    let project = Project::new(&[("flows/order.yaml", order)]).await;
    let refuse = Fault { operation: Some("sink".to_owned()), status: Some(422), times: Some(2), ..Fault::default() };
    project.sandbox.control().inject(refuse).unwrap();
    let mut failed = Vec::new();
    for n in 1..=3 {
        let run = run::run(&project.place(), "order", Some(json!({"n": n})), false).await.unwrap().run.unwrap();
        failed.push((run.row.id, run.row.state, run.row.error));
    }
    let states: Vec<&str> = failed.iter().map(|(_, state, _)| state.as_str()).collect();
    assert_eq!(states, ["failed", "failed", "succeeded"], "{failed:#?}");
    let view = project.view().await;
    let all = || Which::Found(runs::Filter { state: Some("failed".to_owned()), ..Default::default() });
    let meant = repeat(&view, How::Retry, all(), true, &mut |_| {}).await.unwrap();
    assert_eq!(
        ids(&meant),
        [failed[0].0.as_str(), failed[1].0.as_str()],
        "they are shown, oldest first, and left as they are"
    );
    let retried = repeat(&view, How::Retry, all(), false, &mut |_| {}).await.unwrap();
    assert_eq!((retried.queued.len(), retried.left.len()), (2, 0));
    let twice = repeat(&view, How::Retry, all(), false, &mut |_| {}).await.unwrap();
    assert_eq!((twice.queued.len(), twice.left.len()), (0, 0), "what has a retry is not looked at again");
    let named = Which::Named(failed.iter().take(2).map(|(id, ..)| id.clone()).collect());
    let twice = repeat(&view, How::Retry, named, false, &mut |_| {}).await.unwrap();
    let codes: Vec<&str> = twice.left.iter().map(|left| left.code.as_str()).collect();
    assert_eq!((twice.queued.len(), codes), (0, vec!["run_retried", "run_retried"]));
    let over =
        repeat(&view, How::Retry, Which::Named(vec![failed[2].0.clone()]), false, &mut |_| {}).await.unwrap_err();
    assert_eq!(over.code, "run_not_failed");
    let working = project.work().await;
    until("both go on", async || project.read("out/done.txt") == "n3\nn1\nn2\n").await;
    working.stop().await;
    assert_eq!(project.read("out/begun.txt"), "n1\nn2\nn3\n", "what was done is not done again");
    let shown = runs::show(&project.view().await, &retried.queued[0].id).await.unwrap();
    assert_eq!((shown.row.state.as_str(), shown.retry_of.as_deref()), ("succeeded", Some(failed[0].0.as_str())));
    let first = runs::show(&project.view().await, &failed[0].0).await.unwrap();
    assert_eq!(first.row.state, "failed", "what is over stays as it is");
    assert_eq!(first.retried_by.as_deref(), Some(retried.queued[0].id.as_str()));
}

#[tokio::test]
async fn every_failed_run_is_retried_however_many_there_are() {
    let project = Project::new(&[("flows/hello.yaml", BY_HAND)]).await;
    let ran = run::run(&project.place(), "hello", Some(json!({"name": "you"})), false).await.unwrap().run.unwrap();
    let view = project.view().await;
    let store = view.store.as_ref().unwrap();
    let failed = |number: i64| NewRun {
        id: id::new(number),
        flow: "hello".to_owned(),
        definition: ran.definition.clone(),
        state: State::Failed,
        position: number,
        slot: None,
        walk: None,
        item_key: None,
        item: json!({"name": "you"}).to_string(),
        repeats: None,
        error: None,
    };
    let inserted = (0..1_050).map(|number| store.insert_run(failed(number), number));
    futures_util::future::try_join_all(inserted).await.unwrap();
    let all = || Which::Found(runs::Filter { state: Some("failed".to_owned()), ..Default::default() });
    let mut told = Vec::new();
    let retried = repeat(&view, How::Retry, all(), false, &mut |so_far| told.push(so_far.queued.len())).await.unwrap();
    assert_eq!((retried.queued.len(), retried.left.len(), told), (1_050, 0, vec![1_000]));
    assert!(retried.queued.is_sorted_by_key(|run| run.id.clone()));
    let again = repeat(&view, How::Retry, all(), false, &mut |_| {}).await.unwrap();
    assert_eq!((again.queued.len(), again.left.len()), (0, 0));
}

async fn replay(view: &tidegate::app::View, id: &str) -> runs::Row {
    let mut repeated = repeat(view, How::Replay, Which::Named(vec![id.to_owned()]), false, &mut |_| {}).await.unwrap();
    repeated.queued.remove(0)
}

fn ids(repeated: &Repeated) -> Vec<&str> {
    repeated.queued.iter().map(|row| row.id.as_str()).collect()
}
