//! The program as processes: a sandbox, hosts on a project, and what a host has written to its store. For the
//! tests that kill, stop and restart.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_tidegate");

/// The local services, in a process of their own.
pub struct Sandbox {
    child: Child,
    pub url: String,
    pub twilio: String,
}

/// A project in a folder that goes with the test.
pub struct Project {
    folder: TempDir,
}

/// A running `tidegate up`; it is killed where a test leaves it.
pub struct Host {
    child: Child,
}

impl Sandbox {
    pub fn start() -> Self {
        Sandbox::begin(Command::new(PROGRAM).arg("sandbox"))
    }

    /// One that writes all that it does to a file, synced.
    pub fn start_with_ledger(ledger: &Path) -> Self {
        Sandbox::begin(Command::new(PROGRAM).arg("sandbox").arg("--ledger").arg(ledger))
    }

    fn begin(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let urls: Value = serde_json::from_str(&line).unwrap();
        let url = |name: &str| urls[name].as_str().unwrap().to_owned();
        Sandbox { child, url: url("json"), twilio: url("twilio") }
    }

    pub fn add_items(&self, count: u64) {
        self.control("items", &json!({ "count": count }));
    }

    /// Every answer of an operation comes so much later than its work is done.
    pub fn slow(&self, operation: &str, delay_ms: u64) {
        let fault = json!({"service": "json", "operation": operation, "times": u32::MAX, "delay_answer_ms": delay_ms});
        self.control("faults", &fault);
    }

    /// The next so many requests of an operation are done, and their connections torn before the answer.
    #[cfg(feature = "crash-points")]
    pub fn tear(&self, operation: &str, times: u32) {
        self.control("faults", &json!({"service": "json", "operation": operation, "times": times, "tear": true}));
    }

    /// Ends it: then everything is in its ledger.
    #[cfg(feature = "crash-points")]
    pub fn end(mut self) {
        assert!(Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }

    /// Every answer comes at once again.
    pub fn quick(&self) {
        self.request("DELETE", "/control/faults", "");
    }

    /// How many requests of an operation it received.
    pub fn requests(&self, operation: &str) -> u64 {
        self.get("/control/counts")["json"][operation]["requests"].as_u64().unwrap_or(0)
    }

    /// The bodies that its sink took, each with the id that it answered, in order.
    pub fn sunk(&self) -> Vec<(Value, u64)> {
        let receipts = self.get("/control/received?service=json&operation=sink");
        let taken = receipts.as_array().unwrap().iter().map(|receipt| {
            let body = serde_json::from_str(receipt["fingerprint"].as_str().unwrap()).unwrap();
            (body, receipt["id"].as_str().unwrap().parse().unwrap())
        });
        taken.collect()
    }

    pub fn get(&self, path: &str) -> Value {
        serde_json::from_str(&self.request("GET", path, "")).unwrap()
    }

    pub fn control(&self, what: &str, body: &Value) {
        self.request("POST", &format!("/control/{what}"), &body.to_string());
    }

    fn request(&self, method: &str, path: &str, body: &str) -> String {
        let address = self.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\nconnection: close\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 2"), "{method} {path}: {answer}");
        body.to_owned()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

impl Project {
    pub fn new(files: &[(&str, &str)]) -> Self {
        let project = Project { folder: tempfile::tempdir().unwrap() };
        for (name, text) in files {
            project.write(name, text);
        }
        project
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The host's command line; `life` tells the requests of one process from those of the next.
    pub fn up(&self, life: usize) -> Command {
        let mut command = Command::new(PROGRAM);
        for name in ["TIDEGATE_DIR", "TIDEGATE_STORE", "TIDEGATE_LISTEN", "TIDEGATE_LOG"] {
            command.env_remove(name);
        }
        command.args(["up", "--listen", "off", "--log", "warn", "--dir"]).arg(self.folder.path());
        let log = File::options().create(true).append(true).open(self.path("host.log")).unwrap();
        command.env("LIFE", life.to_string()).stdout(Stdio::null()).stderr(log);
        command
    }

    /// What its hosts have said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("host.log")).unwrap()
    }

    pub fn host(&self, life: usize) -> Host {
        Host::of(self.up(life))
    }

    /// A host by another command line than [`Project::up`]'s.
    pub fn host_by(&self, command: &mut Command) -> Host {
        let log = File::options().create(true).append(true).open(self.path("host.log")).unwrap();
        Host { child: command.stdout(Stdio::null()).stderr(log).spawn().unwrap() }
    }

    /// One of several hosts on a PostgreSQL database.
    pub fn host_on(&self, database: &str, life: usize) -> Host {
        let mut command = self.up(life);
        command.args(["--store", database]);
        Host::of(command)
    }

    /// Any other command of it.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        for name in ["TIDEGATE_DIR", "TIDEGATE_STORE", "TIDEGATE_LISTEN", "TIDEGATE_LOG", "TIDEGATE_KEY"] {
            command.env_remove(name);
        }
        command.args(words).arg("--dir").arg(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// `tidegate apply` of it.
    pub fn apply(&self, database: &str) -> std::process::Output {
        let mut command = Command::new(PROGRAM);
        command.env_remove("TIDEGATE_DIR").env_remove("TIDEGATE_STORE");
        command.args(["apply", "--store", database, "--dir"]).arg(self.folder.path()).output().unwrap()
    }

    pub fn store(&self) -> PathBuf {
        self.path("tidegate.db")
    }

    /// The one number that a query of the store gives; none while there is no store yet.
    pub fn number(&self, query: &str) -> Option<i64> {
        let numbers = self.rows(query, |row| row.get(0));
        numbers.first().copied()
    }

    /// What a query of the store gives, beside a host or without one. A read-only connection leaves the
    /// write-ahead log of a killed host as it was.
    pub fn rows<T>(&self, query: &str, read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>) -> Vec<T> {
        let Some(store) = open(&self.store()) else {
            return Vec::new();
        };
        // A host that was killed before its first migration has made no tables.
        let tables =
            store.query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'connections'", [], |row| row.get(0));
        if tables == Ok(0) {
            return Vec::new();
        }
        let mut statement = store.prepare(query).unwrap();
        statement.query_map([], read).unwrap().collect::<rusqlite::Result<Vec<T>>>().unwrap()
    }

    /// Waits until a query of the store gives this number.
    pub fn await_number(&self, query: &str, expected: i64) {
        let mut last = None;
        wait_for(&format!("{query}: {expected}"), || {
            last = self.number(query);
            last == Some(expected)
        });
    }
}

impl Drop for Project {
    /// A test that failed shows what its hosts said: why they did not do what it waited for.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.path("host.log")).unwrap_or_default();
            eprintln!("-- what the hosts of {} said:\n{log}--", self.folder.path().display());
        }
    }
}

impl Host {
    /// A host of this command line.
    pub fn of(mut command: Command) -> Self {
        Host { child: command.spawn().unwrap() }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has come so far that the store is its own. It must not have ended.
    pub fn has_store(&mut self, project: &Project) -> bool {
        assert!(self.ended().is_none(), "the host ended: {}", project.log());
        let holder = fs::read_to_string(project.path("tidegate.db.lock")).unwrap_or_default();
        holder.starts_with(&format!("process {},", self.child.id()))
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        end(&mut self.child);
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(name).arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success(), "kill {name}: {sent}");
    }

    /// SIGTERM; the exit code.
    pub fn stop(mut self) -> Option<i32> {
        self.signal("-TERM");
        self.wait()
    }

    /// Waits for its end; the exit code.
    pub fn wait(&mut self) -> Option<i32> {
        let mut ended = None;
        wait_for("the host's end", || {
            ended = self.ended();
            ended.is_some()
        });
        ended.and_then(|status| status.code())
    }

    /// How it ended, once it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Looks again and again until it is so.
pub fn wait_for(what: &str, is_so: impl FnMut() -> bool) {
    wait_up_to(90, what, is_so);
}

/// The same for much work on a busy machine.
pub fn wait_up_to(seconds: u64, what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    while !is_so() {
        assert!(Instant::now() < deadline, "in vain for {seconds} s: {what}");
        pause(10);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "between two looks at another process, and for the random moment of a kill"
)]
pub fn pause(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

fn open(store: &Path) -> Option<Connection> {
    if !store.exists() {
        return None;
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(store, flags).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    Some(connection)
}

fn end(child: &mut Child) {
    // It has ended already where the test went well.
    let _ = child.kill();
    let _ = child.wait();
}
