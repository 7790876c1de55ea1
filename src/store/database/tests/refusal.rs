//! Files that are refused, each with its code, and left as they are: same bytes, no file beside them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rusqlite::Connection;

use super::super::{Migration, Options, code, open, params};
use super::{BREAKING, ONE, host, open_host, place};

/// Every file of the directory with its bytes.
fn contents(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = directory.read_dir().unwrap().map(|entry| entry.unwrap());
    files.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap())).collect()
}

fn assert_refused(path: &Path, options: &Options, expected: &str) {
    let before = contents(path.parent().unwrap());
    let refused = open(path, options).err().unwrap();
    assert_eq!(refused.code, expected, "{refused}");
    assert!(refused.message.contains("tidegate.db"), "{refused}");
    assert!(contents(path.parent().unwrap()) == before, "{expected}: the file or what is beside it changed");
}

/// A closed store with some pages in it, alone in its directory; so few that they are checked whole however
/// slow the machine is.
fn closed_store(path: &Path) {
    let store = open_host(path);
    store
        .transaction_blocking(|sql| {
            for number in 0..40 {
                let id = format!("note {number}");
                sql.execute("INSERT INTO notes (id, body, size) VALUES ($1, $2, 1)", params![id, "y".repeat(3000)])?;
            }
            Ok(())
        })
        .unwrap();
    store.close_blocking().unwrap();
    fs::remove_file(path.with_extension("db.lock")).unwrap();
}

#[test]
fn what_is_not_a_store() {
    let cases: [(&str, &[u8]); 3] =
        [("text", b"listen: 127.0.0.1:7400\nstore: tidegate.db\n"), ("long text", &[b'#'; 5000]), ("one byte", b"S")];
    for (name, bytes) in cases {
        let (_directory, path) = place();
        fs::write(&path, bytes).unwrap();
        eprintln!("{name}");
        assert_refused(&path, &host(&ONE), code::NOT_OURS);
    }
}

#[test]
fn the_database_of_another_application() {
    for mode in ["wal", "delete"] {
        let (_directory, path) = place();
        let other = Connection::open(&path).unwrap();
        other
            .execute_batch(&format!(
                "PRAGMA journal_mode = {mode}; CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)"
            ))
            .unwrap();
        drop(other);
        assert_refused(&path, &host(&ONE), code::NOT_OURS);
        assert_refused(&path, &Options::new(&ONE, 0), code::NOT_OURS);
    }
}

#[test]
fn a_store_of_a_newer_program() {
    let (_directory, path) = place();
    open(&path, &host(&BREAKING)).unwrap().close_blocking().unwrap();
    fs::remove_file(path.with_extension("db.lock")).unwrap();
    assert_refused(&path, &host(&ONE), code::NEWER);
    assert_refused(&path, &Options::new(&ONE, 0), code::NEWER);
    open(&path, &host(&BREAKING)).unwrap();
}

#[test]
fn a_migration_whose_text_was_changed() {
    static OTHER: [Migration; 1] = [super::expanding(1, "notes", |_| "CREATE TABLE notes (id TEXT)".into())];
    static SKIPPED: [Migration; 3] = [
        super::notes(),
        super::expanding(2, "tags", |_| "CREATE TABLE tags (name TEXT NOT NULL)".into()),
        super::expanding(3, "more", |_| "CREATE TABLE more (name TEXT)".into()),
    ];
    static WITHOUT: [Migration; 2] =
        [super::notes(), super::expanding(3, "more", |_| "CREATE TABLE more (name TEXT)".into())];
    let (_directory, path) = place();
    closed_store(&path);
    assert_refused(&path, &host(&OTHER), code::MIGRATION_CHANGED);
    open(&path, &host(&WITHOUT)).unwrap().close_blocking().unwrap();
    fs::remove_file(path.with_extension("db.lock")).unwrap();
    assert_refused(&path, &host(&SKIPPED), code::MIGRATION_CHANGED);
}

#[test]
fn a_store_that_was_cut_off() {
    let (_directory, path) = place();
    closed_store(&path);
    let whole = fs::read(&path).unwrap();
    for length in [120, 4096, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        assert_refused(&path, &host(&ONE), code::DAMAGED);
    }
    fs::write(&path, &whole[..99]).unwrap();
    assert_refused(&path, &host(&ONE), code::NOT_OURS);
}

#[test]
fn a_store_with_any_page_overwritten() {
    let (_directory, path) = place();
    closed_store(&path);
    let whole = fs::read(&path).unwrap();
    let pages = whole.len() / 4096;
    assert!(pages > 10);
    // The first page keeps its header, so that it is known as a store.
    for page in 0..pages {
        let mut damaged = whole.clone();
        let begin = if page == 0 { 100 } else { page * 4096 };
        damaged[begin..(page + 1) * 4096].fill(0xA5);
        fs::write(&path, &damaged).unwrap();
        assert_refused(&path, &host(&ONE), code::DAMAGED);
    }
    fs::write(&path, &whole).unwrap();
    open_host(&path);
}

#[test]
fn a_log_without_its_store() {
    let (_directory, path) = place();
    fs::write(path.with_extension("db-wal"), [1; 5000]).unwrap();
    assert_refused(&path, &host(&ONE), code::DAMAGED);
}

#[test]
fn paths_that_cannot_hold_a_store() {
    let (directory, path) = place();
    let missing = directory.path().join("missing").join("tidegate.db");
    let refused = open(&missing, &host(&ONE)).err().unwrap();
    assert!(refused.message.contains("does not exist"), "{refused}");
    let refused = open(directory.path(), &host(&ONE)).err().unwrap();
    assert!(refused.message.contains("is a directory"), "{refused}");
    fs::write(&path, b"").unwrap();
    let refused = open(&path.join("tidegate.db"), &host(&ONE)).err().unwrap();
    assert_eq!(refused.code, code::IO);
    assert!(refused.message.contains("not a directory") || refused.message.contains("Not a directory"), "{refused}");
    open(&path, &host(&ONE)).unwrap();
}

#[cfg(unix)]
#[test]
fn a_link_to_a_store_is_that_store() {
    let (directory, path) = place();
    let link = directory.path().join("link.db");
    let store = open_host(&path);
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert_eq!(open(&link, &host(&ONE)).err().unwrap().code, code::LOCKED);
    drop(store);
}

#[test]
fn a_path_with_characters_that_mean_something_in_an_address() {
    let (directory, _) = place();
    let path = directory.path().join("a b?mode=rw#100%.db");
    open_host(&path).close_blocking().unwrap();
    open_host(&path);
}

#[test]
fn a_store_whose_last_user_crashed_is_recovered() {
    let (directory, path) = place();
    let store = open_host(&path);
    store.transaction_blocking(|sql| super::insert(sql, "in the log")).unwrap();
    let after = tempfile::tempdir().unwrap();
    for (name, bytes) in contents(directory.path()) {
        fs::write(after.path().join(name), bytes).unwrap();
    }
    assert!(fs::metadata(after.path().join("tidegate.db-wal")).unwrap().len() > 0);
    let recovered = open_host(&after.path().join("tidegate.db"));
    assert_eq!(recovered.read_blocking(super::count), Ok(1));
}
