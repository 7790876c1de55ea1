//! `tidegate run --dry-run`: the engine's own decisions, with reads sent and writes only rendered. Nothing is
//! kept, and waits are passed over.

mod sample;

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Preview, Project};
use crate::clock::{Clock, rfc3339};
use crate::connector::{Action, AdHoc, Call, Connection, Executor, Prepared};
use crate::engine::approval::{End, Resolution};
use crate::engine::{
    self, Decision, Effect, EntryState, Event, Facts, Failure, Next, Outcome, Run, Target, Verdict, advance,
};
use crate::worker::{Composites, Definition, Deployment, SecretInputs};

// A flow that never ends is told soon enough.
const MOST_REQUESTS: usize = 1_000;
// Stands where a run's id does.
const DRY: &str = "dry-run";

/// What each step of a flow would do for an item.
pub async fn run(
    project: &Project,
    executor: &Executor,
    deployment: Arc<Deployment>,
    definition: &Arc<Definition>,
    item: Value,
    clock: &Clock,
) -> Vec<Preview> {
    let mut inputs = definition.inputs.clone();
    let secrets = SecretInputs::hide(&mut inputs, deployment.secrets.get(&definition.name), DRY);
    let dry = Dry { project, executor, deployment: &deployment, definition, secrets };
    let mut now_ms = clock.now_ms();
    let facts = Facts {
        run_id: DRY.to_owned(),
        root_id: DRY.to_owned(),
        item,
        inputs,
        started_ms: now_ms,
        composites: Composites::new(Arc::clone(&deployment), Arc::clone(definition)),
    };
    let mut run = Run::begin(&definition.flow, facts);
    let mut previews = Vec::new();
    let mut event = Event::Begin;
    let mut requests = 0;
    loop {
        let Decision { entries, next, .. } = advance(&definition.flow, &mut run, event, now_ms);
        for entry in entries {
            let is_request = matches!(entry.form.as_ref(), "action" | "http") && entry.state == EntryState::Succeeded;
            // Requests are shown as they are made; a failed one is told with its reason. What has others in it, or
            // waits, is shown once it is over.
            let is_under_way = matches!(entry.state, EntryState::Running | EntryState::Sending | EntryState::Waiting);
            if is_request || is_under_way {
                continue;
            }
            previews.push(Preview {
                step: entry.id.unwrap_or(entry.key),
                action: entry.form.into_owned(),
                sent: false,
                request: None,
                output: entry.output,
                error: entry.error.map(|failure| failure.message),
            });
        }
        event = match next {
            Next::Call(call) => {
                requests += 1;
                if requests > MOST_REQUESTS {
                    return previews;
                }
                let (preview, event) = dry.call(&call).await;
                previews.push(preview);
                event
            }
            Next::Wait { due_ms, .. } => {
                now_ms = now_ms.max(due_ms);
                Event::Due
            }
            // Somebody takes the first choice.
            Next::Answers(awaited) => Event::Resolved(Box::new(Resolution {
                end: End::Decided,
                choice: awaited.first_choice,
                text: None,
                by: None,
                at: Some(rfc3339(now_ms)),
                how: None,
                answers: Vec::new(),
                unreached: Vec::new(),
            })),
            Next::Reconcile(_) => Event::NotFound { doubt: None },
            Next::Unknown | Next::Ended(_) => return previews,
        };
    }
}

struct Dry<'a> {
    project: &'a Project,
    executor: &'a Executor,
    deployment: &'a Deployment,
    definition: &'a Definition,
    secrets: Option<SecretInputs>,
}

/// Who is asked, with which account.
enum Asked {
    Action(Arc<Connection>, Arc<Action>),
    Http(Option<Arc<Connection>>),
}

impl Dry<'_> {
    async fn call(&self, call: &engine::Call) -> (Preview, Event) {
        let mut preview = Preview {
            step: call.step.clone(),
            action: call.target.to_string(),
            sent: false,
            request: None,
            output: None,
            error: None,
        };
        let lifted = self.secrets.as_ref().map(|secrets| secrets.lifted(call.clone()));
        let mut asked = self.ask(lifted.as_ref().unwrap_or(call), &mut preview).await;
        if let Some(secrets) = &self.secrets {
            preview.request = preview.request.map(|request| secrets.cover(&request));
            asked = asked.map(|output| secrets.cover(&output)).map_err(|failure| secrets.cover_failure(failure));
        }
        let answered = match asked {
            Ok(output) => {
                preview.output = Some(output.clone());
                Event::Answered { output }
            }
            Err(failure) => {
                preview.error = Some(failure.message.clone());
                // Once is enough to see how it is.
                Event::Failed(Failure { verdict: Verdict::Fail, outcome: Outcome::NotDone, ..failure })
            }
        };
        (preview, answered)
    }

    async fn ask(&self, call: &engine::Call, preview: &mut Preview) -> Result<Value, Failure> {
        let inputs = call.inputs.as_ref().clone();
        let asked = self.asked(call, &inputs)?;
        let prepared = match &asked {
            Asked::Action(connection, action) => {
                let call = Call { element: call.element.clone(), ..Call::new(connection, action, inputs.clone()) };
                self.executor.prepare(self.executor.resolve(call).await?)?
            }
            Asked::Http(connection) => self.executor.prepare_ad_hoc(AdHoc {
                connection: connection.as_ref(),
                inputs: inputs.clone(),
                timeout_ms: call.timeout_ms,
                after_uncertain: false,
            })?,
        };
        preview.request = Some(prepared.preview());
        if call.effect != Effect::Read {
            return Ok(self.sample(&call.target));
        }
        preview.sent = true;
        let sent = match asked {
            // Every page of it.
            Asked::Action(connection, action) => {
                let call = Call { element: call.element.clone(), ..Call::new(&connection, &action, inputs) };
                self.executor.call(call).await
            }
            Asked::Http(_) => self.send(prepared).await?,
        };
        sent.result.map(crate::connector::Page::into_output)
    }

    async fn send(&self, prepared: Prepared) -> Result<crate::connector::Sent, Failure> {
        match self.executor.permit(&prepared) {
            Ok(permit) => Ok(self.executor.send(prepared, permit).await),
            Err(blocked) => {
                let message = format!("the service may be asked again at {}", rfc3339(blocked.until_ms));
                Err(Failure::not_sent("rate_limited", message))
            }
        }
    }

    fn sample(&self, target: &Target) -> Value {
        let Target::Action { connector, action } = target else {
            return Value::Object(Map::new());
        };
        let written = self.project.catalog.connectors.get(connector.as_ref()).map(|loaded| loaded.value.as_ref());
        let found = written.and_then(|connector| Some((connector, connector.actions.get(action.as_ref())?)));
        found.map_or(Value::Null, |(connector, action)| sample::answer(connector, action))
    }

    fn asked(&self, call: &engine::Call, inputs: &Value) -> Result<Asked, Failure> {
        let accounts = &self.deployment.accounts;
        let lacking = |what: String| Failure::not_sent("action_unknown", format!("there is no {what}"));
        let compiled = |connector: &str| {
            let found = self.definition.connectors.get(connector);
            found.ok_or_else(|| lacking(format!("connector {connector}")))
        };
        match &call.target {
            Target::Action { connector, action } => {
                let compiled = compiled(connector)?;
                let name = self.definition.connections.get(connector.as_ref()).map(String::as_str);
                let connection = accounts.connection(connector, name, compiled)?;
                let found = compiled.action(action).ok_or_else(|| lacking(format!("action {connector}.{action}")))?;
                Ok(Asked::Action(connection, Arc::clone(found)))
            }
            Target::Http => match inputs.get("connection").and_then(Value::as_str) {
                None => Ok(Asked::Http(None)),
                Some(name) => {
                    let account =
                        accounts.configured().get(name).ok_or_else(|| lacking(format!("connection {name}")))?;
                    let compiled = compiled(&account.connector)?;
                    accounts.connection(&account.connector, Some(name), compiled).map(|found| Asked::Http(Some(found)))
                }
            },
        }
    }
}
