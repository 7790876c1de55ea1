//! A host and a tool on one store at the same time, and what one leaves behind for the other.

use std::fs;
use std::path::Path;

use super::super::{Options, Result, Sql, code, open, params};
use super::{BREAKING, ONE, count, host, insert, open_host, place};

/// Reads, then writes what it read: lost updates and upgrades of a stale read would both show.
fn increment(sql: &mut dyn Sql) -> Result<()> {
    let mut size = 0;
    sql.query("SELECT size FROM notes WHERE id = 'counter'", &[], &mut |row| {
        size = row.int(0)?;
        Ok(())
    })?;
    sql.execute("UPDATE notes SET size = $1 WHERE id = 'counter'", params![size + 1])?;
    Ok(())
}

#[test]
fn a_host_and_a_tool_wait_for_each_others_writes() {
    let (_directory, path) = place();
    let host = open_host(&path);
    host.transaction_blocking(|sql| insert(sql, "counter")).unwrap();
    let tool = open(&path, &Options::new(&ONE, 0)).unwrap();
    let threads: Vec<_> = [host.clone(), tool]
        .into_iter()
        .map(|store| std::thread::spawn(move || (0..200).try_for_each(|_| store.transaction_blocking(increment))))
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), Ok(()));
    }
    let size = host.read_blocking(|sql| {
        let mut size = 0;
        sql.query("SELECT size FROM notes", &[], &mut |row| {
            size = row.int(0)?;
            Ok(())
        })?;
        Ok(size)
    });
    assert_eq!(size, Ok(404));
}

#[test]
fn a_host_that_closes_empties_the_log_although_a_tool_is_there() {
    let (_directory, path) = place();
    let host = open_host(&path);
    let tool = open(&path, &Options::new(&ONE, 0)).unwrap();
    host.transaction_blocking(|sql| insert(sql, "kept")).unwrap();
    let log = path.with_extension("db-wal");
    assert!(fs::metadata(&log).unwrap().len() > 0);
    host.close_blocking().unwrap();
    assert_eq!(fs::metadata(&log).unwrap().len(), 0);
    assert_eq!(tool.read_blocking(count), Ok(1));
}

/// The version must be in the file's own header, where the older program finds it without opening the file.
#[test]
fn a_newer_store_that_crashed_right_after_its_migration_is_refused_and_left_alone() {
    let (directory, path) = place();
    open_host(&path).close_blocking().unwrap();
    let newer = open(&path, &host(&BREAKING)).unwrap();
    let crashed = tempfile::tempdir().unwrap();
    for name in ["tidegate.db", "tidegate.db-wal"] {
        fs::copy(directory.path().join(name), crashed.path().join(name)).unwrap();
    }
    let before = listing(crashed.path());
    let refused = open(&crashed.path().join("tidegate.db"), &host(&ONE)).err().unwrap();
    assert_eq!(refused.code, code::NEWER);
    assert_eq!(listing(crashed.path()), before);
    newer.close_blocking().unwrap();
}

fn listing(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let files = directory.read_dir().unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<_> =
        files.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap())).collect();
    files.sort();
    files
}

/// Closing any handle on a file drops all of the process's POSIX locks on it, SQLite's among them; another
/// process could then take the log away.
#[cfg(target_os = "linux")]
#[test]
fn opening_a_store_again_in_one_process_keeps_the_locks_of_the_first() {
    use std::os::unix::fs::MetadataExt;
    let (_directory, path) = place();
    let store = open_host(&path);
    let inode = format!(":{} ", fs::metadata(&path).unwrap().ino());
    let locked = || {
        let locks = fs::read_to_string("/proc/locks").unwrap();
        locks.lines().any(|line| line.contains("POSIX") && line.contains(&inode))
    };
    store.read_blocking(count).unwrap();
    assert!(locked());
    assert_eq!(open(&path, &host(&ONE)).err().unwrap().code, code::LOCKED);
    open(&path, &Options::new(&ONE, 0)).unwrap().close_blocking().unwrap();
    assert!(locked());
}
