//! `http`: an ad-hoc request. Its URL is rendered here, each value in it percent-encoded exactly once; the
//! worker sends it, signed by the connection that it names.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::{Compiler, Effect, Entered, Error, Form, Keyword, Move, Outside, Target};
use crate::manifest::connector::PlainEffect;
use crate::manifest::connector::request::Method;
use crate::manifest::{Problem, flow};
use crate::template::{Scope, Template, Tree};

pub(super) const KEYWORD: Keyword = Keyword { name: "http", compile };

const DEFAULT_TIMEOUT_MS: i64 = 30_000;

/// Everything but RFC 3986's unreserved characters.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[derive(Debug)]
struct Request {
    url: Vec<UrlPart>,
    /// The request without its URL.
    rest: Tree,
    outside: Outside,
}

#[derive(Debug)]
enum UrlPart {
    /// As it is: literal text, or the value with which the URL begins (an address from an input).
    Plain(Template),
    /// A value within the URL.
    Encoded(Template),
}

impl Form for Request {
    fn enter(&self, scope: &Scope) -> Result<Entered, Error> {
        let mut url = String::new();
        for part in &self.url {
            match part {
                UrlPart::Plain(template) => url.push_str(&template.render(scope)?),
                UrlPart::Encoded(template) => {
                    url.extend(utf8_percent_encode(&template.render(scope)?, ENCODED));
                }
            }
        }
        let mut input = self.rest.evaluate_pruned(scope)?;
        if let Value::Object(members) = &mut input {
            members.insert("url".to_owned(), Value::String(url));
        }
        Ok(Entered { input, then: Move::Call })
    }

    fn outside(&self) -> Option<&Outside> {
        Some(&self.outside)
    }
}

fn compile(step: &flow::Step, compiler: &mut Compiler) -> Option<Box<dyn Form>> {
    let http = step.http.as_ref()?;
    if [http.json.is_some(), http.form.is_some(), http.raw.is_some()].iter().filter(|is_written| **is_written).count()
        > 1
    {
        compiler.report(
            Problem::new(compiler.pointer("http"), "several_bodies", "this request has several bodies")
                .with_help("write one of `json`, `form` and `raw`"),
        );
    }
    let url = url_parts(&http.url, compiler);
    let rest = compiler.tree(&rest(http), "http");
    let effect = match (http.effect, http.method) {
        (Some(effect), _) => effect,
        (None, Method::Get | Method::Head) => PlainEffect::Read,
        (None, Method::Put | Method::Delete) => PlainEffect::Natural,
        (None, Method::Post | Method::Patch) => PlainEffect::None,
    };
    Some(Box::new(Request {
        url: url?,
        rest: rest?,
        outside: Outside {
            target: Target::Http,
            effect: Effect::from(effect),
            timeout_ms: Some(DEFAULT_TIMEOUT_MS),
            elements: None,
        },
    }))
}

fn rest(http: &flow::Http) -> Value {
    let mut members = Map::new();
    members.insert("method".to_owned(), json!(http.method));
    if !http.query.is_empty() {
        members.insert("query".to_owned(), Value::Object(http.query.clone()));
    }
    if !http.headers.is_empty() {
        members.insert("headers".to_owned(), json!(http.headers));
    }
    let optional = [
        ("json", http.json.clone()),
        ("form", http.form.clone().map(Value::Object)),
        ("raw", http.raw.clone().map(Value::String)),
        ("connection", http.connection.clone().map(Value::String)),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            members.insert(name.to_owned(), value);
        }
    }
    Value::Object(members)
}

/// Cuts the URL at its `{{...}}`, so that each value can be encoded by itself.
fn url_parts(url: &str, compiler: &mut Compiler) -> Option<Vec<UrlPart>> {
    let mut parts = Vec::new();
    let mut rest = url;
    while let Some(start) = rest.find("{{") {
        let (literal, tail) = rest.split_at(start);
        let end = expression_end(tail);
        let (expression, after) = tail.split_at(end);
        if !literal.is_empty() {
            parts.push(UrlPart::Plain(compiler.template(literal, "http/url")?));
        }
        let template = compiler.template(expression, "http/url")?;
        parts.push(if parts.is_empty() { UrlPart::Plain(template) } else { UrlPart::Encoded(template) });
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(UrlPart::Plain(compiler.template(rest, "http/url")?));
    }
    Some(parts)
}

/// Behind the `}}` that ends the expression at the start of `text`; braces within quotes do not count.
fn expression_end(text: &str) -> usize {
    let mut quote = None;
    let mut previous = ' ';
    for (place, character) in text.char_indices() {
        match quote {
            Some(open) if character == open => quote = None,
            Some(_) => {}
            None if matches!(character, '\'' | '"') => quote = Some(character),
            None if character == '}' && previous == '}' => return place + 1,
            None => {}
        }
        previous = character;
    }
    text.len()
}
