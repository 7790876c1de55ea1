//! Compiles one action, merged from its connector's defaults, its parts and its own words.

use std::sync::Arc;

use serde_json::Value;

use super::super::action::{Action, HostOf, LimitOf, Refusal, Saving};
use super::super::errors::Errors;
use super::super::files::input::FileInput;
use super::super::foreach::ForEach;
use super::super::inputs::Inputs;
use super::super::limits::rate::Rate;
use super::super::paginator::Paginator;
use super::super::reconcile::Reconcile;
use super::super::request::Request;
use super::super::selector::{JmesPath, Shapes};
use super::super::table::TableOf;
use super::{TIMEOUT_MS, expression, merged, path, resolve, selector, tree, unknown};
use crate::manifest;
use crate::manifest::connector::{ClassedEffect, Effect, Limit, PlainEffect};
use crate::manifest::problem::Problem;
use crate::template::Template;

/// The root that is left out of a scope unless something reads it.
const CONNECTION: &str = "connection";

/// Reads an action.
pub fn action(
    connector: &manifest::Connector,
    name: &str,
    own: &manifest::connector::Action,
    shapes: &Arc<Shapes>,
    problems: &mut Vec<Problem>,
) -> Action {
    let pointer = format!("/actions/{name}");
    for part in own.uses.as_slice() {
        if !connector.parts.contains_key(part) {
            problems.push(unknown("part", part, &format!("{pointer}/use"), connector.parts.keys()));
        }
    }
    let action = merged(connector, own);
    for scheme in action.auth.as_slice() {
        if !connector.connection.auth.contains_key(scheme) {
            let schemes = connector.connection.auth.keys();
            problems.push(unknown("auth scheme", scheme, &format!("{pointer}/auth"), schemes));
        }
    }
    let host = host_of(connector, &action, &pointer, problems);
    let request = Request::compile(&action.request, &format!("{pointer}/request"), problems);
    let limits = action.limits.clone().unwrap_or_default();
    check_limits(&limits, &format!("{pointer}/limits"), problems);
    let foreach = action.foreach.as_ref().and_then(|foreach| {
        let list = expression(&foreach.list, &format!("{pointer}/foreach/list"), problems)?;
        Some(ForEach { list, name: foreach.name.clone(), on_partial: foreach.on_partial })
    });
    let paginator =
        action.paginate.as_ref().map(|written| Paginator::compile(written, &format!("{pointer}/paginate"), problems));
    let inputs = format!("{pointer}/inputs");
    let files = action.inputs.iter();
    let files: Vec<FileInput> = files
        .filter_map(|(name, input)| FileInput::compile(name, input, &format!("{inputs}/{name}"), problems))
        .collect();
    let saving = saving(&action.response, &format!("{pointer}/response"), problems);
    let selector = selector(&action.response, shapes, paginator.is_some(), &format!("{pointer}/response"), problems);
    let refusals = refusals(&action.refuse, &format!("{pointer}/refuse"), problems);
    let refuses =
        |root: &str| refusals.iter().any(|refusal| refusal.when.reads().iter().any(|read| read.root() == root));
    let fields = connector.connection.fields.iter();
    let secret = fields.filter(|(name, field)| field.secret && request.reads_field(name));
    let limit_reads = |root: &str| {
        let saved = saving.max_bytes.as_ref();
        let of_answer = saved.is_some_and(|tree| tree.reads().any(|(_, read)| read.root() == root));
        of_answer || files.iter().any(|file| file.reads(root))
    };
    Action {
        connector: connector.connector.clone(),
        name: name.to_owned(),
        title: action.title.clone(),
        effect: action.effect.clone(),
        reconcile: reconcile(connector, name, &action, &pointer, problems),
        inputs: Inputs::compile(&action.inputs, &connector.schemas, "input", &inputs, problems),
        foreach,
        timeout_ms: action.timeout.map_or(TIMEOUT_MS, |timeout| timeout.ms),
        schemes: action.auth.as_slice().to_vec(),
        resolve: resolve::resolve(connector, name, &action, problems),
        is_composite: action.is_composite(),
        builtin: action.builtin,
        secret: action.response.secret.as_slice().into(),
        host,
        keys: secret.map(|(name, _)| name.clone()).collect(),
        format: action.response.format.unwrap_or_default(),
        errors: Errors {
            availability: action.availability.as_slice().to_vec(),
            ..Errors::compile(&action.errors, &limits, &format!("{pointer}/errors"), problems)
        },
        limit: limit_of(action.limit.as_ref(), &format!("{pointer}/limit"), problems),
        reads_connection: request.reads(CONNECTION)
            || selector.reads(CONNECTION)
            || limit_reads(CONNECTION)
            || refuses(CONNECTION),
        selector,
        files,
        saving,
        skip: limit_of(action.skip.as_ref(), &format!("{pointer}/skip"), problems),
        tables: tables(action.table.as_slice(), &format!("{pointer}/table"), problems),
        refusals,
        availability: action.availability.as_slice().to_vec(),
        limits,
        paginator,
        request,
    }
}

fn saving(response: &manifest::connector::Response, pointer: &str, problems: &mut Vec<Problem>) -> Saving {
    let path = response.save_to.as_ref().and_then(|path| {
        let compiled = Template::compile(path);
        compiled.map_err(|error| problems.push(Problem::from_template(format!("{pointer}/save_to"), error))).ok()
    });
    let max_bytes = response.max_bytes.as_ref();
    let max_bytes = max_bytes.and_then(|value| tree(value, &format!("{pointer}/max_bytes"), problems));
    Saving { path, max_bytes }
}

fn host_of(
    connector: &manifest::Connector,
    action: &manifest::connector::Action,
    pointer: &str,
    problems: &mut Vec<Problem>,
) -> HostOf {
    if action.builtin.is_some() || action.is_composite() {
        return HostOf::Named(String::new());
    }
    let only = || (connector.hosts.len() == 1).then(|| connector.hosts.keys().next().cloned()).flatten();
    match action.host.clone().or_else(only) {
        Some(host) if connector.hosts.contains_key(&host) => HostOf::Named(host),
        Some(host) if host.contains("{{") => match Template::compile(&host) {
            Ok(template) => HostOf::Computed(template),
            Err(error) => {
                problems.push(Problem::from_template(format!("{pointer}/host"), error));
                HostOf::Named(host)
            }
        },
        Some(host) => {
            problems.push(unknown("host", &host, &format!("{pointer}/host"), connector.hosts.keys()));
            HostOf::Named(host)
        }
        None => {
            let problem = Problem::new(pointer, "no_host", "it is not said which of `hosts` this action asks");
            problems.push(problem.with_help("give `host`, here or under `defaults`"));
            HostOf::Named(String::new())
        }
    }
}

fn reconcile(
    connector: &manifest::Connector,
    name: &str,
    action: &manifest::connector::Action,
    pointer: &str,
    problems: &mut Vec<Problem>,
) -> Option<Reconcile> {
    let Effect::Classed(ClassedEffect::Lookup { reconcile }) = &action.effect else {
        return None;
    };
    let pointer = format!("{pointer}/effect/reconcile");
    match connector.actions.get(&reconcile.action) {
        None => {
            problems.push(unknown("action", &reconcile.action, &format!("{pointer}/action"), connector.actions.keys()))
        }
        Some(found) if found.effect != Effect::Plain(PlainEffect::Read) => problems.push(Problem::new(
            format!("{pointer}/action"),
            "reconcile_not_read",
            format!("`{name}` is looked up by `{}`, which must be a `read` action", reconcile.action),
        )),
        Some(_) => {}
    }
    let with = tree(&Value::Object(reconcile.with.clone()), &format!("{pointer}/with"), problems);
    let condition = expression(&reconcile.r#match, &format!("{pointer}/match"), problems);
    let id = path(&reconcile.id, &format!("{pointer}/id"), problems);
    let time = reconcile.time.as_ref().map(|time| path(time, &format!("{pointer}/time"), problems));
    Some(Reconcile { action: reconcile.action.clone(), with: with?, condition: condition?, id, time })
}

fn check_limits(limits: &[Limit], pointer: &str, problems: &mut Vec<Problem>) {
    for (place, limit) in limits.iter().enumerate() {
        let rate = limit.rate.as_deref().map(str::parse::<Rate>);
        if let Some(Err(message)) = rate {
            problems.push(Problem::new(format!("{pointer}/{place}/rate"), "rate_invalid", message));
        }
        if limit.concurrent == Some(0) {
            let message = "`concurrent: 0` would never let a request through";
            problems.push(Problem::new(format!("{pointer}/{place}/concurrent"), "rate_invalid", message));
        }
    }
}

fn limit_of(written: Option<&Value>, pointer: &str, problems: &mut Vec<Problem>) -> Option<LimitOf> {
    match written? {
        Value::String(text) => match Template::compile(text) {
            Ok(template) => Some(LimitOf::Computed(template)),
            Err(error) => {
                problems.push(Problem::from_template(pointer, error));
                None
            }
        },
        other => match other.as_u64().and_then(|number| usize::try_from(number).ok()) {
            Some(number) => Some(LimitOf::Number(number)),
            None => {
                problems.push(Problem::new(
                    pointer,
                    "limit_invalid",
                    "a limit is a number of records, or a template of one",
                ));
                None
            }
        },
    }
}

fn tables(written: &[manifest::connector::Table], pointer: &str, problems: &mut Vec<Problem>) -> Vec<TableOf> {
    let mut tables = Vec::with_capacity(written.len());
    for (place, table) in written.iter().enumerate() {
        // One table may be written without a list.
        let pointer = if written.len() == 1 { pointer.to_owned() } else { format!("{pointer}/{place}") };
        let rows = table.rows.as_ref().map(|rows| path(rows, &format!("{pointer}/rows"), problems));
        let mut columns = Vec::with_capacity(table.columns.len());
        for (heading, column) in &table.columns {
            let place = format!("{pointer}/columns/{}", heading.replace('~', "~0").replace('/', "~1"));
            columns.push((heading.clone(), path(column.as_str().unwrap_or_default(), &place, problems)));
        }
        tables.push(TableOf { title: table.title.clone(), rows: rows.unwrap_or_else(JmesPath::whole), columns });
    }
    tables
}

fn refusals(written: &[manifest::connector::Refusal], pointer: &str, problems: &mut Vec<Problem>) -> Vec<Refusal> {
    let compiled = written.iter().enumerate().filter_map(|(place, refusal)| {
        let when = expression(&refusal.when, &format!("{pointer}/{place}/when"), problems)?;
        Some(Refusal { when, message: refusal.message.clone(), help: refusal.help.clone() })
    });
    compiled.collect()
}
