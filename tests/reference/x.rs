//! Replays what was recorded of X. Exchanges of our operations are replayed whole; answers of their neighbours
//! (other lists of tweets, other users, every refusal) are given to the operation that reads the same form.

use jiff::fmt::rfc2822::DateTimeParser;
use serde_json::{Map, Value, json};
use tidegate::connector::Call;
use tidegate::connector::paginator::At;
use tidegate::engine::{Failure, Verdict};

use super::account::Account;
use super::answer::{Follows, Given, changed_members, first_text, first_words, wrong_with};
use super::fixture::{Answer, Fixture, Recorded, Request};
use super::wire::Wire;
use super::{reference, settle};

/// Members that say the same elsewhere, or under the older of their two names.
const RENAMED: [&str; 5] = [
    "text",
    "note_tweet",
    "note_post",
    "referenced_posts",
    "edit_history_post_ids",
];

/// Where an answer that names no reset may be asked again at the earliest.
const PATIENCE_MS: i64 = 60_000;

/// How an exchange is replayed.
struct Replay {
    action: &'static str,
    inputs: Map<String, Value>,
    /// What must be the same in our request.
    given: Vec<Given>,
    /// Whether it is one of our operations, so that method and path must be the same.
    is_ours: bool,
    user_id: String,
}

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
            wrong.extend(
                found
                    .into_iter()
                    .map(|what| format!("{}: {what}", fixture.name)),
            );
        }
    }
    eprintln!(
        "replayed {ours} exchanges of our operations of X, {neighbours} answers of their neighbours"
    );
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
        wrong.push(format!(
            "sent was {}, recorded {} {}",
            sent.start,
            request.method,
            request.url.path()
        ));
    }
    wrong.extend(given.iter().filter_map(|given| given.wrong_in(sent)));
    match result {
        Err(failure) => wrong.extend(wrong_failure(&failure, replay.action, answer, now_ms)),
        Ok(_) if must_fail(replay.action, answer) => {
            wrong.push("it was taken for a success".to_owned())
        }
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
                    let token = Given::Query("pagination_token", token.to_owned());
                    wrong.extend(
                        given
                            .iter()
                            .chain([&token])
                            .filter_map(|given| given.wrong_in(next)),
                    );
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
    let call = Call {
        after_uncertain: true,
        ..account.call_of("post_tweet", json!({"text": "again"}))
    };
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

/// Which action an exchange is for, and its inputs; none for what none of them would read.
fn replay_of(recorded: &Recorded) -> Option<Replay> {
    let Recorded { request, answer } = recorded;
    let segments: Vec<&str> = request
        .url
        .path_segments()?
        .filter(|segment| !segment.is_empty())
        .collect();
    let mut replay = Replay {
        action: "",
        inputs: Map::new(),
        given: Vec::new(),
        is_ours: true,
        user_id: "1".to_owned(),
    };
    match (request.method.as_str(), segments.as_slice()) {
        ("GET", ["2", "tweets", "search", "recent"]) => {
            replay.action = "search_tweets";
            for name in [
                "query",
                "since_id",
                "until_id",
                "start_time",
                "end_time",
                "sort_order",
            ] {
                replay.take_query(request, name);
            }
            replay.take_size(request, 10);
        }
        ("GET", ["2", "tweets", "counts", "recent"]) => {
            replay.action = "count_tweets";
            replay.take_query(request, "query");
            replay.take_query(request, "granularity");
        }
        ("GET", ["2", "users", "by", "username", username]) => {
            replay.action = "get_user";
            replay.inputs.insert("username".to_owned(), json!(username));
        }
        ("GET", ["2", "users", "me"]) => replay.action = "get_me",
        ("GET", ["2", "users", id, "tweets"]) => {
            replay.action = "get_own_tweets";
            replay.user_id = (*id).to_owned();
            replay.take_query(request, "since_id");
            replay.take_size(request, 5);
        }
        ("POST", ["2", "tweets"]) => {
            replay.action = "post_tweet";
            for (input, pointer) in [
                ("text", "/text"),
                ("reply_to", "/reply/in_reply_to_tweet_id"),
                ("quote", "/quote_tweet_id"),
                ("reply_settings", "/reply_settings"),
            ] {
                if let Some(value) = request.member(pointer) {
                    replay.inputs.insert(input.to_owned(), value.clone());
                    replay.given.push(Given::Json(pointer, value));
                }
            }
        }
        ("DELETE", ["2", "tweets", id]) => {
            replay.action = "delete_tweet";
            replay.inputs.insert("id".to_owned(), json!(id));
        }
        (method, segments) => {
            replay.is_ours = false;
            replay.action = match (method, segments, answer.status) {
                ("GET", _, 400..) => "search_tweets",
                ("POST" | "PUT" | "DELETE", _, 400..) => "post_tweet",
                ("GET", ["2", "tweets"], 200) => "search_tweets",
                (
                    "GET",
                    ["2", "tweets", "search", "all"] | ["2", "tweets", _, "quote_tweets"],
                    200,
                ) => "search_tweets",
                ("GET", ["2", "users", _, "mentions" | "liked_tweets"], 200) => "search_tweets",
                ("GET", ["2", "users", _, "timelines", _], 200) => "search_tweets",
                ("GET", ["2", "tweets", "counts", "all"], 200) => "count_tweets",
                ("GET", ["2", "users", id], 200)
                    if id.bytes().all(|byte| byte.is_ascii_digit()) =>
                {
                    "get_me"
                }
                _ => return None,
            };
        }
    }
    Some(replay)
}

impl Replay {
    fn take_query(&mut self, request: &Request, name: &'static str) {
        if let Some(value) = request.query(name) {
            self.inputs.insert(name.to_owned(), json!(value));
            self.given.push(Given::Query(name, value));
        }
    }

    /// Sizes that the service would refuse are brought into its range.
    fn take_size(&mut self, request: &Request, least: u32) {
        let Some(size) = request
            .query("max_results")
            .and_then(|size| size.parse::<u32>().ok())
        else {
            return;
        };
        self.inputs.insert("max_results".to_owned(), json!(size));
        self.given.push(Given::Query(
            "max_results",
            size.clamp(least, 100).to_string(),
        ));
    }
}

/// Inputs with something in place of what was not recorded.
fn completed(action: &str, inputs: &Value) -> Value {
    let mut inputs = inputs.clone();
    let stand_in = match action {
        "search_tweets" | "count_tweets" => ("query", "anything"),
        "get_user" => ("username", "anyone"),
        "post_tweet" => ("text", "anything"),
        "delete_tweet" => ("id", "1"),
        _ => return inputs,
    };
    let members = inputs.as_object_mut().unwrap();
    members
        .entry(stand_in.0)
        .or_insert_with(|| json!(stand_in.1));
    inputs
}

/// When it was answered, in UTC epoch milliseconds: by its date, else a minute before its window ends. Some
/// dates were moved by whoever recorded them, and their day of the week was left as it was.
fn time_of(answer: &Answer) -> i64 {
    const DATES: DateTimeParser = DateTimeParser::new().relaxed_weekday(true);
    let dated = answer
        .header("date")
        .and_then(|date| DATES.parse_timestamp(date).ok());
    let dated = dated.map(|date| date.as_millisecond());
    let reset = reset_ms(answer).map(|reset_ms| reset_ms - PATIENCE_MS);
    dated.or(reset).unwrap_or(1_790_000_000_000)
}

fn reset_ms(answer: &Answer) -> Option<i64> {
    let seconds: i64 = answer.header("x-rate-limit-reset")?.parse().unwrap();
    Some(seconds * 1_000)
}

fn is_single(action: &str) -> bool {
    !matches!(action, "search_tweets" | "get_own_tweets" | "count_tweets")
}

fn must_fail(action: &str, answer: &Answer) -> bool {
    // What is gone already needs no deleting.
    let is_gone = action == "delete_tweet" && answer.status == 404;
    (answer.status >= 400 && !is_gone)
        || (is_single(action) && !answer.body["errors"].is_null() && answer.body["data"].is_null())
}

/// Section 8 of the reference's page about X, read anew.
fn wrong_failure(failure: &Failure, action: &str, answer: &Answer, now_ms: i64) -> Vec<String> {
    if !must_fail(action, answer) {
        return vec![format!("it was taken for a failure: {failure:?}")];
    }
    let body = &answer.body;
    let kind = first_text(body, &["/type"]).unwrap_or_default();
    let kind = kind.rsplit('/').next().unwrap_or_default();
    let code = first_text(body, &["/errors/0/code", "/title"]);
    let message = first_text(body, &["/errors/0/message"]).unwrap_or_default();
    let is_too_old = message.contains("must be a tweet id created after")
        || message.contains("'start_time' must be on or after");
    let is_capped = kind == "usage-capped" || body["title"] == "UsageCapExceeded";
    let follows = match (answer.status, code.as_deref()) {
        (400, _) if is_too_old => Follows::CursorExpired,
        (401, _) => Follows::Reauth,
        (402, _) => Follows::Suspended,
        // A person has to go to X for these: a locked account, or a token of the wrong kind.
        (403, Some("64" | "326")) => Follows::Suspended,
        (403, _) if matches!(kind, "unsupported-authentication" | "oauth1-permissions") => {
            Follows::Reauth
        }
        (429, _) if is_capped => Follows::Suspended,
        (429, _) => Follows::RateLimited,
        (500 | 502..=504, _) => Follows::Retry,
        _ => Follows::Fail,
    };
    let told = [
        "/errors/0/message",
        "/errors/0/detail",
        "/detail",
        "/error_description",
        "/title",
        "/error",
        "/errors",
    ];
    let words = first_text(body, &told).or_else(|| first_words(body));
    let mut wrong = wrong_with(failure, answer, follows, words.as_deref(), code);
    if let Verdict::RateLimited { until_ms } = failure.verdict {
        let is_used_up = answer.header("x-rate-limit-remaining") == Some("0");
        match reset_ms(answer).filter(|_| is_used_up) {
            Some(reset_ms) if until_ms != reset_ms.max(now_ms) => {
                wrong.push(format!(
                    "it waits until {until_ms}, and the window ends at {reset_ms}"
                ));
            }
            None if until_ms < now_ms + PATIENCE_MS => {
                wrong.push("it waits less than a minute".to_owned())
            }
            _ => {}
        }
    }
    wrong
}

fn wrong_records(action: &str, ours: &[Value], body: &Value) -> Vec<String> {
    let recorded = match &body["data"] {
        _ if action == "count_tweets" => return wrong_counts(ours, body),
        Value::Null => Vec::new(),
        Value::Array(records) => records.clone(),
        record => vec![record.clone()],
    };
    if ours.len() != recorded.len() {
        return vec![format!(
            "{} records were recorded, {} came out",
            recorded.len(),
            ours.len()
        )];
    }
    let is_tweet = matches!(action, "search_tweets" | "get_own_tweets");
    let renamed: &[&str] = if is_tweet { &RENAMED } else { &[] };
    let mut wrong = Vec::new();
    for (recorded, ours) in recorded.iter().zip(ours) {
        wrong.extend(changed_members(recorded, ours, renamed));
        if !is_tweet {
            continue;
        }
        let told = ["/note_tweet/text", "/note_post/text", "/text"];
        let text = first_text(recorded, &told);
        if ours["text"].as_str() != text.as_deref() {
            wrong.push(format!(
                "the text of {} became {}",
                recorded["id"], ours["text"]
            ));
        }
        let users = body["includes"]["users"].as_array().into_iter().flatten();
        let author = users
            .into_iter()
            .find(|user| user["id"] == recorded["author_id"]);
        if let Some(author) = author.filter(|_| !recorded["author_id"].is_null())
            && &ours["author"] != author
        {
            wrong.push(format!(
                "the author of {} became {}",
                recorded["id"], ours["author"]
            ));
        }
    }
    wrong
}

fn wrong_counts(ours: &[Value], body: &Value) -> Vec<String> {
    let total = first_text(&body["meta"], &["/total_tweet_count", "/total_post_count"]);
    let total = total.map(|total| total.parse::<u64>().unwrap());
    let expected = json!([{"total": total, "buckets": body["data"]}]);
    (json!(ours) != expected)
        .then(|| "the counts are others".to_owned())
        .into_iter()
        .collect()
}
