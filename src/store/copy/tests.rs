//! Copies between both databases, of a store with odd values in every table; and copies that are refused.

use std::collections::BTreeSet;

use rstest::rstest;
use rusqlite::Connection;
use tokio::sync::mpsc::unbounded_channel;

use super::super::database::tests::place::{On, Place};
use super::super::database::{Handle, HostRole, Options, Param, Side, Sql, code, params};
use super::super::schema::MIGRATIONS;
use super::super::tables::{FATES, tables};
use super::super::{Result, Store};
use super::{Copied, Progress, copy, portions};

const NOW: i64 = 1_790_000_000_000;

fn tool() -> Options {
    Options::new(MIGRATIONS, NOW)
}

fn host() -> Options {
    Options { host: Some(HostRole { listen: "off".to_owned(), lease_ms: 2_000 }), ..tool() }
}

fn end(side: Side) -> Options {
    Options { copy: Some(side), ..tool() }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn copied(from: &Place, to: &Place) -> Result<Copied> {
    run(async {
        let source = from.open(&end(Side::From))?;
        let is_among_hosts = [from, to].iter().all(|place| matches!(place, Place::Postgres(_)));
        let copied = copy(&source, || to.open(&end(Side::To)), is_among_hosts, unbounded_channel().0).await;
        source.close().await?;
        copied
    })
}

fn write(place: &Place, run: impl FnMut(&mut dyn Sql) -> Result<()> + Send + 'static) {
    let store = place.open(&tool()).unwrap();
    store.transaction_blocking(run).unwrap();
    store.close_blocking().unwrap();
}

/// What no database may bend: extremes, emptiness, every kind of character, bytes of every value.
fn odd(sql: &mut dyn Sql) -> Result<()> {
    let numbers = [i64::MIN, i64::MAX, -1, 0, 9_007_199_254_740_993];
    let texts =
        ["", "\u{1}\t\r\n\\ ' \" $1 {{x}}", "naïve e\u{301} \u{1F30A}\u{200D} \u{202E}", "\u{FFFD}\u{10FFFF}", "Z"];
    for table in tables(sql, false)?.moving {
        let mut nullable = BTreeSet::new();
        let text = "SELECT name FROM pragma_table_info($1) WHERE \"notnull\" = 0 AND pk = 0";
        sql.query(text, params![&table.name], &mut |row| {
            nullable.insert(row.text(0)?.to_owned());
            Ok(())
        })?;
        let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        let places: Vec<String> = (1..=names.len()).map(|place| format!("${place}")).collect();
        let insert = format!("INSERT INTO {} ({}) VALUES ({})", table.name, names.join(", "), places.join(", "));
        for number in 0..if table.name == "sealing_keys" { 1 } else { 5 } {
            let values: Vec<Param<'_>> = table
                .columns
                .iter()
                .map(|column| match column.kind {
                    _ if number == 2 && nullable.contains(&column.name) => Param::Null,
                    super::super::tables::Kind::Int if column.name == "slot" => Param::from(1),
                    super::super::tables::Kind::Int => Param::from(numbers[number]),
                    super::super::tables::Kind::Text => Param::from(format!("{}{number}", texts[number])),
                    super::super::tables::Kind::Bytes => {
                        Param::from((0..=255).cycle().take(number * 300).collect::<Vec<u8>>())
                    }
                })
                .collect();
            sql.execute(&insert, &values)?;
        }
    }
    Ok(())
}

/// Every value of every table that is copied, as SQLite writes it.
fn dump(place: &Place) -> Vec<String> {
    let Place::Sqlite { path, .. } = place else { panic!("a file is asked for") };
    let store = place.open(&tool()).unwrap();
    let moving = store.read_blocking(|sql| Ok(tables(sql, false)?.moving)).unwrap();
    store.close_blocking().unwrap();
    let file = Connection::open(path).unwrap();
    let mut lines = Vec::new();
    for table in moving {
        let columns: Vec<String> =
            table.columns.iter().map(|column| format!("typeof({0}) || quote({0})", column.name)).collect();
        let query = format!("SELECT {} FROM {}", columns.join(" || ',' || "), table.name);
        let mut statement = file.prepare(&query).unwrap();
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        let mut rows: Vec<String> = rows.map(|row| format!("{}: {}", table.name, row.unwrap())).collect();
        rows.sort();
        lines.extend(rows);
    }
    lines
}

/// A table that was forgotten would be lost with the first copy.
#[rstest]
fn every_table_has_a_fate(#[values(On::Sqlite, On::Postgres)] on: On) {
    let place = Place::new(on);
    let store = place.open(&tool()).unwrap();
    let columns = store.dialect().columns;
    let found = store.read_blocking(move |sql| {
        let mut names = BTreeSet::new();
        sql.query(columns, &[], &mut |row| {
            names.insert(row.text(0)?.to_owned());
            Ok(())
        })?;
        Ok(names)
    });
    let known: BTreeSet<String> = FATES.iter().map(|(name, _)| (*name).to_owned()).collect();
    let found = found.unwrap();
    let missing: Vec<&String> = found.difference(&known).collect();
    assert!(missing.is_empty(), "say in `FATES` what becomes of {missing:?} when a store is copied");
    let gone: Vec<&String> = known.difference(&found).collect();
    let of_postgres = ["commits".to_owned(), "nodes".to_owned()];
    match on {
        On::Postgres => assert!(gone.is_empty(), "{gone:?}"),
        On::Sqlite => assert_eq!(gone, of_postgres.iter().collect::<Vec<_>>()),
    }
    assert!(store.read_blocking(|sql| tables(sql, true)).is_ok());
}

#[test]
fn everything_comes_over_and_back() {
    let (file, database, other, back) =
        (Place::new(On::Sqlite), Place::new(On::Postgres), Place::new(On::Postgres), Place::new(On::Sqlite));
    write(&file, odd);
    let first = copied(&file, &database).unwrap();
    assert!(
        first.tables.iter().all(|table| table.rows == if table.table == "sealing_keys" { 1 } else { 5 }),
        "{first:?}"
    );
    let between = copied(&database, &other).unwrap();
    let last = copied(&other, &back).unwrap();
    let digests = |copied: &Copied| -> Vec<(String, String)> {
        let of_both = copied.tables.iter().filter(|table| table.table != "publications");
        of_both.map(|table| (table.table.clone(), table.digest.clone())).collect()
    };
    assert_eq!(digests(&first), digests(&between));
    assert_eq!(digests(&first), digests(&last));
    assert_eq!(first.sealing_key.as_deref(), Some("0"));
    assert_eq!(dump(&file), dump(&back));
    // What was copied is a store like any other, and a place that nothing is copied to again.
    for place in [&database, &other, &back] {
        place.open(&host()).unwrap().close_blocking().unwrap();
        assert_eq!(copied(&file, place).unwrap_err().code, code::NOT_EMPTY);
    }
}

#[test]
fn claims_are_let_go_of_and_epochs_are_kept() {
    let (from, to) = (Place::new(On::Postgres), Place::new(On::Sqlite));
    write(&from, |sql| {
        sql.batch(
            "INSERT INTO triggers (flow, definition, source, state, generation, seeded, failures, claimed_by, epoch, updated_at) \
             VALUES ('f', 'd', 's', 'enabled', 0, 1, 0, 'a host', 7, 0); \
             INSERT INTO claims VALUES ('prune', 'a host', 3); \
             INSERT INTO tokens (connection, scheme, audience, sealing_key, version, lease_holder, lease_until, updated_at) \
             VALUES ('c', 's', 'a', 'k', 2, 'a host', 9, 0)",
        )
    });
    let copied = copied(&from, &to).unwrap();
    let stayed: Vec<&str> =
        copied.stayed.iter().filter(|table| table.rows > 0).map(|table| table.table.as_str()).collect();
    assert!(stayed.contains(&"claims") && stayed.contains(&"migrations"), "{stayed:?}");
    let store = to.open(&tool()).unwrap();
    let found = store.read_blocking(|sql| {
        let mut found = Vec::new();
        let text = "SELECT claimed_by, epoch, (SELECT lease_holder FROM tokens), (SELECT lease_until FROM tokens), \
                    (SELECT count(*) FROM claims) FROM triggers";
        sql.query(text, &[], &mut |row| {
            found.push((row.is_null(0)?, row.int(1)?, row.is_null(2)?, row.is_null(3)?, row.int(4)?));
            Ok(())
        })?;
        Ok(found)
    });
    assert_eq!(found, Ok(vec![(true, 7, true, true, 0)]));
}

#[test]
fn what_was_published_moves_among_hosts_alone_and_is_counted_on() {
    let (one, other, file) = (Place::new(On::Postgres), Place::new(On::Postgres), Place::new(On::Sqlite));
    let publish = |place: &Place, files: &str| {
        let store = Store::new(place.open(&tool()).unwrap());
        let version = run(store.publish(files.to_owned(), NOW)).unwrap();
        run(store.close()).unwrap();
        version
    };
    assert_eq!((publish(&one, "a"), publish(&one, "b")), ((1, true), (2, true)));
    copied(&one, &other).unwrap();
    assert_eq!((publish(&other, "b"), publish(&other, "c")), ((2, false), (3, true)));
    // A host on a file has its own; a stale copy of it must not come back later.
    let stayed = copied(&one, &file).unwrap().stayed;
    assert!(stayed.iter().any(|table| (table.table.as_str(), table.rows) == ("publications", 2)), "{stayed:?}");
    // Published first, then copied: the project stays as it was published.
    let fresh = Place::new(On::Postgres);
    publish(&fresh, "d");
    copied(&file, &fresh).unwrap();
    assert_eq!(publish(&fresh, "d"), (1, false));
}

#[rstest]
fn portions_fit_into_little_memory_and_miss_nothing(#[values(On::Sqlite, On::Postgres)] on: On) {
    let (from, to) = (Place::new(on), Place::new(On::Sqlite));
    write(&from, |sql| {
        let rows: Vec<Vec<Param<'static>>> = (0..2_500)
            .map(|number: i64| {
                params![format!("f{}", number % 3), number % 2, format!("k{number}"), number, 0].to_vec()
            })
            .collect();
        sql.execute_many(
            "INSERT INTO ledger (flow, generation, key, first_seen, last_seen) VALUES ($1, $2, $3, $4, $5)",
            &rows,
        )?;
        // Small ones, and among them some of a megabyte, and one that is more than a portion by itself.
        for number in 0..60 {
            let length = [3, 1_000_000, 3, 3, 5_000_000][usize::try_from(number % 5).unwrap()]
                / if number > 9 { 900 } else { 1 };
            let insert = "INSERT INTO definitions (hash, body, created_at) VALUES ($1, $2, 0)";
            sql.execute(insert, params![format!("h{number:02}"), "ü".repeat(length)])?;
        }
        Ok(())
    });
    let store = from.open(&tool()).unwrap();
    let sizes = store.read_blocking(|sql| {
        let mut sizes: Vec<(String, usize, usize)> = Vec::new();
        for table in tables(sql, false)?.moving {
            portions::read(sql, &table, &mut |rows| {
                let bytes = rows.iter().flatten().map(|value| match value {
                    Param::Text(text) => text.len(),
                    _ => 0,
                });
                sizes.push((table.name.clone(), rows.len(), bytes.sum()));
                Ok(())
            })?;
        }
        Ok(sizes)
    });
    store.close_blocking().unwrap();
    let sizes = sizes.unwrap();
    assert!(sizes.iter().all(|(_, rows, bytes)| *bytes <= 4 * 1024 * 1024 || *rows == 1), "{sizes:?}");
    let ledger: Vec<usize> = sizes.iter().filter(|(name, ..)| name == "ledger").map(|(_, rows, _)| *rows).collect();
    assert_eq!(ledger, [1_000, 1_000, 500]);
    let copied = copied(&from, &to).unwrap();
    let rows = |name: &str| copied.tables.iter().find(|table| table.table == name).unwrap().rows;
    assert_eq!((rows("ledger"), rows("definitions")), (2_500, 60));
}

#[test]
fn a_text_that_the_target_cannot_hold_is_refused_and_named() {
    let (from, to) = (Place::new(On::Sqlite), Place::new(On::Postgres));
    write(&from, |sql| {
        for (key, message) in [("a", "fine"), ("b", "a secret\0word")] {
            let insert = "INSERT INTO notices (id, kind, message, at, raised) VALUES ($1, 'gap', $2, 0, 0)";
            sql.execute(insert, params![key, message])?;
        }
        Ok(())
    });
    let refused = copied(&from, &to).unwrap_err();
    assert_eq!(refused.code, code::TEXT);
    assert!(refused.message.contains("row 2 of `notices`") && refused.message.contains("`message`"), "{refused}");
    assert!(!refused.to_string().contains("secret"), "{refused}");
    // What was begun there is no store, for a host or a tool, until a copy is whole.
    for options in [host(), tool(), end(Side::From)] {
        assert_eq!(to.open(&options).err().unwrap().code, code::UNFINISHED);
    }
    write(&from, |sql| sql.batch("DELETE FROM notices WHERE id = 'b'"));
    copied(&from, &to).unwrap();
    to.open(&host()).unwrap();
    // A file holds it.
    let (from, to) = (Place::new(On::Sqlite), Place::new(On::Sqlite));
    write(&from, |sql| sql.execute("INSERT INTO blocks VALUES ($1, 'c', NULL, 0)", params!["a\0b"]).map(|_| ()));
    copied(&from, &to).unwrap();
    assert_eq!(dump(&from), dump(&to));
}

/// A target that bends what it is given: the digests must show it, and nothing may be left.
#[test]
fn an_end_that_differs_is_found_and_nothing_is_left() {
    let (from, to) = (Place::new(On::Postgres), Place::new(On::Sqlite));
    let ledger = |sql: &mut dyn Sql| sql.batch("INSERT INTO ledger VALUES ('f', 0, 'a', 1, 2), ('f', 0, 'b', 1, 2)");
    write(&from, ledger);
    write(&to, |sql| {
        sql.batch(
            "CREATE TRIGGER bends AFTER INSERT ON ledger WHEN NEW.key = 'b' BEGIN \
             UPDATE ledger SET last_seen = 3 WHERE key = 'b'; END",
        )
    });
    let refused = copied(&from, &to).unwrap_err();
    assert_eq!(refused.code, code::DIFFERS);
    assert!(refused.message.contains("`ledger` has 2 rows"), "{refused}");
    write(&to, |sql| {
        assert!(portions::is_empty(sql, "ledger")?);
        sql.batch("DROP TRIGGER bends")
    });
    copied(&from, &to).unwrap();
}

#[test]
fn ends_that_are_not_known_whole_are_refused() {
    let (from, to) = (Place::new(On::Sqlite), Place::new(On::Sqlite));
    assert_eq!(copied(&from, &to).unwrap_err().code, code::MISSING);
    assert_eq!(copied(&Place::new(On::Postgres), &to).unwrap_err().code, code::MISSING);
    write(&from, |sql| sql.batch("CREATE TABLE theirs (a TEXT PRIMARY KEY)"));
    let refused = copied(&from, &to).unwrap_err();
    assert!(refused.code == code::TABLES && refused.message.contains("`theirs`"), "{refused}");
    write(&from, |sql| sql.batch("DROP TABLE theirs; INSERT INTO migrations VALUES (98, 'more', 'sum', 1, 0)"));
    // It can be worked on, but a copy might leave something out.
    from.open(&host()).unwrap().close_blocking().unwrap();
    assert_eq!(copied(&from, &to).unwrap_err().code, code::NEWER);
    let Place::Sqlite { path, .. } = &to else { panic!() };
    assert!(!path.exists(), "a target was made for nothing");
}

/// A host that was stopped in its tracks holds its session although its lease is over: it may wake.
#[rstest]
fn a_host_at_work_is_named(#[values(On::Sqlite, On::Postgres)] on: On) {
    let (one, other) = (Place::new(on), Place::new(On::Sqlite));
    let at_work = one.open(&host()).unwrap();
    write(&other, |sql| sql.batch("INSERT INTO ledger VALUES ('f', 0, 'a', 1, 2)"));
    let expected = if on == On::Sqlite { code::LOCKED } else { code::IN_USE };
    for (from, to) in [(&one, &Place::new(On::Sqlite)), (&other, &one)] {
        let refused = copied(from, to).unwrap_err();
        assert_eq!(refused.code, expected, "{refused}");
        assert!(refused.message.contains(&format!("process {}", std::process::id())), "{refused}");
    }
    at_work.close_blocking().unwrap();
    copied(&other, &one).unwrap();
}

/// Whoever writes beside it waits: a write that came between would be in the source alone.
#[rstest]
fn nobody_writes_to_a_source_that_is_copied(#[values(On::Sqlite, On::Postgres)] on: On) {
    let (from, to) = (Place::new(on), Place::new(On::Sqlite));
    write(&from, |sql| sql.batch("INSERT INTO ledger VALUES ('f', 0, 'a', 1, 2)"));
    let source = from.open(&end(Side::From)).unwrap();
    let beside = match &from {
        Place::Sqlite { .. } => Some(from.open(&Options { busy_timeout_ms: 50, ..tool() }).unwrap()),
        Place::Postgres(_) => None,
    };
    let (told, mut progress) = unbounded_channel();
    let mut blocked = None;
    let insert = "INSERT INTO ledger VALUES ('f', 0, 'beside', 1, 2)";
    let copied = run(copy(
        &source,
        || {
            blocked = Some(match (&from, &beside) {
                (Place::Postgres(database), _) => database.fails(&format!("SET lock_timeout = '50ms'; {insert}")),
                (_, Some(beside)) => beside.transaction_blocking(move |sql| sql.batch(insert)).is_err(),
                _ => false,
            });
            to.open(&end(Side::To))
        },
        false,
        told,
    ));
    assert!(copied.unwrap().tables.iter().any(|table| (table.table.as_str(), table.rows) == ("ledger", 1)));
    assert_eq!(blocked, Some(true), "a write came between");
    assert_eq!(progress.try_recv(), Ok(Progress::Written { table: "ledger".to_owned(), rows: 1 }));
    close(source);
    write(&from, move |sql| sql.batch(insert));
}

fn close(store: Handle) {
    store.close_blocking().unwrap();
}
