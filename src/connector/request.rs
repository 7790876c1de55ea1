//! What an action sends, compiled: rendering it is the hot path. Values in a path are percent-encoded exactly
//! once and can never change which resource is meant; query and form values are encoded by RFC 3986, so a
//! `+` goes out as `%2B`; absent and null members are left out; a list repeats its name.

mod path;

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};
use url::Url;

use self::path::Path;
use super::compile::tree;
use super::message::same_origin;
use super::message::{Body, HttpRequest, Method};
use super::paginator::{At, PageToken, Target};
use super::selector::scalar_text;
use super::template_failure;
use crate::engine::Failure;
use crate::manifest::connector as written;
use crate::manifest::problem::Problem;
use crate::template::{Scope, Template, Tree};

/// All but the unreserved characters of RFC 3986, section 2.3.
pub(super) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A compiled `request`.
#[derive(Clone, Debug)]
pub struct Request {
    method: Method,
    path: Path,
    query: Vec<(String, Part)>,
    headers: Vec<(String, Part)>,
    body: Content,
}

/// One value of a query, a header or a form.
#[derive(Clone, Debug)]
enum Part {
    /// Its texts, made once.
    Constant(Vec<String>),
    Computed(Tree),
}

#[derive(Clone, Debug)]
enum Content {
    Empty,
    Json(Tree),
    ConstantJson(Bytes),
    Form(Vec<(String, Part)>),
    Raw(Template),
}

impl Request {
    /// Reads a request; `pointer` is where it stands.
    pub fn compile(written: &written::Request, pointer: &str, problems: &mut Vec<Problem>) -> Request {
        let bodies = [written.json.is_some(), written.form.is_some(), written.raw.is_some()];
        if bodies.iter().filter(|is_there| **is_there).count() > 1 {
            problems.push(Problem::new(pointer, "several_bodies", "a request has one body: `json`, `form` or `raw`"));
        }
        let headers = written.headers.iter();
        Request {
            method: method(written.method.unwrap_or_default()),
            path: Path::compile(written.path.as_deref().unwrap_or_default(), &format!("{pointer}/path"), problems),
            query: parts(written.query.iter(), &format!("{pointer}/query"), problems),
            headers: parts(headers, &format!("{pointer}/headers"), problems),
            body: Content::compile(written, pointer, problems),
        }
    }

    /// Whether it only reads, by its method (RFC 9110, 9.2.1).
    pub fn is_safe(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD)
    }

    /// Renders it below `base`. A page's URL takes the place of path and query, on the same origin only.
    pub fn render(
        &self,
        base: &Url,
        scope: &Scope,
        page: Option<(&PageToken, Option<&Target>)>,
    ) -> Result<HttpRequest, Failure> {
        let mut query = pairs(&self.query, scope)?;
        let mut headers = pairs(&self.headers, scope)?;
        for (name, value) in &headers {
            refuse_control(name, value)?;
        }
        let mut into_body = None;
        let mut page_url = None;
        if let Some((token, target)) = page {
            match (&token.at, target) {
                (At::Url(url), _) => page_url = Some(url.as_str()),
                (at, Some(Target::Query(name))) => replace(&mut query, name, at.text()),
                (at, Some(Target::Header(name))) => replace(&mut headers, name, at.text()),
                (at, Some(Target::Body(name))) => into_body = Some((name.as_str(), at)),
                (_, None) => {}
            }
        }
        let mut url = self.path.below(base, scope, &query)?;
        if let Some(next) = page_url {
            let next = Url::parse(next).map_err(|error| {
                Failure::not_sent("page_token_invalid", format!("the next page is no URL: {error}"))
            })?;
            if !same_origin(&url, &next) {
                return Err(Failure::not_sent(
                    "next_page_refused",
                    "the next page belongs to another host than this connection's; the connection was changed",
                ));
            }
            url = next;
        }
        Ok(HttpRequest { method: self.method.clone(), url, headers, body: self.body.render(scope, into_body)? })
    }

    /// The roots that its templates read.
    pub fn reads(&self, root: &str) -> bool {
        let in_parts = |parts: &[(String, Part)]| {
            parts.iter().any(|(_, part)| match part {
                Part::Constant(_) => false,
                Part::Computed(tree) => reads(tree, root),
            })
        };
        let in_body = match &self.body {
            Content::Empty | Content::ConstantJson(_) => false,
            Content::Json(tree) => reads(tree, root),
            Content::Form(form) => in_parts(form),
            Content::Raw(template) => template.reads().iter().any(|read| read.root() == root),
        };
        in_body || in_parts(&self.query) || in_parts(&self.headers) || self.path.reads(root)
    }
}

impl Content {
    fn compile(written: &written::Request, pointer: &str, problems: &mut Vec<Problem>) -> Content {
        if let Some(json) = &written.json {
            let tree = tree(json, &format!("{pointer}/json"), problems);
            let constant = tree.as_ref().filter(|tree| tree.is_constant());
            return match (constant, tree.as_ref()) {
                (Some(_), _) => Content::ConstantJson(Bytes::from(json.to_string())),
                (None, Some(tree)) => Content::Json(tree.clone()),
                (None, None) => Content::Empty,
            };
        }
        if let Some(form) = &written.form {
            return Content::Form(parts(form.iter(), &format!("{pointer}/form"), problems));
        }
        match &written.raw {
            Some(raw) => match Template::compile(raw) {
                Ok(template) => Content::Raw(template),
                Err(error) => {
                    problems.push(Problem::from_template(format!("{pointer}/raw"), error));
                    Content::Empty
                }
            },
            None => Content::Empty,
        }
    }

    fn render(&self, scope: &Scope, page: Option<(&str, &At)>) -> Result<Body, Failure> {
        Ok(match self {
            Content::Empty => match page {
                None => Body::Empty,
                Some((name, at)) => json_body(&with_page(Value::Object(Map::new()), name, at))?,
            },
            Content::ConstantJson(bytes) => match page {
                None => Body::Json(bytes.clone()),
                Some((name, at)) => {
                    let value = serde_json::from_slice(bytes).unwrap_or(Value::Null);
                    json_body(&with_page(value, name, at))?
                }
            },
            Content::Json(tree) => {
                let value = tree.evaluate_pruned(scope).map_err(|error| template_failure(&error))?;
                match page {
                    None => json_body(&value)?,
                    Some((name, at)) => json_body(&with_page(value, name, at))?,
                }
            }
            Content::Form(form) => {
                let mut pairs = pairs(form, scope)?;
                if let Some((name, at)) = page {
                    replace(&mut pairs, name, at.text());
                }
                Body::Form(pairs)
            }
            Content::Raw(template) => {
                let text = template.render(scope).map_err(|error| template_failure(&error))?;
                Body::Raw(Bytes::from(text))
            }
        })
    }
}

/// Adds pairs to a URL's query, encoded.
pub fn append_query(url: &mut Url, pairs: &[(String, String)]) {
    if pairs.is_empty() {
        return;
    }
    let added = encode_query(pairs);
    let query = match url.query() {
        Some(known) if !known.is_empty() => format!("{known}&{added}"),
        _ => added,
    };
    url.set_query(Some(&query));
}

/// `name=value&...`, encoded.
pub(super) fn encode_query(pairs: &[(String, String)]) -> String {
    let mut query = String::new();
    for (name, value) in pairs {
        if !query.is_empty() {
            query.push('&');
        }
        query.extend(utf8_percent_encode(name, RESERVED));
        query.push('=');
        query.extend(utf8_percent_encode(value, RESERVED));
    }
    query
}

fn method(written: written::request::Method) -> Method {
    use written::request::Method as Written;
    match written {
        Written::Get => Method::GET,
        Written::Post => Method::POST,
        Written::Put => Method::PUT,
        Written::Patch => Method::PATCH,
        Written::Delete => Method::DELETE,
        Written::Head => Method::HEAD,
    }
}

fn parts<'a>(
    written: impl Iterator<Item = (&'a String, &'a Value)>,
    pointer: &str,
    problems: &mut Vec<Problem>,
) -> Vec<(String, Part)> {
    let mut compiled = Vec::new();
    for (name, value) in written {
        let Some(tree) = tree(value, &format!("{pointer}/{}", escaped(name)), problems) else {
            continue;
        };
        let part = match tree.is_constant() {
            true => Part::Constant(texts(&tree.evaluate(&Scope::new()).unwrap_or(Value::Null))),
            false => Part::Computed(tree),
        };
        compiled.push((name.clone(), part));
    }
    compiled
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn pairs(parts: &[(String, Part)], scope: &Scope) -> Result<Vec<(String, String)>, Failure> {
    let mut pairs = Vec::with_capacity(parts.len());
    for (name, part) in parts {
        match part {
            Part::Constant(values) => pairs.extend(values.iter().map(|value| (name.clone(), value.clone()))),
            Part::Computed(tree) => {
                let value = tree.evaluate_pruned(scope).map_err(|error| template_failure(&error))?;
                pairs.extend(texts(&value).into_iter().map(|value| (name.clone(), value)));
            }
        }
    }
    Ok(pairs)
}

/// A value as the texts that go out: none for null, one per element of a list, JSON for an object.
pub(super) fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(elements) => elements.iter().flat_map(texts).collect(),
        Value::Object(_) => vec![value.to_string()],
        scalar => scalar_text(scalar).into_iter().collect(),
    }
}

fn replace(pairs: &mut Vec<(String, String)>, name: &str, value: String) {
    pairs.retain(|(known, _)| known != name);
    pairs.push((name.to_owned(), value));
}

fn with_page(mut body: Value, name: &str, at: &At) -> Value {
    let value = match at {
        At::Number(number) => Value::from(*number),
        At::Token(text) | At::Url(text) => Value::from(text.as_str()),
    };
    if let Value::Object(members) = &mut body {
        members.insert(name.to_owned(), value);
    }
    body
}

fn json_body(value: &Value) -> Result<Body, Failure> {
    serde_json::to_vec(value)
        .map(|bytes| Body::Json(Bytes::from(bytes)))
        .map_err(|error| Failure::not_sent("body_invalid", format!("the body cannot be written as JSON: {error}")))
}

pub(super) fn refuse_control(name: &str, value: &str) -> Result<(), Failure> {
    match value.chars().any(|letter| letter.is_control() && letter != '\t') {
        false => Ok(()),
        true => Err(Failure::not_sent(
            "header_invalid",
            format!("the header `{name}` would hold a line break or another control character"),
        )),
    }
}

fn reads(tree: &Tree, root: &str) -> bool {
    tree.reads().any(|(_, read)| read.root() == root)
}

#[cfg(test)]
mod tests;
