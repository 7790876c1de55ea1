//! `send_sms_for_response` from outside: an action made of steps that asks people, in a flow and from the command
//! line; and what it leaves behind in the words of a result.

use std::thread;

use serde_json::{Value, json};

use crate::approvals::{OTHER, PHONE, World};
use crate::processes::wait_for;

const CHOICES: &str = r#"choices: [{name: approve, title: Go ahead, words: [yes]}, reject], text: true"#;

#[test]
fn an_action_that_asks_is_a_step_like_any_other() {
    let step = format!(
        r#"  - id: ask
    action: twilio.send_sms_for_response
    with: {{to: ["{PHONE}", "{OTHER}"], body: "{{{{approval.code}}}} {{{{approval.url}}}} please", {CHOICES}, needed: all}}"#
    );
    let world = World::of(&step);
    world.sandbox.add_items(1);
    let sent = world.await_sent(2);
    assert_eq!((sent[0].to.as_str(), sent[1].to.as_str()), (PHONE, OTHER));
    assert!(sent[0].link != sent[1].link && sent[0].code != sent[1].code, "{sent:?}");
    assert!(world.open(&sent[0].link, "GET", "").body.contains("please"));
    assert_eq!(world.open(&sent[0].link, "POST", "choice=approve&text=soon").status, 200);
    world.reply(OTHER, &format!("{} yes", sent[1].code));
    let decided = world.await_decided(1).remove(0);
    assert_eq!((&decided["choice"], &decided["answers"][0]["text"]), (&json!("approve"), &json!("soon")));
    let how: Vec<&str> =
        decided["answers"].as_array().unwrap().iter().map(|one| one["how"].as_str().unwrap()).collect();
    assert_eq!(how, ["link", "sms"]);
    // The record has a result of the whole and of each message, and the token nowhere.
    let run: String = world.project.rows("SELECT id FROM runs WHERE flow = 'f'", |row| row.get(0)).pop().unwrap();
    let (_, shown) = world.command(&["runs", "show", &run, "--output", "json"]);
    assert!(!shown.contains(&sent[0].link[sent[0].link.len() - 20..]), "{shown}");
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let result = |key: &str| {
        let steps = shown["steps"].as_array().unwrap();
        steps.iter().find(|step| step["key"] == key).unwrap_or_else(|| panic!("{key} in {shown:#}"))["result"].clone()
    };
    assert_eq!((&result("0")["status"], &result("0")["output"]["choice"]), (&json!("successful"), &json!("approve")));
    assert_eq!(result("0")["tables"][0]["columns"][0], "CHOICE");
    assert_eq!(result("0")["raw"].as_array().unwrap().len(), 2, "an answer of Twilio for each message");
    let message = result("0.steps.0[1].0");
    assert_eq!(message["raw"][0]["to"], OTHER);
    assert_eq!(message["tables"][0]["rows"][0][1], OTHER);
}

#[test]
fn one_who_cannot_be_asked_keeps_nobody_else_from_answering() {
    // Twilio says of this number that its owner has opted out.
    let away = "+15005550004";
    let step = format!(
        r#"  - id: ask
    action: twilio.send_sms_for_response
    with: {{to: ["{away}", "{PHONE}"], body: "{{{{approval.code}}}} {{{{approval.url}}}} please", {CHOICES}}}"#
    );
    let world = World::of(&step);
    world.sandbox.add_items(1);
    wait_for("a link", || world.await_sent(1).iter().any(|sent| sent.to == PHONE));
    let sent = world.await_sent(1).into_iter().find(|sent| sent.to == PHONE).unwrap();
    assert_eq!(world.open(&sent.link, "POST", "choice=approve").status, 200);
    let decided = world.await_decided(1).remove(0);
    assert_eq!((&decided["choice"], &decided["unreached"][0]["approver"]), (&json!("approve"), &json!(away)));
    let run: String = world.project.rows("SELECT id FROM runs WHERE flow = 'f'", |row| row.get(0)).pop().unwrap();
    let (_, shown) = world.command(&["runs", "show", &run, "--output", "json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let result = &shown["steps"].as_array().unwrap().iter().find(|step| step["key"] == "0").unwrap()["result"];
    assert_eq!((&result["status"], &result["tables"][2]["rows"][0][0]), (&json!("partially_successful"), &json!(away)));
}

#[test]
fn called_from_the_command_line_it_waits_for_the_answer() {
    let mut world = World::of(r#"  - {id: ask, set: {a: 1}}"#);
    let to = format!("to={PHONE}");
    let body = "body={{approval.code}} <<UserActionRequiredURL>> please";
    let call = ["call", "twilio.send_sms_for_response", &to, body, "choices=go", "choices=wait", "--output", "json"];
    let (code, said) = thread::scope(|scope| {
        let called = scope.spawn(|| world.command(&call));
        let sent = world.await_sent(1).remove(0);
        assert_eq!(world.open(&sent.link, "POST", "choice=go").status, 200);
        called.join().unwrap()
    });
    assert_eq!(code, Some(0), "{said}");
    let (document, rest) = said.split_at(said.rfind('}').unwrap() + 1);
    assert!(rest.contains("waits for an answer"), "{rest}");
    let called: Value = serde_json::from_str(document).unwrap();
    assert_eq!((&called["status"], &called["output"]["choice"]), (&json!("successful"), &json!("go")));
    assert_eq!((&called["output"]["by"], &called["raw"][0]["to"]), (&json!(PHONE), &json!(PHONE)));
    assert_eq!(world.project.rows("SELECT id FROM runs WHERE flow = '(call)'", |row| row.get::<_, String>(0)).len(), 1);
    // Nobody would show the page or read a reply: nothing is sent, and nothing kept.
    world.stop();
    let (code, said) = world.command(&call);
    assert!(code == Some(1) && said.contains("approval_needs_host"), "{said}");
    let runs = || world.project.rows("SELECT id FROM runs WHERE flow = '(call)'", |row| row.get::<_, String>(0)).len();
    wait_for("the store", || runs() == 1);
}

#[test]
fn a_failure_says_which_action_failed_with_status_code_and_message() {
    let world = World::of(r#"  - {id: ask, set: {a: 1}}"#);
    let read = |arguments: &[&str]| {
        let (code, said) = world.command(arguments);
        let document = &said[..said.rfind("\n}").unwrap() + 2];
        (code, serde_json::from_str::<Value>(document).unwrap_or_else(|error| panic!("{error}: {said}")))
    };
    let (code, sent) = read(&["call", "twilio.send_sms", "to=+15005550001", "body=Hi", "--output", "json"]);
    assert_eq!(code, Some(5));
    assert_eq!(
        (&sent["status"], &sent["error"]["message"], &sent["error"]["status"], &sent["error"]["service_code"]),
        (&json!("failed"), &json!("Send SMS Messages failed."), &json!(400), &json!("21211"))
    );
    assert_eq!(sent["raw"][0]["code"], 21211);
    assert_eq!(sent["output"]["results"][0]["status"], "failed", "what became of each is told all the same");
    let to = format!("to={PHONE}");
    let (code, sent) = read(&["call", "twilio.send_sms", &to, "to=+15005550004", "body=Hi", "--output", "json"]);
    assert_eq!((code, &sent["status"]), (Some(1), &json!("partially_successful")));
    assert_eq!((sent["raw"].as_array().unwrap().len(), &sent["error"]), (2, &Value::Null));
    let before = ["call", "twilio.list_sms", "sent_after=2026-11-21", "sent_before=2026-11-20", "--output", "json"];
    let (code, listed) = read(&before);
    assert_eq!((code, &listed["error"]["message"]), (Some(2), &json!("List SMS Messages failed.")));
    let (_, listed) = read(&["call", "twilio.list_sms", &format!("receiver={PHONE}"), "--output", "json"]);
    let headings: Vec<&Value> = listed["tables"].as_array().unwrap().iter().map(|table| &table["columns"]).collect();
    assert_eq!(headings[1], &json!(["FIRST SENT", "LAST SENT", "COUNT"]));
    assert_eq!(listed["tables"][1]["rows"][0][2], "1");
    assert_eq!(listed["raw"][0]["messages"].as_array().unwrap().len(), 1, "what Twilio sent, beside what became of it");
}
