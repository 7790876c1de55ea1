//! Lowers one expression: the grammar's tree says what it is, the words of its tag say where. Helpers, arities,
//! options and patterns are resolved here, each mistake with its place.

use handlebars::template::{HelperTemplate, Parameter, TemplateElement};
use serde_json::Value;

use super::compile::Compiler;
use super::error::{CompileError, closest};
use super::helpers::{self, Helper, Type};
use super::path;
use super::reads::Read;
use super::shape::{Call, ExpressionShape, Form};
use super::tags::{self, Tag, Word, WordKind};

/// The words of one tag, taken one by one.
pub(super) struct Words {
    words: std::iter::Peekable<std::vec::IntoIter<Word>>,
    tag: (usize, usize),
}

impl Words {
    pub(super) fn of(tag: Tag) -> Self {
        Words { words: tag.words.into_iter().peekable(), tag: (tag.start, tag.end) }
    }
}

impl<'s> Compiler<'s> {
    /// A helper with its arguments, or a path alone.
    pub(super) fn invocation(
        &mut self,
        invocation: &HelperTemplate,
        words: &mut Words,
    ) -> Result<ExpressionShape, CompileError> {
        if let Parameter::Subexpression(_) = &invocation.name {
            return self.parameter(&invocation.name, words);
        }
        let name_word = self.word(words)?;
        let name = self.text(name_word);
        if invocation.params.is_empty() && invocation.hash.is_empty() {
            return self.path(name_word);
        }
        let Some(helper) = helpers::find(name) else {
            return Err(self.unknown_helper(name, name_word));
        };
        let mut arguments = Vec::with_capacity(invocation.params.len());
        let mut named = Vec::with_capacity(invocation.hash.len());
        let mut positional = invocation.params.iter();
        let mut end = name_word.end;
        while let Some(next) = words.words.peek().copied() {
            if next.kind == WordKind::Close {
                break;
            }
            let argument = if next.kind == WordKind::Name {
                words.words.next();
                let key = self.text(next);
                let value = invocation.hash.get(key).ok_or_else(|| self.unreadable(next.start, next.end))?;
                if named.iter().any(|(known, _)| known == key) {
                    return Err(self.fail(next, "template_unknown_option", format!("`{key}` is given twice"), None));
                }
                self.check_option(helper, key, next)?;
                let argument = self.parameter(value, words)?;
                named.push((key.to_owned(), argument));
                named.last().map(|(_, argument)| argument)
            } else {
                let value = positional.next().ok_or_else(|| self.unreadable(next.start, next.end))?;
                let forgives = usize::from(helper.forgives(arguments.len()));
                self.forgiving += forgives;
                arguments.push(self.parameter(value, words)?);
                self.forgiving -= forgives;
                arguments.last()
            };
            end = argument.map_or(end, |argument| end.max(self.byte_after(argument)));
        }
        let whole = Word { kind: WordKind::Plain, start: name_word.start, end };
        self.call(helper, arguments, named, whole)
    }

    pub(super) fn parameter(
        &mut self,
        parameter: &Parameter,
        words: &mut Words,
    ) -> Result<ExpressionShape, CompileError> {
        let word = self.word(words)?;
        match parameter {
            Parameter::Literal(value) => Ok(self.shape(word, Form::Literal(value.clone()))),
            Parameter::Path(_) | Parameter::Name(_) => self.path(word),
            Parameter::Subexpression(inner) => match inner.as_element() {
                TemplateElement::Expression(invocation) if word.kind == WordKind::Open => {
                    let shape = self.invocation(invocation, words)?;
                    match words.words.next() {
                        Some(Word { kind: WordKind::Close, .. }) => Ok(shape),
                        _ => Err(self.unreadable(words.tag.0, words.tag.1)),
                    }
                }
                _ => Err(self.unreadable(words.tag.0, words.tag.1)),
            },
            // The crate may learn more forms.
            _ => Err(self.unreadable(word.start, word.end)),
        }
    }

    /// A path, a literal where the grammar takes one for a path, or a helper that takes no arguments.
    fn path(&mut self, word: Word) -> Result<ExpressionShape, CompileError> {
        let text = self.text(word);
        if let Some(literal) = bare_literal(text) {
            return Ok(self.shape(word, Form::Literal(literal)));
        }
        if let Some(helper) = helpers::find(text)
            && !self
                .blocks
                .iter()
                .any(|block| block.names.0.as_deref() == Some(text) || block.names.1.as_deref() == Some(text))
        {
            return self.call(helper, Vec::new(), Vec::new(), word);
        }
        let path = path::read(text, &self.blocks).map_err(|message| self.fail(word, "template_path", message, None))?;
        let shape = self.shape(word, Form::Literal(Value::Null));
        if let Some(from_root) = path.from_root() {
            self.reads.push(Read {
                path: from_root.to_vec(),
                forgiving: self.forgiving > 0,
                column: shape.offset + 1,
                length: shape.length,
            });
        }
        Ok(ExpressionShape { form: Form::Path(path), ..shape })
    }

    fn call(
        &self,
        helper: &'static Helper,
        arguments: Vec<ExpressionShape>,
        named: Vec<(String, ExpressionShape)>,
        word: Word,
    ) -> Result<ExpressionShape, CompileError> {
        if let Err(message) = helper.signature.check_count(arguments.len()) {
            let help = format!("write `{}`", helper.signature);
            return Err(self.fail(word, "template_arity", message, Some(&help)));
        }
        let mut pattern = None;
        for (position, argument) in arguments.iter().enumerate() {
            let is_pattern =
                helper.signature.parameter(position).is_some_and(|parameter| parameter.kind == Type::Pattern);
            if let (true, Form::Literal(Value::String(text))) = (is_pattern, &argument.form) {
                let compiled = helpers::pattern(text).map_err(|message| CompileError {
                    code: "template_pattern",
                    message,
                    offset: argument.offset,
                    length: argument.length,
                    help: None,
                    others: Vec::new(),
                })?;
                pattern = Some(compiled);
            }
        }
        Ok(self.shape(word, Form::Call(Box::new(Call { helper, arguments, named, pattern }))))
    }

    fn check_option(&self, helper: &Helper, key: &str, word: Word) -> Result<(), CompileError> {
        if helper.signature.option(key).is_some() {
            return Ok(());
        }
        let known: Vec<&str> = helper.signature.named.iter().map(|parameter| parameter.name).collect();
        let help = match closest(key, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => "it has no named arguments".to_owned(),
            None => format!("it has `{}`", known.join("`, `")),
        };
        let message = format!("`{}` has no argument named `{key}`", helper.signature.name);
        Err(self.fail(word, "template_unknown_option", message, Some(&help)))
    }

    fn unknown_helper(&self, name: &str, word: Word) -> CompileError {
        let near = closest(name, helpers::list().map(|signature| signature.name));
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "what stands before a space is a helper's name; a path stands alone".to_owned(),
        };
        self.fail(word, "template_unknown_helper", format!("there is no helper `{name}`"), Some(&help))
    }

    pub(super) fn word(&self, words: &mut Words) -> Result<Word, CompileError> {
        words.words.next().ok_or_else(|| self.unreadable(words.tag.0, words.tag.1))
    }

    pub(super) fn text(&self, word: Word) -> &'s str {
        self.source.get(word.start..word.end).unwrap_or_default()
    }

    fn shape(&self, word: Word, form: Form) -> ExpressionShape {
        ExpressionShape {
            form,
            offset: tags::characters(self.source, word.start),
            length: self.text(word).chars().count(),
        }
    }

    fn byte_after(&self, shape: &ExpressionShape) -> usize {
        let end = shape.offset + shape.length;
        self.source.char_indices().nth(end).map_or(self.source.len(), |(byte, _)| byte)
    }

    pub(super) fn fail(
        &self,
        word: Word,
        code: &'static str,
        message: impl Into<String>,
        help: Option<&str>,
    ) -> CompileError {
        tags::failure(self.source, word.start, word.end, code, message, help)
    }

    /// The scanner and the grammar disagree: nothing that this language is meant to allow.
    pub(super) fn unreadable(&self, start: usize, end: usize) -> CompileError {
        tags::failure(self.source, start, end, "template_syntax", "this expression cannot be read", None)
    }
}

/// `true`, `false`, `null` and numbers, which the grammar takes for paths where they stand alone.
fn bare_literal(text: &str) -> Option<Value> {
    let is_number = text.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    match text {
        "true" | "false" | "null" => serde_json::from_str(text).ok(),
        _ if is_number => serde_json::from_str(text).ok(),
        _ => None,
    }
}
