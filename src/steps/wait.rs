//! `wait`: a length of time, or a point in time; one that has passed is no wait at all. It survives restarts.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Compiler, Entered, Error, Form, Keyword, Move};
use crate::clock::rfc3339;
use crate::manifest::flow::Wait as Written;
use crate::manifest::{Duration, Problem, flow};
use crate::template::{Expression, Scope, Template};

pub(super) const KEYWORD: Keyword = Keyword { name: "wait", compile };

#[derive(Debug)]
enum Wait {
    For(Template),
    Until(Expression),
    UntilMs(i64),
}

impl Form for Wait {
    fn enter(&self, scope: &Scope) -> Result<Entered, Error> {
        let now_ms = scope.now_ms().unwrap_or_default();
        let due_ms = match self {
            Wait::For(template) => {
                let length = template.render(scope)?;
                let length: Duration = length
                    .trim()
                    .parse()
                    .map_err(|message: String| Error::new("wait_invalid", message, "give a length such as 10m"))?;
                now_ms.saturating_add(length.ms)
            }
            Wait::Until(expression) => point_in_time(&expression.evaluate(scope)?)?,
            Wait::UntilMs(due_ms) => *due_ms,
        };
        let then = if due_ms <= now_ms { Move::Done(Value::Null) } else { Move::Wait { due_ms } };
        Ok(Entered { input: json!({"until": rfc3339(due_ms)}), then })
    }
}

fn compile(step: &flow::Step, compiler: &mut Compiler) -> Option<Box<dyn Form>> {
    let wait = match step.wait.as_ref()? {
        Written::For(text) => {
            let template = compiler.template(text, "wait")?;
            if let Some(literal) = template.literal()
                && let Err(message) = literal.trim().parse::<Duration>()
            {
                compiler.report(
                    Problem::new(compiler.pointer("wait"), "wait_invalid", message)
                        .with_help("for a point in time write `wait: {until: ...}`"),
                );
                return None;
            }
            Wait::For(template)
        }
        Written::Until { until: Value::String(text) } if text.contains("{{") || text.parse::<Timestamp>().is_err() => {
            Wait::Until(compiler.expression(text, "wait/until")?)
        }
        Written::Until { until } => match point_in_time(until) {
            Ok(due_ms) => Wait::UntilMs(due_ms),
            Err(error) => {
                let problem = Problem::new(compiler.pointer("wait/until"), error.code, error.message);
                compiler.report(problem.with_help(error.help.unwrap_or_default()));
                return None;
            }
        },
    };
    Some(Box::new(wait))
}

/// RFC 3339, or UTC epoch milliseconds as a number or its digits.
fn point_in_time(value: &Value) -> Result<i64, Error> {
    let time = match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => {
            text.trim().parse::<Timestamp>().map(Timestamp::as_millisecond).ok().or_else(|| text.trim().parse().ok())
        }
        _ => None,
    };
    time.ok_or_else(|| {
        Error::new(
            "wait_invalid",
            "`until` is no point in time",
            "give RFC 3339 with its offset (2026-11-20T13:00:00Z) or epoch milliseconds",
        )
    })
}
