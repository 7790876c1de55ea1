//! Replays what was recorded of X. Exchanges of our operations are replayed whole; answers of their neighbours
//! (other lists of tweets, other users, every refusal) are given to the operation that reads the same form.

mod bench;
mod document;
mod expected;
mod replay;
mod writing;

use jiff::fmt::rfc2822::DateTimeParser;
use serde_json::{Value, json};
use tidegate::connector::Call;
use tidegate::connector::paginator::At;
use tidegate::engine::Verdict;

use self::expected::{PATIENCE_MS, must_fail, reset_ms, wrong_failure, wrong_records};
use self::replay::{Replay, completed, replay_of};
use super::account::Account;
use super::answer::{Given, first_text};
use super::fixture::{Answer, Fixture, Recorded};
use super::wire::Wire;
use super::{reference, settle};

#[tokio::test]
async fn recorded_exchanges_of_x_are_replayed() {
    let Some(folder) = reference("recorded_exchanges_of_x_are_replayed", "fixtures/x") else {
        return;
    };
    let (mut wrong, mut ours, mut neighbours) = (Vec::new(), 0, 0);
    for fixture in Fixture::all(&folder) {
        for recorded in &fixture.steps {
            let Some(replay) = replay_of(recorded) else {
                continue;
            };
            match replay.is_ours {
                true => ours += 1,
                false => neighbours += 1,
            }
            let found = replayed(&fixture, recorded, replay).await;
            wrong.extend(found.into_iter().map(|what| format!("{}: {what}", fixture.name)));
        }
    }
    eprintln!("replayed {ours} exchanges of our operations of X, {neighbours} answers of their neighbours");
    assert!(ours > 0, "none of the exchanges is of our operations");
    settle(&wrong);
}

async fn replayed(fixture: &Fixture, recorded: &Recorded, replay: Replay) -> Vec<String> {
    let Recorded { request, answer } = recorded;
    let after = Answer::ok(json!({"meta": {"result_count": 0}}));
    let wire = Wire::recorded([answer.clone(), after]).await;
    let now_ms = time_of(answer);
    let account = account(&wire.url(), &replay.user_id, now_ms);
    let mut wrong = Vec::new();
    let (mut inputs, mut is_ours) = (Value::Object(replay.inputs), replay.is_ours);
    let mut given = replay.given;
    let call = account.call_of(replay.action, completed(replay.action, &inputs));
    let result = match account.send(call).await {
        Ok(result) => result,
        // What X refused may be refused before it is sent; the answer is read all the same.
        Err(refused) if answer.status >= 400 || fixture.is_assumed => {
            wrong.extend((refused.verdict != Verdict::Fail).then(|| format!("{refused:?}")));
            (inputs, given, is_ours) = (json!({}), Vec::new(), false);
            let call = account.call_of(replay.action, completed(replay.action, &inputs));
            account.send(call).await.unwrap()
        }
        Err(refused) => return vec![format!("our {} refuses it: {refused:?}", replay.action)],
    };
    let passed = wire.passed();
    let sent = &passed[0].request;
    if is_ours && (sent.method(), sent.url().path()) != (&request.method, request.url.path()) {
        wrong.push(format!("sent was {}, recorded {} {}", sent.start, request.method, request.url.path()));
    }
    wrong.extend(given.iter().filter_map(|given| given.wrong_in(sent)));
    match result {
        Err(failure) => wrong.extend(wrong_failure(&failure, replay.action, answer, now_ms)),
        Ok(_) if must_fail(replay.action, answer) => wrong.push("it was taken for a success".to_owned()),
        Ok(page) => {
            wrong.extend(wrong_records(replay.action, &page.records, &answer.body));
            let errors = &answer.body["errors"];
            let told = first_text(errors, &["/0/message", "/0/detail", "/0/title"]);
            if let Some(told) = told
                && !page.problems.iter().any(|problem| problem.contains(&told))
            {
                wrong.push(format!("{:?} does not tell `{told}`", page.problems));
            }
            let token = answer.body["meta"]["next_token"].as_str();
            // Version 1.1 ends its lists with a cursor of 0.
            let token = token.or(answer.body["next_cursor"].as_str().filter(|cursor| *cursor != "0"));
            let token = token.filter(|_| page.is_list);
            match (token, &page.next) {
                (Some(token), Some(next)) => {
                    if next.at != At::Token(token.to_owned()) {
                        wrong.push(format!("the next page is {:?}, not {token}", next.at));
                    }
                    let inputs = completed(replay.action, &inputs);
                    let followed = account.follow(replay.action, inputs, next).await.unwrap();
                    assert_eq!(followed.next, None, "{}", fixture.name);
                    let next = &wire.passed()[1].request;
                    let place = match replay.action {
                        "search_users" | "list_counts" => "next_token",
                        "get_message_events" => "cursor",
                        _ => "pagination_token",
                    };
                    let token = Given::Query(place, token.to_owned());
                    wrong.extend(given.iter().chain([&token]).filter_map(|given| given.wrong_in(next)));
                }
                (None, None) => {}
                (token, next) => wrong.push(format!("after {token:?} comes {next:?}")),
            }
        }
    }
    if answer.status == 403 && answer.body.to_string().contains("duplicate content") {
        wrong.extend(wrong_duplicate(answer).await);
    }
    wrong
}

/// A refused duplicate after a try that may have worked proves nothing by itself: it is looked up.
async fn wrong_duplicate(answer: &Answer) -> Option<String> {
    let wire = Wire::recorded([answer.clone()]).await;
    let account = account(&wire.url(), "1", time_of(answer));
    let call = Call { after_uncertain: true, ..account.call_of("create_tweet", json!({"text": "again"})) };
    let failure = account.send(call).await.unwrap().unwrap_err();
    (failure.verdict != Verdict::Reconcile).then(|| format!("after an unknown try: {failure:?}"))
}

fn account(url: &str, user_id: &str, now_ms: i64) -> Account {
    let fields = json!({
        "consumer_key": "key", "consumer_secret": "a-consumer-secret",
        "access_token": "1-a-token", "access_token_secret": "a-token-secret",
        "bearer_token": "a-bearer-token", "user_id": user_id,
    });
    Account::new("x", url, now_ms, &fields)
}

/// When it was answered, in UTC epoch milliseconds: by its date, else a minute before its window ends. Some
/// dates were moved by whoever recorded them, and their day of the week was left as it was.
fn time_of(answer: &Answer) -> i64 {
    const DATES: DateTimeParser = DateTimeParser::new().relaxed_weekday(true);
    let dated = answer.header("date").and_then(|date| DATES.parse_timestamp(date).ok());
    let dated = dated.map(|date| date.as_millisecond());
    let reset = reset_ms(answer).map(|reset_ms| reset_ms - PATIENCE_MS);
    dated.or(reset).unwrap_or(1_790_000_000_000)
}
