//! What only PostgreSQL has: several writers, connections that are lost, TLS, and databases that are refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use super::super::{Change, Handle, Options, Result, Sql, code, open_postgres, params};
use super::ports::free_port;
use super::server::{self, Server};
use super::{ONE, TWO, count, host, insert};

fn open(database: &server::Database) -> Handle {
    open_postgres(&database.url(), &host(&ONE)).unwrap()
}

/// Closures from many tasks at once, each of which inserts a row and must be acknowledged exactly once.
fn hammer(store: &Handle, disturb: impl FnOnce()) -> u32 {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let acknowledged = Arc::new(AtomicU32::new(0));
    let tasks: Vec<_> = (0..16)
        .map(|lane| {
            let (store, is_over, acknowledged) = (store.clone(), Arc::clone(&is_over), Arc::clone(&acknowledged));
            runtime.spawn(async move {
                for number in 0.. {
                    if is_over.load(Ordering::SeqCst) {
                        return;
                    }
                    // The same row twice would be refused: a commit that is run again shows.
                    store.transaction(move |sql| insert(sql, &format!("{lane} {number}"))).await.unwrap();
                    acknowledged.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    disturb();
    is_over.store(true, Ordering::SeqCst);
    runtime.block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
    });
    acknowledged.load(Ordering::SeqCst)
}

#[expect(clippy::disallowed_methods, reason = "between two looks at another process")]
fn pause(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

#[test]
fn cut_connections_lose_and_double_nothing() {
    let database = server::database();
    let store = open(&database);
    let acknowledged = hammer(&store, || {
        for _ in 0..25 {
            pause(20);
            database.sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE datname = current_database() AND pid <> pg_backend_pid()",
            );
        }
    });
    assert!(acknowledged > 100, "{acknowledged}");
    assert_eq!(store.read_blocking(count), Ok(acknowledged.into()));
    store.close_blocking().unwrap();
    let left = database.sql("SELECT count(*) FROM commits").parse::<u32>().unwrap();
    assert!(left < 2_000, "marks are removed: {left}");
}

#[test]
fn a_database_that_crashes_and_restarts_is_waited_out() {
    let server = Server::start();
    let database = server.database();
    let store = open(&database);
    let acknowledged = hammer(&store, || {
        for mode in ["immediate", "fast", "immediate"] {
            pause(150);
            server.stop(mode);
            pause(100);
            server.start_again();
        }
        pause(300);
    });
    assert!(acknowledged > 100, "{acknowledged}");
    assert_eq!(store.read_blocking(count), Ok(acknowledged.into()));
}

#[test]
fn a_tool_does_not_wait_for_ever_and_nothing_it_says_is_secret() {
    let server = Server::start();
    let database = server.database();
    let tool = open_postgres(&database.url(), &Options::new(&ONE, 0)).unwrap();
    tool.transaction_blocking(|sql| insert(sql, "one")).unwrap();
    server.stop("fast");
    let error = tool.read_blocking(count).unwrap_err();
    assert_eq!(error.code, code::UNREACHABLE);
    let secret = database.url().replace("postgres@", "postgres:hidden@");
    let error = open_postgres(&secret, &Options::new(&ONE, 0)).err().unwrap();
    assert_eq!(error.code, code::UNREACHABLE);
    assert!(!error.to_string().contains("hidden"), "{error}");
    server.start_again();
    assert_eq!(tool.read_blocking(count), Ok(1), "it is there again");
}

#[test]
fn what_is_in_each_others_way_is_run_again() {
    let database = server::database();
    // The server looks for deadlocks after a second of waiting unless told otherwise, and here there are hundreds.
    let address = format!("{}?options=-cdeadlock_timeout%3D10ms", database.url());
    let store = open_postgres(&address, &host(&ONE)).unwrap();
    store.transaction_blocking(|sql| insert(sql, "a").and_then(|()| insert(sql, "b"))).unwrap();
    // Rows locked in opposite orders by transactions of several threads: deadlocks are certain in time.
    let add = |sql: &mut dyn Sql, id: &str| {
        sql.execute("UPDATE notes SET size = size + 1 WHERE id = $1", params![id]).map(|_| ())
    };
    let threads: Vec<_> = (0..8)
        .map(|lane| {
            let store = store.clone();
            std::thread::spawn(move || {
                (0..50).try_for_each(|_| {
                    store.transaction_blocking(move |sql| {
                        let (first, second) = if lane % 2 == 0 { ("a", "b") } else { ("b", "a") };
                        add(sql, first)?;
                        add(sql, second)
                    })
                })
            })
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), Ok(()));
    }
    assert_eq!(database.sql("SELECT sum(size) FROM notes"), (8 + 2 * 8 * 50).to_string());
    // A session tells its counts when it ends.
    store.close_blocking().unwrap();
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_ne!(database.sql(deadlocks), "0", "nothing was in each other's way");
}

#[test]
fn what_is_not_ours_is_refused_and_left_alone() {
    let database = server::database();
    database.sql("CREATE TABLE theirs (a TEXT)");
    let refused = open_postgres(&database.url(), &host(&ONE)).err().unwrap();
    assert_eq!(refused.code, code::NOT_OURS, "{refused}");
    database.sql("CREATE TABLE migrations (version BIGINT)");
    assert_eq!(open_postgres(&database.url(), &host(&ONE)).err().unwrap().code, code::NOT_OURS);
    let tables = "SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class \
                  WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace";
    assert_eq!(database.sql(tables), "migrations,theirs");
    database.sql("CREATE SCHEMA gate");
    let beside = format!("{}?options=-csearch_path%3Dgate", database.url());
    let store = open_postgres(&beside, &host(&ONE)).unwrap();
    store.transaction_blocking(|sql| insert(sql, "one")).unwrap();
    assert_eq!(database.sql("SELECT count(*) FROM gate.notes"), "1");
}

#[test]
fn a_login_that_is_refused_and_a_database_that_is_not_there() {
    let database = server::database();
    for (from, to) in [("postgres@", "nobody:hidden@"), ("/test_", "/no_test_")] {
        let refused = open_postgres(&database.url().replacen(from, to, 1), &host(&ONE)).err().unwrap();
        assert_eq!(refused.code, code::LOGIN, "{refused}");
        assert!(!refused.to_string().contains("hidden"), "{refused}");
    }
}

#[test]
fn hosts_that_start_together_make_the_tables_once() {
    let database = server::database();
    let url = database.url();
    let threads: Vec<_> = (0..6)
        .map(|number| {
            let url = url.clone();
            std::thread::spawn(move || -> Result<()> {
                let store = open_postgres(&url, &host(&ONE))?;
                store.transaction_blocking(move |sql| insert(sql, &number.to_string()))
            })
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), Ok(()));
    }
    assert_eq!(database.sql("SELECT count(*) FROM notes"), "6");
    assert_eq!(database.sql("SELECT count(*) FROM migrations"), "1");
}

#[test]
fn tables_that_would_break_older_hosts_are_changed_when_these_are_gone() {
    let database = server::database();
    let older = open(&database);
    open_postgres(&database.url(), &host(&TWO)).unwrap().close_blocking().unwrap();
    older.transaction_blocking(|sql| insert(sql, "one")).unwrap();
    static BREAKS_LATER: [super::super::Migration; 3] = [
        super::notes(),
        super::tags(Change::Expands),
        super::super::Migration {
            version: 3,
            name: "stricter",
            change: Change::Breaks,
            sql: |_| "ALTER TABLE notes ALTER COLUMN tag SET NOT NULL".into(),
        },
    ];
    let refused = open_postgres(&database.url(), &host(&BREAKS_LATER)).err().unwrap();
    assert_eq!(refused.code, code::IN_USE, "{refused}");
    assert!(refused.message.contains(&format!("process {}", std::process::id())), "{refused}");
    older.transaction_blocking(|sql| insert(sql, "two")).unwrap();
    older.close_blocking().unwrap();
    database.sql("UPDATE notes SET tag = 'none'");
    open_postgres(&database.url(), &host(&BREAKS_LATER)).unwrap();
    assert_eq!(open_postgres(&database.url(), &host(&TWO)).err().unwrap().code, code::NEWER);
}

#[test]
fn tls_is_as_the_address_asks_for() {
    let port = free_port();
    let (_server, certificate) = Server::start_encrypted(port);
    let encrypted = |query: &str| -> Result<i64> {
        // The host's name as the certificate says it, or its number.
        let host = if query.contains("number") { "127.0.0.1" } else { "localhost" };
        let url = format!("postgres://postgres@{host}:{port}/postgres?{}", query.replace("number&", ""));
        let store = open_postgres(&url, &Options::new(&ONE, 0))?;
        store.read_blocking(|sql| {
            let mut found = 0;
            sql.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", &[], &mut |row| {
                found = row.int(0)?;
                Ok(())
            })?;
            Ok(found)
        })
    };
    let roots = format!("sslrootcert={}", certificate.display());
    assert_eq!(encrypted("sslmode=disable"), Ok(0));
    assert_eq!(encrypted(""), Ok(1), "where the server can");
    assert_eq!(encrypted("number&sslmode=require"), Ok(1));
    assert_eq!(encrypted(&format!("sslmode=verify-full&{roots}")), Ok(1));
    let refused = |query: &str| encrypted(query).unwrap_err().code;
    assert_eq!(refused("sslmode=verify-full"), code::UNREACHABLE, "nobody known signed it");
    assert_eq!(refused(&format!("number&sslmode=verify-full&{roots}")), code::UNREACHABLE, "it names another host");
    assert_eq!(refused("sslmode=verify-full&sslrootcert=/nowhere.pem"), code::ADDRESS);
}
