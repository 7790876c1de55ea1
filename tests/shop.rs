//! The sandbox's JSON service as a connector, for tests of what hosts and stores do with its items: it lists by page
//! and by link, and sends what may and what may not be sent twice.

use crate::processes::Sandbox;

/// The connector's file, for this sandbox.
pub fn connector(sandbox: &Sandbox) -> String {
    CONNECTOR.replace("URL", &sandbox.url)
}

const CONNECTOR: &str = r#"connector: shop
title: Shop
hosts: {api: "URL"}
defaults: {host: api, auth: [open], timeout: 120s}
connection:
  auth: {open: {type: none}}
parts:
  items:
    response: {records: items, schema: {type: object, required: [id], properties: {id: {type: integer}}}}
  item:
    inputs: {id: {type: integer, required: true}, step: {type: string}}
    request: {method: POST, path: /sink, json: {id: "{{inputs.id}}", step: "{{maybe inputs.step}}"}}
actions:
  list:
    effect: read
    use: items
    request: {method: GET, path: /items, query: {limit: 20, order: asc}}
    paginate: {type: page, into: {query: page}, size: 20}
  follow:
    effect: read
    use: items
    request: {method: GET, path: /chained, query: {limit: 20}}
    paginate: {type: next_url, url: next_url}
  send: {effect: none, use: item}
  note: {effect: natural, use: item}
  lose:
    effect: natural
    request: {method: POST, path: /nowhere, json: {}}
triggers:
  new:
    poll: list
    cursor: {field: id, type: integer, order: asc}
    key: id
  followed:
    poll: follow
    cursor: {field: id, type: integer, order: asc}
    key: id
"#;
