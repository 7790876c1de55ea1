//! A store's life: made, written, closed, opened again; tools beside a host; a full disk.

use rusqlite::Connection;

use super::super::session::numbered;
use super::super::{Migration, Options, Param, code, open, params};
use super::{ONE, TWO, count, host, insert, open_host, place};

#[test]
fn a_store_survives_being_closed_and_leaves_no_log_behind() {
    let (directory, path) = place();
    let store = open_host(&path);
    store.transaction_blocking(|sql| insert(sql, "kept")).unwrap();
    store.close_blocking().unwrap();
    let mut names: Vec<_> = directory.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["tidegate.db", "tidegate.db.lock"]);
    assert_eq!(open_host(&path).read_blocking(count), Ok(1));
}

#[test]
fn the_settings_that_the_promises_rest_on() {
    let (_directory, path) = place();
    let store = open_host(&path);
    let asked = store
        .transaction_blocking(|sql| {
            let mut answers = Vec::new();
            for pragma in [
                "synchronous",
                "auto_vacuum",
                "application_id",
                "user_version",
                "foreign_keys",
                "mmap_size",
                "temp_store",
            ] {
                sql.query(&format!("PRAGMA {pragma}"), &[], &mut |row| {
                    answers.push((pragma, row.int(0)?));
                    Ok(())
                })?;
            }
            Ok(answers)
        })
        .unwrap();
    let expected = [
        ("synchronous", 2),
        ("auto_vacuum", 2),
        ("application_id", 0x5469_6465),
        ("user_version", 1),
        ("foreign_keys", 1),
        ("mmap_size", 0),
        ("temp_store", 2),
    ];
    assert_eq!(asked, expected);
    let mode: String = Connection::open(&path).unwrap().query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
}

#[test]
fn values_come_back_as_they_went_in() {
    let (_directory, path) = place();
    let store = open_host(&path);
    store
        .transaction_blocking(|sql| {
            let statement = "INSERT INTO notes (size, id, raw, body) VALUES ($3, $1, $4, $2)";
            sql.execute_many(
                statement,
                &[
                    vec!["a".into(), Param::Null, i64::MIN.into(), vec![0_u8, 255].into()],
                    vec!["b".into(), String::from("ü $1 {{x}}").into(), true.into(), None::<&[u8]>.into()],
                ],
            )
        })
        .unwrap();
    let rows = store
        .read_blocking(|sql| {
            let mut rows = Vec::new();
            sql.query("SELECT id, body, size, raw FROM notes WHERE id <> '$1' ORDER BY id", &[], &mut |row| {
                let bytes = row.opt_bytes(3)?.map(<[u8]>::to_vec);
                rows.push((row.text(0)?.to_owned(), row.opt_text(1)?.map(str::to_owned), row.int(2)?, bytes));
                assert_eq!(row.text(2).unwrap_err().code, code::COLUMN);
                assert_eq!(row.int(9).unwrap_err().code, code::COLUMN);
                Ok(())
            })?;
            Ok(rows)
        })
        .unwrap();
    let expected = [("a".into(), None, i64::MIN, Some(vec![0, 255])), ("b".into(), Some("ü $1 {{x}}".into()), 1, None)];
    assert_eq!(rows, expected);
    let few = store.read_blocking(|sql| sql.query("SELECT $1, $2", params![1], &mut |_| Ok(()))).unwrap_err();
    assert_eq!(few.code, code::STATEMENT);
}

#[test]
fn parameters_are_numbered_outside_of_quotes_and_comments_only() {
    let cases = [
        ("SELECT $2, $1", "SELECT ?2, ?1"),
        ("a->>'$.x' = $1", "a->>'$.x' = ?1"),
        ("'it''s $1' || $12", "'it''s $1' || ?12"),
        ("\"$1\" - $1 / $2", "\"$1\" - ?1 / ?2"),
        ("$1 -- $2\n, $3 /* $4 */ + $5", "?1 -- $2\n, ?3 /* $4 */ + ?5"),
        ("é = $1 AND b = '$1", "é = ?1 AND b = '$1"),
        ("/*/ $1 */ $2", "/*/ $1 */ ?2"),
    ];
    for (text, expected) in cases {
        assert_eq!(numbered(text), expected);
    }
}

#[test]
fn statements_made_at_run_time_are_told_apart_although_memory_is_reused() {
    let (_directory, path) = place();
    let store = open_host(&path);
    for number in 0..1200 {
        let answered = store.read_blocking(move |sql| {
            let mut answer = 0;
            sql.query(&format!("SELECT {}", 10_000 + number), &[], &mut |row| {
                answer = row.int(0)?;
                Ok(())
            })?;
            Ok(answer)
        });
        assert_eq!(answered, Ok(10_000 + number));
    }
}

#[test]
fn a_second_host_is_told_who_the_first_is() {
    let (_directory, path) = place();
    let store = open_host(&path);
    let refused = open(&path, &host(&ONE)).err().unwrap();
    assert_eq!(refused.code, code::LOCKED);
    assert!(
        refused.message.contains(&format!("process {}, listening on 127.0.0.1:7400", std::process::id())),
        "{refused}"
    );
    store.transaction_blocking(|sql| insert(sql, "unharmed")).unwrap();
    store.close_blocking().unwrap();
    assert_eq!(open_host(&path).read_blocking(count), Ok(1));
}

#[tokio::test]
async fn a_host_notices_what_a_tool_writes_and_not_what_it_writes_itself() {
    let (_directory, path) = place();
    let store = open_host(&path);
    let before = store.data_version().await.unwrap();
    store.transaction(|sql| insert(sql, "by the host")).await.unwrap();
    assert_eq!(store.data_version().await, Ok(before));
    let tool = open(&path, &Options::new(&ONE, 0)).unwrap();
    tool.transaction(|sql| insert(sql, "by the tool")).await.unwrap();
    assert_ne!(store.data_version().await, Ok(before));
    tool.close().await.unwrap();
    assert_eq!(store.read(count).await, Ok(2));
}

#[test]
fn a_tool_changes_the_schema_only_where_no_host_is_at_work() {
    let (_directory, path) = place();
    let store = open_host(&path);
    let newer = Options::new(&TWO, 0);
    assert_eq!(open(&path, &newer).err().unwrap().code, code::LOCKED);
    store.close_blocking().unwrap();
    open(&path, &newer).unwrap().transaction_blocking(|sql| sql.batch("INSERT INTO tags VALUES ('x')")).unwrap();
}

#[test]
fn each_migration_is_whole_or_not_there() {
    static BROKEN: [Migration; 2] = [
        super::notes(),
        super::expanding(2, "broken", |_| "CREATE TABLE half (a TEXT); CREATE TABLE notes (a TEXT)".into()),
    ];
    let (_directory, path) = place();
    assert_eq!(open(&path, &host(&BROKEN)).err().unwrap().code, code::STATEMENT);
    let store = open(&path, &host(&TWO)).unwrap();
    let tables = store.read_blocking(|sql| {
        let mut names = Vec::new();
        sql.query("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name", &[], &mut |row| {
            names.push(row.text(0)?.to_owned());
            Ok(())
        })?;
        Ok(names)
    });
    assert_eq!(tables.unwrap(), ["migrations", "notes", "tags"]);
}

#[test]
fn a_full_disk_loses_nothing_and_work_goes_on_when_there_is_space() {
    let (_directory, path) = place();
    let store = open_host(&path);
    store.transaction_blocking(|sql| insert(sql, "before")).unwrap();
    limit_pages(&store, 12);
    let large = "x".repeat(200_000);
    let body = large.clone();
    let fill = move |sql: &mut dyn super::Sql| {
        sql.execute("INSERT INTO notes (id, body, size) VALUES ($1, $2, $3)", params!["large", body.as_str(), 200_000])
    };
    let refused = store.transaction_blocking(fill.clone()).unwrap_err();
    assert_eq!((refused.code, refused.retryable), (code::FULL, true));
    assert_eq!(store.read_blocking(count), Ok(1));
    limit_pages(&store, 1_000_000);
    assert_eq!(store.transaction_blocking(fill), Ok(1));
    assert_eq!(store.read_blocking(count), Ok(2));
}

fn limit_pages(store: &super::Handle, pages: u32) {
    let statement = format!("PRAGMA max_page_count = {pages}");
    store.transaction_blocking(move |sql| sql.query(&statement, &[], &mut |_| Ok(()))).unwrap();
}

#[tokio::test]
async fn free_pages_are_handed_back() {
    let (_directory, path) = place();
    let store = open_host(&path);
    store
        .transaction(|sql| {
            sql.execute("INSERT INTO notes (id, body, size) VALUES ('large', $1, 1)", params!["x".repeat(400_000)])
        })
        .await
        .unwrap();
    store.transaction(|sql| sql.execute("DELETE FROM notes", &[])).await.unwrap();
    let free = |sql: &mut dyn super::Sql| {
        let mut pages = 0;
        sql.query("PRAGMA freelist_count", &[], &mut |row| {
            pages = row.int(0)?;
            Ok(())
        })?;
        Ok(pages)
    };
    let before = store.read(free).await.unwrap();
    store.vacuum_some(50).await.unwrap();
    assert_eq!(store.read(free).await, Ok(before - 50));
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let (_directory, path) = place();
    let store = open_host(&path);
    let clone = store.clone();
    store.close().await.unwrap();
    assert_eq!(clone.read(count).await.unwrap_err().code, code::CLOSED);
    assert_eq!(clone.transaction(|sql| insert(sql, "late")).await.unwrap_err().code, code::CLOSED);
}

#[test]
fn the_last_handle_may_go_down_inside_a_closure() {
    let (_directory, path) = place();
    let store = open_host(&path);
    let inside = store.clone();
    let mut kept = Some(inside);
    let (sender, receiver) = std::sync::mpsc::channel();
    let outer = std::thread::spawn(move || {
        let done = store.transaction_blocking(move |sql| {
            insert(sql, "last")?;
            receiver.recv().unwrap();
            drop(kept.take());
            Ok(())
        });
        (store, done)
    });
    sender.send(()).unwrap();
    let (store, done) = outer.join().unwrap();
    assert_eq!(done, Ok(()));
    drop(store);
    assert_eq!(open_host(&path).read_blocking(count), Ok(1));
}
