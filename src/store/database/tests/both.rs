//! What the seam promises on every database: one source, run on each.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rstest::rstest;

use super::super::{Change, Error, Migration, Options, Result, Sql, code, params};
use super::place::{On, Place};
use super::{BREAKING, ONE, TWO, count, host, insert};

#[rstest]
fn values_come_back_as_they_went(#[values(On::Sqlite, On::Postgres)] on: On) {
    let place = Place::new(on);
    let store = place.open(&host(&ONE)).unwrap();
    let text = "naïve \u{1F30A} 'quoted' $1 \\ \n\u{1}";
    let bytes: Vec<u8> = (0..=255).collect();
    let wrote = bytes.clone();
    store
        .transaction_blocking(move |sql| {
            let row = "INSERT INTO notes (id, body, size, raw) VALUES ($1, $2, $3, $4)";
            sql.execute(row, params![text, "", i64::MIN, wrote.clone()])?;
            sql.execute(row, params!["null", None::<&str>, i64::MAX, None::<Vec<u8>>])
        })
        .unwrap();
    let read = store.read_blocking(|sql| {
        let mut rows = Vec::new();
        sql.query("SELECT id, body, size, raw FROM notes ORDER BY size", &[], &mut |row| {
            let raw = row.opt_bytes(3)?.map(<[u8]>::to_vec);
            rows.push((row.text(0)?.to_owned(), row.opt_text(1)?.map(str::to_owned), row.int(2)?, raw));
            Ok(())
        })?;
        Ok(rows)
    });
    let expected =
        vec![(text.to_owned(), Some(String::new()), i64::MIN, Some(bytes)), ("null".to_owned(), None, i64::MAX, None)];
    assert_eq!(read, Ok(expected));
}

#[rstest]
fn a_column_of_another_type_is_an_error(#[values(On::Sqlite, On::Postgres)] on: On) {
    let place = Place::new(on);
    let store = place.open(&host(&ONE)).unwrap();
    store.transaction_blocking(|sql| insert(sql, "one")).unwrap();
    let read = |what: fn(&dyn super::super::Row) -> Result<()>| {
        store.read_blocking(move |sql| sql.query("SELECT id, size, raw FROM notes", &[], &mut |row| what(row)))
    };
    for wrong in [
        read(|row| row.int(0).map(|_| ())),
        read(|row| row.text(1).map(|_| ())),
        read(|row| row.text(2).map(|_| ())),
        read(|row| row.bytes(0).map(|_| ())),
        read(|row| row.is_null(3).map(|_| ())),
    ] {
        assert_eq!(wrong.unwrap_err().code, code::COLUMN);
    }
}

#[rstest]
fn many_rows_of_one_statement(#[values(On::Sqlite, On::Postgres)] on: On) {
    let place = Place::new(on);
    let store = place.open(&host(&ONE)).unwrap();
    let changed = store.transaction_blocking(|sql| {
        let ids: Vec<String> = (0..1_000).map(|number| number.to_string()).collect();
        let rows: Vec<_> = ids.iter().map(|id| params![id, "x", 1].to_vec()).collect();
        let inserted = sql.execute_many("INSERT INTO notes (id, body, size) VALUES ($1, $2, $3)", &rows)?;
        let rows: Vec<_> = ids.iter().map(|id| params![id].to_vec()).collect();
        Ok((inserted, sql.execute_many("UPDATE notes SET size = 2 WHERE id = $1 AND id < '5'", &rows)?))
    });
    let ids = (0..1_000).filter(|number: &i32| number.to_string().as_str() < "5").count() as u64;
    assert_eq!(changed, Ok((1_000, ids)));
    assert_eq!(store.read_blocking(count), Ok(1_000));
}

#[rstest]
fn an_error_undoes_the_closure_alone(#[values(On::Sqlite, On::Postgres)] on: On) {
    let place = Place::new(on);
    let store = place.open(&host(&ONE)).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    // Handed in together, so that they are grouped in one way or another.
    let outcomes = runtime.block_on(async {
        let tasks: Vec<_> = (0..60)
            .map(|number| {
                let store = store.clone();
                tokio::spawn(async move {
                    store
                        .transaction(move |sql| {
                            insert(sql, &format!("first {number}"))?;
                            match number % 3 {
                                0 => insert(sql, "everybody's"),
                                1 => Err(Error::new("test_refused", "refused", "Nothing")),
                                _ => Ok(()),
                            }
                        })
                        .await
                })
            })
            .collect();
        let mut outcomes = Vec::new();
        for task in tasks {
            outcomes.push(task.await.unwrap());
        }
        outcomes
    });
    let code = |number: usize| outcomes[number].as_ref().err().map(|error| error.code);
    assert_eq!((0..60).filter(|number| number % 3 == 0 && code(*number).is_none()).count(), 1);
    assert_eq!((0..60).filter(|number| code(*number) == Some(code::CONSTRAINT)).count(), 19);
    assert!((0..60).all(|number| (number % 3 == 1) == (code(number) == Some("test_refused"))));
    assert!((0..60).all(|number| number % 3 != 2 || code(number).is_none()));
    assert_eq!(store.read_blocking(count), Ok(20 + 2));
}

#[rstest]
fn a_failed_statement_cannot_be_passed_over(#[values(On::Sqlite, On::Postgres)] on: On) {
    let place = Place::new(on);
    let store = place.open(&host(&ONE)).unwrap();
    let outcome = store.transaction_blocking(|sql| {
        insert(sql, "first")?;
        let _ = insert(sql, "first");
        Ok(())
    });
    assert_eq!(outcome.unwrap_err().code, code::CONSTRAINT);
    assert_eq!(store.read_blocking(count), Ok(0));
}

#[rstest]
fn a_panic_is_rolled_back_and_not_run_again(#[values(On::Sqlite, On::Postgres)] on: On) {
    let place = Place::new(on);
    let store = place.open(&host(&ONE)).unwrap();
    let runs = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&runs);
    let outcome = store.transaction_blocking(move |sql| -> Result<()> {
        insert(sql, "lost")?;
        seen.fetch_add(1, Ordering::SeqCst);
        panic!("a closure of a test")
    });
    assert_eq!(outcome.unwrap_err().code, code::PANICKED);
    store.transaction_blocking(|sql| insert(sql, "after")).unwrap();
    assert_eq!((store.read_blocking(count), runs.load(Ordering::SeqCst)), (Ok(1), 1));
}

#[rstest]
fn a_closure_cannot_end_its_transaction(#[values(On::Sqlite, On::Postgres)] on: On) {
    let place = Place::new(on);
    let store = place.open(&host(&ONE)).unwrap();
    let outcome = store.transaction_blocking(|sql| {
        insert(sql, "kept out")?;
        sql.execute("ROLLBACK", &[])
    });
    assert_eq!(outcome.unwrap_err().code, code::STATEMENT);
    assert_eq!(store.read_blocking(count), Ok(0));
}

#[rstest]
fn a_reader_sees_what_was_committed_before_it_asked_and_cannot_write(#[values(On::Sqlite, On::Postgres)] on: On) {
    let place = Place::new(on);
    let store = place.open(&host(&ONE)).unwrap();
    for number in 0..50 {
        store.transaction_blocking(move |sql| insert(sql, &number.to_string())).unwrap();
        assert_eq!(store.read_blocking(count), Ok(number + 1));
    }
    assert_eq!(store.read_blocking(|sql| insert(sql, "from a reader")).unwrap_err().code, code::READ_ONLY);
    let panicked = store.read_blocking(|_| -> Result<()> { panic!("a reading closure of a test") });
    assert_eq!(panicked.unwrap_err().code, code::PANICKED);
    assert_eq!(store.read_blocking(count), Ok(50), "the reader is still there");
}

#[rstest]
fn what_was_taken_is_done_before_it_is_closed(#[values(On::Sqlite, On::Postgres)] on: On) {
    let place = Place::new(on);
    let store = place.open(&host(&ONE)).unwrap();
    let threads: Vec<_> = (0..20)
        .map(|number| {
            let store = store.clone();
            std::thread::spawn(move || store.transaction_blocking(move |sql| insert(sql, &number.to_string())).is_ok())
        })
        .collect();
    let other = store.clone();
    store.close_blocking().unwrap();
    let done = threads.into_iter().map(|thread| thread.join().unwrap()).filter(|is_done| *is_done).count();
    assert_eq!(other.transaction_blocking(count).unwrap_err().code, code::CLOSED);
    let again = place.open(&host(&ONE)).unwrap();
    assert_eq!(again.read_blocking(count), Ok(done as i64));
}

#[rstest]
fn migrations_are_applied_once_and_guarded(#[values(On::Sqlite, On::Postgres)] on: On) {
    static OTHER: [Migration; 1] = [super::expanding(1, "notes", |_| "CREATE TABLE notes (id TEXT)".into())];
    static BROKEN: [Migration; 3] = [
        super::notes(),
        super::tags(Change::Expands),
        super::expanding(3, "broken", |_| "CREATE TABLE more (a TEXT); CREATE NONSENSE".into()),
    ];
    let place = Place::new(on);
    let open = |migrations| place.open(&host(migrations)).map(super::super::Handle::close_blocking);
    open(&ONE).unwrap().unwrap();
    open(&ONE).unwrap().unwrap();
    assert_eq!(open(&OTHER).unwrap_err().code, code::MIGRATION_CHANGED);
    open(&TWO).unwrap().unwrap();
    open(&ONE).unwrap().unwrap();
    assert_eq!(open(&BROKEN).unwrap_err().code, code::STATEMENT);
    let store = place.open(&Options::new(&TWO, 0)).unwrap();
    store.transaction_blocking(|sql| sql.execute("INSERT INTO tags (name) VALUES ('a')", &[])).unwrap();
    let more = store.read_blocking(|sql| sql.query("SELECT a FROM more", &[], &mut |_| Ok(())));
    assert_eq!(more.unwrap_err().code, code::STATEMENT, "the step that failed left nothing");
}

#[rstest]
fn a_program_works_with_a_store_that_a_newer_one_has_expanded(#[values(On::Sqlite, On::Postgres)] on: On) {
    let place = Place::new(on);
    place.open(&host(&ONE)).unwrap().close_blocking().unwrap();
    let newer = place.open(&host(&TWO)).unwrap();
    newer.transaction_blocking(|sql| insert(sql, "newer")).unwrap();
    newer.close_blocking().unwrap();
    let older = place.open(&host(&ONE)).unwrap();
    older.transaction_blocking(|sql| insert(sql, "older")).unwrap();
    assert_eq!(older.read_blocking(count), Ok(2));
    older.close_blocking().unwrap();
    // What it left is as the newer one made it.
    let newer = place.open(&host(&TWO)).unwrap();
    newer.transaction_blocking(|sql| sql.batch("UPDATE notes SET tag = id; INSERT INTO tags VALUES ('a')")).unwrap();
    assert_eq!(newer.read_blocking(count), Ok(2));
}

#[rstest]
fn a_program_refuses_a_store_that_a_newer_one_has_broken_for_it(#[values(On::Sqlite, On::Postgres)] on: On) {
    static AFTER: [Migration; 3] = [
        super::notes(),
        super::tags(Change::Breaks),
        super::expanding(3, "more", |_| "CREATE TABLE more (a TEXT)".into()),
    ];
    let place = Place::new(on);
    place.open(&host(&ONE)).unwrap().close_blocking().unwrap();
    place.open(&host(&BREAKING)).unwrap().close_blocking().unwrap();
    assert_eq!(place.open(&host(&ONE)).err().unwrap().code, code::NEWER);
    assert_eq!(place.open(&Options::new(&ONE, 0)).err().unwrap().code, code::NEWER);
    // A later step that expands does not let it in again, and lets in whoever knows the one that broke.
    place.open(&host(&AFTER)).unwrap().close_blocking().unwrap();
    let refused = place.open(&host(&ONE)).err().unwrap();
    assert_eq!(refused.code, code::NEWER);
    assert!(refused.message.contains("needs schema version 2, this program knows 1"), "{refused}");
    place.open(&host(&BREAKING)).unwrap().transaction_blocking(|sql| insert(sql, "known")).unwrap();
}

#[rstest]
fn the_dialects_fragments_are_valid(#[values(On::Sqlite, On::Postgres)] on: On) {
    let place = Place::new(on);
    let store = place.open(&host(&ONE)).unwrap();
    let dialect = store.dialect();
    let number = |text: String| {
        store.transaction_blocking(move |sql: &mut dyn Sql| {
            let mut number = None;
            sql.query(&text, &[], &mut |row| {
                number = row.opt_int(0)?;
                Ok(())
            })?;
            Ok(number)
        })
    };
    assert_eq!(number(format!("SELECT {}(2, 3)", dialect.greatest)), Ok(Some(3)));
    assert_eq!(number(format!("SELECT {}(2, 3)", dialect.least)), Ok(Some(2)));
    let now_ms = number(format!("SELECT {}", dialect.now_ms)).unwrap().unwrap();
    assert!((now_ms - crate::clock::Clock::System.now_ms()).abs() < 60_000, "{now_ms}");
    for lock in [dialect.for_update, dialect.for_update_skip_locked] {
        assert_eq!(
            number(format!("SELECT size FROM notes ORDER BY id{} LIMIT 1{lock}", dialect.collate_bytes)),
            Ok(None)
        );
    }
    let texts = dialect.json_texts.replace('?', "$1");
    let found = store.read_blocking(move |sql| {
        let mut found = Vec::new();
        sql.query(&texts, params![r#"["a","ü"]"#], &mut |row| {
            found.push(row.text(0)?.to_owned());
            Ok(())
        })?;
        Ok(found)
    });
    assert_eq!(found, Ok(vec!["a".to_owned(), "ü".to_owned()]));
    store
        .transaction_blocking(move |sql| {
            sql.batch(&format!(
                "CREATE TABLE counted (id {}, name TEXT); INSERT INTO counted (name) VALUES ('a')",
                dialect.counting_key
            ))
        })
        .unwrap();
    let other = place.open(&Options::new(&ONE, 0)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let before = runtime.block_on(store.data_version()).unwrap();
    other.transaction_blocking(|sql| insert(sql, "news")).unwrap();
    assert_ne!(runtime.block_on(store.data_version()).unwrap(), before);
    runtime.block_on(store.vacuum_some(10)).unwrap();
}
