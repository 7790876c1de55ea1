//! Lowers a template: the `handlebars` crate reads the grammar, the tag scanner gives places, and this file
//! joins the two into the typed tree, resolving helpers, arities, patterns and the names of blocks, so that
//! nothing of it is left for a run.

use handlebars::template::{BlockParam, HelperTemplate, Parameter, TemplateElement};
use serde_json::Value;

use super::Body;
use super::error::{CompileError, closest};
use super::grammar;
use super::helpers::{self, Helper, Type};
use super::path::{self, Block};
use super::reads::Read;
use super::shape::{Call, ExpressionShape, Form, Node, Segment};
use super::tags::{self, Kind, Tag, Word, WordKind};

/// Reads a template string.
pub(super) fn template(source: &str) -> Result<(Body, Vec<Read>), CompileError> {
    if !source.contains("{{") {
        return Ok((Body::Literal(source.to_owned()), Vec::new()));
    }
    let tags = tags::scan(source)?;
    if let Some(literal) = lone_literal(source, &tags) {
        return Ok((Body::Lone(literal), Vec::new()));
    }
    let parsed =
        handlebars::Template::compile(source).map_err(|error| grammar::refusal(source, &error))?;
    let mut compiler = Compiler {
        source,
        tags: tags.into_iter(),
        blocks: Vec::new(),
        reads: Vec::new(),
        forgiving: 0,
    };
    let mut nodes = compiler.nodes(&parsed.elements)?;
    let body = match (nodes.len(), nodes.pop()) {
        (0, _) => Body::Literal(String::new()),
        (1, Some(Node::Insert(shape))) => Body::Lone(shape),
        (1, Some(Node::Text(text))) => Body::Literal(text),
        (_, last) => {
            nodes.extend(last);
            Body::Text(nodes)
        }
    };
    Ok((body, compiler.reads))
}

/// Reads one expression, whose braces may be left out.
pub(super) fn expression(source: &str) -> Result<(ExpressionShape, Vec<Read>), CompileError> {
    let trimmed = source.trim();
    let leading = source.chars().take_while(|c| c.is_whitespace()).count();
    let (braced, added) = if trimmed.starts_with("{{") {
        (trimmed.to_owned(), 0)
    } else {
        (format!("{{{{{trimmed}}}}}"), 2)
    };
    let width = source.chars().count();
    let shift = |offset: usize| (offset + leading).saturating_sub(added).min(width);
    let not_one = CompileError {
        code: "template_expression",
        message: "this has to be one expression, without text around it".to_owned(),
        offset: leading.min(width),
        length: trimmed.chars().count().max(1),
        help: Some("write for example `eq item.lang 'en'`".to_owned()),
    };
    if trimmed.is_empty() {
        return Err(not_one);
    }
    let (body, mut reads) = template(&braced).map_err(|mut error| {
        error.offset = shift(error.offset);
        error.length = error.length.min(width.saturating_sub(error.offset)).max(1);
        error
    })?;
    let Body::Lone(mut shape) = body else {
        return Err(not_one);
    };
    for read in &mut reads {
        read.column = shift(read.column);
    }
    shift_shape(&mut shape, &shift);
    Ok((shape, reads))
}

fn shift_shape(shape: &mut ExpressionShape, shift: &impl Fn(usize) -> usize) {
    shape.offset = shift(shape.offset);
    if let Form::Call(call) = &mut shape.form {
        let named = call.named.iter_mut().map(|(_, argument)| argument);
        call.arguments
            .iter_mut()
            .chain(named)
            .for_each(|argument| shift_shape(argument, shift));
    }
}

/// `{{'text'}}` and `{{5}}`: the grammar knows literals only as arguments.
fn lone_literal(source: &str, tags: &[Tag]) -> Option<ExpressionShape> {
    let [
        Tag {
            kind: Kind::Expression,
            start: 0,
            end,
            words,
        },
    ] = tags
    else {
        return None;
    };
    let [word] = words.as_slice() else {
        return None;
    };
    if *end != source.len() {
        return None;
    }
    match Parameter::parse(&source[word.start..word.end]) {
        Ok(Parameter::Literal(value)) => Some(ExpressionShape {
            form: Form::Literal(value),
            offset: tags::characters(source, word.start),
            length: source[word.start..word.end].chars().count(),
        }),
        _ => None,
    }
}

struct Compiler<'s> {
    source: &'s str,
    tags: std::vec::IntoIter<Tag>,
    blocks: Vec<Block>,
    reads: Vec<Read>,
    /// How many `maybe`, `default` and `coalesce` are around the place that is read.
    forgiving: usize,
}

/// The words of one tag, taken one by one.
struct Words {
    words: std::iter::Peekable<std::vec::IntoIter<Word>>,
    tag: (usize, usize),
}

impl Words {
    fn of(tag: Tag) -> Self {
        Words {
            words: tag.words.into_iter().peekable(),
            tag: (tag.start, tag.end),
        }
    }
}

impl<'s> Compiler<'s> {
    fn nodes(&mut self, elements: &[TemplateElement]) -> Result<Vec<Node>, CompileError> {
        let mut nodes = Vec::with_capacity(elements.len());
        for element in elements {
            match element {
                TemplateElement::RawString(text) if text.is_empty() => {}
                TemplateElement::RawString(text) => nodes.push(Node::Text(text.clone())),
                TemplateElement::Comment(_) => {}
                TemplateElement::Expression(expression) => {
                    let mut words = Words::of(self.tag(Kind::Expression)?);
                    nodes.push(Node::Insert(self.invocation(expression, &mut words)?));
                }
                TemplateElement::HelperBlock(block) => {
                    let opening = self.tag(Kind::Open)?;
                    nodes.push(self.block(block, opening)?);
                    self.tag(Kind::Close)?;
                }
                // The scanner refused these by their first character.
                _ => return Err(self.unreadable(0, self.source.len())),
            }
        }
        Ok(nodes)
    }

    fn block(&mut self, block: &HelperTemplate, opening: Tag) -> Result<Node, CompileError> {
        let mut words = Words::of(opening);
        let name_word = self.word(&mut words)?;
        let name = self.text(name_word);
        if !matches!(name, "if" | "unless" | "each" | "with") {
            return Err(self.not_a_block(name, name_word));
        }
        let [argument] = block.params.as_slice() else {
            let message = format!(
                "`{{{{#{name}}}}}` takes one argument, {} are given",
                block.params.len()
            );
            return Err(self.fail(
                name_word,
                "template_arity",
                message,
                Some("put a helper and its arguments in parentheses: `{{#if (eq a b)}}`"),
            ));
        };
        if !block.hash.is_empty() {
            let message = format!("`{{{{#{name}}}}}` has no named arguments");
            return Err(self.fail(name_word, "template_unknown_option", message, None));
        }
        if block.block_param.is_some() && matches!(name, "if" | "unless") {
            let message =
                format!("`{{{{#{name}}}}}` names nothing: `as |…|` belongs to `each` and `with`");
            return Err(self.fail(name_word, "template_syntax", message, None));
        }
        let argument = self.parameter(argument, &mut words)?;
        let scoped = matches!(name, "each" | "with");
        if scoped {
            self.blocks
                .push(inner_block(name, &argument, block.block_param.as_ref()));
        }
        let body = block
            .template
            .as_ref()
            .map_or(Ok(Vec::new()), |template| self.nodes(&template.elements))?;
        if scoped {
            self.blocks.pop();
        }
        let otherwise = self.otherwise(block)?;
        Ok(match name {
            "each" => Node::Each {
                list: argument,
                body,
                otherwise,
            },
            "with" => Node::With {
                value: argument,
                body,
                otherwise,
            },
            _ => Node::If {
                condition: argument,
                negated: name == "unless",
                then: body,
                otherwise,
            },
        })
    }

    /// The `{{else}}` part. `{{else if …}}` is a block of its own that shares the closing tag.
    fn otherwise(&mut self, block: &HelperTemplate) -> Result<Vec<Node>, CompileError> {
        let Some(inverse) = &block.inverse else {
            return Ok(Vec::new());
        };
        let tag = self.tag(Kind::Else)?;
        if tag.words.is_empty() {
            return self.nodes(&inverse.elements);
        }
        match inverse.elements.as_slice() {
            [TemplateElement::HelperBlock(chained)] => Ok(vec![self.block(chained, tag)?]),
            _ => Err(self.unreadable(tag.start, tag.end)),
        }
    }

    /// A helper with its arguments, or a path alone.
    fn invocation(
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
        self.forgiving += usize::from(helper.is_forgiving());
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
                let value = invocation
                    .hash
                    .get(key)
                    .ok_or_else(|| self.unreadable(next.start, next.end))?;
                if named.iter().any(|(known, _)| known == key) {
                    return Err(self.fail(
                        next,
                        "template_unknown_option",
                        format!("`{key}` is given twice"),
                        None,
                    ));
                }
                self.check_option(helper, key, next)?;
                let argument = self.parameter(value, words)?;
                named.push((key.to_owned(), argument));
                named.last().map(|(_, argument)| argument)
            } else {
                let value = positional
                    .next()
                    .ok_or_else(|| self.unreadable(next.start, next.end))?;
                arguments.push(self.parameter(value, words)?);
                arguments.last()
            };
            end = argument.map_or(end, |argument| end.max(self.byte_after(argument)));
        }
        self.forgiving -= usize::from(helper.is_forgiving());
        let whole = Word {
            kind: WordKind::Plain,
            start: name_word.start,
            end,
        };
        self.call(helper, arguments, named, whole)
    }

    fn parameter(
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
                        Some(Word {
                            kind: WordKind::Close,
                            ..
                        }) => Ok(shape),
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
            && !self.blocks.iter().any(|block| {
                block.names.0.as_deref() == Some(text) || block.names.1.as_deref() == Some(text)
            })
        {
            return self.call(helper, Vec::new(), Vec::new(), word);
        }
        let path = path::read(text, &self.blocks)
            .map_err(|message| self.fail(word, "template_path", message, None))?;
        let shape = self.shape(word, Form::Literal(Value::Null));
        if let Some(from_root) = path.from_root() {
            self.reads.push(Read {
                path: from_root.to_vec(),
                forgiving: self.forgiving > 0,
                column: shape.offset + 1,
                length: shape.length,
            });
        }
        Ok(ExpressionShape {
            form: Form::Path(path),
            ..shape
        })
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
            let is_pattern = helper
                .signature
                .parameter(position)
                .is_some_and(|parameter| parameter.kind == Type::Pattern);
            if let (true, Form::Literal(Value::String(text))) = (is_pattern, &argument.form) {
                let compiled = helpers::pattern(text).map_err(|message| CompileError {
                    code: "template_pattern",
                    message,
                    offset: argument.offset,
                    length: argument.length,
                    help: None,
                })?;
                pattern = Some(compiled);
            }
        }
        Ok(self.shape(
            word,
            Form::Call(Box::new(Call {
                helper,
                arguments,
                named,
                pattern,
            })),
        ))
    }

    fn check_option(&self, helper: &Helper, key: &str, word: Word) -> Result<(), CompileError> {
        if helper.signature.option(key).is_some() {
            return Ok(());
        }
        let known: Vec<&str> = helper
            .signature
            .named
            .iter()
            .map(|parameter| parameter.name)
            .collect();
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
        self.fail(
            word,
            "template_unknown_helper",
            format!("there is no helper `{name}`"),
            Some(&help),
        )
    }

    fn not_a_block(&self, name: &str, word: Word) -> CompileError {
        if helpers::find(name).is_none() {
            let near = closest(name, ["if", "unless", "each", "with"]);
            let help = near.map_or(
                "blocks are `if`, `unless`, `each` and `with`".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            return self.fail(
                word,
                "template_unknown_helper",
                format!("there is no block `{{{{#{name}}}}}`"),
                Some(&help),
            );
        }
        let message = format!("`{name}` gives a value and cannot be a block");
        let help =
            format!("write `{{{{{name} …}}}}`; blocks are `if`, `unless`, `each` and `with`");
        self.fail(word, "template_block_helper", message, Some(&help))
    }

    fn tag(&mut self, kind: Kind) -> Result<Tag, CompileError> {
        match self.tags.next() {
            Some(tag) if tag.kind == kind => Ok(tag),
            Some(tag) => Err(self.unreadable(tag.start, tag.end)),
            None => Err(self.unreadable(0, self.source.len())),
        }
    }

    fn word(&self, words: &mut Words) -> Result<Word, CompileError> {
        words
            .words
            .next()
            .ok_or_else(|| self.unreadable(words.tag.0, words.tag.1))
    }

    fn text(&self, word: Word) -> &'s str {
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
        self.source
            .char_indices()
            .nth(end)
            .map_or(self.source.len(), |(byte, _)| byte)
    }

    fn fail(
        &self,
        word: Word,
        code: &'static str,
        message: impl Into<String>,
        help: Option<&str>,
    ) -> CompileError {
        tags::failure(self.source, word.start, word.end, code, message, help)
    }

    /// The scanner and the grammar disagree: nothing that this language is meant to allow.
    fn unreadable(&self, start: usize, end: usize) -> CompileError {
        tags::failure(
            self.source,
            start,
            end,
            "template_syntax",
            "this expression cannot be read",
            None,
        )
    }
}

/// What an `each` or a `with` adds for the paths inside.
fn inner_block(name: &str, argument: &ExpressionShape, names: Option<&BlockParam>) -> Block {
    let counts = name == "each";
    let from_root = match &argument.form {
        Form::Path(path) => path.from_root(),
        _ => None,
    };
    let element = from_root.map(|path| {
        let mut path = path.to_vec();
        path.extend(counts.then_some(Segment::Element));
        path
    });
    let text = |parameter: &Parameter| parameter.as_name().map(str::to_owned);
    let names = match names {
        Some(BlockParam::Single(value)) => (text(value), None),
        Some(BlockParam::Pair((value, key))) => (text(value), text(key)),
        _ => (None, None),
    };
    Block {
        counts,
        names,
        element,
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
