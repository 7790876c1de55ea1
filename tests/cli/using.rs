//! What a new user meets: flows that are wrong, values on the command line, runs that take longer than anybody
//! waits, and what the host says of itself.

use super::*;

/// A flow that writes a line and then needs what `{{itm.id}}` names.
const BROKEN: &str = "flow: broken\ntrigger: {manual: true}\nsteps:\n  - {action: file.append, with: {path: a.txt, text: sent}}\n  - {action: log.write, with: {message: \"{{itm.id}}\", level: wrn}}\n";
const NAMES: &str = "flow: names\ninputs:\n  to: {type: array, items: {type: string}, required: true}\n  size: {type: integer, default: 1}\ntrigger: {manual: true}\nsteps:\n  - {action: file.append, with: {path: a.txt, text: \"{{json inputs.to}} {{json inputs.size}}\"}}\n";

fn appended(project: &Project) -> String {
    fs::read_to_string(project.folder.path().join("out/a.txt")).unwrap_or_default()
}

#[test]
fn a_flow_that_check_refuses_is_not_begun_by_hand_either() {
    let project = Project::new();
    project.write("flows/broken.yaml", BROKEN);
    for words in [&["run", "broken"][..], &["run", "broken", "--dry-run"]] {
        let refused = project.run(words).code(1);
        for part in ["template_unknown_name", "input_invalid", "code: flow_unsound"] {
            assert!(err(&refused).contains(part), "`{part}` is not in: {}", err(&refused));
        }
    }
    assert_eq!(appended(&project), "", "its first step was not done");
    // What is wrong with another flow does not concern this one.
    let ran = project.run(&["run", "tick"]).success();
    assert!(err(&ran).contains("tick"), "what a flow writes to the log is seen: {}", err(&ran));
}

#[test]
fn values_on_the_command_line_are_those_of_the_flow() {
    let project = Project::new();
    project.write("flows/names.yaml", NAMES);
    project.run(&["run", "names", "--set", "to=ada", "--set", "to=bo", "--set", "size=2"]).success();
    project.run(&["run", "names", "--set", "to=ada"]).success();
    assert_eq!(appended(&project), "[\"ada\",\"bo\"] 2\n[\"ada\"] 1\n");
    // A typing error is one, and not a mistake in tidegate.yaml, whatever stands there.
    project.write("tidegate.yaml", "listen: \"off\"\nflows: {names: {inputs: {size: 5}}}\n");
    let cases: [(&[&str], i32, &str); 4] = [
        (&["--set", "to=a", "--set", "szie=5"], 2, "did you mean `size`?"),
        (&["--set", "to"], 2, "set_syntax"),
        (&["--set", "to=a", "--set", "size=many"], 2, "--set: input_wrong_type"),
        (&[], 1, "input_missing"),
    ];
    for (sets, code, part) in cases {
        let refused = project.run(&[&["run", "names"], sets].concat()).code(code);
        assert!(err(&refused).contains(part), "{sets:?}: {}", err(&refused));
        assert!(!err(&refused).contains("listen"), "{sets:?}: {}", err(&refused));
    }
}

#[test]
fn a_run_that_is_not_over_says_who_goes_on_with_it() {
    let project = Project::new();
    project.write("flows/later.yaml", "flow: later\ntrigger: {manual: true}\nsteps:\n  - {wait: 1h}\n");
    let left = project.run(&["run", "later", "-o", "json"]).code(6);
    assert_eq!(json(&left).pointer("/run/state"), Some(&Value::from("running")));
    let said = err(&left);
    assert!(said.contains("is not over") && said.contains("due 20") && said.contains("`tidegate up`"), "{said}");
}

#[test]
fn the_example_of_run_runs() {
    let project = Project::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    project.write("flows/tweet-to-sms.yaml", &fs::read_to_string(root.join("flows/tweet-to-sms.yaml")).unwrap());
    project.write(
        "tidegate.yaml",
        "connections:\n  x: {connector: x, fields: {bearer_token: abcd}}\n  tw: {connector: twilio, fields: {account_sid: AC00000000000000000000000000000001, auth_token: abcd}, defaults: {from: \"+15550100\"}}\nflows: {tweet-to-sms: {inputs: {query: tide, to: [\"+15550199\"]}}}\n",
    );
    let help = out(&program(&["run", "--help"]).assert().success());
    let example = help.lines().find(|line| line.contains("--dry-run") && line.contains("tidegate run")).unwrap();
    let item = example.split('\'').nth(1).unwrap();
    let shown = project.run(&["run", "tweet-to-sms", "--item", item, "--dry-run"]).success();
    assert!(out(&shown).contains("Hello x.com/1"), "{}", out(&shown));
}

#[test]
fn a_host_writes_what_its_flows_write() {
    let project = Project::new();
    let host = project.host();
    project.run(&["run", "tick"]).success();
    let (code, said) = host.stop();
    assert_eq!(code, 0, "{said}");
    assert!(said.lines().any(|line| line.contains("flow: tick")), "{said}");
}

#[test]
fn a_log_of_json_holds_nothing_else() {
    let project = Project::new();
    project.write("flows/sub/lost.yaml", "flow: lost\n");
    let mut child = project
        .command(&["up", "--listen", "127.0.0.1:0", "--log-format", "json"])
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("listening on") {
        assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "it ended: {said}");
    }
    terminate(&child);
    stderr.read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success(), "{said}");
    let objects: Vec<Value> =
        said.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect();
    let found = objects.iter().find(|line| line.get("code") == Some(&Value::from("passed_over"))).expect("a finding");
    assert_eq!((found.get("level"), found.get("file")), (Some(&Value::from("WARN")), Some(&Value::from("flows/sub"))));
    assert!(said.contains("finishing what is under way"), "{said}");
}

#[cfg(unix)]
#[test]
fn a_pipe_among_the_files_is_told_and_not_waited_for() {
    for path in ["flows/ff.yaml", "connectors/cc.yaml", "connectors/dd/part.yaml", "tidegate.yaml"] {
        let project = Project::new();
        let pipe = project.folder.path().join(path);
        fs::create_dir_all(pipe.parent().unwrap()).unwrap();
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let refused = project.run(&["check"]).code(1);
        assert!(out(&refused).contains(&format!("{path}: no_file")), "{path}: {}", out(&refused));
    }
}

#[test]
fn exit_codes_are_those_that_are_documented() {
    let project = Project::new();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    project.write(
        "tidegate.yaml",
        &format!(
            "listen: \"off\"\negress: {{allow: [\"127.0.0.1:*\"]}}\nconnections:\n  j: {{connector: json, fields: {{url: \"http://{closed}\"}}}}\n  out: {{connector: json, fields: {{url: \"http://10.1.2.3\"}}}}\n  t: {{connector: x, fields: {{bearer_token: abcd}}}}\n"
        ),
    );
    project.run(&["run", "tick"]).success();
    let cases: [(&[&str], i32, &str); 7] = [
        (&["call", "x.search_tweets"], 2, "input_invalid"),
        (&["call", "x.search_tweets", "query=a", "max_results=abc"], 2, "input_invalid"),
        (&["call", "x.search_tweets", "query=a", "foo=1"], 2, "input_unknown"),
        (&["connections", "test", "j"], 5, ""),
        (&["connections", "test", "out"], 1, ""),
        (&["runs", "list", "--flow", "tikc"], 1, "`tick`"),
        (&["runs", "list", "--flow", "tick"], 0, ""),
    ];
    for (words, code, part) in cases {
        let ended = project.run(words).code(code);
        let said = err(&ended) + &out(&ended);
        assert!(said.contains(part), "{words:?}: {said}");
    }
    let missing = program(&["flows", "list", "--dir", "/nowhere/at/all"]).assert().code(1);
    assert!(err(&missing).contains("there is no folder /nowhere/at/all"), "{}", err(&missing));
    let missing = program(&["check", "--dir", "/nowhere/at/all"]).assert().code(1);
    assert!(out(&missing).starts_with("/nowhere/at/all: unreadable"), "{}", out(&missing));
}
