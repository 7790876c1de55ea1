//! `stop`: ends the run, well or as a failure.

use serde_json::json;

use super::{Compiler, Entered, Error, Form, Keyword, Move};
use crate::manifest::flow::{self, StopStatus};
use crate::template::{Scope, Template};

pub(super) const KEYWORD: Keyword = Keyword { name: "stop", compile };

#[derive(Debug)]
struct Stop {
    status: StopStatus,
    message: Option<Template>,
}

impl Form for Stop {
    fn enter(&self, scope: &Scope) -> Result<Entered, Error> {
        let message = match &self.message {
            Some(template) => Some(template.render(scope)?),
            None => None,
        };
        let input = match &message {
            Some(message) => json!({"status": self.status, "message": message}),
            None => json!({"status": self.status}),
        };
        Ok(Entered { input, then: Move::Stop { failed: self.status == StopStatus::Failed, message } })
    }
}

fn compile(step: &flow::Step, compiler: &mut Compiler) -> Option<Box<dyn Form>> {
    let stop = step.stop.as_ref()?;
    let message = match &stop.message {
        Some(text) => Some(compiler.template(text, "stop/message")?),
        None => None,
    };
    Some(Box::new(Stop { status: stop.status, message }))
}
