//! How the next page of a list is asked for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the next page of a list is asked for. `max_pages` ends a call (not a walk) that goes on too long.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Paginate {
    /// A token from the answer goes into the next request; none means the end.
    Cursor {
        /// JMESPath on the body, to the token; or `header`, or `last_record`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
        /// The response header that carries the token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        header: Option<String>,
        /// JMESPath on the last record of the page, to the token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_record: Option<String>,
        /// Where the token goes.
        into: Into,
        /// The most pages of one call; 1,000 unless given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_pages: Option<u32>,
    },
    /// The answer holds the next page's URL, absolute or relative; followed on the same origin only.
    NextUrl {
        /// JMESPath on the body, to the URL.
        url: String,
        /// Ask the host that was asked before, whichever one the URL names: its path and query alone count.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        same_host: bool,
        /// A URL without a host is below the path that the connection's host has (`https://proxy.example.com/shop`).
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        below_host: bool,
        /// The most pages of one call; 1,000 unless given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_pages: Option<u32>,
    },
    /// The `Link` header's `rel="next"` (RFC 8288); followed on the same origin only.
    LinkHeader {
        /// The most pages of one call; 1,000 unless given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_pages: Option<u32>,
    },
    /// A page's number; an empty page, or one shorter than `size`, is the last.
    Page {
        /// Where the number goes.
        into: Into,
        /// The first page's number; 1 unless given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        start: Option<u64>,
        /// How many records a full page has.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size: Option<u64>,
        /// JMESPath on the body, to the number of pages.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        total: Option<String>,
        /// The most pages of one call; 1,000 unless given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_pages: Option<u32>,
    },
    /// How many records to pass over; an empty page, or one shorter than `size`, is the last.
    Offset {
        /// Where the number goes.
        into: Into,
        /// How many records a full page has.
        size: u64,
        /// JMESPath on the body, to the number of records.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        total: Option<String>,
        /// The most pages of one call; 1,000 unless given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_pages: Option<u32>,
    },
}

/// Where a page's token or number goes: exactly one of the three.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Into {
    /// A query parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// A header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// A member of the JSON or form body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}
