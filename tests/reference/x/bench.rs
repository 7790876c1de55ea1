//! An account of X's connector on the sandbox, with X's own document held against everything that passes.

use serde_json::{Value, json};
use tidegate::clock::Clock;
use tidegate::engine::Failure;
use tidegate::manifest::Catalog;
use tidegate::sandbox::{self, NewTweet, Options, Sandbox};

use crate::reference::account::Account;
use crate::reference::document::Document;
use crate::reference::wire::{Passed, Wire};
use crate::reference::{reference, settle};
use crate::sign_in::{self, Stage};

/// A version of X's document: its file, and the connection's `field_names` for it.
pub struct Version {
    file: &'static str,
    field_names: &'static str,
}

/// The last version with the names that the connector sends.
pub const TWEET: Version = Version { file: "specs/x-openapi-2.166-tweet-names.json", field_names: "tweet" };
/// With the names since August 2026.
pub const POST: Version = Version { file: "specs/x-openapi.json", field_names: "post" };

/// 2026-11-20T13:19:00Z
pub const NOW_MS: i64 = 1_795_180_740_000;

/// A sandbox, what passes before it, and an account of it.
pub struct Bench {
    document: Document,
    pub sandbox: Sandbox,
    pub wire: Wire,
    pub account: Account,
    pub wrong: Vec<String>,
    /// Whether the document is the newest, which says what credentials X takes now, and not yet how it answers.
    is_newest: bool,
}

impl Bench {
    pub async fn start(test: &str, change: impl FnOnce(&mut Options)) -> Option<Bench> {
        Bench::of(TWEET, test, change).await
    }

    pub async fn of(version: Version, test: &str, change: impl FnOnce(&mut Options)) -> Option<Bench> {
        let path = reference(test, version.file)?;
        let mut options = Options { clock: Clock::manual(NOW_MS), ..Options::default() };
        change(&mut options);
        let sandbox = Sandbox::start(options).await.unwrap();
        let wire = Wire::before(&sandbox.x_url()).await;
        Some(Bench {
            document: Document::read(&path, as_it_answers),
            account: account(&wire, &json!({"field_names": version.field_names})),
            sandbox,
            wire,
            wrong: Vec::new(),
            is_newest: version.file == POST.file,
        })
    }

    /// An account that signed in by OAuth 2, which every request goes by.
    pub async fn signed_in(test: &str) -> Option<Bench> {
        let path = reference(test, TWEET.file)?;
        let clock = Clock::manual(NOW_MS);
        let sandbox = Sandbox::start(Options { clock: clock.clone(), ..Options::default() }).await.unwrap();
        let wire = Wire::before(&sandbox.x_url()).await;
        let Stage { sandbox, memory, connection, .. } = Stage::signed_in_at(sandbox, clock.clone(), &wire.url()).await;
        wire.take();
        let executor = sign_in::executor_with_files(&clock, &memory, vec![std::env::temp_dir()]);
        let mut document = Document::read(&path, as_it_answers);
        document.has_user_tokens = true;
        Some(Bench {
            document,
            account: Account::of(executor, connection, clock),
            sandbox,
            wire,
            wrong: Vec::new(),
            is_newest: false,
        })
    }

    pub fn tweets(&self, new: NewTweet) -> Vec<String> {
        self.sandbox.control().add_tweets(&new)
    }

    /// Calls an action, all its pages, and examines what passed.
    pub async fn call(&mut self, action: &str, inputs: Value) -> Result<Value, Failure> {
        let called = self.account.call(action, inputs).await.result;
        assert!(!self.wire.passed().is_empty(), "{action} sent nothing: {called:?}");
        self.examine(action);
        if called.is_err() {
            // What the document says against it tells more than the failure.
            settle(&self.wrong);
        }
        called.map(tidegate::connector::Page::into_output)
    }

    /// The same for a call that X refuses, and what follows from that.
    pub async fn refused(&mut self, action: &str, inputs: Value, status: u16) -> Failure {
        let called = self.account.call(action, inputs).await.result;
        assert!(!self.wire.passed().is_empty(), "{action} sent nothing: {called:?}");
        let passed = self.wire.passed();
        let answered = passed.last().unwrap().answer.status();
        if answered != status {
            self.wrong.push(format!("{action}: the sandbox answers {answered}, not {status}"));
        }
        self.examine(action);
        called.expect_err("it is refused")
    }

    fn examine(&mut self, action: &str) {
        let passed = self.wire.take();
        for passed in passed {
            let mut found = self.document.wrong_request(&passed.request);
            found.extend(match self.is_newest {
                true => self.wrong_schemes(action, &passed),
                // Answers are as the recorded ones still are, by the names of before.
                false => self.wrong_answer(&passed),
            });
            let found = found
                .into_iter()
                .map(|what| format!("{action}, {} {}: {what}", passed.request.method(), passed.request.url().path()));
            self.wrong.extend(found);
        }
    }

    /// What is wrong with the schemes that the action would go by, one of which this was.
    fn wrong_schemes(&self, action: &str, passed: &Passed) -> Vec<String> {
        let written = &Catalog::embedded().connectors["x"].value;
        let action = &self.account.call_of(action, json!({})).action;
        let schemes = action.schemes.iter().map(|scheme| (scheme, &written.connection.auth[scheme]));
        schemes
            .filter_map(|(name, scheme)| {
                Some(format!("{name}: {}", self.document.wrong_scheme(&passed.request, scheme)?))
            })
            .collect()
    }

    fn wrong_answer(&self, passed: &Passed) -> Vec<String> {
        let Some(mut wrong) = self.document.wrong_answer(passed) else {
            return vec![format!("an answer with {} is not described", passed.answer.status())];
        };
        let body = passed.answer.json();
        let problems: Vec<&Value> = match passed.answer.status() {
            200..300 => body["errors"].as_array().into_iter().flatten().collect(),
            _ => vec![&body],
        };
        for problem in problems {
            let kind = problem["type"].as_str().unwrap_or_default();
            match self.problem_schema(kind) {
                Some(schema) => wrong.extend(self.document.schemas.wrong(&schema, problem)),
                None => wrong.push(format!("there is no problem `{kind}`")),
            }
        }
        wrong
    }

    /// What a problem of a type has beside what all have.
    fn problem_schema(&self, kind: &str) -> Option<Value> {
        let all = self.document.schemas.named("Problem")?;
        Some(json!({"$ref": all["discriminator"]["mapping"].get(kind)?}))
    }
}

/// What the document wants of uploads, and no recorded answer has.
fn as_it_answers(document: &mut Value) {
    let schemas = &mut document["components"]["schemas"];
    for name in ["MediaUploadResponse", "MediaUploadAppendResponse", "ProcessingInfo"] {
        schemas[name]["required"] = json!([]);
    }
}

pub fn account(wire: &Wire, changed: &Value) -> Account {
    let mut fields = json!({
        "consumer_key": sandbox::X_CONSUMER_KEY,
        "consumer_secret": sandbox::X_CONSUMER_SECRET,
        "access_token": sandbox::X_ACCESS_TOKEN,
        "access_token_secret": sandbox::X_ACCESS_TOKEN_SECRET,
        "bearer_token": sandbox::X_BEARER_TOKEN,
    });
    for (name, value) in changed.as_object().unwrap() {
        match value {
            Value::Null => fields.as_object_mut().unwrap().remove(name),
            value => fields.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    Account::new("x", &wire.url(), NOW_MS, &fields)
}
