//! Turns written steps into compiled ones and gathers every problem on the way, so that one look at a flow
//! tells all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::composite::{self, Body};
use super::{Block, FORMS, Form, Step};
use crate::manifest::flow;
use crate::manifest::{Connector, Problem};
use crate::template::{CompileError, Expression, Template, Tree};

/// The names of connectors to what they are.
pub type Connectors = BTreeMap<String, Arc<Connector>>;

/// Where the compilation of a flow's steps stands.
pub struct Compiler<'a> {
    /// What actions are looked up in.
    pub connectors: &'a Connectors,
    problems: Vec<Problem>,
    pointer: String,
    ids: BTreeSet<String>,
    inner_ids: Vec<String>,
    /// The connector whose composite action is being compiled.
    pub(super) home: Option<String>,
    /// The composite actions that are being compiled, the outermost first.
    pub(super) open: Vec<(String, String)>,
    /// Those that are compiled.
    pub(super) bodies: BTreeMap<(String, String), Arc<Body>>,
}

impl<'a> Compiler<'a> {
    /// A compiler that has seen nothing yet.
    pub fn new(connectors: &'a Connectors) -> Self {
        Compiler {
            connectors,
            problems: Vec::new(),
            pointer: String::new(),
            ids: BTreeSet::new(),
            inner_ids: Vec::new(),
            home: None,
            open: Vec::new(),
            bodies: BTreeMap::new(),
        }
    }

    /// What it found wrong.
    pub fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// The pointer of a member of the step that is being compiled: `with/text`.
    pub fn pointer(&self, member: &str) -> String {
        format!("{}/{member}", self.pointer)
    }

    /// Notes a problem.
    pub fn report(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// The steps at `member`, below the step that is being compiled or at the flow's top.
    pub fn block(&mut self, steps: &[flow::Step], member: &str, label: &'static str) -> Block {
        let outer_pointer = std::mem::take(&mut self.pointer);
        let outer_ids = std::mem::take(&mut self.inner_ids);
        let mut compiled = Vec::with_capacity(steps.len());
        for (position, step) in steps.iter().enumerate() {
            self.pointer = format!("{outer_pointer}/{member}/{position}");
            compiled.extend(self.step(step));
        }
        self.pointer = outer_pointer;
        let ids = std::mem::replace(&mut self.inner_ids, outer_ids);
        self.inner_ids.extend(ids.iter().cloned());
        Block { label, steps: compiled, ids }
    }

    /// A template at a member of the step.
    pub fn template(&mut self, text: &str, member: &str) -> Option<Template> {
        let compiled = Template::compile(text);
        self.compiled(compiled, member)
    }

    /// A condition or a value expression at a member of the step.
    pub fn expression(&mut self, text: &str, member: &str) -> Option<Expression> {
        let compiled = Expression::compile(text);
        self.compiled(compiled, member)
    }

    /// A value whose strings are templates, at a member of the step.
    pub fn tree(&mut self, value: &Value, member: &str) -> Option<Tree> {
        match Tree::compile(value, &self.pointer(member)) {
            Ok(tree) => Some(tree),
            Err(errors) => {
                self.problems.extend(errors.into_iter().map(|(pointer, error)| Problem::from_template(pointer, error)));
                None
            }
        }
    }

    /// Compiles what stands at `pointer` of the connector `home`, with ids of its own; the first problem in it.
    pub(super) fn apart<T>(
        &mut self,
        home: &str,
        pointer: &str,
        compile: impl FnOnce(&mut Self) -> T,
    ) -> Result<T, Problem> {
        let problems = std::mem::take(&mut self.problems);
        let ids = std::mem::take(&mut self.ids);
        let inner_ids = std::mem::take(&mut self.inner_ids);
        let outer_pointer = std::mem::replace(&mut self.pointer, pointer.to_owned());
        let outer_home = self.home.replace(home.to_owned());
        let compiled = compile(self);
        self.home = outer_home;
        self.pointer = outer_pointer;
        self.inner_ids = inner_ids;
        self.ids = ids;
        let found = std::mem::replace(&mut self.problems, problems);
        match found.into_iter().next() {
            Some(problem) => Err(problem),
            None => Ok(compiled),
        }
    }

    fn compiled<T>(&mut self, compiled: Result<T, CompileError>, member: &str) -> Option<T> {
        match compiled {
            Ok(compiled) => Some(compiled),
            Err(error) => {
                self.report(Problem::from_template(self.pointer(member), error));
                None
            }
        }
    }

    fn step(&mut self, step: &flow::Step) -> Option<Step> {
        if let Some(id) = &step.id {
            self.inner_ids.push(id.clone());
            if !self.ids.insert(id.clone()) {
                self.report(
                    Problem::new(
                        self.pointer("id"),
                        "duplicate_step_id",
                        format!("another step is called `{id}` already"),
                    )
                    .with_help("every id names one step of the flow"),
                );
            }
        }
        let name = self.keyword(step)?;
        let keyword = FORMS.iter().find(|form| form.name == name)?;
        // The one keyword that is a guard beside every other.
        let guard = match &step.condition {
            Some(text) if name != "if" => Some(self.expression(text, "if")?),
            _ => None,
        };
        let form = (keyword.compile)(step, self)?;
        self.refuse_idle_settings(step, form.as_ref());
        Some(Step {
            id: step.id.clone(),
            title: step.title.clone(),
            form_name: if form.composite().is_some() { composite::FORM } else { keyword.name },
            guard,
            retry: step.retry.clone(),
            timeout_ms: step.timeout.map(|timeout| timeout.ms),
            deadline_ms: step.deadline.map(|deadline| deadline.ms),
            on_error: step.on_error.unwrap_or_default(),
            form,
        })
    }

    fn keyword(&mut self, step: &flow::Step) -> Option<&'static str> {
        let used = step.keywords();
        match used.as_slice() {
            [name] => Some(name),
            [] => {
                let known: Vec<&str> = FORMS.iter().map(|form| form.name).collect();
                self.report(
                    Problem::new(self.pointer.clone(), "step_without_keyword", "this step says nothing to do")
                        .with_help(format!("write one of: {}", known.join(", "))),
                );
                None
            }
            several => {
                self.report(
                    Problem::new(
                        self.pointer.clone(),
                        "step_with_several_keywords",
                        format!("this step is several at once: {}", several.join(", ")),
                    )
                    .with_help("write one step for each"),
                );
                None
            }
        }
    }

    /// `retry` and `timeout` beside a form that asks nothing of the outside would do nothing.
    fn refuse_idle_settings(&mut self, step: &flow::Step, form: &dyn Form) {
        if form.outside().is_some() || form.composite().is_some() {
            return;
        }
        let written = [
            (step.retry.is_some(), "retry"),
            (step.timeout.is_some(), "timeout"),
            (step.deadline.is_some() && !form.is_timed(), "deadline"),
        ];
        for (_, word) in written.iter().filter(|(is_written, _)| *is_written) {
            self.report(
                Problem::new(
                    self.pointer(word),
                    "setting_without_effect",
                    format!("`{word}` does nothing here: this step sends no request"),
                )
                .with_help(format!("write `{word}` beside an `action` or `http` step")),
            );
        }
    }
}
