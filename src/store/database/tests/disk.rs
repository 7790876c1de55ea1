//! A disk that refuses a write in the middle of a COMMIT, played by the limit on the size of a process's
//! files: it can be set for a child process only, so the test runs itself again in one.

use std::process::Command;
use std::sync::mpsc::channel;

use super::super::{GroupBounds, Options, Result, Sql, code, open, params};
use super::{ONE, count, host, insert, open_host, place};

#[cfg(unix)]
#[test]
fn a_commit_that_the_disk_refuses_acknowledges_nothing_and_is_recovered_from() {
    let child = Command::new("sh")
        .args(["-c", r#"trap '' XFSZ; ulimit -f 4096; exec "$0" --exact store::database::tests::disk::under_a_limit --ignored --nocapture"#])
        .arg(std::env::current_exe().unwrap())
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    assert!(child.status.success() && out.contains("1 passed"), "{out}\n{err}");
}

#[test]
#[ignore = "the part of the test above that runs in a child process"]
fn under_a_limit() {
    let (_directory, path) = place();
    // A group may wait for the test's slow first closure.
    let options = Options { group: GroupBounds { rows: 1000, time_ms: 60_000 }, ..host(&ONE) };
    let store = open(&path, &options).unwrap();
    let (release, held) = channel::<()>();
    let (started, begun) = channel::<()>();
    let first = store.clone();
    let first = std::thread::spawn(move || {
        first.transaction_blocking(move |sql| {
            started.send(()).ok();
            held.recv().ok();
            insert(sql, "first")
        })
    });
    begun.recv().unwrap();
    // Smaller than the page cache, so that nothing is written before the COMMIT; larger than the limit.
    let large = "x".repeat(5_000_000);
    let fill = move |sql: &mut dyn Sql| -> Result<()> {
        sql.execute("INSERT INTO notes (id, body, size) VALUES ('large', $1, 1)", params![large.as_str()]).map(|_| ())
    };
    let second = store.clone();
    let second = std::thread::spawn(move || second.transaction_blocking(fill));
    #[expect(clippy::disallowed_methods, reason = "nothing tells that a closure waits in the queue")]
    let arrive = || std::thread::sleep(std::time::Duration::from_millis(300));
    // Lets the second arrive, so that both are one group; were it late, the first would succeed and fail the test.
    arrive();
    release.send(()).unwrap();
    let (first, second) = (first.join().unwrap(), second.join().unwrap());
    assert_eq!(first.map_err(|error| (error.code, error.retryable)), Err((code::IO, true)));
    assert_eq!(second.map_err(|error| error.code), Err(code::IO));
    assert_eq!(store.read_blocking(count), Ok(0));
    store.transaction_blocking(|sql| insert(sql, "afterwards")).unwrap();
    store.close_blocking().unwrap();
    assert_eq!(open_host(&path).read_blocking(count), Ok(1));
}
