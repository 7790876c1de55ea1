//! Scheduled checks, alerts and e-mail, from outside: a host, a service that refuses, and a mail server that is a
//! few lines of this file.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use tidegate::sandbox::{TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN};

use crate::connect::{Project, text};

/// What a mail server was told: the commands of one conversation, and the message.
#[derive(Debug)]
struct Taken {
    commands: Vec<String>,
    message: String,
}

/// A mail server that takes what it is given, but refuses receivers called `nobody`.
fn mail_server() -> (u16, Receiver<Taken>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let tell = tell.clone();
            std::thread::spawn(move || converse(stream.unwrap(), &tell));
        }
    });
    (port, told)
}

fn converse(stream: TcpStream, tell: &Sender<Taken>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    let mut taken = Taken { commands: Vec::new(), message: String::new() };
    writer.write_all(b"220 mail.test ESMTP\r\n").unwrap();
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
        let command = line.trim_end().to_owned();
        line.clear();
        let answer = match command.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => "250-mail.test\r\n250-AUTH PLAIN\r\n250 8BITMIME\r\n",
            "AUTH" if command.contains("AGdhdGUAczNjcmV0LW1haWw") => "235 welcome\r\n",
            "AUTH" => "535 who are you\r\n",
            "RCPT" if command.contains("nobody") => "550 no such user\r\n",
            "DATA" => "354 go ahead\r\n",
            "QUIT" => "221 bye\r\n",
            _ => "250 ok\r\n",
        };
        let is_data = answer.starts_with("354");
        taken.commands.push(command);
        if writer.write_all(answer.as_bytes()).is_err() {
            return;
        }
        if is_data {
            while reader.read_line(&mut line).is_ok_and(|read| read > 0) && line != ".\r\n" {
                taken.message.push_str(&line);
                line.clear();
            }
            line.clear();
            let _ = tell.send(std::mem::replace(&mut taken, Taken { commands: Vec::new(), message: String::new() }));
            writer.write_all(b"250 queued as 1\r\n").unwrap();
        }
    }
}

fn settings(project: &Project, port: u16, mail_password: &str, more: &str) {
    let twilio = project.url("twilio");
    project.write(
        "tidegate.yaml",
        &format!(
            "listen: off\negress: {{allow: [\"127.0.0.1:*\"]}}\nconnections:\n  mail: {{connector: email, fields: {{host: 127.0.0.1, port: {port}, security: none, username: gate, password: {mail_password}, from: \"Tidegate <gate@example.org>\"}}}}\n  support: {{connector: twilio, fields: {{account_sid: {TWILIO_ACCOUNT_SID}, auth_token: {TWILIO_AUTH_TOKEN}}}, hosts: {{api: \"{twilio}\"}}{more}}}\n"
        ),
    );
}

#[test]
fn email_goes_to_all_or_to_none() {
    let project = Project::new();
    let (port, told) = mail_server();
    settings(&project, port, "s3cret-mail", "");
    assert!(project.done(&["connections", "test", "mail"]).contains("email.verify answered"));
    let send = ["call", "email.send", "to=Ops <ops@example.org>", "subject=Tide is low", "text=Grüße\n.\nend"];
    project.done(&[&send[..], &["cc=boss@example.org", "bcc=quiet@example.org", "html=<b>end</b>"]].concat());
    let taken = told.recv_timeout(Duration::from_secs(10)).unwrap();
    for receiver in ["ops", "boss", "quiet"] {
        let command = format!("RCPT TO:<{receiver}@example.org>");
        assert!(taken.commands.iter().any(|said| said.starts_with(&command)), "{taken:?}");
    }
    let headers = taken.message.split("\r\n\r\n").next().unwrap();
    assert!(headers.contains("Subject: Tide is low") && headers.contains("To: Ops <ops@example.org>"), "{headers}");
    assert!(headers.contains("Message-ID: <") && headers.contains("Date: ") && !headers.contains("quiet"), "{headers}");
    // One receiver that the server refuses: nobody gets it, and that is certain.
    let refused = project.refused(&[&send[..], &["to=nobody@example.org"]].concat(), 5);
    assert!(refused.contains("nobody@example.org") && refused.contains("550"), "{refused}");
    assert!(told.recv_timeout(Duration::from_millis(300)).is_err());
    settings(&project, port, "wrong-s3cret", "");
    let refused = project.refused(&send, 4);
    assert!(
        refused.contains("email_sign_in") && refused.contains("535") && !refused.contains("wrong-s3cret"),
        "{refused}"
    );
    settings(&project, 1, "s3cret-mail", "");
    let failed = project.refused(&send, 5);
    assert!(failed.contains("127.0.0.1:1"), "{failed}");
    // An address that is not public needs to be permitted here as anywhere.
    let closed = std::fs::read_to_string(project.path("tidegate.yaml")).unwrap().replace("127.0.0.1:*", "127.0.0.2:*");
    project.write("tidegate.yaml", &closed);
    assert!(text(&project.run(&send)).contains("egress_refused"));
}

/// A host at work, killed where a test leaves it.
struct Host(Child);

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_check_that_fails_starts_an_alert_and_one_that_works_again_another() {
    let project = Project::new();
    let (port, told) = mail_server();
    project.write(
        "flows/tell-ops.yaml",
        "flow: tell-ops\ntrigger: {manual: true}\nsteps:\n  - {action: email.send, with: {to: [ops@example.org], subject: \"{{item.kind}}: {{item.connection}}\", text: \"{{item.message}}\"}}\n",
    );
    let health = ", health: {every: 1m, alert_after: 1}";
    let alerts = "alerts: [{flow: tell-ops, on: [unhealthy, healthy], connections: support}]\n";
    settings(&project, port, "s3cret-mail", health);
    let sound = std::fs::read_to_string(project.path("tidegate.yaml")).unwrap() + alerts;
    let broken = sound.replace(&project.url("twilio"), "http://127.0.0.1:1");
    project.write("tidegate.yaml", &broken);
    let host = Host(project.command(&["up"]).stderr(Stdio::null()).spawn().unwrap());
    let first = told.recv_timeout(Duration::from_secs(60)).expect("an alert");
    assert!(first.message.contains("Subject: unhealthy: support"), "{first:?}");
    let shown = project.json(&["connections", "show", "support"]);
    assert_eq!((&shown["health"]["works"], &shown["health"]["failures"]), (&false.into(), &1.into()));
    assert!(shown["health"]["message"].as_str().unwrap().contains("127.0.0.1:1"));
    // A restart neither tells again nor forgets that it was told; the check is made due by hand.
    drop(host);
    project.write("tidegate.yaml", &sound);
    let database = rusqlite::Connection::open(project.path("tidegate.db")).unwrap();
    assert_eq!(database.execute("UPDATE checks SET due_at = 0", []).unwrap(), 1);
    let _host = Host(project.command(&["up"]).stderr(Stdio::null()).spawn().unwrap());
    let second = told.recv_timeout(Duration::from_secs(60)).expect("word that it works again");
    assert!(second.message.contains("Subject: healthy: support"), "{second:?}");
    assert!(told.recv_timeout(Duration::from_millis(1500)).is_err(), "each is told once");
    assert_eq!(project.json(&["connections", "show", "support"])["health"]["works"], true);
}
