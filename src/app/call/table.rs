//! An output as rows of text: as the action says, or else a list as a row for each element and a record as a
//! row for each member.

use serde_json::Value;

use crate::app::result::Table;
use crate::connector::table::text;

// More than fit beside each other are left to `--output json`.
const COLUMNS: usize = 8;
// How far members of members are shown: `author.username`.
const DEPTH: usize = 2;

/// All that an output holds.
pub fn whole(output: &Value) -> Table {
    match output {
        Value::Null => Table::default(),
        Value::Array(records) => of_records(records),
        Value::Object(_) => {
            let mut members = Vec::new();
            flatten(output, "", DEPTH, &mut members);
            let rows = members.into_iter().map(|(path, value)| vec![path, text(value)]).collect();
            Table { columns: vec!["name".to_owned(), "value".to_owned()], rows, title: None }
        }
        scalar => Table { columns: vec!["value".to_owned()], rows: vec![vec![text(scalar)]], title: None },
    }
}

fn of_records(records: &[Value]) -> Table {
    let flat: Vec<Vec<(String, &Value)>> = records
        .iter()
        .map(|record| {
            let mut members = Vec::new();
            flatten(record, "", DEPTH, &mut members);
            members
        })
        .collect();
    let mut columns: Vec<String> = Vec::new();
    for (path, _) in flat.iter().flatten() {
        if columns.len() < COLUMNS && !columns.contains(path) {
            columns.push(path.clone());
        }
    }
    let rows = flat.iter().map(|members| {
        let cell = |column: &String| {
            let found = members.iter().find(|(path, _)| path == column);
            found.map(|(_, value)| text(value)).unwrap_or_default()
        };
        columns.iter().map(cell).collect()
    });
    Table { rows: rows.collect(), columns, title: None }
}

fn flatten<'a>(value: &'a Value, path: &str, depth: usize, members: &mut Vec<(String, &'a Value)>) {
    match value {
        Value::Object(inner) if depth > 0 => {
            for (name, value) in inner {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(value, &path, depth - 1, members);
            }
        }
        _ if path.is_empty() => members.push(("value".to_owned(), value)),
        _ => members.push((path.to_owned(), value)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn outputs_are_rows() {
        let table = |output: Value| whole(&output);
        let tweets = table(json!([{"id": "1", "author": {"username": "a"}}, {"id": "2", "text": "hi", "tags": ["x"]}]));
        assert_eq!(tweets.columns, ["id", "author.username", "text", "tags"]);
        assert_eq!(tweets.rows, [vec!["1", "a", "", ""], vec!["2", "", "hi", "x"]]);
        let record = table(json!({"sid": "SM1", "price": null}));
        assert_eq!(record.rows, [["sid", "SM1"], ["price", ""]]);
        assert_eq!(table(json!([1, 2])).rows, [["1"], ["2"]]);
        assert_eq!(table(json!("x")).rows, [["x"]]);
        assert_eq!(table(json!([])), Table::default());
    }
}
