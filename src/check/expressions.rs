//! Reads the templates of one place: every path against what can be read there, every argument against what
//! its helper takes, and what comes out against what it is for.

use serde_json::Value;

use super::calls::{self, Given};
use super::findings::{Findings, below};
use super::scope::Scope;
use super::types::{Kinds, Member, Type};
use crate::manifest::Severity;
use crate::template::helpers::Parameter;
use crate::template::{Base, Call, CompileError, Expression, ExpressionShape, Form, Path, Template};

/// What a text came out as.
pub struct Written {
    /// What it gives; a text unless it is one lone expression.
    pub of: Type,
    /// Whether it has expressions at all.
    pub literal: bool,
    /// Whether it may give nothing.
    pub perhaps_absent: bool,
}

/// Whether a text holds a template.
pub fn is_template(text: &str) -> bool {
    text.contains("{{")
}

/// Whether a value holds a template anywhere.
pub fn holds_template(value: &Value) -> bool {
    match value {
        Value::String(text) => is_template(text),
        Value::Array(elements) => elements.iter().any(holds_template),
        Value::Object(members) => members.values().any(holds_template),
        _ => false,
    }
}

/// A text that may hold expressions. `None` when it cannot be read; that has been told.
pub fn template(findings: &mut Findings<'_>, scope: &Scope, pointer: &str, text: &str) -> Option<Written> {
    let template = match Template::compile(text) {
        Ok(template) => template,
        Err(error) => {
            unreadable(findings, pointer, error);
            return None;
        }
    };
    let mut reader = Reader { findings, scope, pointer };
    if let Some(shape) = template.expression() {
        let (of, perhaps_absent) = reader.infer(shape, Leave::default());
        return Some(Written { of, literal: false, perhaps_absent });
    }
    for (block, argument) in template.block_arguments() {
        let (of, _) = reader.infer(argument, Leave::default());
        reader.argument_of_block(block, argument, &of);
    }
    for insertion in template.insertions() {
        let (of, _) = reader.infer(insertion, Leave::default());
        if !of.can_be(Kinds::ANY.without(Kinds::ARRAY | Kinds::OBJECT)) {
            let message = format!("{} cannot stand within a text", of.kinds);
            reader.mark(
                Severity::Error,
                "template_not_text",
                insertion,
                message,
                Some("write `json` before it, or read one of its members".to_owned()),
            );
        }
    }
    Some(Written { of: Type::text(), literal: template.is_literal(), perhaps_absent: false })
}

/// A condition, with or without braces.
pub fn condition(findings: &mut Findings<'_>, scope: &Scope, pointer: &str, text: &str) {
    let Some((of, shape)) = expression_shape(findings, scope, pointer, text) else {
        return;
    };
    if !of.can_be(Kinds::BOOLEAN | Kinds::NULL) {
        let help =
            if of.can_be(Kinds::STRING) { "compare it, as in `eq … 'text'`" } else { "compare it, as in `gt … 0`" };
        Reader { findings, scope, pointer }.mark(
            Severity::Error,
            "condition_not_boolean",
            shape.expression(),
            format!("a condition must be a boolean, but this is {}", of.kinds),
            Some(help.to_owned()),
        );
    }
}

/// An expression, with or without braces: what it gives.
pub fn expression(findings: &mut Findings<'_>, scope: &Scope, pointer: &str, text: &str) -> Option<Type> {
    expression_shape(findings, scope, pointer, text).map(|(of, _)| of)
}

/// Every text of a value: what the value comes out as.
pub fn tree(findings: &mut Findings<'_>, scope: &Scope, pointer: &str, value: &Value) -> Type {
    match value {
        Value::String(text) if is_template(text) => {
            template(findings, scope, pointer, text).map_or_else(Type::any, |written| written.of)
        }
        Value::Object(members) => {
            let mut of = Type::object([]);
            for (name, value) in members {
                let member = tree(findings, scope, &below(pointer, name), value);
                of = of.with(name, Member::always(member));
            }
            of
        }
        Value::Array(elements) => {
            let of = elements
                .iter()
                .enumerate()
                .map(|(place, element)| tree(findings, scope, &below(pointer, place), element))
                .reduce(|left, right| left.or(&right));
            Type::list(of.unwrap_or_else(Type::any))
        }
        other => Type::of_value(other),
    }
}

fn expression_shape(
    findings: &mut Findings<'_>,
    scope: &Scope,
    pointer: &str,
    text: &str,
) -> Option<(Type, Expression)> {
    match Expression::compile(text) {
        Ok(compiled) => {
            let (of, _) = Reader { findings, scope, pointer }.infer(compiled.expression(), Leave::default());
            Some((of, compiled))
        }
        Err(error) => {
            unreadable(findings, pointer, error);
            None
        }
    }
}

fn unreadable(findings: &mut Findings<'_>, pointer: &str, error: CompileError) {
    findings.within(Severity::Error, error.code, pointer, (error.offset, error.length), error.message, error.help);
    error.others.into_iter().for_each(|other| unreadable(findings, pointer, other));
}

struct Reader<'r, 'a> {
    findings: &'r mut Findings<'a>,
    scope: &'r Scope,
    pointer: &'r str,
}

/// What the place of an expression permits.
#[derive(Clone, Copy, Default)]
struct Leave {
    /// A path may be absent.
    absence: bool,
    /// A secret may be read: the key of a helper that signs or checks.
    secret: bool,
    /// It is what a helper works with.
    helped: bool,
}

impl Reader<'_, '_> {
    /// What an expression gives, and whether it may give nothing.
    fn infer(&mut self, shape: &ExpressionShape, leave: Leave) -> (Type, bool) {
        match &shape.form {
            Form::Literal(value) => (Type::of_value(value), false),
            Form::Path(path) => self.path(shape, path, leave),
            Form::Call(call) => self.call(call, leave),
        }
    }

    fn path(&mut self, shape: &ExpressionShape, path: &Path, leave: Leave) -> (Type, bool) {
        let Some(segments) = path.from_root() else {
            return match path.base {
                Base::Index(_) => (Type::of(Kinds::INTEGER), false),
                Base::First(_) | Base::Last(_) => (Type::of(Kinds::BOOLEAN), false),
                _ => (Type::any(), false),
            };
        };
        let resolved = match self.scope.resolve(segments) {
            Ok(resolved) => resolved,
            Err(fault) => {
                self.mark(Severity::Error, fault.code, shape, fault.message, fault.help);
                return (Type::any(), false);
            }
        };
        if resolved.secret && !leave.secret {
            self.mark(
                Severity::Error,
                "template_secret",
                shape,
                format!("`{}` is secret and cannot be read here", path.text),
                Some(match path.text.starts_with("inputs") {
                    true => {
                        "secret inputs can be read in the steps of a flow; what a trigger needs belongs in a connection"
                            .to_owned()
                    }
                    false => "secrets can be read in `auth` and `hosts`, and as the key of `hmac`".to_owned(),
                }),
            );
        }
        if resolved.as_it_is && leave.helped {
            self.mark(
                Severity::Error,
                "template_secret",
                shape,
                format!("`{}` is secret and cannot be read by a helper", path.text),
                Some(format!("write it as it is, `{{{{{}}}}}`; what signs belongs in a connector's `auth`", path.text)),
            );
        }
        let absent = resolved.perhaps_absent.is_some();
        // An account without the secret that something is signed with cannot do it, and is told so.
        let may_be_absent = leave.absence || (resolved.secret && leave.secret);
        if let (Some(part), false) = (resolved.perhaps_absent, may_be_absent) {
            self.mark(
                Severity::Warning,
                "template_maybe_missing",
                shape,
                format!("`{part}` may be absent, and then the step fails"),
                Some(format!("write `(maybe {0})` or `(default {0} …)`", path.text)),
            );
        }
        (resolved.of, absent)
    }

    fn call(&mut self, call: &Call, leave: Leave) -> (Type, bool) {
        let signature = &call.helper.signature;
        let mut given = Vec::with_capacity(call.arguments.len());
        for (position, argument) in call.arguments.iter().enumerate() {
            let parameter = signature.parameter(position);
            let forgiven = call.helper.forgives(position);
            let is_key = ["hmac", "twilio_signed"].contains(&signature.name)
                && parameter.is_some_and(|parameter| parameter.name == "key");
            let secret = is_key || (forgiven && leave.secret);
            let helped = leave.helped || !forgiven;
            let (of, absent) = self.infer(argument, Leave { absence: leave.absence || forgiven, secret, helped });
            if let Some(parameter) = parameter {
                self.argument(signature.name, parameter, argument, &of);
            }
            given.push(Given { of, absent, shape: argument });
        }
        for (name, argument) in &call.named {
            let (of, _) = self.infer(argument, Leave { helped: true, ..leave });
            if let Some(parameter) = signature.option(name) {
                self.argument(signature.name, parameter, argument, &of);
            }
        }
        if let Some((shape, message, help)) = calls::incomparable(signature.name, &given) {
            self.mark(Severity::Error, "template_incomparable", shape, message, help);
        }
        calls::result(signature, &given)
    }

    fn argument(&mut self, helper: &str, parameter: &Parameter, argument: &ExpressionShape, of: &Type) {
        let accepted = calls::accepted(parameter.kind);
        // Logic counts null and absent as false.
        let accepted = if accepted == Kinds::BOOLEAN { accepted | Kinds::NULL } else { accepted };
        if !of.can_be(accepted) {
            let message = format!(
                "`{helper}` takes {} as `{}`, but this is {}",
                parameter.kind.described(),
                parameter.name,
                of.kinds
            );
            self.mark(Severity::Error, "template_wrong_argument", argument, message, None);
        }
    }

    fn argument_of_block(&mut self, block: &str, argument: &ExpressionShape, of: &Type) {
        let takes = match block {
            "if" => Kinds::BOOLEAN | Kinds::NULL,
            "each" => Kinds::ARRAY | Kinds::OBJECT | Kinds::NULL,
            _ => Kinds::ANY,
        };
        if !of.can_be(takes) {
            let message = format!("`#{block}` takes {}, but this is {}", takes.without(Kinds::NULL), of.kinds);
            self.mark(Severity::Error, "template_wrong_argument", argument, message, None);
        }
    }

    fn mark(
        &mut self,
        severity: Severity,
        code: &'static str,
        shape: &ExpressionShape,
        message: String,
        help: Option<String>,
    ) {
        self.findings.within(severity, code, self.pointer, (shape.offset, shape.length), message, help);
    }
}
