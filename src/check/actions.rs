//! The actions of a connector: what they take, whether their effect fits their method, how they are looked
//! up. Paging is checked in `paginate`, the request and the answer in `requests`.

use super::connector::{connection_scope, known_names};
use super::findings::{Findings, below, suggestion};
use super::scope::Scope;
use super::selectors::of_record;
use super::shapes::{self, Shape, inputs_type, shape};
use super::types::{Kinds, Type};
use super::values::{self, Target};
use super::{composites, errors, expressions, files, output, paginate, requests, resolve, schemas};
use crate::manifest::connector::request::Method;
use crate::manifest::connector::{Action, Builtin, ClassedEffect, Effect, PlainEffect, Reconcile};
use crate::manifest::{Connector, Severity};

/// The names that the element of a `foreach` may not have.
const TAKEN: &[&str] = &["inputs", "connection", "cursor", "record", "resolved", "response", "body"];

/// One action.
pub fn action(findings: &mut Findings<'_>, connector: &Connector, name: &str, action: &Action) {
    let pointer = below("/actions", name);
    let shape = shape(connector, action);
    name_is_readable(findings, &pointer, name);
    known_names(findings, ("unknown_part", "part"), &below(&pointer, "use"), action.uses.as_slice(), &connector.parts);
    known_names(
        findings,
        ("unknown_auth", "auth scheme"),
        &below(&pointer, "auth"),
        action.auth.as_slice(),
        &connector.connection.auth,
    );
    schemas::inputs(findings, &below(&pointer, "inputs"), &action.inputs, &connector.schemas);
    if let Some(schema) = &action.response.schema {
        schemas::schema(findings, &format!("{pointer}/response/schema"), schema, &connector.schemas);
    }
    if let Some(limits) = &action.limits {
        errors::limits(findings, connector, &below(&pointer, "limits"), limits);
    }
    let inputs = Scope::new().with("inputs", inputs_type(&shape.inputs, &connector.schemas));
    let reconciles = matches!(action.effect, Effect::Classed(ClassedEffect::Lookup { .. }));
    errors::rules(findings, &inputs, &below(&pointer, "errors"), &action.errors, reconciles);
    for (part_name, part) in shapes::parts(connector, action) {
        errors::rules(findings, &inputs, &format!("{}/errors", below("/parts", part_name)), &part.errors, reconciles);
    }
    let limits = || connection_scope(connector).with("inputs", inputs_type(&shape.inputs, &connector.schemas));
    files::inputs(findings, &below(&pointer, "inputs"), &action.inputs, Some(&limits));
    // An attempt at one element is looked up with that element.
    let mut attempted = inputs.clone();
    let mut limited = inputs.clone();
    if action.builtin == Some(Builtin::Answer) {
        let scope = connection_scope(connector).with("inputs", inputs_type(&shape.inputs, &connector.schemas));
        requests::answer(findings, &pointer, action, &scope);
    }
    if action.builtin.is_none() {
        let mut scope = connection_scope(connector).with("inputs", inputs_type(&shape.inputs, &connector.schemas));
        let scopes = [&mut scope, &mut attempted];
        foreach(findings, &pointer, action, &inputs, scopes);
        if let Some(resolved) = resolve::resolve(findings, connector, &pointer, action, &scope) {
            scope.set("resolved", resolved.clone());
            attempted.set("resolved", resolved.clone());
            limited.set("resolved", resolved);
        }
        match action.host.as_deref().filter(|host| expressions::is_template(host)) {
            // Whichever of the hosts the inputs name: what it is not is refused when it is called.
            Some(computed) => {
                expressions::template(findings, &scope, &below(&pointer, "host"), computed);
            }
            None => host(findings, connector, &below(&pointer, "host"), action.host.as_deref()),
        }
        host_is_known(findings, connector, &pointer, action);
        requests::requests(findings, connector, &pointer, action, &scope);
        requests::responses(findings, connector, &pointer, action, (&inputs, &scope), &shape);
        effect_fits_method(findings, connector, &pointer, action);
    }
    if action.output.is_some() {
        findings.key_error(
            "misplaced_member",
            &below(&pointer, "output"),
            "`output` does nothing beside a `request`",
            "it belongs to `steps`; what is made of an answer is in `response`",
        );
    }
    if let Some(paged) = &action.paginate {
        paginate::paginate(findings, &below(&pointer, "paginate"), paged);
    }
    for (word, number) in [("limit", &action.limit), ("skip", &action.skip)] {
        if let Some(number) = number {
            let place = below(&pointer, word);
            let integer = serde_json::json!({"type": "integer"});
            values::value(findings, &limited, &place, number, &integer, &connector.schemas);
        }
    }
    output::tables(findings, &below(&pointer, "table"), action);
    let refusing = limits();
    output::refusals(findings, &below(&pointer, "refuse"), &action.refuse, &refusing);
    for (part_name, part) in shapes::parts(connector, action) {
        output::refusals(findings, &format!("{}/refuse", below("/parts", part_name)), &part.refuse, &refusing);
    }
    if let Effect::Classed(ClassedEffect::Lookup { reconcile }) = &action.effect {
        look_up(findings, connector, &format!("{pointer}/effect/reconcile"), reconcile, &attempted);
    }
}

/// A host's name.
pub fn host(findings: &mut Findings<'_>, connector: &Connector, pointer: &str, name: Option<&str>) {
    if let Some(name) = name
        && !connector.hosts.contains_key(name)
    {
        let help = suggestion(name, connector.hosts.keys().map(String::as_str));
        findings.error("unknown_host", pointer, format!("there is no host `{name}`"), help);
    }
}

fn host_is_known(findings: &mut Findings<'_>, connector: &Connector, pointer: &str, action: &Action) {
    if action.host.is_none() && connector.defaults.host.is_none() {
        default_host(findings, connector, pointer);
    }
}

/// That there is one host where none is named.
pub fn default_host(findings: &mut Findings<'_>, connector: &Connector, pointer: &str) {
    if connector.hosts.len() != 1 {
        let help = match connector.hosts.len() {
            0 => "write `hosts: {api: \"https://...\"}`".to_owned(),
            _ => format!(
                "write `host` here or below `defaults`: {}",
                connector.hosts.keys().cloned().collect::<Vec<_>>().join(", ")
            ),
        };
        findings.error("host_missing", pointer, "it is not said to which host this request goes", help);
    }
}

pub fn name_is_readable(findings: &mut Findings<'_>, pointer: &str, name: &str) {
    if !schemas::is_identifier(name) {
        findings.key_error(
            "bad_identifier",
            pointer,
            format!("`{name}` cannot be named by a flow"),
            "use letters, digits and `_`, and begin with a letter",
        );
    }
}

fn foreach(findings: &mut Findings<'_>, pointer: &str, action: &Action, inputs: &Scope, scopes: [&mut Scope; 2]) {
    let Some(foreach) = &action.foreach else {
        return;
    };
    let pointer = below(pointer, "foreach");
    if TAKEN.contains(&foreach.name.as_str()) || schemas::is_helper(&foreach.name) {
        findings.error(
            "name_taken",
            &below(&pointer, "as"),
            format!("`{}` means something else already", foreach.name),
            "give the element a name of its own",
        );
    }
    let list = expressions::expression(findings, inputs, &below(&pointer, "list"), &foreach.list);
    let element = match list {
        // A value that is no list counts as a list of one.
        Some(list) => match (list.element.clone(), list.kinds.without(Kinds::ARRAY | Kinds::NULL)) {
            (Some(element), Kinds::NONE) => Type::clone(&element),
            (Some(element), alone) => element.or(&Type { kinds: alone, ..list }),
            (None, _) => Type::any(),
        },
        None => Type::any(),
    };
    for scope in scopes {
        scope.set(&foreach.name, element.clone());
    }
}

fn effect_fits_method(findings: &mut Findings<'_>, connector: &Connector, pointer: &str, action: &Action) {
    let inherited = shapes::parts(connector, action).into_iter().find_map(|(_, part)| part.request.method);
    let method = action.request.method.or(inherited).unwrap_or_default();
    let reads = matches!(method, Method::Get | Method::Head);
    let pointer = below(pointer, "effect");
    match (&action.effect, reads) {
        // A search by POST is common, a change by DELETE with `read` is a slip.
        (Effect::Plain(PlainEffect::Read), false) if method == Method::Post => {
            findings.warning(
                "effect_read_writes",
                &pointer,
                "`read` says that this POST changes nothing",
                "keep it for a search; otherwise write what makes a repeat safe: `natural`, a key, a lookup, or `none`",
            );
        }
        (Effect::Plain(PlainEffect::Read), false) => {
            findings.error(
                "effect_read_writes",
                &pointer,
                "`read` says that nothing changes, but this method changes something",
                "write what makes a repeat safe: `natural`, a key, a lookup, or `none`",
            );
        }
        (Effect::Plain(PlainEffect::None), true) => {
            findings.warning(
                "effect_none_reads",
                &pointer,
                "`none` says that a repeat is not safe, but this method only reads",
                "write `effect: read`",
            );
        }
        _ => {}
    }
}

// How services call the time at which a record was made.
const DATES: &str = "created_at createdAt created created_time createdTime create_time date_created dateCreated \
                     inserted_at posted_at published_at sent_at date_sent timestamp";

fn look_up(findings: &mut Findings<'_>, connector: &Connector, pointer: &str, reconcile: &Reconcile, inputs: &Scope) {
    if reconcile.within <= reconcile.after {
        findings.error(
            "reconcile_window",
            &below(pointer, "within"),
            "absence would be certain before the first look",
            "make `within` longer than `after`",
        );
    }
    let Some(action) = connector.actions.get(&reconcile.action) else {
        let help = suggestion(&reconcile.action, connector.actions.keys().map(String::as_str));
        findings.error(
            "unknown_action",
            &below(pointer, "action"),
            format!("there is no action `{}`", reconcile.action),
            help,
        );
        return;
    };
    if action.effect != Effect::Plain(PlainEffect::Read) {
        findings.error(
            "reconcile_not_read",
            &below(pointer, "action"),
            format!("`{}` changes something, so it cannot look anything up", reconcile.action),
            "name an action with `effect: read`",
        );
    }
    composites::refuse(
        findings,
        &below(pointer, "action"),
        &reconcile.action,
        action,
        "what an attempt did is looked up by one request",
    );
    let Shape { inputs: wanted, record, .. } = shape(connector, action);
    let target = Target {
        name: &reconcile.action,
        inputs: &wanted,
        definitions: &connector.schemas,
        given: &[],
        missing: Severity::Error,
    };
    values::feed(findings, inputs, &below(pointer, "with"), &reconcile.with, target);
    of_record(findings, &below(pointer, "id"), &reconcile.id, &record);
    match (&reconcile.time, DATES.split_whitespace().find(|date| record.members.contains_key(*date))) {
        (Some(time), _) => of_record(findings, &below(pointer, "time"), time, &record),
        (None, Some(date)) => findings.warning(
            "reconcile_without_time",
            &below(pointer, "match"),
            "a record that matches counts as the attempt's own, however old it is: then nothing is done",
            format!("write `time: {date}`: only records from the attempt on count then"),
        ),
        (None, None) => {}
    }
    let scope = inputs.clone().with("record", record);
    expressions::condition(findings, &scope, &below(pointer, "match"), &reconcile.r#match);
}
