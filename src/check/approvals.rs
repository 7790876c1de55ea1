//! Approvals: that what sends them can send, that a link can be made, and that every choice can be answered.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::expressions::{self, holds_template, is_template};
use super::findings::{Findings, below, suggestion};
use super::names::has_settings;
use super::scope::Scope;
use super::shapes::{inputs_type, shape};
use super::steps::{Steps, hide_all};
use super::types::{Kinds, Member, Type};
use crate::manifest::composite::{action_name, all_steps};
use crate::manifest::connector::Action;
use crate::manifest::flow::approval::{Choice, Choices, Flag, Needed, Reminding, said};
use crate::manifest::flow::{Approval, Step};
use crate::manifest::{Connector, Duration};

/// The other way to write where the link goes.
const OTHER_PLACEHOLDER: &str = "<<UserActionRequiredURL>>";

/// One approval; gives the type of its output.
pub fn approval(steps: &mut Steps<'_, '_, '_>, approval: &Approval, pointer: &str, scope: &mut Scope) -> Type {
    terms(steps.findings, approval, pointer, scope);
    let approver = approval.approvers.as_ref().map_or_else(|| Type::of(Kinds::NULL), |_| Type::any());
    let mut inner = scope.clone().with("approval", asked()).with("approver", approver);
    for (position, send) in approval.sends().iter().enumerate() {
        let place = format!("{pointer}/{}", approval.send_pointer(position));
        if send.action.is_none() && send.http.is_none() {
            steps.findings.error(
                "approval_send",
                &place,
                "this sends nothing",
                "write an `action` or `http` step, as in `send: {action: twilio.send_sms, with: {...}}`",
            );
            continue;
        }
        steps.step(send, &place, &mut inner);
        swallowed(steps, send.action.as_deref(), approval, pointer);
    }
    if approval.sends().is_empty() {
        steps.findings.error(
            "approval_send",
            &below(pointer, "send"),
            "nobody is asked",
            "write what sends the question",
        );
    }
    link(steps, approval, pointer);
    hide_all(scope, approval.sends(), "what sends an approval cannot be read outside it");
    output()
}

fn terms(findings: &mut Findings<'_>, approval: &Approval, pointer: &str, scope: &Scope) {
    if let Value::Object(members) = approval.terms() {
        for (name, value) in &members {
            expressions::tree(findings, scope, &below(pointer, name), value);
        }
    }
    let names = choices(findings, approval, pointer);
    if let (Some(names), Some(on_expire)) = (&names, &approval.on_expire)
        && !is_template(on_expire)
        && on_expire != "fail"
        && !names.contains(on_expire)
    {
        let help = suggestion(on_expire, names.iter().map(String::as_str));
        let help = help.unwrap_or_else(|| "write one of the choices, or `fail`".to_owned());
        let message = format!("`{on_expire}` is none of the choices");
        findings.error("approval_choice_unknown", &below(pointer, "on_expire"), message, help);
    }
    let takes_text = approval.text.as_ref().is_some_and(|text| *text != Flag::Value(false));
    if names.is_some_and(|names| names.is_empty()) && !takes_text {
        findings.error(
            "approval_choices",
            &below(pointer, "choices"),
            "nothing can be answered",
            "write for example `choices: [approve, reject]`, or `text: true`",
        );
    }
    needed(findings, approval, pointer);
    let reminder = match &approval.reminders {
        Some(Reminding::Every(reminders)) => Some(reminders.every.as_str()),
        Some(Reminding::Template(_)) | None => None,
    };
    for (length, place) in [(approval.expires.as_deref(), "expires"), (reminder, "reminders/every")] {
        let Some(length) = length.filter(|length| !is_template(length)) else { continue };
        let wrong = match length.trim().parse::<Duration>() {
            Ok(length) if length.ms > 0 => continue,
            Ok(_) => "this is no time at all".to_owned(),
            Err(message) => message,
        };
        findings.error("approval_time", &format!("{pointer}/{place}"), wrong, "write a length such as 2h");
    }
}

/// The names of the choices, where they are written out.
fn choices(findings: &mut Findings<'_>, approval: &Approval, pointer: &str) -> Option<BTreeSet<String>> {
    let list = match &approval.choices {
        None => return Some(BTreeSet::new()),
        Some(Choices::Template(_)) => return None,
        Some(Choices::List(list)) => list,
    };
    distinct(findings, list, &below(pointer, "choices"));
    Some(list.iter().map(|choice| choice.name().to_owned()).collect())
}

/// That no two choices have a name, a title or a word in common: an answer would mean either.
fn distinct(findings: &mut Findings<'_>, choices: &[Choice], pointer: &str) {
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    for (position, choice) in choices.iter().enumerate() {
        let name = choice.name();
        let place = below(pointer, position);
        for word in choice.answers().into_iter().filter(|word| !is_template(word)) {
            let other = taken.insert(said(word), position).filter(|other| *other != position);
            let Some(other) = other.and_then(|other| choices.get(other)) else { continue };
            match said(other.name()) == said(name) {
                true => {
                    let message = format!("the choice `{name}` is there twice");
                    findings.error("approval_choices", &place, message, "leave one out");
                }
                false => {
                    let message = format!("`{word}` answers both `{}` and `{name}`", other.name());
                    findings.error("approval_choices", &place, message, "give each choice words of its own");
                }
            }
            break;
        }
    }
}

fn needed(findings: &mut Findings<'_>, approval: &Approval, pointer: &str) {
    let asked = match &approval.approvers {
        None => Some(1),
        Some(approvers) => distinct_approvers(approvers),
    };
    let place = below(pointer, "needed");
    match &approval.needed {
        Some(Needed::Number(number)) => enough(findings, *number, asked, &place),
        Some(Needed::Word(word)) if !is_template(word) && !matches!(word.as_str(), "first" | "all") => {
            let help = "write `first`, `all`, or a number of those who are asked";
            findings.error("approval_needed", &place, format!("`{word}` says nothing of how many"), help);
        }
        _ => {}
    }
}

/// That so many are asked as have to answer alike.
fn enough(findings: &mut Findings<'_>, needed: u32, asked: Option<usize>, place: &str) {
    let most = asked.unwrap_or(usize::MAX);
    if needed == 0 || usize::try_from(needed).is_ok_and(|needed| needed > most) {
        let help = "write `first`, `all`, or a number of those who are asked; who is listed twice is asked once";
        findings.error("approval_needed", place, format!("{needed} of {most} cannot answer"), help);
    }
}

/// How many people a list names; none where that is not known before it is evaluated.
fn distinct_approvers(written: &Value) -> Option<usize> {
    let Value::Array(approvers) = written else { return None };
    if approvers.iter().any(holds_template) {
        // Templates may name the same people: more than these there are not.
        return Some(approvers.len());
    }
    let named = approvers
        .iter()
        .map(|approver| approver.as_str().map_or_else(|| approver.to_string(), |text| text.trim().to_owned()));
    Some(named.collect::<BTreeSet<String>>().len())
}

/// Choices that are answered over a connector by which they would never arrive.
fn swallowed(steps: &mut Steps<'_, '_, '_>, action: Option<&str>, approval: &Approval, pointer: &str) {
    let (Some(action), Some(Choices::List(choices))) = (action, &approval.choices) else { return };
    let Some((connector, sent)) = action_name(action, steps.names.home().map(|home| home.connector.as_str())) else {
        return;
    };
    let Some(connector) = steps.names.catalog().connectors.get(connector).map(|loaded| loaded.value.as_ref()) else {
        return;
    };
    let replies = connector.replies.as_ref().filter(|replies| replies.asks.contains_key(sent));
    let Some(replies) = replies else { return };
    for (position, choice) in choices.iter().enumerate() {
        let place = below(&below(pointer, "choices"), position);
        for word in choice.answers() {
            if replies.swallowed.iter().any(|swallowed| said(swallowed) == said(word)) {
                let message = format!("carriers take `{word}` for a command: such a reply never arrives");
                let help = "use another word, for example approve and reject";
                steps.findings.error("approval_choice_swallowed", &place, message, help);
            }
        }
    }
}

/// A link needs an address that it begins with. What a composite sends is told where a flow calls it.
fn link(steps: &mut Steps<'_, '_, '_>, approval: &Approval, pointer: &str) {
    if !lacks_url(steps) {
        return;
    }
    for (position, send) in approval.sends().iter().enumerate() {
        if sends_link(send) {
            no_url(steps, &format!("{pointer}/{}", approval.send_pointer(position)));
        }
    }
}

/// The same for a composite action that a step calls with these inputs: the link may be in its own steps, or in
/// what it is given. Gives what can be read of the approval there, where it asks at all.
pub fn of_composite(
    steps: &mut Steps<'_, '_, '_>,
    action: &Action,
    with: &Map<String, Value>,
    pointer: &str,
) -> Option<Type> {
    let (mut asks, mut is_sent) = (false, holds(&Value::Object(with.clone())));
    all_steps(action.steps.as_deref().unwrap_or_default(), &mut |step| {
        asks |= step.approval.is_some();
        if let Some(approval) = &step.approval {
            given(steps.findings, approval, with, pointer);
        }
        let sends = step.approval.as_ref().map(|approval| approval.sends()).unwrap_or_default();
        is_sent |= sends.iter().any(sends_link);
    });
    if !asks {
        return None;
    }
    if is_sent && lacks_url(steps) {
        no_url(steps, pointer);
    }
    Some(Type::object([("url", Member::always(Type::text())), ("code", Member::always(Type::text()))]))
}

/// What a step gives for an approval within the action that it calls, where it is written out and handed on as it is.
/// Words that never arrive are refused by the action's own inputs, before anybody is asked.
fn given(findings: &mut Findings<'_>, approval: &Approval, with: &Map<String, Value>, pointer: &str) {
    let step = pointer.strip_suffix("/action").unwrap_or(pointer);
    let place = |name: &str| below(&below(step, "with"), name);
    if let Some(Choices::Template(written)) = &approval.choices
        && let Some((name, value)) = handed_on(written, with)
        && let Ok(choices) = serde_json::from_value::<Vec<Choice>>(value.clone())
    {
        distinct(findings, &choices, &place(name));
    }
    let asked = approval.approvers.as_ref().and_then(Value::as_str).and_then(|written| handed_on(written, with));
    if let Some(Needed::Word(written)) = &approval.needed
        && let Some((name, value)) = handed_on(written, with)
        && let Some(needed) = value.as_u64().and_then(|needed| u32::try_from(needed).ok())
        && let Some((_, approvers)) = asked
    {
        let asked = match approvers {
            Value::String(text) if !is_template(text) => Some(1),
            other => distinct_approvers(other),
        };
        enough(findings, needed, asked, &place(name));
    }
}

/// The input that a template is, and what a step gives for it.
fn handed_on<'v>(template: &str, with: &'v Map<String, Value>) -> Option<(&'v str, &'v Value)> {
    let name = template.trim().strip_prefix("{{inputs.")?.strip_suffix("}}")?;
    with.get_key_value(name).map(|(name, value)| (name.as_str(), value))
}

fn lacks_url(steps: &Steps<'_, '_, '_>) -> bool {
    let catalog = steps.names.catalog();
    let has_url = catalog.settings.value.public.as_ref().is_some_and(|public| public.url.is_some());
    !has_url && has_settings(catalog) && steps.names.home().is_none()
}

fn no_url(steps: &mut Steps<'_, '_, '_>, pointer: &str) {
    steps.findings.error(
        "public_url_missing",
        pointer,
        "a link is sent, and nothing says how the public listener is reached",
        "write `public: {url: https://...}` in tidegate.yaml, or leave the link out",
    );
}

fn sends_link(send: &Step) -> bool {
    holds(&Value::Object(send.with.clone())) || holds(&serde_json::to_value(&send.http).unwrap_or_default())
}

fn holds(value: &Value) -> bool {
    match value {
        Value::String(text) => {
            text.contains(OTHER_PLACEHOLDER) || (holds_template(value) && text.contains("approval.url"))
        }
        Value::Array(elements) => elements.iter().any(holds),
        Value::Object(members) => members.values().any(holds),
        _ => false,
    }
}

/// What the messages read of the approval.
fn asked() -> Type {
    let text_or_null = || Type::of(Kinds::STRING | Kinds::NULL);
    Type::object([
        ("id", Member::always(Type::text())),
        ("url", Member::always(Type::text())),
        ("code", Member::always(Type::text())),
        ("choices", Member::always(Type::list(Type::text()))),
        ("question", Member::always(text_or_null())),
        ("on_expire", Member::always(text_or_null())),
        ("reminder", Member::always(Type::of(Kinds::INTEGER))),
    ])
}

fn output() -> Type {
    let text_or_null = || Member::always(Type::of(Kinds::STRING | Kinds::NULL));
    let answer = || {
        Type::object([
            ("choice", text_or_null()),
            ("text", text_or_null()),
            ("by", text_or_null()),
            ("at", text_or_null()),
            ("how", text_or_null()),
        ])
    };
    let not_asked = Type::object([
        ("approver", text_or_null()),
        ("code", Member::always(Type::text())),
        ("message", Member::always(Type::text())),
    ]);
    let output = answer().with("answers", Member::always(Type::list(answer())));
    output.with("unreached", Member::always(Type::list(not_asked)))
}

/// How a connector says that answers come back.
pub fn replies(findings: &mut Findings<'_>, connector: &Connector) {
    let Some(replies) = &connector.replies else { return };
    if !connector.triggers.contains_key(&replies.trigger) {
        let help = suggestion(&replies.trigger, connector.triggers.keys().map(String::as_str));
        let message = format!("there is no trigger `{}`", replies.trigger);
        findings.error("unknown_trigger", "/replies/trigger", message, help);
    }
    let record = Scope::new().with("record", Type::any());
    for (text, place) in [(&replies.from, "/replies/from"), (&replies.text, "/replies/text")] {
        expressions::expression(findings, &record, place, text);
    }
    for (name, whom) in &replies.asks {
        let place = below("/replies/asks", name);
        let Some(action) = connector.actions.get(name) else {
            let help = suggestion(name, connector.actions.keys().map(String::as_str));
            findings.key_error("unknown_action", &place, format!("there is no action `{name}`"), help);
            continue;
        };
        let mut scope = Scope::new().with("inputs", inputs_type(&shape(connector, action).inputs, &connector.schemas));
        if let Some(foreach) = &action.foreach {
            scope.set(&foreach.name, Type::any());
        }
        expressions::expression(findings, &scope, &place, whom);
    }
}
