//! What an action is once the connector's defaults and the parts that it uses are below it: defaults < parts
//! in their order < its own. Maps merge member by member, lists add up, everything else is replaced. Rules
//! of errors go the other way round, since the first match wins: own, parts', defaults'.

use serde_json::Value;

use crate::manifest::connector::{Action, Connector, Errors, Part, Request, Response};
use crate::manifest::problem::Problem;
use crate::manifest::{Inputs, OneOrMany};

/// The action as it works. Parts that do not exist are passed over; compilation tells them.
pub fn merged(connector: &Connector, own: &Action) -> Action {
    let parts: Vec<&Part> = own.uses.as_slice().iter().filter_map(|name| connector.parts.get(name)).collect();
    let defaults = &connector.defaults;
    let mut action = own.clone();
    action.request = Request { headers: defaults.headers.clone(), ..Request::default() };
    action.response = Response::default();
    let mut inputs = Inputs::new();
    for part in &parts {
        lay_request(&mut action.request, &part.request);
        lay_response(&mut action.response, &part.response);
        inputs.extend(part.inputs.clone());
    }
    action.refuse = parts.iter().flat_map(|part| &part.refuse).chain(&own.refuse).cloned().collect();
    lay_request(&mut action.request, &own.request);
    lay_response(&mut action.response, &own.response);
    inputs.extend(own.inputs.clone());
    action.inputs = inputs;
    action.paginate = own.paginate.clone().or_else(|| parts.iter().rev().find_map(|part| part.paginate.clone()));
    action.host = own.host.clone().or_else(|| defaults.host.clone());
    action.timeout = own.timeout.or(defaults.timeout);
    if own.auth.is_empty() {
        action.auth = defaults.auth.clone();
    }
    action.limits = Some(own.limits.clone().unwrap_or_else(|| defaults.limits.clone()));
    let layers = std::iter::once(&own.errors)
        .chain(parts.iter().rev().map(|part| &part.errors))
        .chain(std::iter::once(&defaults.errors));
    action.errors = layers.fold(Errors::default(), |mut all, layer| {
        all.message = all.message.or_else(|| layer.message.clone());
        all.code = all.code.or_else(|| layer.code.clone());
        all.rules.extend(layer.rules.iter().cloned());
        all
    });
    action
}

/// Moves each problem from the merged action to the place where its words stand.
pub fn relocate(problems: &mut [Problem], connector: &Connector) {
    let Ok(document) = serde_json::to_value(connector) else {
        return;
    };
    for problem in problems {
        let Some((action, rest)) = problem.pointer.strip_prefix("/actions/").and_then(|tail| tail.split_once('/'))
        else {
            continue;
        };
        let own = format!("/actions/{action}/{rest}");
        let uses = connector.actions.get(action).map(|action| action.uses.as_slice()).unwrap_or_default();
        let parts = uses.iter().rev().map(|part| format!("/parts/{part}/{rest}"));
        let defaults = format!("/defaults/{}", rest.strip_prefix("request/").unwrap_or(rest));
        let places = std::iter::once(own).chain(parts).chain(std::iter::once(defaults));
        if let Some(place) = places.into_iter().find(|place| document.pointer(place).is_some()) {
            problem.pointer = place;
        }
    }
}

fn lay_request(below: &mut Request, above: &Request) {
    below.method = above.method.or(below.method);
    replace(&mut below.path, &above.path);
    below.query.extend(above.query.clone());
    below.headers.extend(above.headers.clone());
    replace(&mut below.raw, &above.raw);
    match (&mut below.form, &above.form) {
        (Some(below), Some(above)) => below.extend(above.clone()),
        (below, above) => replace(below, above),
    }
    match (&mut below.multipart, &above.multipart) {
        (Some(below), Some(above)) => below.extend(above.clone()),
        (below, above) => replace(below, above),
    }
    match (&mut below.json, &above.json) {
        (Some(Value::Object(below)), Some(Value::Object(above))) => below.extend(above.clone()),
        (below, above) => replace(below, above),
    }
}

fn lay_response(below: &mut Response, above: &Response) {
    below.format = above.format.or(below.format);
    below.many = above.many.or(below.many);
    below.required = above.required.or(below.required);
    replace(&mut below.records, &above.records);
    replace(&mut below.unique, &above.unique);
    replace(&mut below.condition, &above.condition);
    replace(&mut below.schema, &above.schema);
    replace(&mut below.save_to, &above.save_to);
    replace(&mut below.max_bytes, &above.max_bytes);
    replace(&mut below.shape, &above.shape);
    replace(&mut below.raw, &above.raw);
    below.expand.extend(above.expand.clone());
    below.set.extend(above.set.clone());
    add(&mut below.remove, &above.remove);
    add(&mut below.secret, &above.secret);
}

fn replace<T: Clone>(below: &mut Option<T>, above: &Option<T>) {
    if above.is_some() {
        below.clone_from(above);
    }
}

fn add(below: &mut OneOrMany<String>, above: &OneOrMany<String>) {
    let all = below.as_slice().iter().chain(above.as_slice());
    *below = OneOrMany::Many(all.cloned().collect());
}
