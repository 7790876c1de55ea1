//! Replays what was recorded of Twilio's messages: sent, listed and fetched ones, the account, and every refusal.

mod document;
mod quirks;
mod replay;

use serde_json::{Value, json};
use tidegate::connector::Call;
use tidegate::engine::{Failure, Verdict};

use self::replay::{Replay, completed, records_of, replay_of};
use super::account::Account;
use super::answer::{Follows, changed_members, first_text, first_words, wrong_with};
use super::fixture::{Answer, Fixture, Recorded};
use super::wire::Wire;
use super::{reference, settle};

/// 2026-09-21, a time that no recording depends on.
const NOW_MS: i64 = 1_790_000_000_000;

#[tokio::test]
async fn recorded_exchanges_of_twilio_are_replayed() {
    let Some(folder) = reference("recorded_exchanges_of_twilio_are_replayed", "fixtures/twilio") else {
        return;
    };
    let (mut wrong, mut ours, mut neighbours) = (Vec::new(), 0, 0);
    for fixture in Fixture::all(&folder) {
        let found = match fixture.steps.as_slice() {
            [recorded] => {
                let Some(replay) = replay_of(recorded) else {
                    continue;
                };
                match replay.is_ours {
                    true => ours += 1,
                    false => neighbours += 1,
                }
                replayed(recorded, replay).await
            }
            steps => {
                let Some(replay) = replay_of(&steps[0]).filter(|replay| replay.action == "list_messages") else {
                    continue;
                };
                ours += steps.len();
                replayed_pages(steps, replay).await
            }
        };
        wrong.extend(found.into_iter().map(|what| format!("{}: {what}", fixture.name)));
    }
    eprintln!("replayed {ours} exchanges of our operations of Twilio, {neighbours} answers of their neighbours");
    assert!(ours > 0, "none of the exchanges is of our operations");
    settle(&wrong);
}

async fn replayed(recorded: &Recorded, replay: Replay) -> Vec<String> {
    let Recorded { request, answer } = recorded;
    let mut answer = answer.clone();
    if let Some(next) = answer.body.pointer_mut("/meta/next_page_url") {
        // It leads to Twilio itself, where no recording is; that it is not followed elsewhere has tests of its own.
        next.take();
    }
    let answer = &answer;
    let wire = Wire::recorded([answer.clone()]).await;
    let account = account(&wire.url(), &replay.account_sid);
    let mut wrong = Vec::new();
    let (mut given, mut is_ours) = (replay.given, replay.is_ours);
    let result = match send(&account, replay.action, Value::Object(replay.inputs)).await {
        Ok(result) => result,
        // What Twilio refused may be refused before it is sent; the answer is read all the same.
        Err(refused) if answer.status >= 400 => {
            wrong.extend((refused.verdict != Verdict::Fail).then(|| format!("{refused:?}")));
            (given, is_ours) = (Vec::new(), false);
            send(&account, replay.action, json!({})).await.unwrap()
        }
        Err(refused) => return vec![format!("our {} refuses it: {refused:?}", replay.action)],
    };
    let passed = wire.passed();
    let sent = &passed[0].request;
    if is_ours && (sent.method(), decoded(&sent.url())) != (&request.method, decoded(&request.url)) {
        wrong.push(format!("sent was {}, recorded {} {}", sent.start, request.method, request.url.path()));
    }
    wrong.extend(given.iter().filter_map(|given| given.wrong_in(sent)));
    let is_stopped = replay.action == "fetch_account" && answer.body["status"] != "active";
    match result {
        Err(failure) => wrong.extend(wrong_failure(&failure, is_stopped, answer)),
        Ok(_) if answer.status >= 400 || is_stopped => wrong.push("it was taken for a success".to_owned()),
        Ok(page) => {
            wrong.extend(wrong_records(replay.action, &page.records, &answer.body));
            let next = answer.body["next_page_uri"].as_str().filter(|next| !next.is_empty());
            if next.is_some() != page.next.is_some() {
                wrong.push(format!("after {next:?} comes {:?}", page.next));
            }
        }
    }
    wrong
}

/// All pages of a list in one call.
async fn replayed_pages(steps: &[Recorded], replay: Replay) -> Vec<String> {
    let wire = Wire::recorded(steps.iter().map(|step| step.answer.clone())).await;
    let account = account(&wire.url(), &replay.account_sid);
    let mut inputs = completed("list_messages", Value::Object(replay.inputs));
    inputs["limit"] = json!(10_000);
    let page = match account.call("list_messages", inputs).await.result {
        Ok(page) => page,
        Err(failure) => return vec![format!("{failure:?}")],
    };
    let mut wrong: Vec<String> = page.problems;
    let passed = wire.passed();
    if passed.len() != steps.len() {
        wrong.push(format!("{} pages were recorded, {} were asked for", steps.len(), passed.len()));
    }
    for (position, (step, passed)) in steps.iter().zip(&passed).enumerate() {
        let (recorded, sent) = (&step.request.url, passed.request.url());
        // From the second on the address is the service's own.
        if recorded.path() != sent.path() || (position > 0 && recorded.query() != sent.query()) {
            wrong.push(format!("page {position} was asked for at {}", passed.request.start));
        }
    }
    wrong.extend(replay.given.iter().filter_map(|given| given.wrong_in(&passed[0].request)));
    let messages = steps.iter().flat_map(|step| step.answer.body["messages"].as_array().unwrap());
    let whole = json!({"messages": messages.collect::<Vec<_>>()});
    wrong.extend(wrong_records("list_messages", &page.records, &whole));
    wrong
}

fn decoded(url: &url::Url) -> String {
    percent_encoding::percent_decode_str(url.path()).decode_utf8_lossy().into_owned()
}

async fn send(
    account: &Account,
    action: &str,
    inputs: Value,
) -> Result<Result<tidegate::connector::Page, Failure>, Failure> {
    let inputs = completed(action, inputs);
    let element = inputs.get("to").filter(|_| action == "send_sms").cloned();
    account.send(Call { element, ..account.call_of(action, inputs) }).await
}

fn account(url: &str, account_sid: &str) -> Account {
    let fields = json!({"account_sid": account_sid, "auth_token": "an-auth-token"});
    Account::new("twilio", url, NOW_MS, &fields)
}

/// Section 6 of the reference's page about Twilio, read anew.
fn wrong_failure(failure: &Failure, is_stopped: bool, answer: &Answer) -> Vec<String> {
    if answer.status < 400 && !is_stopped {
        return vec![format!("it was taken for a failure: {failure:?}")];
    }
    let body = &answer.body;
    let code = first_text(body, &["/code"]);
    let follows = match (answer.status, code.as_deref()) {
        (200, _) => Follows::Suspended,
        (400, Some("21481")) => Follows::CursorExpired,
        // The sender's queue is full: later.
        (400, Some("21611")) => Follows::Retry,
        (401, _) => Follows::Reauth,
        (403, Some("20005")) => Follows::Suspended,
        (403, Some("70051")) => Follows::Reauth,
        (429, _) => Follows::RateLimited,
        (500 | 502..=504, _) => Follows::Retry,
        _ => Follows::Fail,
    };
    let words = match answer.status {
        200 => first_text(body, &["/status"]),
        _ => first_text(body, &["/message", "/detail"]).or_else(|| first_words(body)),
    };
    wrong_with(failure, answer, follows, words.as_deref(), code)
}

fn wrong_records(action: &str, ours: &[Value], body: &Value) -> Vec<String> {
    let recorded = match records_of(action) {
        Some(member) => body[member].as_array().cloned().unwrap_or_default(),
        None if body.is_null() => Vec::new(),
        None => vec![body.clone()],
    };
    let ours: Vec<Value> = ours.iter().filter(|record| !record.is_null()).cloned().collect();
    if ours.len() != recorded.len() {
        return vec![format!("{} records were recorded, {} came out", recorded.len(), ours.len())];
    }
    let pairs = recorded.iter().zip(&ours);
    let mut wrong: Vec<String> =
        pairs.clone().flat_map(|(recorded, ours)| changed_members(recorded, ours, &["auth_token"])).collect();
    let told = pairs
        .filter(|(recorded, ours)| !recorded["auth_token"].is_null() && recorded["auth_token"] == ours["auth_token"]);
    wrong.extend(told.map(|_| "the account's secret is told".to_owned()));
    wrong
}
