//! The definitions that this host has compiled: those that are deployed, and those that unfinished runs began
//! with, read from the store when they are first needed. Connectors with the same text are compiled once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;

use super::definition::{self, Definition, hash};
use crate::connector::{Connector, Written};
use crate::engine::Failure;
use crate::manifest::{self, Origin, Problem};
use crate::store::Store;

/// What is compiled, by the hash of its text.
#[derive(Default)]
pub struct Definitions {
    flows: Mutex<HashMap<String, Arc<Definition>>>,
    connectors: Mutex<HashMap<String, CompiledConnector>>,
}

/// A connector as written and as compiled.
#[derive(Clone)]
pub struct CompiledConnector {
    /// As written, with the text that the store keeps.
    pub written: Arc<Written>,
    /// As compiled.
    pub connector: Arc<Connector>,
    /// The hash of the text.
    pub hash: String,
}

impl Definitions {
    /// Compiles a connector, or finds it compiled. That those inside the program have no mistakes is tested; others
    /// are compiled whole, to tell them, and then again what of them is used.
    ///
    /// # Errors
    /// Every mistake in it, by JSON pointer.
    pub fn connector(
        &self,
        manifest: &Arc<manifest::Connector>,
        origin: Origin,
    ) -> Result<CompiledConnector, Vec<Problem>> {
        let mut value = serde_json::to_value(manifest.as_ref()).unwrap_or_default();
        definition::sort_keys(&mut value);
        let text = value.to_string();
        drop(value);
        let hash = hash(&text);
        if let Some(found) = self.connectors.lock().get(&hash) {
            return Ok(found.clone());
        }
        if origin == Origin::File {
            Connector::compile(manifest)?;
        }
        let written = Arc::new(Written::new(text.into(), Arc::clone(manifest)));
        let connector = Arc::new(Connector::lazily(Arc::clone(&written))?);
        let compiled = CompiledConnector { written, connector, hash: hash.clone() };
        self.connectors.lock().insert(hash, compiled.clone());
        Ok(compiled)
    }

    /// Keeps of the connectors what was compiled of them, and their texts.
    pub fn let_go(&self) {
        self.connectors.lock().values().for_each(|compiled| compiled.written.let_go());
    }

    /// Compiles a flow with the connectors that it uses, or finds it compiled.
    ///
    /// # Errors
    /// Every mistake in it, by JSON pointer.
    pub fn flow(
        &self,
        written: &definition::Written,
        used: &BTreeMap<String, CompiledConnector>,
    ) -> Result<Arc<Definition>, Vec<Problem>> {
        let hash = hash(&written.text());
        if let Some(found) = self.flows.lock().get(&hash) {
            return Ok(Arc::clone(found));
        }
        let manifests = used.iter().map(|(name, used)| (name.clone(), used.written.manifest())).collect();
        let connectors = used.iter().map(|(name, used)| (name.clone(), Arc::clone(&used.connector))).collect();
        let definition = Arc::new(Definition::compile(written, hash.clone(), &manifests, &connectors)?);
        self.flows.lock().insert(hash, Arc::clone(&definition));
        Ok(definition)
    }

    /// The definition that a hash stands for, from the store where it is not compiled yet.
    ///
    /// # Errors
    /// `definition_lost` when the store does not have it, or this program can no longer read it.
    pub async fn get(&self, store: &Store, hash: &str) -> Result<Arc<Definition>, Failure> {
        let found = self.flows.lock().get(hash).map(Arc::clone);
        if let Some(found) = found {
            return Ok(found);
        }
        let written: definition::Written = read(store, hash).await?;
        let mut used = BTreeMap::new();
        for (name, hash) in &written.connectors {
            let known = self.connectors.lock().get(hash).cloned();
            let compiled = match known {
                Some(compiled) => compiled,
                None => {
                    let manifest: manifest::Connector = read(store, hash).await?;
                    self.connector(&Arc::new(manifest), Origin::File)
                        .map_err(|problems| lost(hash, first(&problems)))?
                }
            };
            used.insert(name.clone(), compiled);
        }
        self.flow(&written, &used).map_err(|problems| lost(hash, first(&problems)))
    }
}

async fn read<T: serde::de::DeserializeOwned>(store: &Store, hash: &str) -> Result<T, Failure> {
    let text = store.definition(hash.to_owned()).await.map_err(|error| lost(hash, error.to_string()))?;
    let text = text.ok_or_else(|| lost(hash, "the store does not have it".to_owned()))?;
    serde_json::from_str(&text).map_err(|error| lost(hash, error.to_string()))
}

fn lost(hash: &str, why: String) -> Failure {
    Failure::not_sent(
        "definition_lost",
        format!("the definition {} that this began with cannot be used: {why}", hash.get(..12).unwrap_or(hash)),
    )
    .with_help("replay the run to start it with the present definition")
}

fn first(problems: &[Problem]) -> String {
    problems.first().map(|problem| problem.message.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_mistake_is_told_also_where_nothing_uses_it_and_what_is_used_outlives_what_was_read() {
        let definitions = Definitions::default();
        let compile = |odd: serde_json::Value| {
            let written = json!({"connector": "shop", "hosts": {"api": "https://shop.example.com"}, "actions": {
                "list": {"effect": "read", "request": {"path": "/items"}},
                "odd": {"effect": "read", "request": odd}}});
            definitions.connector(&Arc::new(serde_json::from_value(written).unwrap()), Origin::File)
        };
        let problems = compile(json!({"path": "/odd", "json": 1, "raw": "x"})).err().unwrap();
        assert_eq!((problems[0].pointer.as_str(), problems[0].code), ("/actions/odd/request", "several_bodies"));

        let used = compile(json!({"path": "/odd"})).unwrap();
        let read = Arc::downgrade(&used.written.manifest());
        definitions.let_go();
        assert!(read.upgrade().is_none(), "what was read is still held");
        assert!(used.connector.action("odd").is_some() && used.connector.action("add").is_none());
    }
}
