//! A store in trouble under a host at work, from outside: locked by another process for long, on a disk that refuses
//! to write, on one that is full, and damaged. Nothing is polled or acknowledged meanwhile, it is told once, and
//! work goes on by itself where that is possible. And a host that starts on a disk that is full.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::Connection;

use crate::ports::free_port;
use crate::processes::{Host, Project, Sandbox, pause, wait_for};
use crate::public::health;
use crate::shop;

const SHIP: &str = "flow: ship\ntrigger: {poll: shop.new, every: 1s, start: all}\nsteps:\n  \
    - {action: shop.send, with: {id: \"{{item.id}}\"}}\n";
const TELL: &str = "flow: tell\ntrigger: {manual: true}\nsteps:\n  \
    - {action: file.append, with: {path: told.txt, text: \"{{item.message}}\"}}\n";
const SETTINGS: &str = "egress: {allow: [\"127.0.0.1:*\"]}\nconnections: {shop: {connector: shop}}\n\
    alerts: [{flow: tell, on: [store]}]\n";

/// A host that has shipped five items.
struct World {
    sandbox: Sandbox,
    project: Project,
    port: u16,
    host: Host,
}

impl World {
    /// `before` is put before the host's own command line.
    fn new(before: impl FnOnce(&Project) -> Vec<String>) -> World {
        let sandbox = Sandbox::start();
        sandbox.add_items(5);
        let connector = shop::connector(&sandbox);
        let project = Project::new(&[
            ("connectors/shop.yaml", &connector),
            ("flows/ship.yaml", SHIP),
            ("flows/tell.yaml", TELL),
            ("tidegate.yaml", SETTINGS),
        ]);
        let port = free_port();
        let listen = format!("127.0.0.1:{port}");
        let up = project.command(&["up", "--log", "warn", "--listen", &listen]);
        let mut words = before(&project);
        let own = std::iter::once(up.get_program()).chain(up.get_args());
        words.extend(own.map(|word| word.to_str().unwrap().to_owned()));
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        for name in ["TIDEGATE_DIR", "TIDEGATE_STORE", "TIDEGATE_LISTEN", "TIDEGATE_LOG"] {
            command.env_remove(name);
        }
        let host = project.host_by(&mut command);
        let world = World { sandbox, project, port, host };
        wait_for("the first items", || world.sandbox.requests("sink") == 5);
        world
    }

    fn told(&self) -> Vec<String> {
        let text = fs::read_to_string(self.project.path("out/told.txt")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// What is due stops when `cause` works, is told as `code`, and goes on by itself after `mend`.
    fn stalls_and_goes_on(mut self, code: &str, mut cause: impl FnMut(&World), mend: impl FnOnce(&World)) {
        assert_eq!(
            health(self.port).map(|(status, health)| (status, health["status"] == "working")),
            Some((200, true))
        );
        cause(&self);
        self.sandbox.add_items(5);
        wait_for("the trouble to be told", || {
            cause(&self);
            let Some((503, health)) = health(self.port) else { return false };
            let attention = health["attention"][0].as_str().unwrap_or_default();
            health["status"] == "stalled" && attention.contains(&format!("({code})"))
        });
        // For what was on its way when it began.
        pause(500);
        let (listed, sent) = (self.sandbox.requests("list_items"), self.sandbox.requests("sink"));
        self.sandbox.add_items(5);
        // Longer than work waits before it tries again.
        for _ in 0..30 {
            cause(&self);
            pause(100);
        }
        assert_eq!(self.sandbox.requests("list_items"), listed, "it polled on");
        assert_eq!(self.sandbox.requests("sink"), sent, "it sent on");
        assert!(self.host.ended().is_none(), "{}", self.project.log());
        let log = self.project.log();
        assert_eq!(log.matches(&format!("code=\"{code}\"")).count(), 1, "it is told once: {log}");
        assert_eq!(log.contains("work goes on by itself then"), code != "store_busy", "{log}");
        assert_eq!(self.told(), [""; 0]);

        mend(&self);
        wait_for("all items", || self.sandbox.requests("sink") == 15);
        wait_for("the alert", || self.told().len() == 1);
        assert!(self.told()[0].contains("and nothing was acknowledged"), "{:?}", self.told());
        assert_eq!(
            health(self.port).map(|(status, health)| (status, health["status"] == "working")),
            Some((200, true))
        );
        let World { sandbox, project, host, .. } = self;
        assert_eq!(host.stop(), Some(0), "{}", project.log());
        let mut times: BTreeMap<u64, usize> = BTreeMap::new();
        for (body, _) in sandbox.sunk() {
            *times.entry(body["id"].as_u64().unwrap()).or_default() += 1;
        }
        assert_eq!(times, (1..=15).map(|id| (id, 1)).collect(), "each item once");
    }
}

#[test]
fn a_lock_that_another_process_holds_is_waited_out() {
    let world = World::new(|_| Vec::new());
    let other = Connection::open(world.project.store()).unwrap();
    let mut is_held = false;
    let cause = |_: &World| {
        // The host may be writing at this moment.
        is_held = is_held || other.execute_batch("BEGIN EXCLUSIVE").is_ok();
    };
    world.stalls_and_goes_on("store_busy", cause, |_| other.execute_batch("COMMIT").unwrap());
}

/// As a file system does that became read-only: every write is an error. (It cannot be made read-only while a file on
/// it is open for writing, and an administrator's writes are not stopped by permissions.)
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_refuses_to_write_is_waited_out() {
    let world = World::new(|_| Vec::new());
    let limit = |world: &World, bytes: &str| {
        let (pid, fsize) = (format!("--pid={}", world.host.id()), format!("--fsize={bytes}:"));
        assert!(Command::new("prlimit").args([pid, fsize]).status().unwrap().success());
    };
    // The log of the host is a file, too, and shorter.
    world.stalls_and_goes_on("store_io", |world| limit(world, "4096"), |world| limit(world, "unlimited"));
}

/// What gives a process a small file system of its own at `folder`, where this may be made.
#[cfg(target_os = "linux")]
fn on_a_small_disk(folder: &Path) -> Option<Vec<String>> {
    let mount = "mount -t tmpfs -o size=16m tmpfs \"$0\" && exec \"$@\"";
    let folder = folder.to_str().unwrap();
    let found = [&["unshare", "-m"][..], &["unshare", "-Urm"]].into_iter().find_map(|unshare| {
        let made = [unshare, &["sh", "-c", mount, folder, "env"]].concat();
        let tried = Command::new(made[0]).args(&made[1..]).arg("true").status();
        tried.is_ok_and(|status| status.success()).then(|| made.into_iter().map(str::to_owned).collect())
    });
    if found.is_none() {
        eprintln!("NOT TESTED: this user may not mount a file system of its own, so no disk was full");
    }
    found
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_waited_out() {
    let there = tempfile::tempdir().unwrap();
    let Some(before) = on_a_small_disk(there.path()) else { return };
    let store = there.path().join("tidegate.db");
    let world = World::new(|_| [before, vec![format!("TIDEGATE_STORE={}", store.display())]].concat());
    let filler = |world: &World| -> PathBuf {
        let root = format!("/proc/{}/root{}", world.host.id(), there.path().display());
        Path::new(&root).join("filler")
    };
    let fill = |world: &World| {
        let mut file = File::options().create(true).append(true).open(filler(world)).unwrap();
        while file.write(&[7; 4096]).is_ok_and(|written| written > 0) {}
    };
    world.stalls_and_goes_on("store_full", fill, |world| fs::remove_file(filler(world)).unwrap());
}

/// A host that ends does not go on by itself: it says what to do, and that it has to be started then.
#[cfg(target_os = "linux")]
#[test]
fn a_host_that_finds_a_full_disk_says_to_start_it_again() {
    let there = tempfile::tempdir().unwrap();
    let Some(before) = on_a_small_disk(there.path()) else { return };
    let project = Project::new(&[("flows/tell.yaml", TELL)]);
    let store = there.path().join("tidegate.db");
    let up = project.command(&["up", "--log", "warn", "--listen", "off"]);
    let up: Vec<&str> =
        std::iter::once(up.get_program()).chain(up.get_args()).map(|word| word.to_str().unwrap()).collect();
    // Once for a store that has to be made, and once for one that is there.
    let fill = "cat /dev/zero > \"$0/filler\" 2>/dev/null; \"$@\"; echo \"ended with $?\" >&2";
    let use_it = "timeout -s INT 3 \"$@\"; ";
    for script in [fill.to_owned(), format!("{use_it}{fill}")] {
        let mut command = Command::new(&before[0]);
        command.args(&before[1..]).args(["sh", "-c", &script]).arg(there.path()).args(&up);
        for name in ["TIDEGATE_DIR", "TIDEGATE_LISTEN", "TIDEGATE_LOG"] {
            command.env_remove(name);
        }
        let output = command.env("TIDEGATE_STORE", &store).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.contains("code: store_full") && told.contains("ended with 3"), "{told}");
        assert!(told.contains("Free some space; then start again"), "{told}");
        assert!(!told.contains("by itself"), "{told}");
    }
}

#[test]
fn a_store_that_is_moved_away_ends_the_host_and_has_all_that_was_acknowledged() {
    let mut world = World::new(|_| Vec::new());
    let elsewhere = world.project.path("elsewhere.db");
    fs::rename(world.project.store(), &elsewhere).unwrap();
    assert_eq!(world.host.wait(), Some(3), "{}", world.project.log());
    let log = world.project.log();
    assert!(log.contains("code: store_moved") && log.contains("Put the file back"), "{log}");
    let moved = Connection::open(&elsewhere).unwrap();
    let count = |query: &str| moved.query_row(query, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM runs WHERE state = 'succeeded'"), 5);
    // Put back, it is gone on with.
    drop(moved);
    fs::rename(&elsewhere, world.project.store()).unwrap();
    world.host = world.project.host(2);
    world.sandbox.add_items(1);
    wait_for("the next item", || world.sandbox.requests("sink") == 6);
}

#[test]
fn a_second_host_is_refused_under_any_name_and_without_the_lock_file() {
    let world = World::new(|_| Vec::new());
    let other = world.project.path("other.db");
    fs::hard_link(world.project.store(), &other).unwrap();
    fs::remove_file(world.project.path("tidegate.db.lock")).unwrap();
    for store in [world.project.store(), other] {
        let mut command = world.project.command(&["up", "--listen", "off", "--store", store.to_str().unwrap()]);
        let output = command.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(3) && told.contains("store_locked"), "{told}");
    }
    world.sandbox.add_items(1);
    wait_for("the first host's work", || world.sandbox.requests("sink") == 6);
}

#[test]
fn damage_ends_the_host_and_nothing_is_acknowledged_after() {
    let mut world = World::new(|_| Vec::new());
    let other = Connection::open(world.project.store()).unwrap();
    let root = |table: &str| -> u64 {
        let query = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
        other.query_row(query, [table], |row| row.get::<_, i64>(0)).unwrap().unsigned_abs()
    };
    let pages = [root("triggers"), root("ledger")];
    // From then on they are read from the file and not from the log.
    wait_for("an empty log", || {
        let emptied = other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        emptied.is_ok_and(|busy| busy == 0)
    });
    let mut file = File::options().write(true).open(world.project.store()).unwrap();
    for page in pages {
        file.seek(SeekFrom::Start((page - 1) * 4096)).unwrap();
        file.write_all(&[0xa5; 4096]).unwrap();
    }
    file.sync_all().unwrap();
    // What another process commits lets the host read anew.
    other.execute_batch("INSERT INTO blocks VALUES ('other', 'shop', NULL, 0)").unwrap();
    world.sandbox.add_items(5);
    assert_eq!(world.host.wait(), Some(3), "{}", world.project.log());
    let log = world.project.log();
    assert_eq!(log.matches("code: store_damaged").count(), 1, "{log}");
    assert!(log.contains("is damaged") && log.contains("Restore a backup"), "{log}");
    assert_eq!(world.sandbox.requests("sink"), 5, "it sent on");
    drop((file, other));

    // It is not taken up again, and stays as it is.
    let before = fs::read(world.project.store()).unwrap();
    let mut again = world.project.host(1);
    assert_eq!(again.wait(), Some(3));
    assert!(world.project.log().contains("code: store_damaged"), "{}", world.project.log());
    assert!(fs::read(world.project.store()).unwrap() == before, "the file was changed");
}
