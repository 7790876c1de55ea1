//! Compiles `errors` and the headers of `limits`.

use super::super::errors::{Errors, LimitHeaders, Rule, Status};
use super::{optional, path};
use crate::manifest::connector as written;
use crate::manifest::problem::Problem;
use crate::template::Template;

impl Errors {
    /// Reads the rules; `pointer` is where they stand.
    pub fn compile(
        errors: &written::Errors,
        limits: &[written::Limit],
        pointer: &str,
        problems: &mut Vec<Problem>,
    ) -> Errors {
        let words = |source: &Option<String>, name: &str, problems: &mut Vec<Problem>| {
            source.as_ref().map(|source| path(source, &format!("{pointer}/{name}"), problems))
        };
        Errors {
            message: words(&errors.message, "message", problems),
            code: words(&errors.code, "code", problems),
            rules: errors
                .rules
                .iter()
                .enumerate()
                .map(|(place, rule)| compile_rule(rule, &format!("{pointer}/rules/{place}"), problems))
                .collect(),
            limit_headers: limits
                .iter()
                .filter_map(|limit| limit.headers.as_ref())
                .map(|headers| LimitHeaders {
                    remaining: headers.remaining.to_lowercase(),
                    reset: headers.reset.to_lowercase(),
                })
                .collect(),
            availability: Vec::new(),
        }
    }
}

fn compile_rule(rule: &written::ErrorRule, pointer: &str, problems: &mut Vec<Problem>) -> Rule {
    let status = rule.status.as_slice().iter().filter_map(|status| {
        let compiled = match status {
            written::errors::Status::Code(code) if (100..600).contains(code) => Some(Status::Code(*code)),
            written::errors::Status::Code(_) => None,
            written::errors::Status::Class(class) => read_status(class),
        };
        if compiled.is_none() {
            let message = "a status is a number such as 403, or a class such as 5xx";
            problems.push(Problem::new(format!("{pointer}/status"), "status_invalid", message));
        }
        compiled
    });
    let status = status.collect();
    let message = rule.message.as_ref().and_then(|message| {
        Template::compile(message)
            .map_err(|error| problems.push(Problem::from_template(format!("{pointer}/message"), error)))
            .ok()
    });
    Rule {
        status,
        code: rule.code.as_slice().to_vec(),
        text: rule.text.as_ref().map(|text| text.to_lowercase()),
        when: optional(rule.when.as_ref(), &format!("{pointer}/when"), problems),
        after_uncertain: rule.after.is_some(),
        then: rule.then,
        wait_ms: rule.wait.map(|wait| wait.ms),
        message,
        help: rule.help.clone(),
    }
}

fn read_status(text: &str) -> Option<Status> {
    if let Ok(code) = text.parse() {
        return (100..600).contains(&code).then_some(Status::Code(code));
    }
    let digit = text.strip_suffix("xx")?.parse().ok()?;
    (1..=5).contains(&digit).then_some(Status::Class(digit))
}
