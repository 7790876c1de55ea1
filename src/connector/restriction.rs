//! What a connection is held to beyond what its connector asks: see `manifest::connector::Restriction`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::action::Action;
use super::inputs::Inputs;
use super::template_failure;
use crate::engine::Failure;
use crate::manifest::connector::Limit;
use crate::template::{Scope, Tree};

/// A compiled restriction.
#[derive(Debug)]
pub struct Restriction {
    /// Its name.
    pub name: String,
    /// Beside the limits of the actions.
    pub limits: Vec<Limit>,
    pub(super) actions: BTreeMap<String, RestrictedAction>,
    /// The most items of one poll, by trigger.
    pub most: BTreeMap<String, u32>,
}

/// What an action may be given.
#[derive(Debug)]
pub(super) struct RestrictedAction {
    pub inputs: Inputs,
    pub set: Option<Tree>,
}

impl Restriction {
    /// The inputs as they may be given: some made anew, then all held against the narrower schemas.
    pub(super) fn apply(&self, action: &Action, mut inputs: Map<String, Value>) -> Result<Map<String, Value>, Failure> {
        let Some(restricted) = self.actions.get(&action.name) else { return Ok(inputs) };
        if let Some(set) = &restricted.set {
            let mut scope = Scope::new();
            scope.set("inputs", Value::Object(inputs));
            let made = set.evaluate_pruned(&scope).map_err(|error| template_failure(&error))?;
            inputs = match scope.take("inputs") {
                Some(Value::Object(inputs)) => inputs,
                _ => Map::new(),
            };
            if let Value::Object(made) = made {
                inputs.extend(made);
            }
        }
        let given: Map<String, Value> = restricted
            .inputs
            .names()
            .filter_map(|name| inputs.get(name).map(|value| (name.to_owned(), value.clone())))
            .collect();
        restricted.inputs.resolve(Value::Object(given), &Map::new(), action).map_err(|failure| {
            failure.with_help(format!("the connection is held to what `{}` allows: see its `restrictions`", self.name))
        })?;
        Ok(inputs)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::super::limits::{Asker, Limits};
    use super::super::{Connection, Connector};
    use super::*;
    use crate::manifest::Catalog;
    use crate::secrets::Secrets;

    fn connection(restrictions: &[&str]) -> Connection {
        let written = &Catalog::embedded().connectors["x"].value;
        let connector = Arc::new(Connector::compile(written).unwrap());
        let settings = json!({"connector": "x", "fields": {"bearer_token": "b"}, "restrictions": restrictions});
        Connection::bind("brand", connector, &serde_json::from_value(settings).unwrap(), &Secrets::new("")).unwrap()
    }

    fn inputs(given: Value) -> Map<String, Value> {
        given.as_object().unwrap().clone()
    }

    #[test]
    fn what_microsoft_allows_holds_where_it_is_switched_on_and_nowhere_else() {
        let (held, free) = (connection(&["microsoft"]), connection(&[]));
        let search = free.connector.action("search_tweets").unwrap();
        let long = inputs(json!({"query": "x".repeat(471), "max_results": 100}));
        assert!(free.restrict(search, long.clone()).is_ok());
        let failure = held.restrict(search, long).unwrap_err();
        assert!(failure.message.contains("`query` of x.search_tweets has 471 characters"), "{}", failure.message);
        assert!(failure.help.unwrap().contains("microsoft"));
        assert!(held.restrict(search, inputs(json!({"query": "x", "max_results": 101}))).is_err());
        let post = free.connector.action("create_tweet").unwrap();
        let text = held.restrict(post, inputs(json!({"text": "hello @ann"}))).unwrap();
        assert_eq!(text["text"], "hello ann");
        assert_eq!(free.restrict(post, inputs(json!({"text": "hello @ann"}))).unwrap()["text"], "hello @ann");
        assert_eq!((held.most_items("new_tweet"), free.most_items("new_tweet")), (Some(5), None));
    }

    #[test]
    fn calls_but_posts_share_600_an_hour() {
        let held = connection(&["microsoft"]);
        let restriction = &held.connector.restrictions["microsoft"];
        let limits = Limits::new();
        let keys = |action: &str| {
            limits.keys(Asker { connector: "x", connection: "brand", app: None, action }, &restriction.limits).unwrap()
        };
        let (search, me, post) = (keys("search_tweets"), keys("get_me"), keys("create_tweet"));
        let mut permitted = 0;
        while limits.acquire(if permitted % 2 == 0 { &search } else { &me }, 0).is_ok() {
            permitted += 1;
        }
        // They are counted by the hour, and not spread over it.
        assert_eq!(permitted, 600);
        for _ in 0..12 {
            assert!(limits.acquire(&post, 0).is_ok(), "a thread is posted at once, by a limit of its own");
        }
        assert_eq!(limits.acquire(&post, 1_000).unwrap_err().until_ms, 3_600_000);
        assert!(limits.acquire(&me, 3_600_000).is_ok());
    }
}
