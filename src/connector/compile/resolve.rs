//! Compiles what an action looks up before its request.

use serde_json::Value;

use super::super::resolve::Resolve;
use super::{expression, path, tree, unknown};
use crate::manifest;
use crate::manifest::connector::{Action, Effect, PlainEffect};
use crate::manifest::problem::Problem;
use crate::template::Template;

/// How long a value is remembered, where nothing is written.
const REMEMBER_MS: i64 = 86_400_000;

/// Reads the look-ups of an action.
pub(super) fn resolve(
    connector: &manifest::Connector,
    name: &str,
    action: &Action,
    problems: &mut Vec<Problem>,
) -> Vec<Resolve> {
    let mut compiled = Vec::new();
    for (wanted, written) in &action.resolve {
        let pointer = format!("/actions/{name}/resolve/{wanted}");
        let place = format!("{pointer}/action");
        match connector.actions.get(&written.action) {
            None => problems.push(unknown("action", &written.action, &place, connector.actions.keys())),
            Some(found) => {
                if let Some(why) = unfit(found) {
                    let message = format!("`{}` {why}, so nothing can be looked up by it", written.action);
                    problems.push(Problem::new(place, "resolve_action", message));
                }
            }
        }
        let with = tree(&Value::Object(written.with.clone()), &format!("{pointer}/with"), problems);
        let take = path(&written.take, &format!("{pointer}/take"), problems);
        let when = match &written.when {
            Some(text) => expression(text, &format!("{pointer}/when"), problems).map(Some),
            None => Some(None),
        };
        let missing = match &written.missing {
            None => None,
            Some(text) => match Template::compile(text) {
                Ok(template) => Some(template),
                Err(error) => {
                    problems.push(Problem::from_template(format!("{pointer}/missing"), error));
                    continue;
                }
            },
        };
        if let (Some(with), Some(when)) = (with, when) {
            compiled.push(Resolve {
                name: wanted.clone(),
                action: written.action.clone(),
                with,
                take,
                take_text: written.take.clone(),
                when,
                remember_ms: written.remember.map_or(REMEMBER_MS, |remember| remember.ms),
                missing,
            });
        }
    }
    compiled
}

/// Why nothing can be looked up by an action: a look-up is one thing that is asked, and changes nothing.
fn unfit(action: &Action) -> Option<&'static str> {
    if action.effect != Effect::Plain(PlainEffect::Read) {
        Some("changes something")
    } else if action.is_composite() {
        Some("is made of steps")
    } else if action.foreach.is_some() {
        Some("asks once per element")
    } else if !action.resolve.is_empty() {
        Some("looks something up itself")
    } else {
        None
    }
}
