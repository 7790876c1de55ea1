//! The public listener from outside: what it answers, what no answer lacks, and that nothing of the host's own
//! listener is on it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::Value;

use crate::ports::free_port;
use crate::processes::{Project, wait_for};

/// One answer of a listener: status, headers in lower case, body.
pub struct Answer {
    pub status: u16,
    pub headers: String,
    pub body: String,
}

/// Asks a public listener; `None` while it does not listen.
pub fn ask(port: u16, method: &str, path: &str, form: &str) -> Option<Answer> {
    ask_of("gate.example.org", port, method, path, form)
}

// Asks a listener by the name that it is reached by.
fn ask_of(host: &str, port: u16, method: &str, path: &str, form: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let length = form.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {length}\r\n\r\n{form}"
    )
    .ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, headers: head.to_ascii_lowercase(), body: body.to_owned() })
}

/// What `/health` of a host's own listener says; `None` while it does not listen.
pub fn health(port: u16) -> Option<(u16, Value)> {
    let answer = ask_of("127.0.0.1", port, "GET", "/health", "")?;
    Some((answer.status, serde_json::from_str(&answer.body).ok()?))
}

#[test]
fn only_public_pages_are_there_and_all_are_hardened() {
    let port = free_port();
    let settings = format!("public: {{url: \"https://gate.example.org\", listen: \"127.0.0.1:{port}\"}}\n");
    let project = Project::new(&[("tidegate.yaml", &settings)]);
    let host = project.host(1);
    wait_for("the public listener", || ask(port, "GET", "/", "").is_some());
    for path in ["/", "/health", "/api/runs", "/api/flows", "/nothing"] {
        let answer = ask(port, "GET", path, "").unwrap();
        assert_eq!(answer.status, 404, "{path}");
        for header in [
            "content-security-policy: default-src 'none'",
            "cache-control: no-store",
            "referrer-policy: no-referrer",
            "x-content-type-options: nosniff",
        ] {
            assert!(answer.headers.contains(header), "{path} lacks {header}: {}", answer.headers);
        }
        assert!(answer.body.contains("<h1>") && !answer.body.contains("<script"), "{}", answer.body);
    }
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn a_public_port_in_use_is_named_with_its_setting() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let project = Project::new(&[("tidegate.yaml", &format!("public: {{listen: \"127.0.0.1:{port}\"}}\n"))]);
    assert_eq!(project.host(1).wait(), Some(3));
    let log = project.log();
    assert!(log.contains("port_in_use") && log.contains("public.listen"), "{log}");
    assert!(log.contains(&port.to_string()), "{log}");
}

#[test]
fn without_the_setting_nothing_is_public() {
    let project = Project::new(&[("tidegate.yaml", "{}\n")]);
    let mut host = project.host(1);
    wait_for("the host", || host.has_store(&project));
    assert!(ask(7401, "GET", "/", "").is_none_or(|answer| !answer.body.contains("nothing here")));
    assert_eq!(host.stop(), Some(0));
}
