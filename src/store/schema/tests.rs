//! That migrations which say that they only expand do nothing else: programs of two versions work on one store.

use super::super::database::tests::place::{On, Place};
use super::super::database::{Change, Options};
use super::MIGRATIONS;

#[test]
fn migrations_that_expand_do_nothing_else() {
    for (place, name) in [(Place::new(On::Sqlite), "sqlite"), (Place::new(On::Postgres), "postgres")] {
        let store = place.open(&Options::new(MIGRATIONS, 0)).unwrap();
        let plain = plain_indexes(MIGRATIONS.iter().map(|migration| (migration.sql)(store.dialect())));
        for migration in MIGRATIONS.iter().filter(|migration| migration.change == Change::Expands) {
            let found = narrowing(&(migration.sql)(store.dialect()), &plain);
            assert!(
                found.is_empty(),
                "migration {} on {name} would break older programs, and should say so: {found:#?}",
                migration.version
            );
        }
    }
}

#[test]
fn versions_count_up_without_a_gap() {
    let versions: Vec<i64> = MIGRATIONS.iter().map(|migration| migration.version).collect();
    let expected: Vec<i64> = (1..).take(MIGRATIONS.len()).collect();
    assert_eq!(versions, expected);
}

#[test]
fn what_narrows_is_seen() {
    let made = "CREATE INDEX runs_due ON runs (flow); CREATE UNIQUE INDEX runs_retry ON runs (retry_of)";
    let plain = plain_indexes([made.to_owned()]);
    for sound in [
        "CREATE TABLE a (b TEXT NOT NULL PRIMARY KEY); CREATE INDEX c ON a (b)",
        "-- A new table; with a unique index.\nCREATE TABLE a (b TEXT);\nCREATE UNIQUE INDEX c ON a (b) WHERE b > ''",
        "create index c on runs (state)",
        "DROP INDEX runs_due",
        "ALTER TABLE runs ADD COLUMN weight BIGINT; ALTER TABLE runs ADD COLUMN size BIGINT NOT NULL DEFAULT 0",
    ] {
        assert_eq!(narrowing(sound, &plain), [""; 0], "{sound}");
    }
    for narrow in [
        "DROP TABLE runs",
        "DROP INDEX runs_retry",
        "CREATE UNIQUE INDEX c ON runs (flow)",
        "ALTER TABLE runs ADD COLUMN weight BIGINT NOT NULL",
        "ALTER TABLE runs ADD COLUMN weight BIGINT CHECK (weight > 0)",
        "ALTER TABLE runs ADD COLUMN owner TEXT REFERENCES nodes (id)",
        "ALTER TABLE runs DROP COLUMN flow",
        "ALTER TABLE runs RENAME TO executions",
        "ALTER TABLE runs ALTER COLUMN slot SET NOT NULL",
        "UPDATE runs SET state = 'done' WHERE state = 'succeeded'",
        "CREATE TABLE a (b TEXT); DELETE FROM ledger",
        "CREATE TRIGGER t AFTER INSERT ON runs BEGIN SELECT 1; END",
    ] {
        assert!(!narrowing(narrow, &plain).is_empty(), "{narrow}");
    }
}

/// The indexes that only make things fast: a program misses none of them but for the time.
fn plain_indexes(migrations: impl IntoIterator<Item = String>) -> Vec<String> {
    let all: Vec<String> = migrations.into_iter().flat_map(|sql| statements(&sql)).collect();
    let name = |statement: &String| match statement.split(' ').collect::<Vec<_>>().as_slice() {
        ["CREATE", "INDEX", name, ..] => Some((*name).to_owned()),
        _ => None,
    };
    all.iter().filter_map(name).collect()
}

/// In capitals, without comments, with one space between words.
fn statements(sql: &str) -> Vec<String> {
    let plain: String =
        sql.lines().map(|line| line.split("--").next().unwrap_or_default()).collect::<Vec<_>>().join(" ");
    let statements = plain.split(';').map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ").to_uppercase());
    statements.filter(|statement| !statement.is_empty()).collect()
}

/// The statements of a migration that an older program could notice; `plain` are the [`plain_indexes`].
fn narrowing(sql: &str, plain: &[String]) -> Vec<String> {
    let mut made: Vec<String> = Vec::new();
    let mut found = Vec::new();
    for statement in statements(sql) {
        let words: Vec<&str> = statement.split([' ', '(']).filter(|word| !word.is_empty()).collect();
        let is_sound = match words.as_slice() {
            ["CREATE", "TABLE", name, ..] => {
                made.push((*name).to_owned());
                true
            }
            ["CREATE", "INDEX", _, "ON", ..] => true,
            // One that only makes things fast.
            ["DROP", "INDEX", name] => plain.iter().any(|known| known == name),
            ["CREATE", "UNIQUE", "INDEX", _, "ON", table, ..] => made.iter().any(|name| name == table),
            ["ALTER", "TABLE", _, "ADD", "COLUMN", _, rest @ ..] => {
                let has = |word: &str| rest.contains(&word);
                let restricts = ["UNIQUE", "PRIMARY", "CHECK", "REFERENCES", "GENERATED"].into_iter().any(has);
                !restricts && (!has("NOT") || has("DEFAULT"))
            }
            _ => false,
        };
        if !is_sound {
            found.push(statement);
        }
    }
    found
}
