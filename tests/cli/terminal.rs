//! At a terminal: what is asked, what is echoed, and that the terminal is left as it was. `script` gives the program
//! a pseudo-terminal, which has no columns as long as nobody says how many.

use std::io::Read;
use std::process::{ChildStdin, ChildStdout};

use super::*;

/// A program at a terminal.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    screen: ChildStdout,
    shown: String,
    seen: usize,
    /// `/dev/pts/7`
    name: String,
}

impl Terminal {
    fn new(project: &Project, words: &[&str]) -> Terminal {
        Terminal::with(project, words, "")
    }

    /// The same, with what the shell does after it.
    fn with(project: &Project, words: &[&str], after: &str) -> Terminal {
        let quoted = |word: &str| format!("'{}'", word.replace('\'', "'\\''"));
        let folder = project.folder.path().display().to_string();
        let words: Vec<String> = [&[PROGRAM], words, &["--dir", &folder]].concat().into_iter().map(quoted).collect();
        let mut command = Command::new("script");
        let line = format!("tty; trap : INT; {}{after}", words.join(" "));
        command.args(["-qec", &line, "/dev/null"]).env("TERM", "xterm").env("SHELL", "/bin/sh");
        for name in ["TIDEGATE_STORE", "TIDEGATE_KEY", "TIDEGATE_KEY_FILE", "COLUMNS"] {
            command.env_remove(name);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (keys, screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut terminal = Terminal { child, keys, screen, shown: String::new(), seen: 0, name: String::new() };
        terminal.wait("\n");
        terminal.name = terminal.shown.lines().next().unwrap().trim().to_owned();
        terminal
    }

    /// Waits until `text` is shown, after what was waited for before.
    fn wait(&mut self, text: &str) {
        let mut bytes = [0; 4096];
        while !self.shown[self.seen..].contains(text) {
            let count = self.screen.read(&mut bytes).unwrap();
            assert_ne!(count, 0, "`{text}` is not shown: {}", self.shown);
            self.shown.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
        self.seen += self.shown[self.seen..].find(text).unwrap() + text.len();
    }

    /// Presses keys once the question is listening: what is typed before would be seen, or thrown away.
    fn press(&mut self, keys: &str) {
        let is_listening = || {
            let said = Command::new("stty").args(["-F", &self.name, "-a"]).output().unwrap();
            String::from_utf8(said.stdout).unwrap().contains("-echo ")
        };
        crate::processes::wait_for("the question", is_listening);
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// How it exits, and all that was shown.
    fn end(mut self) -> (i32, String) {
        let mut rest = Vec::new();
        self.screen.read_to_end(&mut rest).unwrap();
        self.shown.push_str(&String::from_utf8_lossy(&rest));
        (self.child.wait().unwrap().code().unwrap_or(-1), self.shown)
    }
}

const PACKAGE: &str = r#"package: feed
prompts:
  a_url: {title: Address}
  b_token: {type: secret, title: Token}
  c_level: {type: choice, title: Level, choices: [info, warn, error]}
connections:
  feed: {connector: json, fields: {url: "{{prompts.a_url}}", token: "{{prompts.b_token}}"}}
flows:
  noted:
    trigger: {manual: true}
    steps: [{action: log.write, with: {message: hello, level: "{{prompts.c_level}}"}}]
"#;

fn packaged() -> (Project, String) {
    let project = Project::new();
    project.write("feed.yaml", PACKAGE);
    let file = project.folder.path().join("feed.yaml").display().to_string();
    (project, file)
}

#[test]
fn a_package_asks_at_a_terminal_for_what_it_needs() {
    let (project, file) = packaged();
    let mut terminal = Terminal::new(&project, &["package", "import", &file, "--untested"]);
    terminal.wait("Address");
    terminal.press("https://feed.example.com\n");
    terminal.wait("Token");
    terminal.press("hunter2\n");
    terminal.wait("Level");
    terminal.wait("error");
    // One down from the first.
    terminal.press("j");
    terminal.press("\n");
    terminal.wait("Add all of it?");
    terminal.press("y");
    let (code, shown) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains("hunter2"), "a secret is not echoed: {shown}");
    assert!(shown.contains("https://feed.example.com"), "{shown}");
    let flow = fs::read_to_string(project.folder.path().join("flows/noted.yaml")).unwrap();
    assert!(flow.contains("level: warn"), "{flow}");
    let account = json(&project.run(&["connections", "show", "feed", "-o", "json"]).success());
    let field = |name: &str| account["fields"].as_array().unwrap().iter().find(|field| field["name"] == name).unwrap();
    assert_eq!(field("url")["value"], "https://feed.example.com", "{account}");
    assert_eq!(field("token")["source"], "sealed", "{account}");
}

#[test]
fn an_interrupt_at_a_choice_shows_the_cursor_again() {
    let (project, file) = packaged();
    let sets = ["--set", "a_url=https://feed.example.com", "--set", "b_token=t"];
    let mut terminal = Terminal::new(&project, &[&["package", "import", &file][..], &sets].concat());
    terminal.wait("Level");
    terminal.wait("error");
    terminal.press("\u{3}");
    let (code, shown) = terminal.end();
    assert_eq!(code, 130, "{shown:?}");
    assert!(shown.rfind("\u{1b}[?25h") > shown.rfind("\u{1b}[?25l"), "{shown:?}");
    assert!(!project.folder.path().join("flows/noted.yaml").exists());
}

#[test]
fn an_interrupt_at_a_secret_lets_what_is_typed_be_seen_again() {
    let (project, file) = packaged();
    let words = ["package", "import", &file, "--set", "a_url=https://feed.example.com"];
    let mut terminal = Terminal::with(&project, &words, "; echo ended $?; stty -a");
    terminal.wait("Token");
    terminal.press("\u{3}");
    let (_, shown) = terminal.end();
    assert!(shown.contains("ended 130") && shown.contains(" echo ") && !shown.contains("-echo "), "{shown}");
}

#[test]
fn a_terminal_without_columns_has_80() {
    let project = Project::new();
    let (code, shown) = Terminal::new(&project, &["flows", "list"]).end();
    assert!(code == 0 && shown.contains('│'), "{shown}");
    assert!(shown.lines().any(|line| line.contains("tick") && line.contains("every 1h")), "{shown}");
}
