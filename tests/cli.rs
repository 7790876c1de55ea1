//! The program from outside: its words, what it prints, how it exits. Hosts are processes of their own, on a
//! port that the system chooses.

mod mistakes;
mod terminal;
mod unsettled;
mod using;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use assert_cmd::assert::{Assert, OutputAssertExt};
use serde_json::Value;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_tidegate");

/// A project with a flow that needs nothing, in a folder that goes with the test.
struct Project {
    folder: TempDir,
}

impl Project {
    fn new() -> Project {
        let project = Project { folder: tempfile::tempdir().unwrap() };
        project.write(
            "flows/tick.yaml",
            "flow: tick\ntrigger: {every: 1h}\nsteps:\n  - {action: log.write, with: {message: tick}}\n",
        );
        project
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = program(words);
        command.arg("--dir").arg(self.folder.path());
        command
    }

    fn run(&self, words: &[&str]) -> Assert {
        self.command(words).assert()
    }

    /// A host that works, once it says that it listens.
    fn host(&self) -> Host {
        let mut child = self
            .command(&["up", "--listen", "127.0.0.1:0"])
            .stderr(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let address = loop {
            let mut line = String::new();
            assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "it ended: {said}");
            said.push_str(&line);
            if let Some((_, address)) = line.trim_end().split_once("listening on http://") {
                break address.parse().unwrap();
            }
        };
        Host { child, address, stderr }
    }
}

/// A running `tidegate up`.
struct Host {
    child: Child,
    address: SocketAddr,
    stderr: BufReader<ChildStderr>,
}

impl Host {
    /// The status and the body of a GET that names `host`.
    fn get(&self, path: &str, host: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap())
    }

    /// SIGTERM.
    fn signal(&self) {
        terminate(&self.child);
    }

    /// SIGTERM, and how it exits then.
    fn stop(mut self) -> (i32, String) {
        self.signal();
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code().unwrap_or(-1), said)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It has ended already where the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn terminate(child: &Child) {
    let mut kill = Command::new("kill");
    let signalled = kill.arg("-TERM").arg(child.id().to_string()).status();
    assert!(signalled.unwrap().success());
}

fn program(words: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    for name in ["TIDEGATE_DIR", "TIDEGATE_STORE", "TIDEGATE_LISTEN", "TIDEGATE_LOG"] {
        command.env_remove(name);
    }
    command.args(words);
    command
}

fn out(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

fn err(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}

fn json(assert: &Assert) -> Value {
    serde_json::from_str(&out(assert)).unwrap_or_else(|error| panic!("{error}: {}{}", out(assert), err(assert)))
}

/// The commands that a help text lists, without `help` itself.
fn commands(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    names.map(str::to_owned).collect()
}

fn look_at_help(words: &[&str], seen: &mut Vec<String>) {
    let help = program(words).arg("--help").assert().success();
    let text = out(&help);
    let name = words.join(" ");
    assert!(text.contains("Examples:\n  tidegate "), "`{name} --help` has no example:\n{text}");
    for command in commands(&text) {
        let mut words = words.to_vec();
        words.push(&command);
        look_at_help(&words, seen);
    }
    seen.push(name);
}

#[test]
fn every_command_has_an_example() {
    let mut seen = Vec::new();
    look_at_help(&[], &mut seen);
    look_at_help(&["sandbox"], &mut seen);
    for command in [
        "demo",
        "up",
        "check",
        "run",
        "call",
        "flows list",
        "connectors show",
        "connections test",
        "triggers rewind",
        "runs settle",
        "schema",
        "completions",
    ] {
        assert!(seen.iter().any(|name| name == command), "`{command}` is missing: {seen:?}");
    }
    let help = out(&program(&["--help"]).assert().success());
    assert!(help.contains("Exit codes:") && help.contains("130"), "{help}");
}

#[test]
fn the_documents_name_every_command_and_exit_code() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md")).unwrap();
    let mut seen = Vec::new();
    look_at_help(&[], &mut seen);
    for command in seen.iter().filter(|name| !name.is_empty()) {
        assert!(text.contains(&format!("`tidegate {command}")), "docs/cli.md does not name `tidegate {command}`");
    }
    let help = out(&program(&["--help"]).assert().success());
    let codes = help.lines().skip_while(|line| *line != "Exit codes:").skip(1);
    for line in codes.take_while(|line| !line.is_empty()) {
        let (code, meaning) = line.trim().split_once(' ').unwrap();
        let row = format!("| {code} | {} |", meaning.trim());
        assert!(text.contains(&row), "docs/cli.md lacks `{row}`");
    }
}

#[test]
fn unknown_words_are_answered_with_the_closest() {
    let unknown = program(&["chekc"]).assert().code(2);
    assert!(err(&unknown).contains("check"), "{}", err(&unknown));
    program(&["schema", "flwo"]).assert().code(2);
    program(&["triggers", "rewind", "tick"]).assert().code(2);
    program(&["up", "--log", "tidegate=loud"]).assert().code(2);
    // A word that is no level would silence everything.
    for words in [program(&["schema", "--log", "deubg"]), {
        let mut command = program(&["schema"]);
        command.env("TIDEGATE_LOG", "deubg");
        command
    }] {
        let mut words = words;
        let refused = words.assert().code(2);
        assert!(err(&refused).contains("did you mean `debug`?"), "{}", err(&refused));
    }
}

#[test]
fn unknown_names_are_answered_with_the_closest() {
    let project = Project::new();
    let cases: [(&[&str], &str, &str); 4] = [
        (&["flows", "show", "tikc"], "flow_unknown", "`tick`"),
        (&["run", "tikc"], "flow_unknown", "`tick`"),
        (&["connectors", "show", "twillio"], "connector_unknown", "`twilio`"),
        (&["call", "x.serch_tweets"], "action_unknown", "search_tweets`"),
    ];
    for (words, code, meant) in cases {
        let refused = project.run(words).code(1);
        let said = err(&refused);
        assert!(said.starts_with("error: ") && said.contains(&format!("code: {code}")), "{words:?}: {said}");
        assert!(said.contains(meant), "{words:?}: {said}");
        assert_eq!(out(&refused), "", "{words:?}");
    }
    let host = project.host();
    let refused = project.run(&["runs", "show", "ffff"]).code(1);
    assert!(err(&refused).contains("run_unknown"), "{}", err(&refused));
    host.stop();
}

#[test]
fn a_failure_is_json_where_results_are() {
    let project = Project::new();
    let refused = project.run(&["flows", "show", "tikc", "--output", "json"]).code(1);
    let error = json(&refused);
    assert_eq!(error.pointer("/error/code"), Some(&Value::from("flow_unknown")));
    assert!(error.pointer("/error/help").and_then(Value::as_str).unwrap().contains("tick"), "{error}");
    assert!(err(&refused).contains("error: "), "{}", err(&refused));
}

#[test]
fn lists_are_json_for_programs() {
    let project = Project::new();
    for words in
        [["flows", "list"], ["connectors", "list"], ["connections", "list"], ["triggers", "list"], ["runs", "list"]]
    {
        let listed = json(&project.command(&words).args(["-o", "json"]).assert().success());
        assert!(listed.is_array(), "{words:?}: {listed}");
    }
    let shown = json(&project.run(&["connectors", "show", "x", "-o", "json"]).success());
    assert_eq!(shown.get("name"), Some(&Value::from("x")));
}

#[test]
fn a_connector_is_documentation() {
    let project = Project::new();
    let shown = out(&project.run(&["connectors", "show", "x", "--output", "markdown"]).success());
    for part in ["x.search_tweets", "x.new_tweet", "consumer_secret", "| query", "# "] {
        assert!(shown.contains(part), "`{part}` is not in:\n{shown}");
    }
}

#[test]
fn check_exits_with_what_it_found() {
    let project = Project::new();
    let good = project.run(&["check"]).success();
    assert_eq!((out(&good), err(&good)), (String::new(), "0 errors, 0 warnings\n".to_owned()));

    project.write("flows/tick.yaml", "flow: tick\ntrigger: {evry: 1h}\nsteps: []\n");
    let bad = project.run(&["check"]).code(1);
    assert!(out(&bad).contains("flows/tick.yaml:2:11: unknown_key"), "{}", out(&bad));
    assert!(out(&bad).contains("`every`"), "{}", out(&bad));
    let found = json(&program(&["check", "-o", "json"]).arg(project.folder.path()).assert().code(1));
    let first = found.pointer("/0").unwrap();
    assert_eq!((first.get("code"), first.get("line")), (Some(&Value::from("unknown_key")), Some(&Value::from(2))));
    assert!(err(&bad).ends_with("0 warnings\n"), "{}", err(&bad));
}

#[test]
fn what_became_of_a_step_is_said_as_an_option_or_as_a_word() {
    let project = Project::new();
    let said = |words: &[&str]| {
        let output = project.run(words).get_output().clone();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for words in [&["runs", "settle", "1", "--as", "done"] as &[&str], &["runs", "settle", "1", "done"]] {
        let (_, told) = said(words);
        assert!(told.contains("code: store_missing"), "{words:?}: {told}");
    }
    for (words, names) in [
        (&["runs", "settle", "1"] as &[&str], "--as <WORD>"),
        (&["runs", "settle", "1", "--as", "maybe"], "done, retry, failed"),
        (&["runs", "settle", "1", "done", "--as", "retry"], "cannot be used with"),
    ] {
        let (code, told) = said(words);
        assert!(code == Some(2) && told.contains(names), "{words:?}: {told}");
    }
}

#[test]
fn schemas_are_those_that_are_checked_in() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    let written = tempfile::tempdir().unwrap();
    program(&["schema", "--write"]).arg(written.path()).assert().success();
    for kind in ["connector", "flow", "settings"] {
        let name = format!("{kind}.schema.json");
        let checked_in = fs::read_to_string(folder.join(&name)).unwrap();
        assert_eq!(
            fs::read_to_string(written.path().join(&name)).unwrap(),
            checked_in,
            "{name}: run `tidegate schema --write schemas`"
        );
        let printed = json(&program(&["schema", kind]).assert().success());
        assert_eq!(printed, serde_json::from_str::<Value>(&checked_in).unwrap());
    }
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = out(&program(&["completions", shell]).assert().success());
        assert!(script.contains("connectors") && script.contains("rewind"), "{shell}");
    }
}

#[test]
fn a_port_in_use_is_named() {
    let project = Project::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = project.run(&["up", "--listen", &address]).code(3);
    let said = err(&refused);
    assert!(said.contains("port_in_use") && said.contains("--listen"), "{said}");
    assert!(said.contains(&taken.local_addr().unwrap().port().to_string()), "{said}");
}

#[test]
fn a_second_host_is_refused_and_the_first_goes_on() {
    let project = Project::new();
    let first = project.host();
    let second = project.run(&["up", "--listen", "off"]).code(3);
    let said = err(&second);
    assert!(said.contains("store_locked"), "{said}");
    assert!(said.contains(&format!("process {}", first.child.id())), "{said}");
    let (status, health) = first.get("/health", "127.0.0.1");
    assert_eq!(status, 200, "{health}");
    let (code, said) = first.stop();
    assert_eq!(code, 0, "{said}");
}

#[test]
fn a_host_tells_of_itself_and_to_nobody_else() {
    let project = Project::new();
    let host = project.host();
    let (status, health) = host.get("/health", "localhost:1234");
    assert_eq!((status, health.get("status")), (200, Some(&Value::from("working"))), "{health}");
    let (status, flows) = host.get("/api/flows", "127.0.0.1");
    assert_eq!((status, flows.pointer("/0/name")), (200, Some(&Value::from("tick"))), "{flows}");
    let (status, twin) = host.get("/api/triggers/tick", "127.0.0.1");
    assert_eq!((status, twin.get("flow")), (200, Some(&Value::from("tick"))), "{twin}");
    assert!(twin["notices"].is_array(), "as `triggers show` has it: {twin}");
    let (_, missing) = host.get("/api/connections/feed", "127.0.0.1");
    let help = missing.pointer("/error/help").and_then(Value::as_str).unwrap();
    assert!(help.contains("/health and /api/connections, and"), "it has no names behind it: {help}");
    for (path, name, refusal, code) in [
        ("/api/flows", "evil.example", 403, "request_foreign"),
        ("/health", "evil.example", 403, "request_foreign"),
        ("/api/flows/tikc", "127.0.0.1", 404, "flow_unknown"),
        ("/api/runs?stat=failed", "127.0.0.1", 400, "query_invalid"),
        ("/api/runs?state=faild", "127.0.0.1", 400, "state_unknown"),
        ("/api/runs?flow=tikc", "127.0.0.1", 404, "flow_unknown"),
        ("/api/runs?before=zzz", "127.0.0.1", 404, "run_unknown"),
        ("/api/secrets", "127.0.0.1", 404, "path_unknown"),
    ] {
        let (status, body) = host.get(path, name);
        assert_eq!((status, body.pointer("/error/code")), (refusal, Some(&Value::from(code))), "{path}: {body}");
    }
    let (code, said) = host.stop();
    assert_eq!(code, 0, "{said}");
}

#[test]
fn a_second_signal_ends_at_once() {
    let project = Project::new();
    // It takes the request and never answers: there is something under way to wait for.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    project.write(
        "flows/tick.yaml",
        &format!(
            "flow: tick\ntrigger: {{manual: true}}\nsteps:\n  - {{http: {{method: GET, url: \"http://{address}/\"}}}}\n"
        ),
    );
    project.write("tidegate.yaml", "egress: {allow: [\"127.0.0.1:*\"]}\n");
    let mut host = project.host();
    let mut asked = project.command(&["run", "tick"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let (_request, _) = silent.accept().unwrap();
    host.signal();
    let mut said = String::new();
    while !said.contains("finishing what is under way") {
        assert_ne!(host.stderr.read_line(&mut said).unwrap(), 0, "it ended: {said}");
    }
    host.signal();
    assert_eq!(host.child.wait().unwrap().code(), Some(130));
    asked.kill().unwrap();
    asked.wait().unwrap();
}

#[test]
fn a_demo_that_is_ended_at_once_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let demo = program(&["demo", "--output", "json"])
        .env("TMPDIR", folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut demo = demo.unwrap();
    let (mut shown, mut said) = (String::new(), String::new());
    // Something arrived, so there is a folder.
    let mut stdout = BufReader::new(demo.stdout.take().unwrap());
    assert_ne!(stdout.read_line(&mut shown).unwrap(), 0);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "{shown}");
    let mut stderr = BufReader::new(demo.stderr.take().unwrap());
    terminate(&demo);
    while !said.contains("finishing what is under way") {
        assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "it ended: {said}");
    }
    terminate(&demo);
    assert_eq!(demo.wait().unwrap().code(), Some(130), "{said}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_list_that_nobody_reads_to_its_end_is_no_failure() {
    let mut child = program(&["schema"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

#[test]
fn what_is_given_as_json_must_be_json() {
    let project = Project::new();
    let refused = project.run(&["run", "tick", "--item", "{id: 1}"]).code(2);
    assert!(err(&refused).contains("json_invalid"), "{}", err(&refused));
}

#[test]
fn the_sandbox_says_where_it_is() {
    let mut child = program(&["sandbox", "--each-limit", "5"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let urls: Value = serde_json::from_str(&line).unwrap();
    for name in ["x", "twilio", "json", "control"] {
        let url = urls.get(name).and_then(Value::as_str).unwrap();
        let address = url.strip_prefix("http://").unwrap().split('/').next().unwrap();
        TcpStream::connect(address).unwrap();
    }
    terminate(&child);
    assert!(child.wait().unwrap().success());
}

/// A connector whose action is made of steps: it writes a line per text, then waits for a third turn.
const NOTES: &str = r#"connector: notes
connection: {fields: {author: {type: string, default: nobody}}}
actions:
  keep:
    title: Keep texts
    effect: natural
    inputs:
      texts: {type: array, items: {type: string, maxLength: 20}, required: true}
      path: {type: string, default: notes.txt}
    steps:
      - id: lines
        foreach: inputs.texts
        as: text
        collect: "{{text_index}} {{text}}"
        steps: [{action: file.append, with: {path: "{{inputs.path}}", text: "{{text}} by {{connection.author}}"}}]
      - id: rest
        repeat: {until: gte turn 3, every: 5ms, limit: 5}
        steps: [{id: look, set: {turn: "{{turn}}"}}]
      - {if: contains inputs.texts 'bad', stop: {status: failed, message: "that is bad"}}
    output: {lines: "{{steps.lines.output}}", turns: "{{steps.rest.output.turns}}"}
  outer:
    effect: natural
    inputs: {text: {type: string, required: true}}
    steps: [{id: kept, action: keep, with: {texts: [first, "{{inputs.text}}"]}}]
    output: "{{steps.kept.output}}"
"#;

fn notes() -> Project {
    let project = Project::new();
    project.write("connectors/notes.yaml", NOTES);
    project.write("tidegate.yaml", "connections: {mine: {connector: notes, fields: {author: me}}}\n");
    project.write(
        "flows/kept.yaml",
        "flow: kept\ntrigger: {manual: true}\nsteps:\n  - {id: it, action: notes.outer, with: {text: \"{{item.text}}\"}}\n",
    );
    project
}

fn written(project: &Project) -> String {
    fs::read_to_string(project.folder.path().join("out/notes.txt")).unwrap_or_default()
}

#[test]
fn an_action_made_of_steps_is_called_as_any_other() {
    let project = notes();
    project.run(&["check"]).success();
    // What a person writes is data, whatever it looks like.
    let called = project.run(&["call", "notes.outer", "text={{now}}", "--output", "json"]).success();
    let called = json(&called);
    assert_eq!(called["status"], "successful");
    assert_eq!(called["output"], serde_json::json!({"lines": ["0 first", "1 {{now}}"], "turns": 3}));
    assert_eq!(written(&project), "first by me\n{{now}} by me\n");
    let refused = project.run(&["call", "notes.keep", "texts=much longer than twenty"]).code(2);
    assert!(err(&refused).contains("the input `texts` of notes.keep"), "{}", err(&refused));
    let failed = project.run(&["call", "notes.outer", "text=bad"]).code(1);
    assert!(err(&failed).contains("kept.steps.2: that is bad"), "{}", err(&failed));
}

#[test]
fn an_action_made_of_steps_runs_dry_and_in_earnest_and_is_documented() {
    let project = notes();
    let dry =
        json(&project.run(&["run", "kept", "--item", "{\"text\": \"a\"}", "--dry-run", "--output", "json"]).success());
    let requests = dry["requests"].as_array().unwrap();
    assert_eq!(requests.iter().filter(|request| request["action"] == "file.append").count(), 2, "{requests:#?}");
    assert_eq!(written(&project), "", "a dry run writes nothing");
    let ran = json(&project.run(&["run", "kept", "--item", "{\"text\": \"a\"}", "--output", "json"]).success());
    assert_eq!(written(&project), "first by me\na by me\n");
    let steps = ran["run"]["steps"].as_array().unwrap();
    let keys: Vec<&str> = steps.iter().filter_map(|step| step["key"].as_str()).collect();
    for key in ["0", "0.steps.0", "0.steps.0.steps.0[1].0", "0.steps.0.steps.1[2].0"] {
        assert!(keys.contains(&key), "{key} is not in {keys:?}");
    }
    let shown = out(&project.run(&["connectors", "show", "notes"]).success());
    assert!(shown.contains("It is made of steps that call file.append."), "{shown}");
}
