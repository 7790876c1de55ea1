//! From a checked project to what the worker works with: each flow with its inputs, accounts and schedule
//! resolved, and compiled. A flow that cannot work here is told and stopped; the others work.

mod accounts;
mod names;
mod replies;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

pub use self::accounts::{accounts, connection_of};
use self::names::{Named, named};
pub(super) use self::names::{accounts_of, connectors_of, polled_connector};
use super::Project;
use super::project::{diagnostics, of_set};
use crate::check;
use crate::engine::{Failure, Schedule, type_flow};
use crate::manifest::connector::CursorType;
use crate::manifest::flow::Trigger;
use crate::manifest::input::object_schema;
use crate::manifest::typed::{escape, typed};
use crate::manifest::{self, Diagnostic, Duration, Flow, Loaded, Problem, Severity};
use crate::secrets::Secrets;
use crate::store::triggers::TriggerSync;
use crate::worker::{
    Accounts, CompiledConnector, Definition, Definitions, Deployment, FlowSecrets, Written, source_hash,
};

/// How often a trigger is polled that nobody said anything about.
pub(super) const HOURLY: Duration = Duration::from_secs(3_600);

/// What is handed to the worker and the store.
pub struct Prepared {
    /// For the worker.
    pub deployment: Deployment,
    /// For the store: every flow that has a file.
    pub triggers: Vec<TriggerSync>,
    /// For the store: what runs are pinned to, as (hash, text).
    pub definitions: Vec<(String, String)>,
    /// Why flows were left out.
    pub diagnostics: Vec<Diagnostic>,
}

/// One flow, ready.
struct Ready {
    definition: Arc<Definition>,
    sync: TriggerSync,
    used: BTreeMap<String, CompiledConnector>,
    text: String,
    secrets: FlowSecrets,
}

/// The connectors that flows use, or what is wrong with them.
type Compiled = BTreeMap<String, Result<CompiledConnector, Vec<Diagnostic>>>;

/// Resolves and compiles every flow. `secrets` reads what accounts only point at.
pub fn prepare(project: &Project, definitions: &Definitions, secrets: Secrets, now_ms: i64) -> Prepared {
    let accounts = Accounts::new(accounts(&project.catalog), secrets);
    let mut prepared = Prepared {
        deployment: Deployment {
            accounts,
            alerts: project.catalog.settings.value.alerts.clone(),
            ..Deployment::default()
        },
        triggers: Vec::new(),
        definitions: Vec::new(),
        diagnostics: Vec::new(),
    };
    let manifests = project.connectors();
    // Once each, however many flows use it: to be found compiled, a connector is hashed.
    let mut compiled = Compiled::new();
    let mut texts = BTreeMap::new();
    for (name, loaded) in &project.catalog.flows {
        let accounts = &prepared.deployment.accounts;
        let named = named(&loaded.value, &manifests, accounts);
        for connector in &named.connectors {
            // One that is not there is told by `check`, and again when the flow is compiled.
            if let (Some(loaded), false) = (project.catalog.connectors.get(connector), compiled.contains_key(connector))
            {
                let result = definitions.connector(&loaded.value, loaded.origin);
                let result = result.map_err(|problems| diagnostics(&loaded.source, "", problems));
                compiled.insert(connector.clone(), result);
            }
        }
        let work =
            Work { project, manifests: &manifests, compiled: &compiled, definitions, accounts, name, loaded, now_ms };
        match work.flow(&named) {
            Ok(ready) => {
                for (name, used) in ready.used {
                    texts.insert(used.hash.clone(), used.written.text().to_string());
                    prepared.deployment.connectors.insert(name, used.connector);
                }
                texts.insert(ready.definition.hash.clone(), ready.text);
                prepared.deployment.flows.insert(name.clone(), ready.definition);
                prepared.deployment.secrets.insert(name.clone(), ready.secrets);
                prepared.triggers.push(ready.sync);
            }
            Err(found) => {
                prepared.triggers.push(stopped(name, loaded, &found));
                // A flow that is switched off may be incomplete.
                if is_enabled(project, name) {
                    prepared.diagnostics.extend(found);
                }
            }
        }
    }
    checked(project, definitions, &mut prepared.deployment);
    prepared.diagnostics = together(std::mem::take(&mut prepared.diagnostics));
    prepared.definitions = texts.into_iter().collect();
    replies::add(&mut prepared, project, definitions, now_ms);
    prepared
}

// What stops several flows for one reason, such as an account that lacks something, is told once.
fn together(found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut told: Vec<(Vec<String>, Diagnostic)> = Vec::new();
    for diagnostic in found {
        let parts = diagnostic.message.strip_prefix("flow `").and_then(|rest| rest.split_once("`: "));
        let (flow, why) =
            parts.map_or((None, diagnostic.message.clone()), |(flow, why)| (Some(flow.to_owned()), why.to_owned()));
        let diagnostic = Diagnostic { message: why, ..diagnostic };
        match told.iter_mut().find(|(_, known)| *known == diagnostic) {
            Some((flows, _)) => flows.extend(flow),
            None => told.push((flow.into_iter().collect(), diagnostic)),
        }
    }
    let named = told.into_iter().map(|(flows, diagnostic)| {
        let names: Vec<String> = flows.iter().map(|flow| format!("`{flow}`")).collect();
        let message = match names.as_slice() {
            [] => diagnostic.message.clone(),
            [one] => format!("flow {one}: {}", diagnostic.message),
            several => format!("flows {}: {}", several.join(", "), diagnostic.message),
        };
        Diagnostic { message, ..diagnostic }
    });
    named.collect()
}

// Connectors of accounts that are checked although no flow uses them; what is wrong with one is told by `check`.
fn checked(project: &Project, definitions: &Definitions, deployment: &mut Deployment) {
    let of_checked = deployment.accounts.configured().values().filter(|account| account.health.is_some());
    let names: Vec<String> = of_checked.map(|account| account.connector.clone()).collect();
    for name in names {
        if let (false, Some(loaded)) =
            (deployment.connectors.contains_key(&name), project.catalog.connectors.get(&name))
            && let Ok(compiled) = definitions.connector(&loaded.value, loaded.origin)
        {
            deployment.connectors.insert(name, compiled.connector);
        }
    }
}

/// Whether the settings let a flow work.
pub fn is_enabled(project: &Project, flow: &str) -> bool {
    project.catalog.settings.value.flows.get(flow).and_then(|settings| settings.enabled).unwrap_or(true)
}

fn stopped(name: &str, loaded: &Loaded<Flow>, found: &[Diagnostic]) -> TriggerSync {
    let reason = found.first().map_or("it cannot be deployed", |found| found.message.as_str());
    let reason = reason.strip_prefix(&format!("flow `{name}`: ")).unwrap_or(reason);
    TriggerSync {
        flow: name.to_owned(),
        was: loaded.value.was.clone(),
        definition: String::new(),
        source: String::new(),
        is_enabled: false,
        stopped: Some(reason.to_owned()),
        is_dated: false,
        first_due_at: None,
        latest_due_at: None,
    }
}

/// What one flow is prepared with.
struct Work<'a> {
    project: &'a Project,
    manifests: &'a BTreeMap<String, Arc<manifest::Connector>>,
    compiled: &'a Compiled,
    definitions: &'a Definitions,
    accounts: &'a Accounts,
    name: &'a str,
    loaded: &'a Loaded<Flow>,
    now_ms: i64,
}

impl Work<'_> {
    fn flow(&self, named: &Named) -> Result<Ready, Vec<Diagnostic>> {
        let mut used = BTreeMap::new();
        for (name, compiled) in self.compiled.iter().filter(|(name, _)| named.connectors.contains(*name)) {
            used.insert(name.clone(), compiled.clone()?);
        }
        let mut flow = type_flow(&self.loaded.value, &self.loaded.source, self.manifests);
        let (inputs, secrets) = self.without_secrets(self.inputs()?);
        let connections = self.connections(named, &used)?;
        schedule(&mut flow.trigger, self.every(), self.manifests);
        let hashes = used.iter().map(|(name, used)| (name.clone(), used.hash.clone())).collect();
        let written = Written { flow, inputs: Value::Object(inputs), connections, connectors: hashes };
        let definition = self
            .definitions
            .flow(&written, &used)
            .map_err(|problems| diagnostics(&self.loaded.source, "", problems))?;
        let sync = self.sync(&written, &definition);
        Ok(Ready { definition, sync, used, text: written.text(), secrets })
    }

    // From the settings and the command line, and the defaults for the rest.
    fn inputs(&self) -> Result<Map<String, Value>, Vec<Diagnostic>> {
        let settings = &self.project.catalog.settings;
        let place = format!("/flows/{}/inputs", escape(self.name));
        let declared = &self.loaded.value.inputs;
        let mut inputs = Map::new();
        if let Some(given) = settings.value.flows.get(self.name) {
            let given = given.inputs.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
            let value =
                typed(&Value::Object(given), &object_schema(declared), &settings.source, &place, &BTreeMap::new());
            if let Value::Object(given) = value {
                inputs = given;
            }
        }
        if let Some(sets) = self.project.sets.get(self.name) {
            inputs.extend(sets.clone());
        }
        for (name, input) in declared {
            if let (Some(default), false) = (input.default_value(), inputs.contains_key(name)) {
                inputs.insert(name.clone(), default.clone());
            }
        }
        let mut problems = check::inputs(&inputs, declared, &BTreeMap::new());
        if problems.is_empty() {
            return Ok(inputs);
        }
        for problem in &mut problems {
            problem.message = format!("flow `{}`: {}", self.name, problem.message);
            if problem.help.is_none() {
                problem.help = Some(format!(
                    "give it in tidegate.yaml under `flows: {{{}: {{inputs: ...}}}}`, or with --set",
                    self.name
                ));
            }
        }
        Err(problems.into_iter().flat_map(|problem| self.of_input(problem, &place)).collect())
    }

    // A definition is kept in the store, and holds no secret.
    fn without_secrets(&self, inputs: Map<String, Value>) -> (Map<String, Value>, FlowSecrets) {
        let declared = &self.loaded.value.inputs;
        let is_secret = |name: &String| declared.get(name).is_some_and(|input| input.secret);
        let (secret, plain): (Map<_, _>, Map<_, _>) = inputs.into_iter().partition(|(name, _)| is_secret(name));
        let texts = secret.into_iter().filter_map(|(name, value)| match value {
            Value::String(text) => Some((name, Zeroizing::new(text))),
            _ => None,
        });
        (plain, texts.collect())
    }

    // Where an input was given: on the command line, in the settings, or nowhere but in the flow's declaration.
    fn of_input(&self, problem: Problem, place: &str) -> Vec<Diagnostic> {
        let name = problem.pointer.split('/').nth(1).unwrap_or_default().replace("~1", "/").replace("~0", "~");
        let settings = &self.project.catalog.settings;
        if self.project.sets.get(self.name).is_some_and(|sets| sets.contains_key(&name)) {
            return vec![of_set(problem.code, problem.message, problem.help)];
        }
        if settings.value.flows.get(self.name).is_some_and(|flow| flow.inputs.contains_key(&name)) {
            return diagnostics(&settings.source, place, vec![problem]);
        }
        let pointer = format!("/inputs/{}", escape(&name));
        vec![self.loaded.source.at_key(&pointer, Severity::Error, problem.code, problem.message, problem.help)]
    }

    // Connector to account; every account is bound once, so that what it lacks is told now.
    fn connections(
        &self,
        named: &Named,
        used: &BTreeMap<String, CompiledConnector>,
    ) -> Result<BTreeMap<String, String>, Vec<Diagnostic>> {
        let mut connections = BTreeMap::new();
        let mut found = Vec::new();
        for (connector, compiled) in used {
            let chosen = connection_of(&self.project.catalog, self.name, connector);
            let is_signer = named.accounts.iter().any(|account| {
                self.accounts.configured().get(account).is_some_and(|account| account.connector == *connector)
            });
            match self.accounts.connection(connector, chosen.as_deref(), &compiled.connector) {
                Ok(_) => {}
                // Named for an `http` step alone: the account is asked for by its own name.
                Err(failure) if chosen.is_none() && is_signer && failure.code == "connection_unknown" => {
                    continue;
                }
                Err(failure) => found.push(self.unusable(chosen.as_deref(), failure)),
            }
            if let Some(chosen) = chosen {
                connections.insert(connector.clone(), chosen);
            }
        }
        if found.is_empty() { Ok(connections) } else { Err(found) }
    }

    fn unusable(&self, account: Option<&str>, failure: Failure) -> Diagnostic {
        let (source, place) = match account {
            Some(account) => (&self.project.catalog.settings.source, format!("/connections/{}", escape(account))),
            None => (&self.loaded.source, "/connections".to_owned()),
        };
        let message = format!("flow `{}`: {}", self.name, failure.message);
        source.at_key(&place, Severity::Error, "connection_unusable", message, failure.help)
    }

    fn every(&self) -> Option<Duration> {
        self.project.catalog.settings.value.flows.get(self.name)?.every
    }

    fn sync(&self, written: &Written, definition: &Definition) -> TriggerSync {
        let next_due = definition.next_due(self.now_ms).filter(|due| *due != i64::MAX);
        let is_polled = written.flow.trigger.poll.is_some();
        TriggerSync {
            flow: self.name.to_owned(),
            was: written.flow.was.clone(),
            definition: definition.hash.clone(),
            source: source_hash(definition, self.manifests, self.accounts),
            is_enabled: is_enabled(self.project, self.name),
            stopped: None,
            is_dated: is_dated(&written.flow.trigger, self.manifests),
            // What is new can be told from history only once it was read: at once.
            first_due_at: if is_polled { Some(self.now_ms) } else { next_due },
            latest_due_at: next_due,
        }
    }
}

// The settings' interval, else the flow's own, else its trigger's: written down, so that runs are pinned to it.
pub(super) fn schedule(
    trigger: &mut Trigger,
    every: Option<Duration>,
    connectors: &BTreeMap<String, Arc<manifest::Connector>>,
) {
    if every.is_some() && !trigger.manual {
        trigger.every = every;
        trigger.cron = None;
        trigger.timezone = None;
    }
    let is_scheduled = matches!(Schedule::of_trigger(trigger), Ok(Some(_)) | Err(_));
    if !is_scheduled && trigger.poll.is_some() {
        trigger.every = Some(polled(trigger, connectors).and_then(|polled| polled.every).unwrap_or(HOURLY));
    }
}

fn polled<'a>(
    trigger: &Trigger,
    connectors: &'a BTreeMap<String, Arc<manifest::Connector>>,
) -> Option<&'a manifest::connector::Trigger> {
    let (connector, name) = trigger.poll.as_deref()?.split_once('.')?;
    connectors.get(connector)?.triggers.get(name)
}

fn is_dated(trigger: &Trigger, connectors: &BTreeMap<String, Arc<manifest::Connector>>) -> bool {
    let kind = polled(trigger, connectors).map(|polled| polled.cursor.kind);
    matches!(kind, Some(CursorType::Snowflake | CursorType::Datetime))
}
