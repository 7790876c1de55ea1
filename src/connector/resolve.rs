//! Look-ups before a request: the id behind a user's name, say. What was found is remembered, in memory here and
//! by whoever hands in a [`Remembering`]; what was not found fails the request before it is sent.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::executor::Executor;
use super::prepare::Call;
use super::selector::JmesPath;
use super::template_failure;
use crate::engine::{Failure, Outcome, Verdict};
use crate::template::{Expression, Scope, Template, Tree};

/// The most values that are held in memory; beyond it those that are over go, and if none is, all.
const MOST_HELD: usize = 10_000;

/// What is told of a look-up that found nothing.
const NOT_FOUND: &str = "not_found";

/// A compiled look-up.
#[derive(Debug)]
pub struct Resolve {
    /// What templates call it, below `resolved`.
    pub name: String,
    /// The `read` action of the same connector.
    pub action: String,
    pub(super) with: Tree,
    pub(super) take: JmesPath,
    /// As it is written: a part of what the value is remembered by.
    pub(super) take_text: String,
    pub(super) when: Option<Expression>,
    pub(super) remember_ms: i64,
    pub(super) missing: Option<Template>,
}

/// A future of a [`Remembering`].
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where looked-up values outlive the process. Losing one costs a request, so nothing here fails.
pub trait Remembering: Send + Sync {
    /// The value and until when it holds (UTC epoch milliseconds), where it is known and still holds.
    fn recall(&self, key: String, now_ms: i64) -> Later<'_, Option<(Value, i64)>>;
    /// Keeps a value until a time, UTC epoch milliseconds.
    fn remember(&self, key: String, value: Value, until_ms: i64) -> Later<'_, ()>;
}

/// What was looked up: value and until when it holds, by key.
#[derive(Default)]
pub(super) struct Remembered {
    held: Mutex<HashMap<String, (Value, i64)>>,
    beyond: Option<Arc<dyn Remembering>>,
}

impl Remembered {
    /// What else remembers.
    pub(super) fn beyond(&mut self, beyond: Arc<dyn Remembering>) {
        self.beyond = Some(beyond);
    }

    async fn recall(&self, key: &str, now_ms: i64) -> Option<Value> {
        if let Some((value, _)) = self.held.lock().get(key).filter(|(_, until_ms)| *until_ms > now_ms) {
            return Some(value.clone());
        }
        let (value, until_ms) = self.beyond.as_ref()?.recall(key.to_owned(), now_ms).await?;
        self.hold(key, value.clone(), until_ms, now_ms);
        Some(value)
    }

    async fn remember(&self, key: String, value: Value, until_ms: i64, now_ms: i64) {
        self.hold(&key, value.clone(), until_ms, now_ms);
        if let Some(beyond) = &self.beyond {
            beyond.remember(key, value, until_ms).await;
        }
    }

    fn hold(&self, key: &str, value: Value, until_ms: i64, now_ms: i64) {
        let mut held = self.held.lock();
        if held.len() >= MOST_HELD {
            held.retain(|_, (_, until_ms)| *until_ms > now_ms);
        }
        if held.len() >= MOST_HELD {
            held.clear();
        }
        held.insert(key.to_owned(), (value, until_ms));
    }
}

impl Executor {
    /// The call with what its action wants looked up: from memory, or asked for now.
    ///
    /// # Errors
    /// `not_found` where there is nothing; what the service said of the look-up. The request itself was not sent.
    pub async fn resolve<'a>(&self, call: Call<'a>) -> Result<Call<'a>, Failure> {
        if call.action.resolve.is_empty() || call.resolved.is_some() {
            return Ok(call);
        }
        let mut scope = call.scope()?;
        // What is refused anyhow needs no look-up.
        scope.set_now(self.now_ms());
        call.action.refuse(&scope)?;
        scope.set("connection", call.connection.public.clone());
        if let (Some(foreach), Some(element)) = (&call.action.foreach, &call.element) {
            scope.set(&foreach.name, element.clone());
        }
        let mut resolved = Map::new();
        for wanted in &call.action.resolve {
            let is_wanted = wanted.when.as_ref().map_or(Ok(true), |when| when.is_true(&scope));
            if is_wanted.map_err(|error| template_failure(&error))? {
                resolved.insert(wanted.name.clone(), self.look_up(&call, wanted, &scope).await?);
            }
        }
        Ok(Call { resolved: Some(Value::Object(resolved)), ..call })
    }

    /// Boxed, because a call looks up what its action wants: a look-up itself wants nothing (`check`).
    fn look_up<'a>(
        &'a self,
        call: &'a Call<'_>,
        wanted: &'a Resolve,
        scope: &'a Scope,
    ) -> Later<'a, Result<Value, Failure>> {
        Box::pin(async move {
            let inputs = wanted.with.evaluate_pruned(scope).map_err(|error| template_failure(&error))?;
            let now_ms = self.now_ms();
            let listing = call.connection.connector.action(&wanted.action).ok_or_else(|| {
                let name = &call.connection.connector.name;
                Failure::not_sent("action_unknown", format!("there is no action {name}.{}", wanted.action))
            })?;
            let key = key(call, wanted, &inputs, &self.account(call.connection, listing).await);
            if let Some(known) = self.remembered.recall(&key, now_ms).await {
                return Ok(known);
            }
            let asked = self.call(Call::new(call.connection, listing, inputs.clone())).await;
            let found = match asked.result {
                Ok(page) => wanted.take.search(&page.into_output())?.into_owned(),
                Err(failure) if failure.status == Some(404) => Value::Null,
                Err(failure) => return Err(not_looked_up(wanted, failure)),
            };
            if found.is_null() {
                return Err(missing(call, wanted, &inputs, scope));
            }
            self.remembered.remember(key, found.clone(), now_ms.saturating_add(wanted.remember_ms), now_ms).await;
            Ok(found)
        })
    }
}

/// The same question of the same account has the same key, in every process; who has signed in otherwise since is
/// another one.
fn key(call: &Call<'_>, wanted: &Resolve, inputs: &Value, account: &str) -> String {
    let connection = call.connection;
    let asked = json!([wanted.action, inputs, wanted.take_text]);
    let question = json!([connection.connector.name, connection.name, connection.public, account, asked]);
    Sha256::digest(question.to_string().as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn missing(call: &Call<'_>, wanted: &Resolve, inputs: &Value, scope: &Scope) -> Failure {
    let said = wanted.missing.as_ref().and_then(|template| template.render(scope).ok());
    let message = said.unwrap_or_else(|| {
        format!("{}: {}.{} finds nothing for {inputs}", call.action, call.connection.connector.name, wanted.action)
    });
    Failure::not_sent(NOT_FOUND, message)
}

/// The look-up failed: the request that needed it never left, whatever became of the look-up.
fn not_looked_up(wanted: &Resolve, failure: Failure) -> Failure {
    let message = format!("`{}` could not be looked up by {}: {}", wanted.name, wanted.action, failure.message);
    let verdict = match failure.verdict {
        Verdict::CursorExpired | Verdict::Reconcile => Verdict::Fail,
        verdict => verdict,
    };
    Failure { message, outcome: Outcome::NotSent, verdict, ..failure }
}
