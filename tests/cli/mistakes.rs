//! What is mistyped, in the wrong folder, or interrupted: it is told, and how the command exits says it, too.

use super::*;

#[test]
fn a_folder_that_is_none_of_a_project_is_told() {
    let empty = tempfile::tempdir().unwrap();
    let checked = program(&["check"]).arg(empty.path()).assert().success();
    assert!(out(&checked).contains("no_project"), "{}", out(&checked));
    assert_eq!(err(&checked), "0 errors, 1 warning\n");
    let project = Project::new();
    let file = project.folder.path().join("flows/tick.yaml");
    let refused = program(&["check"]).arg(&file).assert().code(1);
    assert!(err(&refused).contains("name the project's folder, not a file"), "{}", err(&refused));
    for words in [
        &["run", "tick"][..],
        &["run", "tick", "--dry-run"],
        &["call", "json.get"],
        &["connect", "json"],
        &["package", "export", "--name", "a"],
    ] {
        let refused = program(words).args(["--dir", "/nowhere/at/all"]).assert().code(1);
        assert!(err(&refused).contains("folder_missing"), "{words:?}: {}", err(&refused));
    }
}

#[test]
fn runs_that_are_all_left_alone_are_no_success() {
    let project = Project::new();
    let ids: Vec<String> = (0..2)
        .map(|_| json(&project.run(&["run", "tick", "-o", "json"]).success())["run"]["id"].as_str().unwrap().to_owned())
        .collect();
    let left = project.run(&["runs", "retry", &ids[0], &ids[1]]).code(1);
    assert!(out(&left).contains("0 runs, 2 left alone"), "{}", out(&left));
    // The older one has nothing before it; what is no id is told.
    for (before, rows) in [(ids[0].as_str(), 0), (ids[1].as_str(), 1), (&ids[1][24..], 1)] {
        let listed = json(&project.run(&["runs", "list", "--before", before, "-o", "json"]).success());
        assert_eq!(listed.as_array().unwrap().len(), rows, "{before}: {listed}");
    }
    let refused = project.run(&["runs", "list", "--before", "foo"]).code(1);
    assert!(err(&refused).contains("run_unknown"), "{}", err(&refused));
}

#[test]
fn a_dry_run_shows_each_step_once() {
    let project = Project::new();
    project.write(
        "flows/slow.yaml",
        "flow: slow\ntrigger: {manual: true}\nsteps:\n  - {id: nap, wait: 1h}\n  - {id: each, foreach: item, as: one, steps: [{id: kept, set: {a: \"{{one}}\"}}]}\n",
    );
    let shown = json(&project.run(&["run", "slow", "--item", "[1]", "--dry-run", "-o", "json"]).success());
    let steps: Vec<&str> =
        shown["requests"].as_array().unwrap().iter().filter_map(|one| one["step"].as_str()).collect();
    assert_eq!(steps, ["nap", "kept", "each"], "{shown}");
}

#[test]
fn a_host_does_not_take_the_runs_before_it_for_its_own() {
    let project = Project::new();
    project.run(&["run", "tick"]).success();
    let mut host = project.host();
    host.signal();
    let mut shown = String::new();
    host.child.stdout.take().unwrap().read_to_string(&mut shown).unwrap();
    assert!(shown.contains("; runs in the store: "), "{shown}");
}

#[test]
fn a_selector_that_is_none_is_refused_before_anything_is_sent() {
    let project = Project::new();
    // Where something is sent, nobody answers: that would exit with 5.
    project.write(
        "tidegate.yaml",
        "egress: {allow: [\"127.0.0.1:*\"]}\nconnections: {json: {connector: json, fields: {url: \"http://127.0.0.1:1\"}}}\n",
    );
    let refused = project.run(&["call", "json.get_items", "records=data.items["]).code(2);
    let said = err(&refused);
    assert!(said.contains("input_invalid") && said.contains("`jmespath`: it ends too early"), "{said}");
}

/// A server that takes a request and never answers, and a connection to it.
fn silent(project: &Project) -> TcpListener {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    project.write(
        "tidegate.yaml",
        &format!(
            "egress: {{allow: [\"127.0.0.1:*\"]}}\nconnections: {{json: {{connector: json, fields: {{url: \"http://{address}\"}}}}}}\n"
        ),
    );
    project.write("flows/ask.yaml", "flow: ask\ntrigger: {manual: true}\nsteps:\n  - {action: json.get}\n");
    silent
}

#[test]
fn an_interrupt_says_what_may_have_been_under_way() {
    let project = Project::new();
    let silent = silent(&project);
    for words in [&["run", "ask"][..], &["call", "json.get"]] {
        let child = project.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (_request, _) = silent.accept().unwrap();
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        let ended = child.wait_with_output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(130), "{words:?}: {said}");
        assert!(said.contains("may have been under way"), "{words:?}: {said}");
        if words[0] == "run" {
            let listed = json(&project.run(&["runs", "list", "-o", "json"]).success());
            assert!(said.contains(listed[0]["id"].as_str().unwrap()), "{said}: {listed}");
        }
    }
}
