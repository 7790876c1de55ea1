//! Actions that are made of steps: what belongs to them, what their steps may do and call, and what they give.
//! The steps themselves are checked like those of a flow, in `steps`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::actions::name_is_readable;
use super::connector::{connection_scope, known_names};
use super::expressions::{self, is_template};
use super::findings::{Findings, below};
use super::flow::{run_root, visit};
use super::names::Names;
use super::scope::Scope;
use super::shapes::{inputs_type, shape};
use super::steps::Steps;
use super::types::{Member, Type};
use super::{files, output, schemas, values};
use crate::manifest::catalog::Catalog;
use crate::manifest::composite::{action_name, all_steps};
use crate::manifest::connector::request::Method;
use crate::manifest::connector::{Action, Effect, PlainEffect, Request};
use crate::manifest::flow::{Http, Step, StopStatus};
use crate::manifest::{Connector, Inputs};

/// How deep composites that say no schema are followed to find out what they give.
const DEPTH: usize = 5;

/// One composite action.
pub fn composite(
    findings: &mut Findings<'_>,
    catalog: &Catalog,
    connector: &Connector,
    name: &str,
    action: &Action,
    steps: &[Step],
) {
    let pointer = below("/actions", name);
    name_is_readable(findings, &pointer, name);
    known_names(findings, ("unknown_part", "part"), &below(&pointer, "use"), action.uses.as_slice(), &connector.parts);
    schemas::inputs(findings, &below(&pointer, "inputs"), &action.inputs, &connector.schemas);
    members(findings, &pointer, action);
    cycles(findings, catalog, connector, name, &pointer, steps);
    effect(findings, catalog, connector, &pointer, action, steps);
    let inputs = shape(connector, action).inputs;
    let read = || connection_scope(connector).with("inputs", inputs_type(&inputs, &connector.schemas));
    files::inputs(findings, &below(&pointer, "inputs"), &action.inputs, Some(&read));
    output::tables(findings, &below(&pointer, "table"), action);
    output::refusals(findings, &below(&pointer, "refuse"), &action.refuse, &read());
    let mut names = Names::within(catalog, connector);
    let given = given(findings, &mut names, connector, &inputs, &pointer, action);
    if let (Some(schema), Some(output)) = (&action.response.schema, &action.output) {
        let place = below(&pointer, "output");
        schemas::schema(findings, &format!("{pointer}/response/schema"), schema, &connector.schemas);
        values::value(findings, &given.scope, &place, output, schema, &connector.schemas);
    }
}

/// What a composite gives, as its caller sees it: by its schema, or else by what its `output` says.
pub fn output_of(names: &Names<'_>, connector: &Connector, action: &Action) -> Type {
    let shape = shape(connector, action);
    if action.response.schema.is_some() {
        return shape.output;
    }
    let catalog = names.catalog();
    let Some(loaded) = catalog.connectors.get(&connector.connector).filter(|_| names.depth() < DEPTH) else {
        return Type::any();
    };
    let mut unheard = Findings::new(&loaded.source);
    given(&mut unheard, &mut names.deeper(connector), connector, &shape.inputs, "", action).output
}

/// Says that a composite cannot be used where one request is wanted.
pub fn refuse(findings: &mut Findings<'_>, pointer: &str, name: &str, action: &Action, why: &str) {
    if action.is_composite() {
        findings.error(
            "composite_not_here",
            pointer,
            format!("`{name}` is made of steps, and {why}"),
            "name an action with a `request`",
        );
    }
}

/// What the end of a composite sees, and what it gives.
struct Given {
    scope: Scope,
    output: Type,
}

fn given(
    findings: &mut Findings<'_>,
    names: &mut Names<'_>,
    connector: &Connector,
    inputs: &Inputs,
    pointer: &str,
    action: &Action,
) -> Given {
    let steps = action.steps.as_deref().unwrap_or_default();
    let mut scope = connection_scope(connector)
        .with("inputs", inputs_type(inputs, &connector.schemas))
        .with("run", run_root())
        .with("steps", Type::object([]));
    Steps::new(findings, names).composite(steps, &below(pointer, "steps"), &mut scope);
    let mut may_stop = false;
    all_steps(steps, &mut |step| {
        may_stop |= step.stop.as_ref().is_some_and(|stop| stop.status == StopStatus::Succeeded);
    });
    if may_stop {
        for (id, member) in scope.shown_steps() {
            scope.show_step(&id, Member::perhaps(member.of));
        }
    }
    let place = below(pointer, "output");
    let output = match &action.output {
        None => Type::of(super::types::Kinds::NULL),
        Some(Value::Object(members)) => {
            let mut of = Type::object([]);
            for (name, value) in members {
                of = of.with(name, member(findings, &scope, &below(&place, name), value));
            }
            of
        }
        Some(other) => expressions::tree(findings, &scope, &place, other),
    };
    Given { scope, output }
}

/// A member of an output: a template that may give nothing leaves it out.
pub fn member(findings: &mut Findings<'_>, scope: &Scope, place: &str, value: &Value) -> Member {
    match value {
        Value::String(text) if is_template(text) => match expressions::template(findings, scope, place, text) {
            Some(written) => Member { of: written.of, required: !written.perhaps_absent },
            None => Member::always(Type::any()),
        },
        other => Member::always(expressions::tree(findings, scope, place, other)),
    }
}

/// What belongs to a request does nothing for steps.
fn members(findings: &mut Findings<'_>, pointer: &str, action: &Action) {
    let is_request = serde_json::to_value(&action.request).ok() != serde_json::to_value(Request::default()).ok();
    let written = [
        (is_request, "request"),
        (!action.resolve.is_empty(), "resolve"),
        (action.paginate.is_some(), "paginate"),
        (action.limit.is_some(), "limit"),
        (action.limits.is_some(), "limits"),
        (action.host.is_some(), "host"),
        (!action.auth.is_empty(), "auth"),
        (action.timeout.is_some(), "timeout"),
        (!action.errors.rules.is_empty(), "errors"),
    ];
    for (_, member) in written.iter().filter(|(is_written, _)| *is_written) {
        findings.key_error(
            "misplaced_member",
            &below(pointer, member),
            format!("`{member}` does nothing beside `steps`"),
            "it belongs to the actions that the steps call",
        );
    }
    if action.foreach.is_some() {
        findings.key_error(
            "misplaced_member",
            &below(pointer, "foreach"),
            "`foreach` does nothing beside `steps`",
            "write a `foreach` step among the steps, or around the step that calls this action",
        );
    }
}

/// Its effect is what its callers go by, so it may not promise more than its steps keep.
fn effect(
    findings: &mut Findings<'_>,
    catalog: &Catalog,
    connector: &Connector,
    pointer: &str,
    action: &Action,
    steps: &[Step],
) {
    let place = below(pointer, "effect");
    let Effect::Plain(declared) = &action.effect else {
        return findings.error(
            "composite_effect",
            &place,
            "a composite action is not repeated as a whole, so it has no key and no look-up of its own",
            "write the weakest of what its steps do: `read`, `natural` or `none`",
        );
    };
    let mut weakest = (rank_of_plain(*declared), None);
    visit(steps, "", &mut |_, step| {
        let done = match (&step.action, &step.http) {
            (Some(written), _) => {
                action_of(catalog, connector, written).map(|(_, called)| (rank(&called.effect), written.as_str()))
            }
            (None, Some(http)) => Some((rank_of_plain(effect_of(http)), "http")),
            _ => None,
        };
        if let Some((rank, by)) = done.filter(|(rank, _)| *rank > weakest.0) {
            weakest = (rank, Some(by));
        }
    });
    if let (rank, Some(by)) = weakest {
        let needed = if rank == 1 { "natural" } else { "none" };
        let promise = match declared {
            PlainEffect::Read => "nothing changes",
            PlainEffect::Natural | PlainEffect::None => "a repeat of all of it does no harm",
        };
        findings.error(
            "composite_effect",
            &place,
            format!("this says that {promise}, but the step that calls `{by}` does more"),
            format!("write `effect: {needed}`; the steps keep the effects of the actions that they call"),
        );
    }
}

fn rank(effect: &Effect) -> u8 {
    match effect {
        Effect::Plain(plain) => rank_of_plain(*plain),
        Effect::Classed(_) => 2,
    }
}

fn rank_of_plain(effect: PlainEffect) -> u8 {
    match effect {
        PlainEffect::Read => 0,
        PlainEffect::Natural => 1,
        PlainEffect::None => 2,
    }
}

fn effect_of(http: &Http) -> PlainEffect {
    http.effect.unwrap_or(match http.method {
        Method::Get | Method::Head => PlainEffect::Read,
        Method::Put | Method::Delete => PlainEffect::Natural,
        Method::Post | Method::Patch => PlainEffect::None,
    })
}

/// Steps that lead back to the action that they are of.
fn cycles(
    findings: &mut Findings<'_>,
    catalog: &Catalog,
    connector: &Connector,
    name: &str,
    pointer: &str,
    steps: &[Step],
) {
    let own = (connector.connector.as_str(), name);
    visit(steps, &below(pointer, "steps"), &mut |place, step| {
        let Some((home, called)) = step.action.as_deref().and_then(|written| action_name(written, Some(own.0))) else {
            return;
        };
        let mut seen = BTreeSet::new();
        if leads_to(catalog, (home, called), own, &mut seen) {
            let message = match (home, called) == own {
                true => format!("`{name}` calls itself"),
                false => format!("`{called}` calls `{name}` in turn"),
            };
            let help = "for repetition write a `repeat` or `foreach` step";
            findings.error("composite_cycle", &below(place, "action"), message, help);
        }
    });
}

fn leads_to<'c>(
    catalog: &'c Catalog,
    from: (&'c str, &'c str),
    to: (&str, &str),
    seen: &mut BTreeSet<(&'c str, &'c str)>,
) -> bool {
    if from == to {
        return true;
    }
    if !seen.insert(from) {
        return false;
    }
    let action = catalog.connectors.get(from.0).and_then(|loaded| loaded.value.actions.get(from.1));
    let mut called = Vec::new();
    all_steps(action.and_then(|action| action.steps.as_deref()).unwrap_or_default(), &mut |step| {
        called.extend(step.action.as_deref().and_then(|written| action_name(written, Some(from.0))));
    });
    called.into_iter().any(|next| leads_to(catalog, next, to, seen))
}

/// The action that a step of a composite names, where there is one.
pub fn action_of<'c>(catalog: &'c Catalog, home: &'c Connector, written: &str) -> Option<(&'c Connector, &'c Action)> {
    let (connector, name) = action_name(written, Some(&home.connector))?;
    let found = match connector == home.connector {
        true => home,
        false => catalog.connectors.get(connector)?.value.as_ref(),
    };
    Some((found, found.actions.get(name)?))
}
