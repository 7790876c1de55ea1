//! What a seed decides before anything happens: the kind of list, the flow, the faults.

use super::random::Random;

/// What one simulation is about.
#[derive(Clone, Debug)]
pub struct Plan {
    /// `new` (ids in order), `dated` (rows that show up late) or `any` (a list without an order).
    pub trigger: &'static str,
    /// `asc` or `desc`.
    pub order: &'static str,
    /// Records of a page.
    pub page: usize,
    /// `none`, `natural`, `key`, `lookup` (absence is no proof) or `proof` (it is).
    pub effect: &'static str,
    /// Whether the list is looked at more widely now and then; rows are late by minutes only where it is not.
    pub is_deep: bool,
    /// Runs at once.
    pub limit: u32,
    /// Whether odd items are filtered out.
    pub is_filtered: bool,
    /// Whether two receivers are told of each item, one request each.
    pub has_receivers: bool,
    /// Whether a person is asked before each item is told.
    pub asks: bool,
    /// How far the service's clock is ahead of ours at first.
    pub skew_ms: i64,
    /// Ticks of a thousand before which our clock is set forward or back.
    pub jumps: u64,
    /// How long a request takes at most.
    pub latency_ms: i64,
    /// How long a page token is good for.
    pub token_ms: i64,
    /// Readings of a thousand pages during which an item is made.
    pub arrivals: u64,
    /// Ticks of a thousand in which a storm of limits begins, or an outage of the service.
    pub storms: u64,
    /// Requests of a thousand that go wrong while there are faults.
    pub faults: u64,
    /// Ticks of a thousand in which the process ends.
    pub crashes: u64,
    /// Requests of a thousand during which a person cancels the run, and ticks in which a run that waits.
    pub cancels: u64,
    /// Without bursts, pauses between pages and looks moments apart.
    pub is_calm: bool,
    /// Items that are made at once, more than a host takes up at a time.
    pub burst: i64,
    /// Pages of a thousand, after the first of a reading, at which the service asks to wait.
    pub pauses: u64,
    /// Pages of a thousand that name the page again that was asked for.
    pub slips: u64,
    /// Whether the host is down for longer than the service keeps its list.
    pub has_outage: bool,
}

impl Plan {
    /// What a seed draws; a calm one draws less.
    pub fn of(random: &mut Random, is_calm: bool) -> Plan {
        let trigger = random.one_of(&["new", "dated", "dated", "any"]);
        let has_outage = trigger == "dated" && random.chance(200);
        let burst = if is_calm { 0 } else { random.one_of(&[0, 0, 0, 0, 90]) };
        let mut plan = Plan {
            trigger,
            order: random.one_of(&["asc", "desc"]),
            page: match (is_calm, burst) {
                (true, _) => usize::try_from(random.between(2, 6)).unwrap(),
                (false, 0) => random.one_of(&[2, 2, 3, 4, 6]),
                // A reading comes to its end before its tokens expire.
                (false, _) => 6,
            },
            effect: random.one_of(&["none", "natural", "key", "lookup", "proof"]),
            is_deep: random.chance(600),
            limit: random.one_of(&[1, 16]),
            is_filtered: random.chance(250),
            has_receivers: random.chance(250),
            asks: false,
            skew_ms: random.one_of(&[0, 0, -2_400_000, 2_400_000]),
            jumps: random.one_of(&[0, 0, 0, 50]),
            latency_ms: random.one_of(&[0, 0, 1_500]),
            // The end of the list moves while what is left of an outage is read: tokens that hold longer would skip.
            token_ms: if has_outage { 900_000 } else { random.one_of(&[900_000, 86_400_000]) },
            arrivals: random.one_of(&[0, 0, 200]),
            storms: random.one_of(&[0, 0, 60]),
            faults: random.one_of(&[0, 60, 150, 300]),
            crashes: random.one_of(&[0, 100, 300]),
            cancels: random.one_of(&[0, 0, 30]),
            is_calm,
            burst,
            pauses: if is_calm { 0 } else { random.one_of(&[0, 0, 100]) },
            slips: if is_calm { 15 } else { random.one_of(&[0, 15, 60]) },
            has_outage,
        };
        // Drawn beside the others, so that those which ask nobody are what they were.
        plan.asks = random.clone().chance(250);
        if plan.asks {
            // One at a time would wait for one answer after another, for longer than the simulation lasts.
            plan.limit = 16;
        }
        plan
    }

    /// The connector's file.
    pub fn connector(&self) -> String {
        let effect = match self.effect {
            "key" => "{class: key, header: Idempotency-Key}",
            "lookup" => {
                "{class: lookup, reconcile: {action: told, with: {id: \"{{inputs.id}}\"}, after: 10s, within: 30m, match: \"eq record.text inputs.text\"}}"
            }
            "proof" => {
                "{class: lookup, reconcile: {action: told, with: {id: \"{{inputs.id}}\"}, after: 10s, within: 10m, match: \"eq record.text inputs.text\", absent: retry}}"
            }
            plain => plain,
        };
        let foreach = if self.has_receivers { "foreach: {list: inputs.to, as: receiver}" } else { "limits: []" };
        let receiver = if self.has_receivers { "\"{{receiver}}\"" } else { "all" };
        CONNECTOR
            .replace(
                "DEEP",
                if self.is_deep { "deep: {lookback: 26h, every: 3h}\n      max_age: 7d" } else { "max_age: 7d" },
            )
            .replace("EFFECT", effect)
            .replace("ORDER", self.order)
            .replace("PAGE", &self.page.to_string())
            .replace("FOREACH", foreach)
            .replace("RECEIVER", receiver)
    }

    /// The flow's file.
    pub fn flow(&self) -> String {
        let filter = if self.is_filtered { "where: eq item.parity 'even', " } else { "" };
        let receivers = if self.has_receivers { ", to: [a, b]" } else { "" };
        // Nothing goes on by itself that nobody heard the answer of.
        let ask = if self.asks {
            "  - {id: ask, approval: {send: {action: shop.look, with: {id: \"{{item.id}}\"}}, choices: [yes, no], expires: 60d}}\n"
        } else {
            ""
        };
        format!(
            "flow: f\ntrigger: {{poll: shop.{}, {filter}every: 1h, start: now}}\nconcurrency: {{limit: {}}}\nsteps:\n{ask}  \
             - {{action: shop.tell, with: {{id: \"{{{{item.id}}}}\", text: \"item {{{{item.id}}}}\"{receivers}}}}}\n  \
             - {{action: shop.look, with: {{id: \"{{{{item.id}}}}\"}}}}\n",
            self.trigger, self.limit
        )
    }
}

const CONNECTOR: &str = r#"connector: shop
title: Shop
hosts: {api: "https://shop.example.org"}
defaults:
  host: api
  auth: [open]
  errors:
    message: message
    rules:
      - {status: 400, text: token expired, then: cursor_expired}
      - {status: 400, text: too old, then: cursor_expired}
connection:
  auth: {open: {type: none}}
parts:
  listed:
    request: {method: GET, path: /items, query: {limit: PAGE, order: ORDER}}
    response: {records: items, schema: {type: object, required: [id, parity], properties: {id: {type: integer}, parity: {type: string}, status: {type: string}}}}
    paginate: {type: cursor, token: next, into: {query: token}}
actions:
  list:
    effect: read
    use: listed
    inputs: {from: {type: string}, since: {type: string}}
    request: {query: {from: "{{maybe inputs.from}}", since: "{{maybe inputs.since}}"}}
  tell:
    effect: EFFECT
    inputs: {id: {type: integer, required: true}, text: {type: string, required: true}, to: {type: array, items: {type: string}}}
    FOREACH
    request: {method: POST, path: /told, json: {id: "{{inputs.id}}", text: "{{inputs.text}}", to: RECEIVER}}
  told:
    effect: read
    inputs: {id: {type: integer, required: true}}
    request: {method: GET, path: /told, query: {id: "{{inputs.id}}"}}
    response: {records: told, many: true, schema: {type: object, required: [id, text], properties: {id: {type: string}, text: {type: string}}}}
  look:
    effect: read
    inputs: {id: {type: integer, required: true}}
    request: {method: GET, path: "/items/{{inputs.id}}"}
triggers:
  new:
    poll: list
    with: {from: "{{maybe cursor.since}}"}
    cursor: {field: id, type: integer, order: ORDER}
    key: id
  dated:
    poll: list
    with: {since: "{{maybe cursor.since}}"}
    cursor:
      field: created_at
      type: datetime
      order: ORDER
      lookback: 15m
      DEEP
      not_ready: eq record.status 'arriving'
      not_ready_for: 15m
    key: id
  any:
    poll: list
    cursor: {type: none, order: unordered}
    key: id
"#;
