//! What another program that reaches the same service would allow, for connections that are to behave like it:
//! narrower inputs, inputs made anew, fewer requests, fewer items. Nothing of it holds unless a connection says so.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Limit;
use crate::manifest::Inputs;

/// What a connection can be held to.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Restriction {
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The most connections of the connector that may have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<u32>,
    /// Beside the limits of the actions; each action has its own where one names none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit>,
    /// By action.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub actions: BTreeMap<String, RestrictedAction>,
    /// By trigger.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub triggers: BTreeMap<String, RestrictedTrigger>,
}

/// What an action may be given.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestrictedAction {
    /// Narrower schemas of some of its inputs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: Inputs,
    /// Inputs made anew, before they are checked: templates over `inputs`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub set: Map<String, Value>,
}

/// What a trigger may find.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestrictedTrigger {
    /// The most items of one poll: the newest are kept, the others dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<u32>,
}
