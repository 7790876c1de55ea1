//! Which page comes next. Pure: it reads an answer and gives a token that a walk can store and resume from.
//! Guards: a token that comes again (in a cycle of any length), a page that comes again, a next URL on
//! another origin. A short or empty page is not the end while a token is given.

mod link;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use url::Url;

use super::selector::{JmesPath, scalar_text};
use crate::engine::Failure;

/// The most pages of one call where the manifest says nothing.
pub const MAX_PAGES: u32 = 1_000;

/// A compiled `paginate`.
#[derive(Clone, Debug)]
pub struct Paginator {
    pub(super) form: Form,
    /// The most pages of one call; a walk goes on in the next claim.
    pub max_pages: u32,
}

#[derive(Clone, Debug)]
pub(super) enum Form {
    Cursor { token: TokenPlace, into: Target },
    NextUrl { url: JmesPath, same_host: bool, below_host: bool },
    LinkHeader,
    Page { into: Target, start: u64, size: Option<u64>, total: Option<JmesPath> },
    Offset { into: Target, size: u64, total: Option<JmesPath> },
}

#[derive(Clone, Debug)]
pub(super) enum TokenPlace {
    Body(JmesPath),
    Header(String),
    LastRecord(JmesPath),
}

/// Where a page's token or number goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A query parameter.
    Query(String),
    /// A header.
    Header(String),
    /// A member of the JSON or form body.
    Body(String),
}

/// Which page to ask for: plain data that a walk stores as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageToken {
    /// What goes into the request.
    pub at: At,
    /// How many pages have been read before it.
    pub pages: u32,
    /// The fingerprint of the page before, so that a repeated page is noticed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// An earlier token, kept to notice a cycle (Brent's algorithm: moved at every power of two).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<String>,
}

/// What asks for a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum At {
    /// The service's own token.
    Token(String),
    /// The next page's URL, absolute.
    Url(String),
    /// A page's number, or how many records to pass over.
    Number(u64),
}

/// An answer, as far as its next page depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The body, parsed.
    pub body: &'a Value,
    /// Lower-case names.
    pub headers: &'a [(String, String)],
    /// The URL that was asked.
    pub url: &'a Url,
    /// The path of the connection's host, without a slash at its end.
    pub below: &'a str,
    /// The records as the service listed them.
    pub listed: &'a [Value],
}

/// What comes after a page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Following {
    /// The next page; `None` at the end.
    pub next: Option<PageToken>,
    /// Why it ended though the service named another page.
    pub problem: Option<String>,
}

impl Paginator {
    /// Where the first page's number goes, for those forms that count.
    pub fn first(&self) -> Option<PageToken> {
        let number = match &self.form {
            Form::Page { start, .. } => *start,
            Form::Offset { .. } => 0,
            _ => return None,
        };
        Some(PageToken { at: At::Number(number), pages: 0, previous: None, anchor: None })
    }

    /// Where a token goes; `None` where the page is a URL of its own.
    pub fn target(&self) -> Option<&Target> {
        match &self.form {
            Form::Cursor { into, .. } | Form::Page { into, .. } | Form::Offset { into, .. } => Some(into),
            Form::NextUrl { .. } | Form::LinkHeader => None,
        }
    }

    /// The page after this answer. Fails where the service names a page on another origin: following it
    /// would carry the credentials there, and stopping would lose what it lists.
    pub fn next(&self, current: Option<&PageToken>, answer: Answer<'_>) -> Result<Following, Failure> {
        let Some(at) = self.following(current, answer)? else {
            return Ok(Following::default());
        };
        let pages = current.map_or(0, |token| token.pages).saturating_add(1);
        let fingerprint = fingerprint(answer.listed);
        let is_repeated_page = fingerprint.is_some() && current.is_some_and(|token| token.previous == fingerprint);
        let text = at.text();
        let anchor = current.and_then(|token| token.anchor.clone());
        let is_cycle = anchor.as_deref() == Some(text.as_str()) || current.is_some_and(|token| token.at == at);
        if is_repeated_page || is_cycle {
            let what = if is_cycle { "next page" } else { "same page" };
            return Ok(Following {
                next: None,
                problem: Some(format!("the service named the {what} again after {pages} pages; reading stopped there")),
            });
        }
        let anchor = if pages.is_power_of_two() { Some(text) } else { anchor };
        Ok(Following { next: Some(PageToken { at, pages, previous: fingerprint, anchor }), problem: None })
    }

    fn following(&self, current: Option<&PageToken>, answer: Answer<'_>) -> Result<Option<At>, Failure> {
        let listed = answer.listed.len() as u64;
        match &self.form {
            Form::Cursor { token, .. } => Ok(token.read(answer)?.map(At::Token)),
            Form::NextUrl { url, same_host, below_host } => match scalar_text(url.search(answer.body)?.as_ref()) {
                Some(url) if !url.is_empty() && *same_host => on_same_host(answer.url, &url).map(Some),
                Some(url) if *below_host && lacks_path(&url, answer.below) => {
                    same_origin(answer.url, &format!("{}{url}", answer.below)).map(Some)
                }
                Some(url) if !url.is_empty() => same_origin(answer.url, &url).map(Some),
                _ => Ok(None),
            },
            Form::LinkHeader => match link::next(answer.headers) {
                Some(url) => same_origin(answer.url, &url).map(Some),
                None => Ok(None),
            },
            Form::Page { start, size, total, .. } => {
                let number = current.map_or(*start, PageToken::number);
                let read = number.saturating_sub(*start).saturating_add(1);
                let is_last = listed == 0
                    || size.is_some_and(|size| listed < size)
                    || count(total.as_ref(), answer.body)?.is_some_and(|total| read >= total);
                Ok((!is_last).then(|| At::Number(number.saturating_add(1))))
            }
            Form::Offset { size, total, .. } => {
                let next = current.map_or(0, PageToken::number).saturating_add(listed);
                let total = count(total.as_ref(), answer.body)?;
                let is_last = match total {
                    Some(total) => listed == 0 || next >= total,
                    None => listed < *size || listed == 0,
                };
                Ok((!is_last).then_some(At::Number(next)))
            }
        }
    }
}

impl TokenPlace {
    fn read(&self, answer: Answer<'_>) -> Result<Option<String>, Failure> {
        let token = match self {
            TokenPlace::Body(path) => scalar_text(path.search(answer.body)?.as_ref()),
            TokenPlace::Header(name) => header(answer.headers, name).map(str::to_owned),
            TokenPlace::LastRecord(path) => match answer.listed.last() {
                Some(record) => scalar_text(path.search(record)?.as_ref()),
                None => None,
            },
        };
        Ok(token.filter(|token| !token.is_empty()))
    }
}

impl PageToken {
    /// The number of a page that counts.
    fn number(&self) -> u64 {
        match &self.at {
            At::Number(number) => *number,
            At::Token(_) | At::Url(_) => 0,
        }
    }
}

impl At {
    /// What goes into the request.
    pub fn text(&self) -> String {
        match self {
            At::Token(text) | At::Url(text) => text.clone(),
            At::Number(number) => number.to_string(),
        }
    }
}

/// A header's first value; `headers` have lower-case names.
pub fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

fn same_origin(base: &Url, written: &str) -> Result<At, Failure> {
    let refused = |why: &str| {
        Failure::not_sent("next_page_refused", format!("the service's next page {why}"))
            .with_help("pages are followed on the same origin only, because credentials go with them")
    };
    let next = base.join(written).map_err(|error| refused(&format!("is no URL: {error}")))?;
    if !super::message::same_origin(base, &next) {
        let place = next.host_str().unwrap_or_default();
        return Err(refused(&format!("is on another origin: {}://{place}", next.scheme())));
    }
    Ok(At::Url(next.into()))
}

/// Whether a URL names no host, and not the path that everything of this host is below: whoever stands before the
/// service may have written it in already.
fn lacks_path(url: &str, below: &str) -> bool {
    let rest = url.strip_prefix(below).unwrap_or_default();
    url.starts_with('/') && !url.starts_with("//") && !(rest.starts_with('/') || rest.starts_with('?'))
}

/// The path and the query of what is written, on the host of `base`: the credentials stay where they are.
fn on_same_host(base: &Url, written: &str) -> Result<At, Failure> {
    let named = base.join(written).map_err(|error| {
        Failure::not_sent("next_page_refused", format!("the service's next page is no URL: {error}"))
    })?;
    let mut next = base.clone();
    next.set_path(named.path());
    next.set_query(named.query());
    Ok(At::Url(next.into()))
}

fn count(path: Option<&JmesPath>, body: &Value) -> Result<Option<u64>, Failure> {
    let Some(path) = path else { return Ok(None) };
    let found = path.search(body)?;
    Ok(match found.as_ref() {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    })
}

/// The first bytes of a hash over the records; none for an empty page, which may come again.
fn fingerprint(listed: &[Value]) -> Option<String> {
    if listed.is_empty() {
        return None;
    }
    let mut hash = Sha256::new();
    for record in listed {
        hash.update(record.to_string().as_bytes());
        hash.update([0]);
    }
    Some(hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests;
