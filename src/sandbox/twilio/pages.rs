//! Pages of what is listed newest first, in the two forms that Twilio has: `next_page_uri` (relative) of version
//! 2010-04-01, and `meta.next_page_url` (absolute) of the product APIs.

use serde_json::{Map, Value, json};

use super::answers::Failure;
use super::list::read_number;
use crate::sandbox::exchange::{Call, Parameters};

/// A page of rows; `rows` are all that fit the filters, newest first, each with its sid.
pub(super) struct Cut<'a> {
    pub rows: &'a [Value],
    /// Of the first, among all.
    start: usize,
    number: usize,
    size: usize,
    next: Option<String>,
}

impl<'a> Cut<'a> {
    /// The page that the call asks for.
    pub fn of(rows: &'a [Value], call: &Call<'_>, parameters: &Parameters<'_>) -> Result<Cut<'a>, Failure> {
        let size = read_number(parameters, "PageSize", 50)?.clamp(1, 1_000);
        let number = read_number(parameters, "Page", 0)?;
        let start = match parameters.filled("PageToken") {
            None => 0,
            Some(token) => {
                let stale = || Failure::bad_request(21481, format!("Invalid PageToken: {token}"));
                let sid = token.strip_prefix("PA").ok_or_else(stale)?;
                rows.iter().position(|row| row["sid"] == sid).ok_or_else(stale)? + 1
            }
        };
        let shown = call.page_limit.map_or(size, |limit| limit.min(size));
        let page = rows.get(start..rows.len().min(start + shown)).unwrap_or_default();
        let has_more = start + page.len() < rows.len();
        let last = page.last().and_then(|row| row["sid"].as_str());
        let next = last.filter(|_| has_more).map(|sid| format!("PA{sid}"));
        Ok(Cut { rows: page, start, number, size, next })
    }

    /// In the form of version 2010-04-01.
    pub fn classic(&self, member: &str, call: &Call<'_>, parameters: &Parameters<'_>) -> Value {
        let uri = |page: usize, token: Option<&str>| address(call.path, parameters, self.size, page, token);
        let mut answer = Map::new();
        answer.insert(member.to_owned(), self.rows.into());
        answer.insert("end".into(), json!((self.start + self.rows.len()).saturating_sub(1)));
        answer.insert("first_page_uri".into(), uri(0, None).into());
        answer.insert("next_page_uri".into(), json!(self.next.as_deref().map(|next| uri(self.number + 1, Some(next)))));
        answer.insert("page".into(), json!(self.number));
        answer.insert("page_size".into(), json!(self.size));
        answer.insert("previous_page_uri".into(), Value::Null);
        answer.insert("start".into(), json!(self.start));
        answer.insert("uri".into(), uri(self.number, parameters.get("PageToken")).into());
        Value::Object(answer)
    }

    /// In the form of the product APIs; `origin` is where the call came to.
    pub fn product(&self, member: &str, origin: &str, call: &Call<'_>, parameters: &Parameters<'_>) -> Value {
        let url = |page: usize, token: Option<&str>| {
            format!("{origin}{}", address(call.path, parameters, self.size, page, token))
        };
        json!({
            "meta": {
                "first_page_url": url(0, None),
                "key": member,
                "next_page_url": self.next.as_deref().map(|next| url(self.number + 1, Some(next))),
                "page": self.number,
                "page_size": self.size,
                "previous_page_url": null,
                "url": url(self.number, parameters.get("PageToken")),
            },
            member: self.rows,
        })
    }
}

/// Path and query of a page, with the filters as they were given.
fn address(path: &str, parameters: &Parameters<'_>, size: usize, page: usize, token: Option<&str>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in &parameters.pairs {
        if !matches!(name.as_ref(), "PageSize" | "Page" | "PageToken") {
            query.append_pair(name, value);
        }
    }
    query.append_pair("PageSize", &size.to_string()).append_pair("Page", &page.to_string());
    if let Some(token) = token {
        query.append_pair("PageToken", token);
    }
    format!("{path}?{}", query.finish())
}
