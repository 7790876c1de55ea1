//! What an action sends, compiled: rendering it is the hot path. Values in a path are percent-encoded exactly
//! once and can never change which resource is meant; query and form values are encoded by RFC 3986, so a
//! `+` goes out as `%2B`; absent and null members are left out; a list repeats its name.

mod content;
mod multipart;
mod path;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use url::Url;

use self::content::Content;
use self::path::Path;
use super::compile::tree;
use super::files::Folders;
use super::message::same_origin;
use super::message::{HttpRequest, Method};
use super::paginator::{At, PageToken, Target};
use super::selector::scalar_text;
use super::template_failure;
use crate::engine::Failure;
use crate::manifest::connector as written;
use crate::manifest::problem::Problem;
use crate::template::{Scope, Tree};

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

/// The name that stands for all members of an object, each by its own name.
const SPREAD: &str = "...";

/// One value of a query, a header or a form.
#[derive(Clone, Debug)]
enum Part {
    /// Its texts, made once.
    Constant(Vec<String>),
    Computed(Tree),
}

impl Request {
    /// Reads a request; `pointer` is where it stands.
    pub fn compile(written: &written::Request, pointer: &str, problems: &mut Vec<Problem>) -> Request {
        if written.bodies().len() > 1 {
            let message = "a request has one body: `json`, `form`, `multipart` or `raw`";
            problems.push(Problem::new(pointer, "several_bodies", message));
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

    /// Renders it below `base`. A page's URL takes the place of path and query, on the same origin only. Files of
    /// its parts are looked for in `folders`.
    pub fn render(
        &self,
        base: &Url,
        scope: &Scope,
        page: Option<(&PageToken, Option<&Target>)>,
        folders: &Folders,
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
        let body = self.body.render(scope, into_body, folders)?;
        Ok(HttpRequest { method: self.method.clone(), url, headers, body })
    }

    /// Its JSON alone, where nothing is sent; null where it has none.
    pub fn json(&self, scope: &Scope) -> Result<Value, Failure> {
        self.body.json(scope)
    }

    /// Whether a template of its JSON reads `connection.<field>`.
    pub fn reads_field(&self, field: &str) -> bool {
        self.body.reads_field(field)
    }

    /// The roots that its templates read.
    pub fn reads(&self, root: &str) -> bool {
        let in_parts = |parts: &[(String, Part)]| reads_in(parts, root);
        let in_body = self.body.reads(root);
        in_body || in_parts(&self.query) || in_parts(&self.headers) || self.path.reads(root)
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
                match &value {
                    Value::Object(members) if name == SPREAD => {
                        for (name, value) in members {
                            pairs.extend(texts(value).into_iter().map(|value| (name.clone(), value)));
                        }
                    }
                    Value::Null if name == SPREAD => {}
                    _ if name == SPREAD => {
                        let message = format!("`{SPREAD}` takes the members of an object, and this is {value}");
                        return Err(Failure::not_sent("members_invalid", message));
                    }
                    value => pairs.extend(texts(value).into_iter().map(|value| (name.clone(), value))),
                }
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

pub(super) fn refuse_control(name: &str, value: &str) -> Result<(), Failure> {
    match value.chars().any(|letter| letter.is_control() && letter != '\t') {
        false => Ok(()),
        true => Err(Failure::not_sent(
            "header_invalid",
            format!("the header `{name}` would hold a line break or another control character"),
        )),
    }
}

fn reads_in(parts: &[(String, Part)], root: &str) -> bool {
    parts.iter().any(|(_, part)| match part {
        Part::Constant(_) => false,
        Part::Computed(tree) => reads(tree, root),
    })
}

fn reads(tree: &Tree, root: &str) -> bool {
    tree.reads().any(|(_, read)| read.root() == root)
}

#[cfg(test)]
mod tests;
