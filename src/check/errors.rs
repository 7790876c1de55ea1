//! Error rules and limits of a connector.

use super::connector::known_names;
use super::expressions;
use super::findings::{Findings, below};
use super::scope::Scope;
use super::selectors::selector;
use super::types::{Kinds, Member, Type};
use crate::manifest::connector::errors::Status;
use crate::manifest::connector::{Errors, Limit, Then};
use crate::manifest::{Connector, Duration};

/// The rules at `pointer`; `scope` has `inputs`. `reconciles` tells whether what they apply to can be looked up.
pub fn rules(findings: &mut Findings<'_>, scope: &Scope, pointer: &str, errors: &Errors, reconciles: bool) {
    for (name, text) in [("message", &errors.message), ("code", &errors.code)] {
        if let Some(text) = text {
            selector(findings, &below(pointer, name), text);
        }
    }
    let scope = scope.clone().with("response", response());
    for (position, rule) in errors.rules.iter().enumerate() {
        let pointer = format!("{pointer}/rules/{position}");
        let statuses = rule.status.as_slice();
        for (place, status) in statuses.iter().enumerate() {
            if !is_status(status) {
                let listed = format!("{pointer}/status/{place}");
                let whole = format!("{pointer}/status");
                let pointer = if statuses.len() == 1 { whole } else { listed };
                findings.error(
                    "status_invalid",
                    &pointer,
                    "this is no status of an answer",
                    "write a status such as 403, or a class such as 5xx",
                );
            }
        }
        if let Some(text) = &rule.when {
            expressions::condition(findings, &scope, &below(&pointer, "when"), text);
        }
        if let Some(text) = &rule.message {
            expressions::template(findings, &scope, &below(&pointer, "message"), text);
        }
        if rule.wait.is_some() && !matches!(rule.then, Then::Retry | Then::RateLimited) {
            findings.key_error(
                "setting_without_effect",
                &below(&pointer, "wait"),
                "`wait` does nothing here",
                "it belongs to `then: retry` and `then: rate_limited`",
            );
        }
        if rule.then == Then::Reconcile && !reconciles {
            findings.error(
                "reconcile_without_lookup",
                &below(&pointer, "then"),
                "this action says nowhere how it is looked up",
                "give it `effect: {class: lookup, reconcile: ...}`",
            );
        }
    }
}

/// The limits at `pointer`.
pub fn limits(findings: &mut Findings<'_>, connector: &Connector, pointer: &str, limits: &[Limit]) {
    for (position, limit) in limits.iter().enumerate() {
        let pointer = below(pointer, position);
        if let Some(rate) = &limit.rate
            && !is_rate(rate)
        {
            findings.error(
                "rate_invalid",
                &below(&pointer, "rate"),
                format!("`{rate}` is no rate"),
                "write requests per time, for example 300/15m or 1/1s",
            );
        }
        if limit.concurrent == Some(0) {
            findings.error(
                "limit_zero",
                &below(&pointer, "concurrent"),
                "with 0 requests at once nothing is ever sent",
                "write at least 1",
            );
        }
        if limit.rate.is_none() && limit.concurrent.is_none() && limit.headers.is_none() {
            findings.error(
                "limit_empty",
                &pointer,
                "this limit limits nothing",
                "give it `rate`, `concurrent` or `headers`",
            );
        }
        if limit.burst.is_some() && limit.rate.is_none() {
            let place = below(&pointer, "burst");
            findings.key_error("setting_without_effect", &place, "`burst` does nothing here", "it belongs to a `rate`");
        }
        known_names(
            findings,
            ("unknown_action", "action"),
            &below(&pointer, "match"),
            limit.actions.as_slice(),
            &connector.actions,
        );
        known_names(
            findings,
            ("unknown_action", "action"),
            &below(&pointer, "except"),
            limit.except.as_slice(),
            &connector.actions,
        );
        known_names(
            findings,
            ("unknown_auth", "auth scheme"),
            &below(&pointer, "auth"),
            limit.auth.as_slice(),
            &connector.connection.auth,
        );
    }
}

/// What a rule reads of an answer.
fn response() -> Type {
    Type::object([
        ("status", Member::always(Type::of(Kinds::INTEGER))),
        ("headers", Member::always(Type::of(Kinds::OBJECT))),
        ("body", Member::always(Type::any())),
    ])
}

fn is_status(status: &Status) -> bool {
    match status {
        Status::Code(code) => (100..600).contains(code),
        Status::Class(text) => match text.as_bytes() {
            [first, rest @ ..] => {
                (b'1'..=b'5').contains(first)
                    && (rest == b"xx" || matches!(rest, [a, b] if a.is_ascii_digit() && b.is_ascii_digit()))
            }
            [] => false,
        },
    }
}

/// `300/15m` or `10/s`: a whole number above 0, then a length of time above 0 or a unit.
fn is_rate(text: &str) -> bool {
    let Some((count, period)) = text.split_once('/') else {
        return false;
    };
    let period = period.trim();
    let is_unit = period.starts_with(|first: char| first.is_ascii_alphabetic());
    let period: Result<Duration, _> = match is_unit {
        true => format!("1{period}").parse(),
        false => period.parse(),
    };
    let count: Option<u32> = count.trim().parse().ok();
    count.is_some_and(|count| count > 0) && period.is_ok_and(|period| period.ms > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_statuses() {
        for (text, is_one) in [
            ("300/15m", true),
            ("1/1s", true),
            ("0/1s", false),
            ("5/0s", false),
            ("5", false),
            ("x/1s", false),
            ("10/s", true),
            ("5/year", false),
        ] {
            assert_eq!(is_rate(text), is_one, "{text}");
        }
        for (text, is_one) in [("5xx", true), ("404", true), ("6xx", false), ("4x", false), ("", false), ("40x", false)]
        {
            assert_eq!(is_status(&Status::Class(text.to_owned())), is_one, "{text}");
        }
        assert!(is_status(&Status::Code(599)) && !is_status(&Status::Code(99)));
    }
}
