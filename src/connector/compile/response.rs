//! Compiles `response` and `paginate`.

use std::sync::Arc;

use super::super::paginator::{Form, MAX_PAGES, Paginator, Target, TokenPlace};
use super::super::selector::{JmesPath, Selector, Shape, Shapes};
use super::shapes::{expands, named, set, steps};
use super::{optional, path, path_source};
use crate::manifest::connector::{Paginate, Response, paginate};
use crate::manifest::problem::Problem;

/// Reads a response; it is `many` where it says so or where there are pages.
pub fn selector(
    written: &Response,
    shapes: &Arc<Shapes>,
    has_pages: bool,
    pointer: &str,
    problems: &mut Vec<Problem>,
) -> Selector {
    let mut sides = Vec::new();
    let own = Shape {
        expand: expands(&written.expand, &shapes.names, &mut sides, pointer, problems),
        set: set(&written.set, pointer, problems),
        remove: written.remove.as_slice().iter().map(|path| steps(path)).collect(),
    };
    let shape = written.shape.as_ref();
    Selector {
        records: path_source(written.records.as_deref().unwrap_or("@"), &format!("{pointer}/records"), problems),
        many: written.many.unwrap_or(has_pages),
        required: written.required.unwrap_or_default(),
        unique: written.unique.as_ref().map(|unique| path(unique, &format!("{pointer}/unique"), problems)),
        shape: shape.and_then(|name| named(name, &shapes.names, &format!("{pointer}/shape"), problems)),
        shapes: Arc::clone(shapes),
        keeps_body: own.set.as_ref().is_some_and(|set| set.reads().any(|(_, read)| read.root() == "body")),
        own,
        sides,
        raw: optional(written.raw.as_ref(), &format!("{pointer}/raw"), problems),
        condition: optional(written.condition.as_ref(), &format!("{pointer}/where"), problems),
    }
}

impl Paginator {
    /// Reads how pages are asked for.
    pub fn compile(written: &Paginate, pointer: &str, problems: &mut Vec<Problem>) -> Paginator {
        let (form, max_pages) = match written {
            Paginate::Cursor { token, header, last_record, into, max_pages } => {
                let place = token_place(token, header, last_record, pointer, problems);
                (Form::Cursor { token: place, into: target(into, pointer, problems) }, max_pages)
            }
            Paginate::NextUrl { url, same_host, below_host, max_pages } => {
                let url = path(url, &format!("{pointer}/url"), problems);
                (Form::NextUrl { url, same_host: *same_host, below_host: *below_host }, max_pages)
            }
            Paginate::LinkHeader { max_pages } => (Form::LinkHeader, max_pages),
            Paginate::Page { into, start, size, total, max_pages } => {
                let into = target(into, pointer, problems);
                let total = total.as_ref().map(|total| path(total, &format!("{pointer}/total"), problems));
                (Form::Page { into, start: start.unwrap_or(1), size: *size, total }, max_pages)
            }
            Paginate::Offset { into, size, total, max_pages } => {
                let into = target(into, pointer, problems);
                let total = total.as_ref().map(|total| path(total, &format!("{pointer}/total"), problems));
                (Form::Offset { into, size: *size, total }, max_pages)
            }
        };
        Paginator { form, max_pages: max_pages.unwrap_or(MAX_PAGES).max(1) }
    }
}

fn token_place(
    token: &Option<String>,
    header: &Option<String>,
    last_record: &Option<String>,
    pointer: &str,
    problems: &mut Vec<Problem>,
) -> TokenPlace {
    match (token, header, last_record) {
        (Some(token), None, None) => TokenPlace::Body(path(token, &format!("{pointer}/token"), problems)),
        (None, Some(header), None) => TokenPlace::Header(header.to_lowercase()),
        (None, None, Some(last)) => TokenPlace::LastRecord(path(last, &format!("{pointer}/last_record"), problems)),
        _ => {
            let message = "a cursor's token comes from exactly one of `token`, `header` and `last_record`";
            problems.push(Problem::new(pointer, "paginate_invalid", message));
            TokenPlace::Body(JmesPath::whole())
        }
    }
}

fn target(into: &paginate::Into, pointer: &str, problems: &mut Vec<Problem>) -> Target {
    match (&into.query, &into.header, &into.body) {
        (Some(query), None, None) => Target::Query(query.clone()),
        (None, Some(header), None) => Target::Header(header.clone()),
        (None, None, Some(body)) => Target::Body(body.clone()),
        _ => {
            let message = "`into` names exactly one of `query`, `header` and `body`";
            problems.push(Problem::new(format!("{pointer}/into"), "paginate_invalid", message));
            Target::Query(String::new())
        }
    }
}
