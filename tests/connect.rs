//! Connections that are made on the command line, from outside: what is asked for, what is stored, and that a
//! secret is nowhere to be read, in any form.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value;
use tempfile::TempDir;
use tidegate::sandbox::{TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, X_BEARER_TOKEN};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tidegate");

/// A project without connections beside local services.
pub struct Project {
    folder: TempDir,
    sandbox: Child,
    pub urls: Value,
}

impl Project {
    pub fn new() -> Project {
        let mut sandbox = Command::new(PROGRAM).arg("sandbox").stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(sandbox.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let project =
            Project { folder: tempfile::tempdir().unwrap(), sandbox, urls: serde_json::from_str(&line).unwrap() };
        project.write("tidegate.yaml", "listen: off\negress: {allow: [\"127.0.0.1:*\"]}\n");
        project
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(words).arg("--dir").arg(self.folder.path()).stdin(Stdio::null());
        for variable in ["TIDEGATE_KEY", "TIDEGATE_KEY_FILE", "TIDEGATE_STORE", "TIDEGATE_LISTEN"] {
            command.env_remove(variable);
        }
        command
    }

    pub fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// What a command prints that ends well.
    pub fn done(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "{words:?}: {}", text(&output));
        text(&output)
    }

    /// What a command prints that ends with this exit code.
    pub fn refused(&self, words: &[&str], exit: i32) -> String {
        let output = self.run(words);
        assert_eq!(output.status.code(), Some(exit), "{words:?}: {}", text(&output));
        text(&output)
    }

    pub fn url(&self, service: &str) -> String {
        self.urls[service].as_str().unwrap().trim_end_matches('/').to_owned()
    }

    pub fn connect_twilio(&self, name: &str, token: &str) -> Vec<String> {
        let words = ["connect", "twilio", "--name", name, "--host"];
        let mut words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        words.push(format!("api={}", self.url("twilio")));
        words.extend(["--set".to_owned(), format!("account_sid={TWILIO_ACCOUNT_SID}")]);
        words.extend(["--set".to_owned(), format!("auth_token={token}")]);
        words
    }

    pub fn json(&self, words: &[&str]) -> Value {
        let output = self.command(words).args(["--output", "json"]).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{words:?}: {}", text(&output)))
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let _ = self.sandbox.kill();
        let _ = self.sandbox.wait();
    }
}

pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

pub fn words(owned: &[String]) -> Vec<&str> {
    owned.iter().map(String::as_str).collect()
}

/// A secret as it can be written: itself, percent-encoded, and within base64 wherever it begins.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let mut forms = vec![secret.as_bytes().to_vec()];
    for before in 0..3 {
        let padded = [&vec![0; before], secret.as_bytes()].concat();
        for encoded in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
            let (first, last) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
            forms.push(encoded.as_bytes()[first..last].to_vec());
        }
    }
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    forms.push(hex.into_bytes());
    forms
}

fn assert_hidden(place: &str, bytes: &[u8], secret: &str) {
    for form in forms(secret) {
        let found = bytes.windows(form.len()).any(|window| window == form);
        assert!(!found, "{place} shows a secret: {}", String::from_utf8_lossy(&form));
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

#[test]
fn a_connection_is_made_tested_stored_and_used() {
    let project = Project::new();
    let connect = project.connect_twilio("support", TWILIO_AUTH_TOKEN);
    let said = project.done(&words(&connect));
    assert!(said.contains("connected `support`") && said.contains("keep a copy"), "{said}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(project.path("tidegate.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let listed = project.json(&["connections", "list"]);
    assert_eq!(listed[0]["name"], "support");
    assert_eq!((&listed[0]["origin"], &listed[0]["state"]), (&"store".into(), &"working".into()));
    let shown = project.json(&["connections", "show", "support"]);
    let field = |name: &str| shown["fields"].as_array().unwrap().iter().find(|field| field["name"] == name).unwrap();
    assert_eq!(field("account_sid")["value"], TWILIO_ACCOUNT_SID);
    assert_eq!((&field("auth_token")["source"], &field("auth_token")["value"]), (&"sealed".into(), &Value::Null));
    // A step and a call find it as they find one of the settings.
    project.done(&["call", "twilio.fetch_account"]);
    project.write(
        "flows/tell.yaml",
        "flow: tell\ntrigger: {manual: true}\nsteps:\n  - {action: twilio.send_sms, with: {to: +15550199001, from: +15550100, body: Hello}}\n",
    );
    assert!(project.run(&["check"]).status.success(), "{}", text(&project.run(&["check"])));
    // It stays until nothing uses it, unless that is wished.
    let refused = project.refused(&["connections", "remove", "support"], 1);
    assert!(refused.contains("connection_used") && refused.contains("tell"), "{refused}");
    project.done(&["connections", "deactivate", "support"]);
    assert!(project.refused(&["call", "twilio.fetch_account"], 4).contains("connection_inactive"));
    project.done(&["connections", "activate", "support"]);
    project.done(&["call", "twilio.fetch_account"]);
    project.done(&["connections", "remove", "support", "--force"]);
    assert_eq!(project.json(&["connections", "list"]), serde_json::json!([]));
}

#[test]
fn what_is_missing_or_wrong_is_told_and_nothing_is_stored() {
    let project = Project::new();
    let told = project.refused(&["connect", "twilio"], 4);
    assert!(told.contains("fields_missing") && told.contains("account_sid (Account SID)"), "{told}");
    let host = format!("api={}", project.url("twilio"));
    let wrong = "0123456789abcdef0123456789abcdef";
    let sid = format!("account_sid={TWILIO_ACCOUNT_SID}");
    for (words, exit, code) in [
        (vec!["connect", "twillio"], 1, "did you mean `twilio`?"),
        (vec!["connect", "twilio", "--set", "acount_sid=x"], 2, "did you mean `account_sid`?"),
        (vec!["connect", "twilio", "--set", "account_sid=AC1"], 2, "field_invalid"),
        (vec!["connect", "twilio", "--name", "1st"], 2, "bad_identifier"),
        (vec!["connect", "twilio", "--host", "web=https://a.example"], 2, "host_unknown"),
        (vec!["connect", "twilio", "--proxy", "http://u:p4ssw0rd@proxy:1"], 2, "proxy_invalid"),
        // Neither of its ways to sign in is complete.
        (vec!["connect", "twilio", "--host", &host, "--set", &sid], 4, "auth_missing"),
    ] {
        let told = project.refused(&words, exit);
        assert!(told.contains(code), "{words:?}: {told}");
        assert!(!told.contains("p4ssw0rd"), "{told}");
    }
    let told = project.refused(&words(&project.connect_twilio("support", wrong)), 4);
    assert!(told.contains("401") && told.contains("nothing was stored"), "{told}");
    assert_hidden("a refused connection", told.as_bytes(), wrong);
    assert_eq!(project.json(&["connections", "list"]), serde_json::json!([]));
    assert!(!project.path("tidegate.key").exists(), "a key is made at first need only");
    // One that does not work yet can be kept where a person insists.
    let mut untested = project.connect_twilio("support", wrong);
    untested.push("--untested".to_owned());
    assert!(project.done(&words(&untested)).contains("does not work yet"));
    assert_eq!(project.json(&["connections", "list"])[0]["state"], "attention");
    // A connection of the settings is edited there.
    project.write("tidegate.yaml", "connections: {feed: {connector: json, fields: {url: \"http://a.example\"}}}\n");
    assert!(project.refused(&["connect", "json", "--name", "feed"], 1).contains("connection_exists"));
    assert!(project.refused(&["connections", "remove", "feed"], 1).contains("connection_configured"));
}

#[test]
fn another_host_asks_for_the_secrets_again() {
    let project = Project::new();
    project.done(&words(&project.connect_twilio("support", TWILIO_AUTH_TOKEN)));
    // What is not about hosts keeps them.
    let described = project.done(&["connect", "twilio", "--name", "support", "--description", "Night shift"]);
    assert!(described.contains("changed `support`"), "{described}");
    project.done(&["call", "twilio.fetch_account"]);
    let moved = project.refused(&["connect", "twilio", "--name", "support", "--host", "api=http://127.0.0.1:1"], 4);
    assert!(moved.contains("auth_missing") && moved.contains("nothing was stored"), "{moved}");
    project.done(&["call", "twilio.fetch_account"]);
    // Nor does a row open that somebody has pointed elsewhere.
    let database = rusqlite::Connection::open(project.path("tidegate.db")).unwrap();
    let here = project.url("twilio");
    let changed =
        database.execute("UPDATE accounts SET body = replace(body, ?1, 'http://127.0.0.1:1')", [&here]).unwrap();
    assert_eq!(changed, 1);
    let told = project.refused(&["call", "twilio.fetch_account"], 4);
    assert!(told.contains("altered"), "{told}");
}

#[test]
fn keys_rotate_and_wrong_ones_are_refused() {
    let project = Project::new();
    project.done(&words(&project.connect_twilio("support", TWILIO_AUTH_TOKEN)));
    let key = project.path("tidegate.key");
    let first = fs::read_to_string(&key).unwrap();
    let said = project.done(&["connections", "rekey"]);
    assert!(said.contains("1 secrets are sealed"), "{said}");
    let second = fs::read_to_string(&key).unwrap();
    assert_ne!(first, second);
    project.done(&["call", "twilio.fetch_account"]);
    // The old key opens nothing any more, and the host does not start with it.
    fs::write(&key, &first).unwrap();
    let told = project.refused(&["up"], 3);
    assert!(told.contains("key_wrong") && !told.contains(first.trim()), "{told}");
    assert!(project.refused(&["call", "twilio.fetch_account"], 4).contains("not the key"));
    assert!(project.refused(&words(&project.connect_twilio("more", TWILIO_AUTH_TOKEN)), 3).contains("key_wrong"));
    assert_eq!(project.json(&["connections", "list"]).as_array().unwrap().len(), 1, "nothing was written");
    fs::remove_file(&key).unwrap();
    assert!(project.refused(&["up"], 3).contains("key_missing"));
    assert!(!key.exists(), "no new key is made where one is missing");
    // The key may come from elsewhere.
    fs::write(project.path("elsewhere.key"), &second).unwrap();
    let elsewhere = project.path("elsewhere.key").display().to_string();
    project.done(&["call", "twilio.fetch_account", "--key-file", &elsewhere]);
    let environment = project.command(&["call", "twilio.fetch_account"]).env("TIDEGATE_KEY", second.trim()).output();
    assert!(environment.unwrap().status.success());
    let mut both = project.command(&["call", "twilio.fetch_account", "--key-file", &elsewhere]);
    assert!(text(&both.env("TIDEGATE_KEY", second.trim()).output().unwrap()).contains("key_given_twice"));
    let mut needed = project.command(&["connections", "rekey"]);
    assert!(text(&needed.env("TIDEGATE_KEY", second.trim()).output().unwrap()).contains("key_needed"));
    let mut placeholder = project.command(&["up"]);
    let told = text(&placeholder.env("TIDEGATE_KEY", "00".repeat(32)).output().unwrap());
    assert!(told.contains("key_invalid"), "{told}");
    // A rotation that was killed after the store took the new key, and before the file did.
    fs::write(&key, &first).unwrap();
    fs::write(project.path("tidegate.key.next"), &second).unwrap();
    project.done(&["call", "twilio.fetch_account"]);
    assert_eq!(fs::read_to_string(&key).unwrap(), second);
}

#[test]
fn a_host_at_work_takes_up_what_is_connected_beside_it() {
    let project = Project::new();
    let mut host = project.command(&["up", "--listen", "127.0.0.1:0"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(host.stderr.take().unwrap());
    let address = loop {
        let mut line = String::new();
        assert_ne!(stderr.read_line(&mut line).unwrap(), 0);
        if let Some((_, address)) = line.trim_end().split_once("listening on http://") {
            break address.to_owned();
        }
    };
    std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
    project.done(&words(&project.connect_twilio("support", TWILIO_AUTH_TOKEN)));
    let deadline = Instant::now() + Duration::from_secs(20);
    let seen = loop {
        let mut stream = TcpStream::connect(&address).unwrap();
        write!(stream, "GET /api/connections HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        if answer.contains("support") || Instant::now() > deadline {
            break answer;
        }
        crate::processes::pause(100);
    };
    host.kill().unwrap();
    host.wait().unwrap();
    assert!(seen.contains("\"support\""), "{seen}");
    assert_hidden("/api/connections", seen.as_bytes(), TWILIO_AUTH_TOKEN);
}

#[test]
fn secrets_are_nowhere_to_be_read() {
    let project = Project::new();
    project.done(&words(&project.connect_twilio("support", TWILIO_AUTH_TOKEN)));
    let x = format!("api={}", project.url("x"));
    let token = format!("bearer_token={X_BEARER_TOKEN}");
    project.done(&["connect", "x", "--name", "brand", "--host", &x, "--set", &token]);
    project.write(
        "flows/tell.yaml",
        "flow: tell\ntrigger: {manual: true}\nsteps:\n  - {action: twilio.send_sms, with: {to: +15550199001, from: +15550100, body: Hello}}\n  - {action: x.search_tweets, with: {query: tide}}\n",
    );
    let key = fs::read_to_string(project.path("tidegate.key")).unwrap();
    let secrets = [TWILIO_AUTH_TOKEN, X_BEARER_TOKEN, key.trim()];
    for words in [
        vec!["check"],
        vec!["connections", "list"],
        vec!["connections", "show", "support"],
        vec!["connections", "show", "brand"],
        vec!["connections", "test"],
        vec!["connections", "deactivate", "brand"],
        vec!["connections", "activate", "brand"],
        vec!["call", "twilio.fetch_account", "--exchanges"],
        vec!["call", "x.search_tweets", "query=tide", "--exchanges"],
        vec!["run", "tell"],
        vec!["run", "tell", "--dry-run"],
        vec!["runs", "list"],
        vec!["flows", "list"],
        vec!["flows", "show", "tell"],
        vec!["triggers", "show", "tell"],
        vec!["connectors", "show", "twilio"],
    ] {
        for format in ["plain", "json"] {
            let output = project.command(&words).args(["--output", format, "-vv"]).output().unwrap();
            for secret in secrets {
                assert_hidden(&format!("{words:?}"), &output.stdout, secret);
                assert_hidden(&format!("{words:?}"), &output.stderr, secret);
            }
        }
    }
    let runs = project.json(&["runs", "list"]);
    for run in runs.as_array().unwrap() {
        let shown = project.run(&["runs", "show", run["id"].as_str().unwrap(), "--output", "json"]);
        secrets.iter().for_each(|secret| assert_hidden("runs show", &shown.stdout, secret));
    }
    // Every row and every page of every file but the key's own.
    for file in files_below(project.folder.path()) {
        let bytes = fs::read(&file).unwrap();
        for secret in secrets.iter().filter(|_| !file.ends_with("tidegate.key")) {
            assert_hidden(&file.display().to_string(), &bytes, secret);
        }
    }
}

#[test]
fn what_can_never_work_is_not_stored_and_a_service_that_is_away_is_told_as_one() {
    let project = Project::new();
    let told = project.refused(&["connect", "json", "--set", "url=notaurl", "--untested"], 2);
    assert!(told.contains("host_invalid") && told.contains("nothing was stored"), "{told}");
    let told = project.refused(&["connect", "json", "--set", "url=http://127.0.0.1:1"], 5);
    assert!(told.contains("nothing was stored"), "{told}");
    assert_eq!(project.json(&["connections", "list"]), Value::Array(Vec::new()));
}

#[test]
fn a_stored_connection_that_is_switched_off_is_switched_on_by_a_command() {
    let project = Project::new();
    project.done(&["connect", "json", "--set", "url=https://feed.example.com", "--untested"]);
    project.done(&["connections", "deactivate", "json"]);
    project.write("flows/ask.yaml", "flow: ask\ntrigger: {manual: true}\nsteps:\n  - {action: json.get}\n");
    for (words, exit) in [(&["call", "json.get"][..], 4), (&["check"], 0)] {
        let told = project.refused(words, exit);
        assert!(told.contains("tidegate connections activate json") && !told.contains("tidegate.yaml"), "{told}");
    }
}

#[test]
fn the_advice_about_a_key_fits_what_is_sealed() {
    let project = Project::new();
    let settings = "listen: off\negress: {allow: [\"127.0.0.1:*\"]}\nkey_file: keys/gate.key\n";
    project.write("tidegate.yaml", settings);
    let connect = ["connect", "json", "--set", "url=https://feed.example.com", "--set", "token=hunter2", "--untested"];
    // Nothing is sealed yet: there is none to put back.
    let told = project.refused(&connect, 3);
    assert!(told.contains("key_missing") && told.contains("openssl rand -base64 32 >"), "{told}");
    project.write("keys/gate.key", &format!("{}\n", "0123456789abcdef".repeat(4)));
    project.done(&connect);
    project.write("keys/gate.key", "garbled\n");
    let told = project.refused(&connect, 3);
    assert!(told.contains("key_invalid") && told.contains("put that key back") && !told.contains("openssl"), "{told}");
}

#[test]
fn a_second_account_says_which_flows_it_leaves_in_doubt() {
    let project = Project::new();
    let flow = "flow: news\ntrigger: {poll: json.new_item, with: {path: /x}}\nsteps: [{action: log.write, with: {message: a}}]\n";
    project.write("flows/news.yaml", flow);
    let connect = |name: &str| {
        project.done(&["connect", "json", "--name", name, "--set", "url=https://feed.example.com", "--untested"])
    };
    assert!(!connect("one").contains("warning"));
    let told = connect("two");
    assert!(told.contains("warning") && told.contains("flows/news.yaml") && told.contains("tidegate check"), "{told}");
}
