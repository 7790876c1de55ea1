//! A plain JSON service: lists of objects in the three usual ways of paging, and a sink that takes any JSON.
//! `/items` pages by number or offset in an envelope, `/linked` by a `Link` header over a bare array,
//! `/chained` by an absolute `next_url`. Items have integer ids that only grow. `/keyed` does nothing twice for one
//! idempotency key; `/orders` takes orders with a `ref`, and lists those of one.

use std::collections::HashMap;

use axum::http::header::{HOST, HeaderName, LINK, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Method, StatusCode};
use parking_lot::{Mutex, RwLock};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::auth;
use super::exchange::{Answer, Api, Call, Parameters, Service, to_json};
use crate::clock::rfc3339;

/// Records of a page that names no limit, and the most that one may name.
const DEFAULT_LIMIT: usize = 100;
const MOST: usize = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    ListItems,
    ListLinked,
    ListChained,
    Sink,
    Keyed,
    Order,
    ListOrders,
}

#[derive(Default)]
pub(super) struct Json {
    token: Option<String>,
    items: RwLock<Vec<Item>>,
    sunk: std::sync::atomic::AtomicU64,
    /// What `/keyed` did, by idempotency key.
    keyed: Mutex<HashMap<String, String>>,
    /// What `/orders` took, by `ref`.
    orders: Mutex<HashMap<String, Vec<Value>>>,
}

/// An item, ready to be sent.
struct Item {
    id: u64,
    created_ms: i64,
    json: String,
}

/// A page's place in the list: `items[start..end]` of those that match, oldest first.
struct Page<'a> {
    records: Vec<&'a str>,
    total: usize,
    offset: usize,
    limit: usize,
    has_more: bool,
}

impl Api for Json {
    const SERVICE: Service = Service::Json;
    const OPERATIONS: &'static [&'static str] =
        &["list_items", "list_linked", "list_chained", "sink", "keyed", "order", "list_orders"];
    type Operation = Operation;

    fn route<'a>(&self, method: &Method, path: &'a str) -> Option<(Operation, &'a str)> {
        let operation = match (method, path) {
            (&Method::GET, "/items") => Operation::ListItems,
            (&Method::GET, "/linked") => Operation::ListLinked,
            (&Method::GET, "/chained") => Operation::ListChained,
            (&Method::POST, "/sink") => Operation::Sink,
            (&Method::POST, "/keyed") => Operation::Keyed,
            (&Method::POST, "/orders") => Operation::Order,
            (&Method::GET, "/orders") => Operation::ListOrders,
            _ => return None,
        };
        Some((operation, ""))
    }

    fn name(operation: Operation) -> &'static str {
        match operation {
            Operation::ListItems => "list_items",
            Operation::ListLinked => "list_linked",
            Operation::ListChained => "list_chained",
            Operation::Sink => "sink",
            Operation::Keyed => "keyed",
            Operation::Order => "order",
            Operation::ListOrders => "list_orders",
        }
    }

    fn answer(&self, operation: Operation, _argument: &str, call: &Call<'_>) -> Answer {
        if let Some(token) = &self.token
            && auth::bearer(call) != Some(token)
        {
            return error(StatusCode::UNAUTHORIZED, "a valid bearer token is needed")
                .with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        match operation {
            Operation::Sink => self.sink(call),
            Operation::Keyed => self.keyed(call),
            Operation::Order => self.order(call),
            Operation::ListOrders => self.list_orders(call),
            _ => self.list(operation, call).unwrap_or_else(|message| error(StatusCode::BAD_REQUEST, &message)),
        }
    }

    fn unknown(&self, call: &Call<'_>) -> Answer {
        error(StatusCode::NOT_FOUND, &format!("there is no {} {}", call.method, call.path))
    }

    fn failure(&self, status: StatusCode, _call: &Call<'_>) -> Answer {
        error(status, status.canonical_reason().unwrap_or("failed"))
    }
}

impl Json {
    pub fn new(token: Option<String>) -> Self {
        Json { token, items: RwLock::default(), ..Json::default() }
    }

    /// Adds `count` items with these fields besides `id`, `created_at` and, when absent, `title`; gives the
    /// first and the last id.
    pub fn add(&self, fields: &Map<String, Value>, count: u64, created_ms: i64) -> (u64, u64) {
        let mut items = self.items.write();
        let first = items.last().map_or(1, |item| item.id + 1);
        for id in first..first + count {
            let mut object = json!({"id": id, "created_at": rfc3339(created_ms), "title": format!("Item {id}")});
            if let Some(object) = object.as_object_mut() {
                object.extend(
                    fields.iter().filter(|(key, _)| *key != "id").map(|(key, value)| (key.clone(), value.clone())),
                );
            }
            items.push(Item { id, created_ms, json: object.to_string() });
        }
        (first, (first + count).saturating_sub(1))
    }

    pub fn clear(&self) {
        self.items.write().clear();
    }

    fn sink(&self, call: &Call<'_>) -> Answer {
        let Ok(body) = serde_json::from_slice::<&RawValue>(call.body) else {
            return error(StatusCode::BAD_REQUEST, "the body is not JSON");
        };
        let id = self.next_id();
        let answer = Answer::new(StatusCode::CREATED, "application/json", format!("{{\"id\":{id}}}"));
        answer.wrote(body.get().into(), Some(id))
    }

    // The same key a second time does nothing, and is answered as the first was.
    fn keyed(&self, call: &Call<'_>) -> Answer {
        let key = call.header(HeaderName::from_static("idempotency-key"));
        let Ok(body) = serde_json::from_slice::<&RawValue>(call.body) else {
            return error(StatusCode::BAD_REQUEST, "the body is not JSON");
        };
        if key.is_empty() {
            return error(StatusCode::BAD_REQUEST, "an Idempotency-Key is needed");
        }
        let mut keyed = self.keyed.lock();
        let is_new = !keyed.contains_key(key);
        let id = keyed.entry(key.to_owned()).or_insert_with(|| self.next_id()).clone();
        let answer = Answer::new(StatusCode::CREATED, "application/json", format!("{{\"id\":{id}}}"));
        answer.wrote(body.get().into(), is_new.then_some(id))
    }

    fn order(&self, call: &Call<'_>) -> Answer {
        let Ok(mut order) = serde_json::from_slice::<Map<String, Value>>(call.body) else {
            return error(StatusCode::BAD_REQUEST, "the body is no JSON object");
        };
        let Some(reference) = order.get("ref").and_then(Value::as_str).map(str::to_owned) else {
            return error(StatusCode::BAD_REQUEST, "`ref` is missing");
        };
        let fingerprint = Value::Object(order.clone()).to_string();
        let id = self.next_id();
        order.insert("id".to_owned(), Value::from(id.as_str()));
        order.insert("created_at".to_owned(), Value::from(rfc3339(call.now_ms)));
        let order = Value::Object(order);
        let answer = Answer::new(StatusCode::CREATED, "application/json", to_json(&order));
        self.orders.lock().entry(reference).or_default().push(order);
        answer.wrote(fingerprint, Some(id))
    }

    fn list_orders(&self, call: &Call<'_>) -> Answer {
        let parameters = call.parameters(false);
        let orders = self.orders.lock();
        let found = parameters.filled("ref").and_then(|reference| orders.get(reference));
        let body = json!({"orders": found.map(Vec::as_slice).unwrap_or_default()});
        Answer::new(StatusCode::OK, "application/json", to_json(&body))
    }

    fn next_id(&self) -> String {
        (self.sunk.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1).to_string()
    }

    fn list(&self, operation: Operation, call: &Call<'_>) -> Result<Answer, String> {
        let parameters = call.parameters(false);
        let items = self.items.read();
        let page = cut(&items, &parameters, call.page_limit)?;
        let records = format!("[{}]", page.records.join(","));
        let next = page.has_more.then(|| next_url(call, &parameters, page.offset + page.records.len()));
        let (total, limit, number) = (page.total, page.limit, page.offset / page.limit + 1);
        Ok(match operation {
            Operation::ListLinked => {
                let answer = Answer::new(StatusCode::OK, "application/json", records);
                match next {
                    Some(next) => answer.with_text(LINK, &format!("<{next}>; rel=\"next\"")),
                    None => answer,
                }
            }
            Operation::ListChained => {
                let next = next.map_or(Value::Null, Value::String);
                let body = format!("{{\"items\":{records},\"next_url\":{next}}}");
                Answer::new(StatusCode::OK, "application/json", body)
            }
            _ => {
                let body = format!("{{\"items\":{records},\"page\":{number},\"limit\":{limit},\"total\":{total}}}");
                Answer::new(StatusCode::OK, "application/json", body)
            }
        })
    }
}

/// The page that the parameters mean: `since` (an id, or a date), `limit`, `page` or `offset`, `order`.
fn cut<'a>(items: &'a [Item], parameters: &Parameters<'_>, page_limit: Option<usize>) -> Result<Page<'a>, String> {
    let limit = number(parameters, "limit")?.unwrap_or(DEFAULT_LIMIT).clamp(1, MOST);
    let offset = match number(parameters, "offset")? {
        Some(offset) => offset,
        None => (number(parameters, "page")?.unwrap_or(1).max(1) - 1).saturating_mul(limit),
    };
    let since = parameters.filled("since");
    let first = match since.map(|text| text.parse::<u64>()) {
        Some(Ok(id)) => items.partition_point(|item| item.id <= id),
        _ => 0,
    };
    let after_ms = match since.filter(|text| text.parse::<u64>().is_err()) {
        Some(text) => Some(
            text.parse::<jiff::Timestamp>()
                .map_err(|_| format!("`since` is neither an id nor a date: {text}"))?
                .as_millisecond(),
        ),
        None => None,
    };
    let size = page_limit.map_or(limit, |most| most.min(limit));
    let newest_first = match parameters.filled("order") {
        None | Some("asc") => false,
        Some("desc") => true,
        Some(other) => return Err(format!("`order` is `asc` or `desc`, not `{other}`")),
    };
    let rest = &items[first..];
    let dated: Vec<&Item>;
    // Only a date needs a look at every item; ids are cut by position.
    let (total, records): (usize, Vec<&str>) = match after_ms {
        None if newest_first => (rest.len(), texts(rest.iter().rev(), offset, size)),
        None => (rest.len(), texts(rest.iter(), offset, size)),
        Some(after_ms) => {
            dated = rest.iter().filter(|item| item.created_ms > after_ms).collect();
            let chosen = match newest_first {
                true => texts(dated.iter().rev().copied(), offset, size),
                false => texts(dated.iter().copied(), offset, size),
            };
            (dated.len(), chosen)
        }
    };
    let has_more = page_limit.is_some() || offset + records.len() < total;
    Ok(Page { records, total, offset, limit, has_more })
}

fn texts<'a>(items: impl Iterator<Item = &'a Item>, offset: usize, size: usize) -> Vec<&'a str> {
    items.skip(offset).take(size).map(|item| item.json.as_str()).collect()
}

fn number(parameters: &Parameters<'_>, name: &str) -> Result<Option<usize>, String> {
    let Some(text) = parameters.filled(name) else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|_| format!("`{name}` is not a number: {text}"))
}

fn next_url(call: &Call<'_>, parameters: &Parameters<'_>, offset: usize) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (key, value) in parameters.pairs.iter().filter(|(key, _)| key != "page" && key != "offset") {
        query.append_pair(key, value);
    }
    let query = query.append_pair("offset", &offset.to_string()).finish();
    format!("http://{}{}?{query}", call.header(HOST), call.path)
}

fn error(status: StatusCode, message: &str) -> Answer {
    let body = json!({"error": {"status": status.as_u16(), "message": message}});
    Answer::new(status, "application/json", to_json(&body))
}
