//! Stored connections, their key and their tokens on a real file: who may write, who may renew, and that a
//! rotation is all or nothing.

use std::path::Path;

use super::Account;
use crate::sealing::{Identity, Key, Sealed};
use crate::store::Store;
use crate::store::database::{self, Options};
use crate::store::schema::MIGRATIONS;
use crate::store::tokens::{Asked, Lease};

const NOW: i64 = 1_790_000_000_000;

fn open(folder: &Path) -> Store {
    Store::new(database::open(&folder.join("t.db"), &Options::new(MIGRATIONS, NOW)).unwrap())
}

fn seal(key: &Key, connection: &str, field: &str, text: &str) -> Sealed {
    let identity = Identity { connection: connection.into(), field: field.into(), audience: "x".into() };
    key.seal(identity, text).unwrap()
}

fn account(key: &Key, name: &str, secret: &str) -> Account {
    let secrets = vec![seal(key, name, "token", secret)];
    Account { name: name.to_owned(), body: r#"{"connector":"x"}"#.to_owned(), secrets }
}

fn asked(seen: i64, holder: &str) -> Asked {
    Asked {
        connection: "brand".to_owned(),
        scheme: "user".to_owned(),
        seen,
        holder: holder.to_owned(),
        lease_ms: 30_000,
    }
}

#[tokio::test]
async fn what_is_stored_is_sealed_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let key = Key::generate().unwrap();
    store.adopt_key(&key, NOW).await.unwrap();
    store.put_accounts(vec![account(&key, "brand", "s3cret-token")], NOW).await.unwrap();
    let found = open(folder.path()).accounts().await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(*key.open(&found[0].secrets[0]).unwrap(), "s3cret-token");
    store.close().await.unwrap();
    let bytes = std::fs::read(folder.path().join("t.db")).unwrap();
    assert!(!bytes.windows(12).any(|window| window == b"s3cret-token"));
}

#[tokio::test]
async fn a_wrong_key_is_refused_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (key, other) = (Key::generate().unwrap(), Key::generate().unwrap());
    // Nothing is sealed yet: any key will do, and none may be written with before it is the store's.
    store.check_key(&other).await.unwrap();
    assert_eq!(store.put_accounts(vec![account(&key, "a", "1")], NOW).await.unwrap_err().code, "key_changed");
    store.adopt_key(&key, NOW).await.unwrap();
    store.adopt_key(&key, NOW).await.unwrap();
    assert_eq!(store.adopt_key(&other, NOW).await.unwrap_err().code, "key_wrong");
    assert_eq!(store.check_key(&other).await.unwrap_err().code, "key_wrong");
    assert_eq!(store.key_id().await.unwrap().as_deref(), Some(key.id()));
    let both = vec![account(&key, "a", "1"), account(&other, "b", "2")];
    assert_eq!(store.put_accounts(both, NOW).await.unwrap_err().code, "key_changed");
    assert!(store.accounts().await.unwrap().is_empty(), "all or nothing");
}

#[tokio::test]
async fn a_rotation_seals_everything_anew_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (old, new) = (Key::generate().unwrap(), Key::generate().unwrap());
    let copy = |key: &Key| Key::read(&key.text()).unwrap();
    store.adopt_key(&old, NOW).await.unwrap();
    store.put_accounts(vec![account(&old, "a", "1"), account(&old, "b", "2")], NOW).await.unwrap();
    store.put_token(seal(&old, "a", "user", "t"), NOW).await.unwrap();
    assert_eq!(store.rekey(copy(&new), copy(&old), NOW).await.unwrap_err().code, "key_wrong");
    // One value that does not open keeps everything as it was.
    let mut broken = account(&old, "c", "3");
    broken.secrets[0].body[30] ^= 1;
    store.put_accounts(vec![broken], NOW).await.unwrap();
    assert_eq!(store.rekey(copy(&old), copy(&new), NOW).await.unwrap_err().code, "seal_broken");
    store.check_key(&old).await.unwrap();
    assert_eq!(*old.open(&store.accounts().await.unwrap()[0].secrets[0]).unwrap(), "1");
    assert!(store.remove_account("c".to_owned()).await.unwrap());
    assert_eq!(store.rekey(copy(&old), copy(&new), NOW).await.unwrap(), 3);
    let opened: Vec<String> =
        store.accounts().await.unwrap().iter().map(|found| new.open(&found.secrets[0]).unwrap().to_string()).collect();
    assert_eq!(opened, ["1", "2"]);
    let token = store.token("a".to_owned(), "user".to_owned()).await.unwrap().unwrap();
    assert_eq!(*new.open(&token.sealed).unwrap(), "t");
    assert_eq!(store.check_key(&old).await.unwrap_err().code, "key_wrong");
}

#[tokio::test]
async fn one_process_renews_and_the_others_find_what_it_got() {
    let folder = tempfile::tempdir().unwrap();
    let (host, tool) = (open(folder.path()), open(folder.path()));
    let key = Key::generate().unwrap();
    host.adopt_key(&key, NOW).await.unwrap();
    assert_eq!(host.put_token(seal(&key, "brand", "user", "one"), NOW).await.unwrap(), 1);
    assert_eq!(host.lease_token(asked(1, "host"), NOW).await.unwrap(), Lease::Granted { was_interrupted: false });
    let held = Lease::Held { until_ms: NOW + 30_000 };
    assert_eq!(tool.lease_token(asked(1, "tool"), NOW + 1).await.unwrap(), held);
    let renewed = host.renew_token(seal(&key, "brand", "user", "two"), "host".to_owned(), NOW + 2).await.unwrap();
    assert_eq!(renewed, Some(2));
    match tool.lease_token(asked(1, "tool"), NOW + 3).await.unwrap() {
        Lease::Newer(token) => assert_eq!(*key.open(&token.sealed).unwrap(), "two"),
        other => panic!("{other:?}"),
    }
    // A holder that died is waited for until its lease ends, and comes too late then.
    assert_eq!(host.lease_token(asked(2, "dead"), NOW).await.unwrap(), Lease::Granted { was_interrupted: false });
    assert_eq!(
        tool.lease_token(asked(2, "tool"), NOW + 30_001).await.unwrap(),
        Lease::Granted { was_interrupted: true }
    );
    let late = host.renew_token(seal(&key, "brand", "user", "late"), "dead".to_owned(), NOW + 30_002).await.unwrap();
    assert_eq!(late, None);
    // An attempt that came to nothing lets the next one try at once.
    tool.release_token("brand".to_owned(), "user".to_owned(), "tool".to_owned()).await.unwrap();
    assert_eq!(host.lease_token(asked(2, "host"), NOW).await.unwrap(), Lease::Granted { was_interrupted: false });
}

#[tokio::test]
async fn a_first_token_is_leased_before_there_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let key = Key::generate().unwrap();
    store.adopt_key(&key, NOW).await.unwrap();
    assert_eq!(store.lease_token(asked(0, "a"), NOW).await.unwrap(), Lease::Granted { was_interrupted: false });
    assert!(matches!(store.lease_token(asked(0, "b"), NOW).await.unwrap(), Lease::Held { .. }));
    assert_eq!(store.token("brand".to_owned(), "user".to_owned()).await.unwrap(), None);
    assert_eq!(store.renew_token(seal(&key, "brand", "user", "t"), "a".to_owned(), NOW).await.unwrap(), Some(1));
    // Signing in again takes the row from whoever renews.
    assert_eq!(store.lease_token(asked(1, "c"), NOW).await.unwrap(), Lease::Granted { was_interrupted: false });
    assert_eq!(store.put_token(seal(&key, "brand", "user", "new"), NOW).await.unwrap(), 2);
    assert_eq!(store.renew_token(seal(&key, "brand", "user", "old"), "c".to_owned(), NOW).await.unwrap(), None);
    assert_eq!(store.remove_tokens("brand".to_owned()).await.unwrap(), 1);
}
