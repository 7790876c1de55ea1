//! How people see an action's output: which columns, under which headings. Shown by `tidegate call`; what is
//! machine-readable stays the output itself.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// A table of an action's output.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// What stands above it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// JMESPath on the output, to the rows; the output itself unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<String>,
    /// Its columns in their order: heading to JMESPath on a row.
    #[schemars(with = "BTreeMap<String, String>")]
    #[serde(serialize_with = "ordered", deserialize_with = "written")]
    pub columns: Map<String, Value>,
}

/// As pairs: what is kept of a manifest has its members sorted, and here their order counts.
fn ordered<S: Serializer>(columns: &Map<String, Value>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(columns)
}

fn written<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Columns {
        Written(Map<String, Value>),
        Kept(Vec<(String, Value)>),
    }
    Ok(match Columns::deserialize(deserializer)? {
        Columns::Written(columns) => columns,
        Columns::Kept(pairs) => pairs.into_iter().collect(),
    })
}
