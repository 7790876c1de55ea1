//! `email.send`, `email.verify`: SMTP (RFC 5321) to the connection's server, at an address that the egress guard
//! permits. Step by step, so that a failure says what it left behind: until the message itself has been handed
//! over nothing is sent; after that, without an answer, nobody knows.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::message::{Mailbox, MultiPart, header};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials as Login, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, Message};
use serde_json::{Value, json};

use super::Outside;
use crate::connector::auth::Credentials;
use crate::connector::egress::{NameNotFound, Refused};
use crate::engine::{Failure, Outcome, Verdict};

/// A conversation with a mail server: with a message, or to see whether it listens.
pub struct Email {
    server: Server,
    letter: Option<Letter>,
}

struct Server {
    host: String,
    port: u16,
    security: Security,
    login: Option<Login>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Security {
    StartTls,
    Tls,
    Plain,
}

#[derive(Debug)]
struct Letter {
    from: Mailbox,
    to: Vec<Mailbox>,
    cc: Vec<Mailbox>,
    bcc: Vec<Mailbox>,
    reply_to: Option<Mailbox>,
    subject: String,
    text: String,
    html: Option<String>,
}

impl Email {
    /// From checked inputs; `connection` holds the fields that are not secret.
    ///
    /// # Errors
    /// `email_address`: something is no address.
    pub fn send(inputs: &Value, connection: &Value, credentials: &Credentials) -> Result<Email, Failure> {
        let text = |name: &str| inputs.get(name).and_then(Value::as_str).map(str::to_owned);
        let letter = Letter {
            from: mailbox(field(connection, "from"), "the connection's `from`")?,
            to: mailboxes(inputs, "to")?,
            cc: mailboxes(inputs, "cc")?,
            bcc: mailboxes(inputs, "bcc")?,
            reply_to: text("reply_to").map(|one| mailbox(&one, "`reply_to`")).transpose()?,
            subject: text("subject").unwrap_or_default(),
            text: text("text").unwrap_or_default(),
            html: text("html"),
        };
        Ok(Email { server: Server::new(connection, credentials), letter: Some(letter) })
    }

    /// Only to see whether the server listens.
    pub fn verify(connection: &Value, credentials: &Credentials) -> Email {
        Email { server: Server::new(connection, credentials), letter: None }
    }

    /// What will be sent.
    pub fn preview(&self) -> Value {
        let Server { host, port, .. } = &self.server;
        match &self.letter {
            None => json!({"host": host, "port": port}),
            Some(letter) => json!({
                "host": host, "port": port, "from": letter.from.to_string(), "to": shown(&letter.to),
                "cc": shown(&letter.cc), "bcc": shown(&letter.bcc), "subject": letter.subject, "text": letter.text,
                "html": letter.html,
            }),
        }
    }

    /// Talks to the server.
    pub async fn run(self, outside: &Outside<'_>) -> Result<Value, Failure> {
        let Email { server, letter } = self;
        let timeout = Duration::from_millis(outside.timeout_ms.max(1).unsigned_abs());
        let message = letter.as_ref().map(|letter| letter.write(outside.now_ms)).transpose()?;
        // Everything before the message itself leaves nothing behind.
        let ready = async {
            let mut connection = server.connect(outside, timeout).await?;
            if let Some(letter) = &letter {
                server.envelope(&mut connection, letter).await?;
            }
            Ok::<_, Failure>(connection)
        };
        let mut connection = match tokio::time::timeout(timeout, ready).await {
            Ok(ready) => ready?,
            Err(_) => return Err(server.late(timeout, Outcome::NotSent)),
        };
        let (Some(letter), Some((id, message))) = (letter, message) else {
            let encrypted = connection.is_encrypted();
            connection.abort().await;
            return Ok(json!({"host": server.host, "encrypted": encrypted}));
        };
        let answer = match tokio::time::timeout(timeout, connection.message(&message)).await {
            Ok(answer) => answer.map_err(|error| server.failed("the message", &error, Outcome::Unknown))?,
            Err(_) => return Err(server.late(timeout, Outcome::Unknown)),
        };
        connection.abort().await;
        let response: Vec<&str> = answer.message().collect();
        Ok(json!({"message_id": id, "to": shown(&letter.to), "response": response.join(" ")}))
    }
}

impl Server {
    fn new(connection: &Value, credentials: &Credentials) -> Server {
        let security = match field(connection, "security") {
            "tls" => Security::Tls,
            "none" => Security::Plain,
            _ => Security::StartTls,
        };
        let usual = match security {
            Security::Tls => 465,
            Security::StartTls => 587,
            Security::Plain => 25,
        };
        let port = connection.get("port").and_then(Value::as_u64).and_then(|port| u16::try_from(port).ok());
        Server {
            host: field(connection, "host").to_owned(),
            port: port.unwrap_or(usual),
            security,
            login: login(credentials),
        }
    }

    async fn connect(&self, outside: &Outside<'_>, timeout: Duration) -> Result<AsyncSmtpConnection, Failure> {
        let addresses = self.addresses(outside).await?;
        let hello = ClientId::default();
        let tls = match self.security {
            Security::Plain => None,
            Security::StartTls | Security::Tls => {
                let made = TlsParameters::new_rustls(self.host.clone());
                Some(made.map_err(|error| self.failed("TLS", &error, Outcome::NotSent))?)
            }
        };
        let wrapped = tls.clone().filter(|_| self.security == Security::Tls);
        let connected = AsyncSmtpConnection::connect_tokio1(&*addresses, Some(timeout), &hello, wrapped, None).await;
        let mut connection = connected.map_err(|error| self.failed("the greeting", &error, Outcome::NotSent))?;
        if let (Security::StartTls, Some(tls)) = (self.security, tls) {
            let upgraded = connection.starttls(tls, &hello).await;
            upgraded.map_err(|error| self.failed("STARTTLS", &error, Outcome::NotSent))?;
        }
        if let Some(login) = &self.login {
            connection.auth(DEFAULT_MECHANISMS, login).await.map_err(|error| {
                let failure = self.failed("the sign-in", &error, Outcome::NotSent);
                match error.is_permanent() {
                    true => Failure { code: "email_sign_in".to_owned(), verdict: Verdict::Reauth, ..failure },
                    false => failure,
                }
            })?;
        }
        Ok(connection)
    }

    async fn addresses(&self, outside: &Outside<'_>) -> Result<Vec<SocketAddr>, Failure> {
        let host = self.host.trim_matches(['[', ']']);
        outside.egress.addresses(host, self.port).await.map_err(|error| {
            if let Some(refused) = error.downcast_ref::<Refused>() {
                return Failure::not_sent("egress_refused", format!("{}: {refused}", self.place())).with_help(format!(
                    "if it is meant to be reached, put \"{}\" under `egress.allow` in tidegate.yaml",
                    refused.rule()
                ));
            }
            let why = error.downcast_ref::<NameNotFound>().map_or_else(|| error.to_string(), ToString::to_string);
            let failure =
                Failure::not_sent("name_not_found", format!("{}: the name can not be resolved ({why})", self.place()));
            Failure { verdict: Verdict::Retry { after_ms: None }, ..failure }
        })
    }

    // Sender and receivers, up to the server's "go ahead".
    async fn envelope(&self, connection: &mut AsyncSmtpConnection, letter: &Letter) -> Result<(), Failure> {
        let refused = |what: String| move |error: SmtpError| self.failed(&what, &error, Outcome::NotSent);
        let sender: Address = letter.from.email.clone();
        let said = connection.command(Mail::new(Some(sender), Vec::new())).await;
        said.map_err(refused(format!("the sender {}", letter.from.email)))?;
        for receiver in letter.to.iter().chain(&letter.cc).chain(&letter.bcc) {
            let said = connection.command(Rcpt::new(receiver.email.clone(), Vec::new())).await;
            said.map_err(refused(format!("the receiver {}", receiver.email)))?;
        }
        connection.command(Data).await.map_err(refused("the message".to_owned()))?;
        Ok(())
    }

    // An answer says that it was not done; without one `broken` holds.
    fn failed(&self, what: &str, error: &SmtpError, broken: Outcome) -> Failure {
        let (outcome, verdict, code) = if error.is_permanent() {
            (Outcome::NotDone, Verdict::Fail, "email_refused")
        } else if error.is_transient() {
            (Outcome::NotDone, Verdict::Retry { after_ms: None }, "email_refused")
        } else if error.is_client() {
            (Outcome::NotSent, Verdict::Fail, "email_unsupported")
        } else {
            (broken, Verdict::Retry { after_ms: None }, "email_failed")
        };
        let cause =
            std::error::Error::source(error).map_or_else(|| error.to_string(), |cause| format!("{error} ({cause})"));
        let said = error.status().map(|status| status.to_string());
        let failure = Failure::not_sent(code, format!("{} does not take {what}: {cause}", self.place()));
        Failure { outcome, verdict, service_code: said, ..failure }
    }

    fn late(&self, timeout: Duration, outcome: Outcome) -> Failure {
        let message = format!("{}: no answer within {} ms", self.place(), timeout.as_millis());
        let failure = Failure::not_sent("timeout", message).with_help("a slower server needs a longer `timeout`");
        Failure { outcome, verdict: Verdict::Retry { after_ms: None }, ..failure }
    }

    fn place(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl Letter {
    /// The message as it is sent, with its id.
    fn write(&self, now_ms: i64) -> Result<(String, Vec<u8>), Failure> {
        let id = format!("<{}@{}>", uuid::Uuid::new_v4(), self.from.email.domain());
        let date = SystemTime::UNIX_EPOCH + Duration::from_millis(now_ms.max(0).unsigned_abs());
        let mut builder = Message::builder()
            .from(self.from.clone())
            .subject(self.subject.replace(['\r', '\n'], " "))
            .date(date)
            .message_id(Some(id.clone()));
        for one in &self.to {
            builder = builder.to(one.clone());
        }
        for one in &self.cc {
            builder = builder.cc(one.clone());
        }
        if let Some(one) = &self.reply_to {
            builder = builder.reply_to(one.clone());
        }
        let message = match &self.html {
            Some(html) => builder.multipart(MultiPart::alternative_plain_html(self.text.clone(), html.clone())),
            None => builder.header(header::ContentType::TEXT_PLAIN).body(self.text.clone()),
        };
        let message = message
            .map_err(|error| Failure::not_sent("email_invalid", format!("the message can not be written: {error}")))?;
        Ok((id, message.formatted()))
    }
}

impl std::fmt::Debug for Email {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Email({})", self.server.place())
    }
}

// The pair that `Authorization: Basic` would carry.
fn login(credentials: &Credentials) -> Option<Login> {
    let Credentials::Basic(header) = credentials else { return None };
    let decoded = STANDARD.decode(header.to_str().ok()?.strip_prefix("Basic ")?).ok()?;
    let pair = String::from_utf8(decoded).ok()?;
    let (username, password) = pair.split_once(':')?;
    Some(Login::new(username.to_owned(), password.to_owned()))
}

fn field<'a>(connection: &'a Value, name: &str) -> &'a str {
    connection.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn mailboxes(inputs: &Value, name: &str) -> Result<Vec<Mailbox>, Failure> {
    let given = match inputs.get(name) {
        Some(Value::Array(several)) => several.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    let given = given.iter().filter_map(Value::as_str);
    given.map(|one| mailbox(one, &format!("`{name}`"))).collect()
}

fn mailbox(text: &str, place: &str) -> Result<Mailbox, Failure> {
    text.parse().map_err(|error| {
        Failure::not_sent("email_address", format!("{place}: `{text}` is no e-mail address ({error})"))
            .with_help("write `name@example.org`, or `Name <name@example.org>`")
    })
}

fn shown(mailboxes: &[Mailbox]) -> Vec<String> {
    mailboxes.iter().map(ToString::to_string).collect()
}
