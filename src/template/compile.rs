//! Lowers a template: the `handlebars` crate reads the grammar, the tag scanner gives places, and this file
//! joins the two into the typed tree, resolving helpers, arities, patterns and the names of blocks, so that
//! nothing of it is left for a run.

use handlebars::template::{BlockParam, HelperTemplate, Parameter, TemplateElement};

use super::Body;
use super::error::{CompileError, closest};
use super::grammar;
use super::helpers;
use super::lower::Words;
use super::path::Block;
use super::reads::Read;
use super::shape::{ExpressionShape, Form, Node, Segment};
use super::tags::{self, Kind, Tag, Word};

/// The longest source of a template with expressions. Places are counted from the source's beginning for each
/// expression, which is quadratic.
const MAX_SOURCE_BYTES: usize = 128 << 10;

/// Reads a template string.
pub(super) fn template(source: &str) -> Result<(Body, Vec<Read>), CompileError> {
    if !source.contains("{{") {
        return Ok((Body::Literal(source.to_owned()), Vec::new()));
    }
    if source.len() > MAX_SOURCE_BYTES {
        let message = format!("a template has at most {MAX_SOURCE_BYTES} bytes, this one has {}", source.len());
        return Err(tags::failure(
            source,
            0,
            1,
            "template_too_large",
            message,
            Some("put long text into a step of its own with `set`"),
        ));
    }
    let tags = tags::scan(source)?;
    if let Some(literal) = lone_literal(source, &tags) {
        return Ok((Body::Lone(literal), Vec::new()));
    }
    let parsed = handlebars::Template::compile(source).map_err(|error| grammar::refusal(source, &error))?;
    let mut compiler = Compiler {
        source,
        tags: tags.into_iter(),
        blocks: Vec::new(),
        reads: Vec::new(),
        forgiving: 0,
        errors: Vec::new(),
    };
    let nodes = compiler.nodes(&parsed.elements);
    let mut errors = std::mem::take(&mut compiler.errors);
    let mut nodes = nodes.unwrap_or_else(|error| {
        errors.push(error);
        Vec::new()
    });
    if let Some(error) = CompileError::first(errors) {
        return Err(error);
    }
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
    let (braced, added) =
        if trimmed.starts_with("{{") { (trimmed.to_owned(), 0) } else { (format!("{{{{{trimmed}}}}}"), 2) };
    let width = source.chars().count();
    let shift = |offset: usize| (offset + leading).saturating_sub(added).min(width);
    let not_one = CompileError {
        code: "template_expression",
        message: "this has to be one expression, without text around it".to_owned(),
        offset: leading.min(width),
        length: trimmed.chars().count().max(1),
        help: Some("write for example `eq item.lang 'en'`".to_owned()),
        others: Vec::new(),
    };
    if trimmed.is_empty() {
        return Err(not_one);
    }
    let (body, mut reads) = template(&braced).map_err(|error| error.moved(&shift, width))?;
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
        call.arguments.iter_mut().chain(named).for_each(|argument| shift_shape(argument, shift));
    }
}

/// `{{'text'}}` and `{{5}}`: the grammar knows literals only as arguments.
fn lone_literal(source: &str, tags: &[Tag]) -> Option<ExpressionShape> {
    let [Tag { kind: Kind::Expression, start: 0, end, words }] = tags else {
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

/// A template on its way from the grammar's tree to ours.
pub(super) struct Compiler<'s> {
    pub(super) source: &'s str,
    tags: std::vec::IntoIter<Tag>,
    pub(super) blocks: Vec<Block>,
    pub(super) reads: Vec<Read>,
    /// How many `maybe`, `default` and `coalesce` are around the place that is read.
    pub(super) forgiving: usize,
    /// Expressions that could not be read, so far.
    errors: Vec<CompileError>,
}

impl Compiler<'_> {
    fn nodes(&mut self, elements: &[TemplateElement]) -> Result<Vec<Node>, CompileError> {
        let mut nodes = Vec::with_capacity(elements.len());
        for element in elements {
            match element {
                TemplateElement::RawString(text) if text.is_empty() => {}
                TemplateElement::RawString(text) => nodes.push(Node::Text(text.clone())),
                TemplateElement::Comment(_) => {}
                TemplateElement::Expression(expression) => {
                    let mut words = Words::of(self.tag(Kind::Expression)?);
                    let forgiving = self.forgiving;
                    match self.invocation(expression, &mut words) {
                        Ok(shape) => nodes.push(Node::Insert(shape)),
                        // The others of this text are read all the same, so that every mistake is told at once.
                        Err(error) => {
                            self.forgiving = forgiving;
                            self.errors.push(error);
                        }
                    }
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
            let message = format!("`{{{{#{name}}}}}` takes one argument, {} are given", block.params.len());
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
            let message = format!("`{{{{#{name}}}}}` names nothing: `as |…|` belongs to `each` and `with`");
            return Err(self.fail(name_word, "template_syntax", message, None));
        }
        let argument = self.parameter(argument, &mut words)?;
        let scoped = matches!(name, "each" | "with");
        if scoped {
            self.blocks.push(inner_block(name, &argument, block.block_param.as_ref()));
        }
        let body = block.template.as_ref().map_or(Ok(Vec::new()), |template| self.nodes(&template.elements))?;
        if scoped {
            self.blocks.pop();
        }
        let otherwise = self.otherwise(block)?;
        Ok(match name {
            "each" => Node::Each { list: argument, body, otherwise },
            "with" => Node::With { value: argument, body, otherwise },
            _ => Node::If { condition: argument, negated: name == "unless", then: body, otherwise },
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

    fn not_a_block(&self, name: &str, word: Word) -> CompileError {
        if helpers::find(name).is_none() {
            let near = closest(name, ["if", "unless", "each", "with"]);
            let help = near.map_or("blocks are `if`, `unless`, `each` and `with`".to_owned(), |near| {
                format!("did you mean `{near}`?")
            });
            return self.fail(
                word,
                "template_unknown_helper",
                format!("there is no block `{{{{#{name}}}}}`"),
                Some(&help),
            );
        }
        let message = format!("`{name}` gives a value and cannot be a block");
        let help = format!("write `{{{{{name} …}}}}`; blocks are `if`, `unless`, `each` and `with`");
        self.fail(word, "template_block_helper", message, Some(&help))
    }

    fn tag(&mut self, kind: Kind) -> Result<Tag, CompileError> {
        match self.tags.next() {
            Some(tag) if tag.kind == kind => Ok(tag),
            Some(tag) => Err(self.unreadable(tag.start, tag.end)),
            None => Err(self.unreadable(0, self.source.len())),
        }
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
    Block { counts, names, element }
}
