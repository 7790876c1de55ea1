//! Approvals from outside: the program, its public listener, and the local Twilio. Links are opened as people and
//! scanners open them, replies come as SMS, and the host is killed while it waits.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::thread;

use serde_json::{Value, json};

use crate::ports::free_port;
use crate::processes::{Host, Project, Sandbox, wait_for};
use crate::public::{Answer, ask};

pub const PHONE: &str = "+15550199001";
pub const OTHER: &str = "+15550199002";

/// A host that asks `PHONE` (or who `terms` says) for every item of the local JSON service.
pub struct World {
    pub sandbox: Sandbox,
    pub project: Project,
    host: Option<Host>,
    port: u16,
    /// A database; the project's file unless given.
    store: Option<String>,
}

impl World {
    fn new(send: &str, terms: &str) -> World {
        World::of(&format!(
            r#"  - id: ask
    approval:
      question: "Shall item {{{{item.id}}}} be posted?"
      send: {send}
{terms}"#
        ))
    }

    /// A host that does this step, which is called `ask`, for every item, and writes down what came of it.
    pub fn of(step: &str) -> World {
        World::on(None, step)
    }

    /// The same on a database.
    pub fn on(store: Option<String>, step: &str) -> World {
        let sandbox = Sandbox::start();
        let port = free_port();
        let settings = format!(
            r#"public: {{url: "http://127.0.0.1:{port}", listen: "127.0.0.1:{port}"}}
egress: {{allow: ["127.0.0.1:*"]}}
connections:
  feed: {{connector: json, fields: {{url: "{json}"}}}}
  phone:
    connector: twilio
    fields: {{account_sid: "{sid}", auth_token: "{token}"}}
    hosts: {{api: "{twilio}"}}
    defaults: {{from: "{from}"}}
"#,
            json = sandbox.url,
            twilio = sandbox.twilio,
            sid = tidegate::sandbox::TWILIO_ACCOUNT_SID,
            token = tidegate::sandbox::TWILIO_AUTH_TOKEN,
            from = tidegate::sandbox::TWILIO_NUMBER,
        );
        let flow = format!(
            r#"flow: f
trigger: {{poll: json.new_item, with: {{path: /items, records: items}}, every: 1s, start: all}}
steps:
{step}
  - action: file.append
    with: {{path: decided.jsonl, text: "{{{{json steps.ask.output}}}}"}}
"#
        );
        let project = Project::new(&[("tidegate.yaml", &settings), ("flows/f.yaml", &flow)]);
        let mut world = World { sandbox, project, host: None, port, store };
        world.start();
        world
    }

    /// Ends the host.
    pub fn stop(&mut self) {
        self.host = None;
    }

    fn start(&mut self) {
        let host = match &self.store {
            None => self.project.host(1),
            Some(database) => self.project.host_on(database, 1),
        };
        let (host, port) = (self.host.insert(host), self.port);
        wait_for("the public listener", || {
            assert!(host.ended().is_none(), "the host ended: {}", self.project.log());
            ask(port, "GET", "/", "").is_some()
        });
    }

    /// The SMS that the host sent: receiver and text.
    fn sent(&self) -> Vec<(String, String)> {
        let received = self.sandbox.get("/control/received?service=twilio&operation=send_sms");
        let texts =
            received.as_array().unwrap().iter().map(|receipt| receipt["fingerprint"].as_str().unwrap().to_owned());
        texts
            .map(|text| {
                let (to, body) = text.split_once(' ').unwrap();
                (to.to_owned(), body.to_owned())
            })
            .collect()
    }

    pub fn await_sent(&self, count: usize) -> Vec<Sent> {
        wait_for("messages", || self.sent().len() >= count);
        self.sent().into_iter().map(|(to, body)| Sent::read(to, &body)).collect()
    }

    pub fn reply(&self, from: &str, body: &str) {
        self.sandbox.control("sms", &json!({"from": from, "body": body}));
    }

    pub fn open(&self, link: &str, method: &str, form: &str) -> Answer {
        let path = link.strip_prefix(&format!("http://127.0.0.1:{}", self.port)).unwrap();
        ask(self.port, method, path, form).unwrap()
    }

    /// What was decided, in the order of the decisions.
    fn decided(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.project.path("out/decided.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub fn await_decided(&self, count: usize) -> Vec<Value> {
        wait_for("decisions", || self.decided().len() >= count);
        self.decided()
    }

    fn state(&self) -> Option<String> {
        self.project.rows("SELECT state FROM approvals", |row| row.get(0)).pop()
    }

    pub fn command(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let folder = self.project.path("");
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command.envs(self.store.iter().map(|database| ("TIDEGATE_STORE", database)));
        let output = command.arg("--dir").arg(folder).args(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), text)
    }
}

/// An SMS that asks.
#[derive(Clone, Debug)]
pub struct Sent {
    pub to: String,
    pub link: String,
    pub code: String,
}

impl Sent {
    /// As `SEND` words it.
    fn read(to: String, body: &str) -> Sent {
        let mut words = body.split(' ');
        let code = words.next().unwrap().to_owned();
        Sent { to, code, link: words.next().unwrap().to_owned() }
    }
}

const SEND: &str =
    r#"{action: twilio.send_sms, with: {to: "+15550199001", body: "{{approval.code}} {{approval.url}} please"}}"#;
const TERMS: &str =
    "      choices: [{name: approve, title: Go ahead, words: [yes]}, {name: reject, words: [no]}]\n      text: true";

#[test]
fn a_link_is_shown_by_get_and_decided_by_post_once() {
    let world = World::new(SEND, TERMS);
    world.sandbox.add_items(1);
    let sent = world.await_sent(1).remove(0);
    assert_eq!(sent.to, PHONE);
    // Scanners and previews: as often as they like, in whatever way.
    for method in ["HEAD", "GET", "OPTIONS", "PUT", "DELETE", "HEAD"] {
        let answer = world.open(&sent.link, method, "");
        let expected = if matches!(method, "GET" | "HEAD") { 200 } else { 405 };
        assert_eq!(answer.status, expected, "{method}");
        assert!(answer.headers.contains("referrer-policy: no-referrer"), "{}", answer.headers);
    }
    assert_eq!(world.state().as_deref(), Some("open"));
    let page = world.open(&sent.link, "GET", "").body;
    assert!(page.contains("Shall item 1 be posted?") && page.contains("Go ahead"), "{page}");
    let refused = world.open(&sent.link, "POST", "choice=perhaps");
    assert_eq!(refused.status, 400);
    assert!(refused.body.contains("perhaps") && refused.body.contains("<form"), "{}", refused.body);
    assert_eq!(world.open(&sent.link, "POST", "").status, 400);
    let taken = world.open(&sent.link, "POST", "choice=approve&text=Do+it+%3Cnow%3E");
    assert_eq!(taken.status, 200, "{}", taken.body);
    let again = world.open(&sent.link, "POST", "choice=reject");
    assert_eq!(again.status, 409);
    assert!(again.body.contains("Go ahead") && again.body.contains("Do it &lt;now&gt;"), "{}", again.body);
    assert_eq!(world.open(&sent.link, "GET", "").status, 200);
    let decided = world.await_decided(1).remove(0);
    assert_eq!((&decided["choice"], &decided["how"]), (&json!("approve"), &json!("link")));
    assert_eq!(decided["text"], "Do it <now>");
    // The token is nowhere: not in the store, not in what `runs show` gives.
    let (_, shown) = world.command(&["approvals", "list", "--state", "all", "--output", "json"]);
    let token = &sent.link[sent.link.len() - 20..];
    assert!(shown.contains("approve") && !shown.contains(token), "{shown}");
    let run: String = world.project.rows("SELECT id FROM runs", |row| row.get(0)).pop().unwrap();
    let (_, shown) = world.command(&["runs", "show", &run, "--exchanges", "--output", "json"]);
    assert!(shown.contains("approval-link-") && !shown.contains(token), "{shown}");
    for file in ["tidegate.db", "tidegate.db-wal", "host.log"] {
        let bytes = std::fs::read(world.project.path(file)).unwrap_or_default();
        assert!(!bytes.windows(token.len()).any(|window| window == token.as_bytes()), "{file}");
    }
}

#[test]
fn altered_and_unknown_links_lead_nowhere() {
    let world = World::new(SEND, TERMS);
    world.sandbox.add_items(1);
    let link = world.await_sent(1).remove(0).link;
    let flipped = |at: usize| {
        let mut text = link.clone().into_bytes();
        text[at] = if text[at] == b'z' { b'y' } else { b'z' };
        String::from_utf8(text).unwrap()
    };
    let cut = link[..link.len() - 1].to_owned();
    for wrong in [flipped(link.len() - 1), flipped(link.len() - 25), cut, format!("{link}0")] {
        for method in ["GET", "POST"] {
            let answer = world.open(&wrong, method, "choice=approve");
            assert_eq!(answer.status, 404, "{method} {wrong}");
            assert!(answer.body.contains("not valid"), "{}", answer.body);
        }
    }
    assert_eq!(world.state().as_deref(), Some("open"));
}

#[test]
fn of_two_posts_at_once_exactly_one_wins() {
    let world = World::new(SEND, TERMS);
    for round in 1..=5 {
        world.sandbox.add_items(1);
        let link = world.await_sent(round).pop().unwrap().link;
        let path = link.strip_prefix(&format!("http://127.0.0.1:{}", world.port)).unwrap().to_owned();
        let posts: Vec<_> = ["approve", "reject", "approve", "reject"]
            .map(|choice| {
                let (path, port) = (path.clone(), world.port);
                thread::spawn(move || (choice, ask(port, "POST", &path, &format!("choice={choice}")).unwrap().status))
            })
            .into_iter()
            .map(|post| post.join().unwrap())
            .collect();
        let won: Vec<_> = posts.iter().filter(|(_, status)| *status == 200).collect();
        assert_eq!(won.len(), 1, "{posts:?}");
        assert!(posts.iter().all(|(_, status)| matches!(status, 200 | 409)), "{posts:?}");
        assert_eq!(world.await_decided(round).pop().unwrap()["choice"], won[0].0);
    }
}

#[test]
fn an_expired_link_says_so_and_the_default_counts() {
    let world = World::new(SEND, &format!("{TERMS}\n      expires: 1s\n      on_expire: reject"));
    world.sandbox.add_items(1);
    let link = world.await_sent(1).remove(0).link;
    let decided = world.await_decided(1).remove(0);
    assert_eq!((&decided["choice"], &decided["how"]), (&json!("reject"), &json!("expired")));
    for method in ["GET", "POST"] {
        let answer = world.open(&link, method, "choice=approve");
        assert_eq!(answer.status, 410, "{method}");
        assert!(answer.body.contains("Too late"), "{}", answer.body);
    }
    assert_eq!(world.decided().len(), 1);
}

#[test]
fn a_kill_while_it_waits_loses_nothing_and_asks_nobody_twice() {
    let mut world = World::new(SEND, TERMS);
    world.sandbox.add_items(1);
    let sent = world.await_sent(1).remove(0);
    wait_for("the wait", || world.state().as_deref() == Some("open"));
    world.host.take().unwrap().kill();
    // Decided from here while no host works.
    let (code, shown) = world.command(&["approvals", "list"]);
    assert!(code == Some(0) && shown.contains("Shall item 1"), "{shown}");
    world.start();
    assert_eq!(world.open(&sent.link, "GET", "").status, 200, "the same link works after a restart");
    assert_eq!(world.open(&sent.link, "POST", "choice=approve").status, 200);
    world.host.take().unwrap().kill();
    world.start();
    let decided = world.await_decided(1);
    assert_eq!(decided[0]["choice"], "approve");
    assert_eq!(world.sent().len(), 1);
}

#[test]
fn an_answer_counts_although_a_kill_left_open_whether_the_question_was_sent() {
    let mut world = World::new(SEND, TERMS);
    let fault = json!({"service": "twilio", "operation": "send_sms", "times": 1, "delay_answer_ms": 60_000});
    world.sandbox.control("faults", &fault);
    world.sandbox.add_items(1);
    let sent = world.await_sent(1).remove(0);
    world.host.take().unwrap().kill();
    world.start();
    assert_eq!(world.open(&sent.link, "POST", "choice=approve").status, 200);
    let decided = world.await_decided(1);
    assert_eq!(decided[0]["choice"], "approve");
    assert_eq!(world.sent().len(), 1);
}

#[test]
fn the_command_line_decides_as_a_whole() {
    let world = World::new(SEND, TERMS);
    world.sandbox.add_items(1);
    let link = world.await_sent(1).remove(0).link;
    let id: String = world.project.rows("SELECT id FROM approvals", |row| row.get(0)).pop().unwrap();
    let (code, said) = world.command(&["approvals", "decide", &id, "aprove"]);
    assert!(code == Some(2) && said.contains("choice_unknown") && said.contains("approve"), "{said}");
    let (code, said) = world.command(&["approvals", "decide", &id[..6], "reject", "--text", "no", "--by", "Mara"]);
    assert_eq!(code, Some(0), "{said}");
    let decided = world.await_decided(1).remove(0);
    assert_eq!(
        (&decided["choice"], &decided["how"], &decided["by"]),
        (&json!("reject"), &json!("cli"), &json!("Mara"))
    );
    let (code, said) = world.command(&["approvals", "decide", &id, "approve"]);
    assert!(code == Some(1) && said.contains("approval_over"), "{said}");
    let gone = world.open(&link, "POST", "choice=approve");
    assert!(gone.status == 410 && gone.body.contains("Mara"), "{}", gone.body);
    let (code, shown) = world.command(&["approvals", "show", &id]);
    assert!(code == Some(0) && shown.contains("Mara"), "{shown}");
    let (code, said) = world.command(&["approvals", "show", "nothing"]);
    assert!(code == Some(1) && said.contains("approval_unknown"), "{said}");
}

/// A flow that posts every SMS that comes in to a file, beside the one that asks.
const INBOX: &str = r#"flow: inbox
trigger: {poll: twilio.incoming_sms, every: 1s, start: all}
steps:
  - {action: file.append, with: {path: inbox.jsonl, text: "{{json item.body}}"}}
"#;

#[test]
fn a_reply_by_sms_decides_and_reaches_no_flow() {
    let world = World::new(SEND, TERMS);
    world.project.write("flows/inbox.yaml", INBOX);
    world.sandbox.add_items(1);
    let sent = world.await_sent(1).remove(0);
    let lower = sent.code.to_lowercase();
    world.reply(OTHER, &format!("{} approve", sent.code));
    world.reply(PHONE, "approve");
    world.reply(PHONE, &format!("{} hm", sent.code));
    world.reply(PHONE, &format!(" {} {}  YES, but soon", &lower[..2], &lower[2..]));
    let decided = world.await_decided(1).remove(0);
    assert_eq!((&decided["choice"], &decided["how"]), (&json!("approve"), &json!("sms")));
    assert_eq!((&decided["by"], &decided["text"]), (&json!(PHONE), &json!("but soon")));
    let inbox = || {
        let text = std::fs::read_to_string(world.project.path("out/inbox.jsonl")).unwrap_or_default();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    // What is no answer is an item like any other; what carries the code is nobody's.
    let mut others = vec![format!("\"{} approve\"", sent.code), "\"approve\"".to_owned()];
    others.sort();
    wait_for("the inbox", || inbox().len() >= 2);
    world.project.await_number("SELECT count(*) FROM runs WHERE flow = 'inbox' AND state = 'filtered'", 2);
    assert_eq!(inbox(), others);
    assert_eq!(world.decided().len(), 1);
    let late = world.open(&sent.link, "POST", "choice=reject");
    assert!(late.status == 409 && late.body.contains("by sms"), "{}", late.body);
}

#[test]
fn replies_are_looked_for_without_any_flow_that_polls() {
    let world = World::new(SEND, TERMS);
    world.sandbox.add_items(1);
    let sent = world.await_sent(1).remove(0);
    world.reply(PHONE, &format!("{} no", sent.code));
    let decided = world.await_decided(1).remove(0);
    assert_eq!((&decided["choice"], &decided["how"]), (&json!("reject"), &json!("sms")));
}

#[test]
fn all_of_several_have_to_answer_each_by_a_link_of_their_own() {
    let send =
        r#"{action: twilio.send_sms, with: {to: "{{approver}}", body: "{{approval.code}} {{approval.url}} please"}}"#;
    let terms = format!("{TERMS}\n      approvers: [\"{PHONE}\", \"{OTHER}\"]\n      needed: all");
    let world = World::new(send, &terms);
    world.sandbox.add_items(1);
    let sent = world.await_sent(2);
    assert_eq!((sent[0].to.as_str(), sent[1].to.as_str()), (PHONE, OTHER));
    assert!(sent[0].link != sent[1].link && sent[0].code != sent[1].code);
    assert_eq!(world.open(&sent[0].link, "POST", "choice=approve").status, 200);
    assert_eq!(world.state().as_deref(), Some("open"));
    // The other's number does not lend its voice to this one's code.
    world.reply(PHONE, &format!("{} approve", sent[1].code));
    world.reply(OTHER, &format!("{} approve", sent[1].code));
    let decided = world.await_decided(1).remove(0);
    assert_eq!(decided["choice"], "approve");
    let answers = decided["answers"].as_array().unwrap();
    assert_eq!(answers.iter().map(|answer| answer["how"].as_str().unwrap()).collect::<Vec<_>>(), ["link", "sms"]);
    assert_eq!(answers[0]["by"], PHONE);
}

#[test]
fn two_approvers_at_one_number_are_not_two_people() {
    let send = r#"{action: twilio.send_sms, with: {to: "{{approver.phone}}", body: "{{approval.code}} {{approval.url}} please"}}"#;
    let approvers = format!("[{{name: ann, phone: \"{PHONE}\"}}, {{name: ben, phone: \"{PHONE}\"}}]");
    let terms = format!("{TERMS}\n      approvers: {approvers}\n      needed: all\n      on_expire: reject");
    let world = World::new(send, &terms);
    world.sandbox.add_items(1);
    let decided = world.await_decided(1).remove(0);
    assert_eq!((&decided["choice"], &decided["how"]), (&json!("reject"), &json!("unreachable")));
    assert_eq!(decided["unreached"][0]["code"], "approval_invalid", "{decided}");
    assert_eq!(world.sent().len(), 1);
}

#[test]
fn a_choice_that_would_never_arrive_is_refused_before_anybody_is_asked() {
    let world = World::new(SEND, "      choices: \"{{parse_json '[\\\"go\\\", {\\\"name\\\": \\\"stop\\\"}]'}}\"");
    world.sandbox.add_items(1);
    world.project.await_number("SELECT count(*) FROM runs WHERE state = 'failed'", 1);
    let error: String = world.project.rows("SELECT error FROM runs", |row| row.get(0)).remove(0);
    assert!(error.contains("approval_choice_swallowed"), "{error}");
    assert_eq!(world.sent(), []);
}

/// A slow reader of a page must not keep others waiting.
#[test]
fn a_page_is_shown_beside_somebody_who_does_not_read() {
    let world = World::new(SEND, TERMS);
    world.sandbox.add_items(1);
    let link = world.await_sent(1).remove(0).link;
    let mut slow = TcpStream::connect(("127.0.0.1", world.port)).unwrap();
    slow.write_all(b"GET /a/").unwrap();
    assert_eq!(world.open(&link, "GET", "").status, 200);
    slow.write_all(b"x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    slow.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 404"), "{text}");
}
