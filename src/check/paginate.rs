//! How an action asks for its next page: that the token comes from one place and goes to one place.

use super::findings::{Findings, below};
use super::selectors::selector;
use crate::manifest::connector::paginate::{Into, Paginate};

/// How the next page is asked for.
pub fn paginate(findings: &mut Findings<'_>, pointer: &str, paginate: &Paginate) {
    let optional = |findings: &mut Findings<'_>, name: &str, text: &Option<String>| {
        if let Some(text) = text {
            selector(findings, &below(pointer, name), text);
        }
    };
    match paginate {
        Paginate::Cursor { token, header, last_record, into, .. } => {
            let given =
                [token.is_some(), header.is_some(), last_record.is_some()].iter().filter(|given| **given).count();
            if given != 1 {
                findings.error(
                    "paginate_token",
                    pointer,
                    "the next page's token must come from exactly one place",
                    "write one of `token`, `header` and `last_record`",
                );
            }
            optional(findings, "token", token);
            optional(findings, "last_record", last_record);
            one_place(findings, pointer, into);
        }
        Paginate::NextUrl { url, .. } => selector(findings, &below(pointer, "url"), url),
        Paginate::LinkHeader { .. } => {}
        Paginate::Page { into, total, .. } => {
            optional(findings, "total", total);
            one_place(findings, pointer, into);
        }
        Paginate::Offset { into, total, size, .. } => {
            if *size == 0 {
                findings.error(
                    "limit_zero",
                    &below(pointer, "size"),
                    "a page of 0 records never ends",
                    "write how many records a full page has",
                );
            }
            optional(findings, "total", total);
            one_place(findings, pointer, into);
        }
    }
}

fn one_place(findings: &mut Findings<'_>, pointer: &str, into: &Into) {
    let given =
        [into.query.is_some(), into.header.is_some(), into.body.is_some()].iter().filter(|given| **given).count();
    if given != 1 {
        findings.error(
            "paginate_into",
            &below(pointer, "into"),
            "a page's token or number must go to exactly one place",
            "write one of `query`, `header` and `body`",
        );
    }
}
