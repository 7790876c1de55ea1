//! One request per element: which elements there are, and what their results make together. The worker
//! journals each element by itself; `Executor::call` does them in order.

use serde_json::{Value, json};

use super::template_failure;
use crate::engine::Failure;
use crate::manifest::connector::OnPartial;
use crate::template::{Expression, Scope};

/// A compiled `foreach`.
#[derive(Clone, Debug)]
pub struct ForEach {
    pub(super) list: Expression,
    /// What the request's templates call the element.
    pub name: String,
    /// What an element that failed means for the step.
    pub on_partial: OnPartial,
}

impl ForEach {
    /// The elements of these (resolved) inputs. A value that is no list counts as a list of one; an empty
    /// list is refused, since a step that sends nothing is hardly meant.
    pub fn elements(&self, scope: &Scope) -> Result<Vec<Value>, Failure> {
        let value = self.list.evaluate(scope).map_err(|error| template_failure(&error))?;
        match value {
            Value::Array(elements) if elements.is_empty() => Err(self.nothing()),
            Value::Array(elements) => Ok(elements),
            Value::Null => Err(self.nothing()),
            single => Ok(vec![single]),
        }
    }

    /// `{status, results}` of all elements, in their order, and the failure where they count as one.
    pub fn output(&self, results: Vec<(Value, Result<Value, Failure>)>) -> (Value, Option<Failure>) {
        let total = results.len();
        let failed = results.iter().filter(|(_, result)| result.is_err()).count();
        let status = match failed {
            0 => "successful",
            failed if failed == total => "failed",
            _ => "partially_successful",
        };
        let must_fail = failed == total || (failed > 0 && self.on_partial == OnPartial::Fail);
        let first = results.iter().find_map(|(_, result)| result.as_ref().err()).filter(|_| must_fail);
        let failure = first.map(|first| {
            let message = format!("{failed} of {total} failed; the first: {}", first.message);
            Failure { message, ..first.clone() }
        });
        let results: Vec<Value> = results
            .into_iter()
            .map(|(element, result)| match result {
                Ok(output) => {
                    json!({self.name.as_str(): element, "status": "successful", "output": output})
                }
                Err(failure) => {
                    json!({self.name.as_str(): element, "status": "failed", "error": failure.told()})
                }
            })
            .collect();
        (json!({"status": status, "results": results}), failure)
    }

    fn nothing(&self) -> Failure {
        Failure::not_sent(
            "nothing_to_do",
            format!("`{}` has no elements, so there is nothing to send", self.list.source()),
        )
    }
}
