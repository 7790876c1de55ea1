//! An action's output as people see it: the tables that its manifest names, as rows of text.

use serde::Serialize;
use serde_json::Value;

use super::action::Action;
use super::selector::JmesPath;

/// Rows of text under headings.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Table {
    /// What stands above it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The headings.
    pub columns: Vec<String>,
    /// A text per column.
    pub rows: Vec<Vec<String>>,
}

/// A table as a manifest names it.
#[derive(Clone, Debug)]
pub(super) struct TableOf {
    pub title: Option<String>,
    pub rows: JmesPath,
    pub columns: Vec<(String, JmesPath)>,
}

impl Action {
    /// The tables of an output; none where the manifest names none, or where an expression does not fit it.
    pub fn tables(&self, output: &Value) -> Vec<Table> {
        self.tables.iter().map(|table| table.of(output)).collect()
    }
}

impl TableOf {
    fn of(&self, output: &Value) -> Table {
        let found = self.rows.search(output).map(std::borrow::Cow::into_owned).unwrap_or(Value::Null);
        let rows = match found {
            Value::Null => Vec::new(),
            Value::Array(rows) => rows,
            one => vec![one],
        };
        let row = |row: &Value| {
            let cell = |(_, path): &(String, JmesPath)| path.search(row).map(|value| text(&value)).unwrap_or_default();
            self.columns.iter().map(cell).collect()
        };
        Table {
            title: self.title.clone(),
            columns: self.columns.iter().map(|(heading, _)| heading.clone()).collect(),
            rows: rows.iter().map(row).collect(),
        }
    }
}

/// A value as a cell: lists with commas, objects as JSON.
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(elements) if elements.iter().all(|element| !element.is_array() && !element.is_object()) => {
            elements.iter().map(text).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_are_read_from_each_row_and_lists_are_joined() {
        let path = |source: &str| JmesPath::compile(source).unwrap();
        let table = TableOf {
            title: None,
            rows: path("results"),
            columns: vec![("Name".into(), path("name")), ("Tags".into(), path("tags[].text"))],
        };
        let made = table.of(&json!({"results": [{"name": "a", "tags": [{"text": "x"}, {"text": "y"}]}, {"id": 1}]}));
        assert_eq!(made.columns, ["Name", "Tags"]);
        assert_eq!(made.rows, [["a", "x, y"], ["", ""]]);
        assert_eq!(table.of(&json!([])).rows, Vec::<Vec<String>>::new());
        assert_eq!(text(&json!([{"a": 1}])), "[{\"a\":1}]");
    }
}
