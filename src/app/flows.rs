//! `tidegate flows`: what flows there are, how they do, and switching them on and off by hand.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::{Error, Project, Result, Time, View, deploy, project};
use crate::manifest::{Diagnostic, Flow};
use crate::store::Store;
use crate::store::approvals::is_for_replies;
use crate::store::triggers::{BY_HAND, TriggerRow};

// How many notices a flow's page shows.
const NOTICES: u32 = 20;

/// One flow in a list.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// What people call it.
    pub title: Option<String>,
    /// What starts it: `x.new_tweet every 1h`, `cron 0 8 * * *`, `manual`.
    pub trigger: String,
    /// `enabled`, `disabled`, `attention`, `suspended`, `broken` (its file), `new` (not deployed yet), `gone`.
    pub state: String,
    /// Why it does not work.
    pub reason: Option<String>,
    /// How many of its polls failed in a row: it is asked again later each time.
    pub failures: i64,
    /// Why the last of them did.
    pub last_failure: Option<String>,
    /// When it is due next.
    pub next_at: Option<Time>,
    /// When it was last polled or fired.
    pub polled_at: Option<Time>,
    /// How many runs there are, by state.
    pub runs: BTreeMap<String, i64>,
}

/// Everything about one flow.
#[derive(Clone, Debug, Serialize)]
pub struct Detail {
    /// What a list shows of it.
    #[serde(flatten)]
    pub row: Row,
    /// What it is for.
    pub description: Option<String>,
    /// Its file, relative to the project.
    pub file: Option<String>,
    /// Its file's text.
    pub text: Option<String>,
    /// What is wrong with its file.
    pub diagnostics: Vec<Diagnostic>,
    /// What a person should know, newest first.
    pub notices: Vec<Notice>,
}

/// One thing that a person should know.
#[derive(Clone, Debug, Serialize)]
pub struct Notice {
    /// When.
    pub at: Time,
    /// `gap`, `missed`, `attention`, ...
    pub kind: String,
    /// In words.
    pub message: String,
}

/// Every flow, by name: those in files, and those whose file is gone.
pub async fn list(view: &View) -> Result<Vec<Row>> {
    let (triggers, mut runs) = match &view.store {
        Some(store) => (store.triggers().await?, counts(store).await?),
        None => (Vec::new(), BTreeMap::new()),
    };
    let mut triggers: BTreeMap<String, TriggerRow> = triggers.into_iter().map(|row| (row.flow.clone(), row)).collect();
    let catalog = &view.project.catalog;
    let mut rows = BTreeMap::new();
    for (name, loaded) in &catalog.flows {
        let mut row = row(name, triggers.remove(name), runs.remove(name));
        row.title = loaded.value.title.clone();
        row.trigger = trigger(&view.project, name, &loaded.value);
        if row.state == "new" && !deploy::is_enabled(&view.project, name) {
            row.state = "disabled".to_owned();
            row.reason = Some("switched off in tidegate.yaml".to_owned());
        }
        if row.state == "enabled" && view.project.errors_of(name).next().is_some() {
            row.reason =
                Some("its file has errors by now, and works as it was before: see `tidegate check`".to_owned());
        }
        rows.insert(name.clone(), row);
    }
    for name in &catalog.broken_flows {
        let mut row = row(name, triggers.remove(name), runs.remove(name));
        row.state = "broken".to_owned();
        row.reason = Some("its file has errors: see `tidegate check`".to_owned());
        rows.insert(name.clone(), row);
    }
    for (name, stored) in triggers.into_iter().filter(|(name, _)| !is_for_replies(name)) {
        let mut row = row(&name, Some(stored), runs.remove(&name));
        row.state = "gone".to_owned();
        rows.insert(name, row);
    }
    Ok(rows.into_values().collect())
}

/// One flow.
///
/// # Errors
/// `flow_unknown`.
pub async fn show(view: &View, name: &str) -> Result<Detail> {
    let row = find(view, name).await?;
    let catalog = &view.project.catalog;
    let loaded = catalog.flows.get(name);
    let file = match loaded {
        Some(loaded) => Some(loaded.source.path().to_owned()),
        // A broken one is not among the flows, but its file was read.
        None => ["yaml", "yml"]
            .map(|ending| PathBuf::from(format!("flows/{name}.{ending}")))
            .into_iter()
            .find(|path| catalog.files.contains_key(path)),
    };
    let notices = match &view.store {
        Some(store) => store.notices(Some(name.to_owned()), NOTICES).await?,
        None => Vec::new(),
    };
    Ok(Detail {
        row,
        description: loaded.and_then(|loaded| loaded.value.description.clone()),
        text: file.as_deref().and_then(|file| view.project.text(file)).map(str::to_owned),
        diagnostics: view
            .project
            .diagnostics
            .iter()
            .filter(|found| Some(&found.file) == file.as_ref())
            .cloned()
            .collect(),
        file: file.map(|file| file.display().to_string()),
        notices: notices
            .into_iter()
            .map(|notice| Notice { at: Time::from_ms(notice.at), kind: notice.kind, message: notice.message })
            .collect(),
    })
}

/// Switches a flow on that was switched off by hand, or whose connection works again.
///
/// # Errors
/// `flow_unknown`; `flow_off_by_file` where only its file or the settings can switch it on.
pub async fn enable(view: &View, name: &str) -> Result<Row> {
    let row = find(view, name).await?;
    let stored = deployed(view, name).await?;
    let refused = |why: String, help: &str| Err(Error::problem("flow_off_by_file", why).with_help(help));
    match row.state.as_str() {
        "gone" => return refused(format!("the file of flow `{name}` is gone"), "put it back"),
        "broken" => {
            return refused(format!("the file of flow `{name}` has errors"), "`tidegate check` tells them");
        }
        _ if !deploy::is_enabled(&view.project, name) => {
            let place = format!("set `flows: {{{name}: {{enabled: true}}}}` there");
            return refused(format!("flow `{name}` is switched off in tidegate.yaml"), &place);
        }
        "disabled" if stored.reason.as_deref() != Some(BY_HAND) => {
            let why = stored.reason.unwrap_or_else(|| "its file could not be deployed".to_owned());
            return refused(
                format!("flow `{name}` cannot work: {why}"),
                "put that right; the host that is at work takes it up",
            );
        }
        _ => {}
    }
    set(view, name, "enabled", None).await
}

/// Switches a flow off: it starts nothing until it is enabled by hand, whatever its file says. Runs that have
/// begun go on.
///
/// # Errors
/// `flow_unknown`, `flow_new`.
pub async fn disable(view: &View, name: &str) -> Result<Row> {
    find(view, name).await?;
    deployed(view, name).await?;
    set(view, name, "disabled", Some(BY_HAND.to_owned())).await
}

async fn set(view: &View, name: &str, state: &'static str, reason: Option<String>) -> Result<Row> {
    let now_ms = view.clock.now_ms();
    view.store()?.set_trigger_state(name.to_owned(), state, reason, None, now_ms).await?;
    find(view, name).await
}

async fn find(view: &View, name: &str) -> Result<Row> {
    let rows = list(view).await?;
    let known: Vec<String> = rows.iter().map(|row| row.name.clone()).collect();
    let found = rows.into_iter().find(|row| row.name == name);
    found.ok_or_else(|| project::flow_unknown(name, known.iter().map(String::as_str)))
}

// What a host has taken up of it.
async fn deployed(view: &View, name: &str) -> Result<TriggerRow> {
    let stored = view.store()?.trigger(name.to_owned()).await?;
    stored.ok_or_else(|| {
        never_deployed(name).with_help(
            "start the host with `tidegate up`; to keep it off from the start, set `enabled: false` in tidegate.yaml",
        )
    })
}

/// A flow that has a file, and that no host has taken up yet.
pub(super) fn never_deployed(name: &str) -> Error {
    Error::problem("flow_new", format!("flow `{name}` was never deployed")).with_help(
        "start the host with `tidegate up`: it takes up every flow, once nothing of the project has an error",
    )
}

fn row(name: &str, stored: Option<TriggerRow>, runs: Option<BTreeMap<String, i64>>) -> Row {
    let blank = Row {
        name: name.to_owned(),
        title: None,
        trigger: String::new(),
        state: "new".to_owned(),
        reason: None,
        failures: 0,
        last_failure: None,
        next_at: None,
        polled_at: None,
        runs: runs.unwrap_or_default(),
    };
    match stored {
        None => blank,
        Some(stored) => {
            let works = stored.state == "enabled";
            Row {
                reason: stored.reason,
                failures: stored.failures,
                last_failure: stored.error.as_deref().map(super::runs::failure_text),
                next_at: stored.due_at.filter(|due| works && *due != i64::MAX).map(Time::from_ms),
                polled_at: stored.polled_at.map(Time::from_ms),
                state: stored.state,
                ..blank
            }
        }
    }
}

async fn counts(store: &Store) -> Result<BTreeMap<String, BTreeMap<String, i64>>> {
    let mut counts: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
    for (flow, state, count) in store.run_counts().await? {
        counts.entry(flow).or_default().insert(state, count);
    }
    Ok(counts)
}

// As it is deployed: the settings' interval, else the flow's own, else its trigger's.
fn trigger(project: &Project, name: &str, flow: &Flow) -> String {
    let mut trigger = flow.trigger.clone();
    let every = project.catalog.settings.value.flows.get(name).and_then(|settings| settings.every);
    deploy::schedule(&mut trigger, every, &project.connectors());
    let when = match (&trigger.cron, trigger.every) {
        (Some(cron), _) => Some(format!("cron {cron} {}", trigger.timezone.as_deref().unwrap_or("UTC"))),
        (None, Some(every)) => Some(format!("every {every}")),
        (None, None) => None,
    };
    let parts = [trigger.poll.clone(), when, trigger.manual.then(|| "manual".to_owned())];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}
