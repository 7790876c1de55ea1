//! `{vault: PATH#KEY}` from outside: the program beside a local server that answers as HashiCorp Vault does, and a
//! service that is asked with what was read. No secret may be printed, whatever goes wrong.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

use crate::ports::free_port;
use crate::processes::{Project, wait_for};

const TOKEN: &str = "hvs.the-token-of-the-vault";

/// What a request was, as a server saw it.
#[derive(Clone, Debug, Default)]
struct Seen {
    line: String,
    headers: BTreeMap<String, String>,
    body: String,
}

/// What answers a request.
type Answer = Box<dyn Fn(&Seen) -> (u16, Value) + Send>;

/// A local server that notes what it is asked.
#[derive(Clone)]
struct Server {
    url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    fn start(answer: Answer) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Server { url: format!("http://{}", listener.local_addr().unwrap()), seen: Arc::default() };
        let seen = Arc::clone(&server.seen);
        thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that went away asks again if it wants to.
                let _ = serve(stream.unwrap(), &seen, &answer);
            }
        });
        server
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, seen: &Mutex<Vec<Seen>>, answer: &Answer) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = Seen::default();
    reader.read_line(&mut request.line)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        request.headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = request.headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    request.body = String::from_utf8(body).unwrap();
    request.line = request.line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let (status, body) = answer(&request);
    seen.lock().unwrap().push(request);
    let body = body.to_string();
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

/// A vault with an engine of each version: `secret/` keeps versions, `old/` does not.
fn vault() -> Server {
    vault_with(Arc::new(Mutex::new("s3cret-of-shop".to_owned())))
}

fn vault_with(secret: Arc<Mutex<String>>) -> Server {
    Server::start(Box::new(move |asked| {
        let denied = (403, json!({"errors": ["1 error occurred:\n\t* permission denied\n\n"]}));
        if asked.line == "POST /v1/auth/approle/login" {
            return match asked.body.contains("\"secret_id\":\"the-secret-id\"") {
                true => (200, json!({"auth": {"client_token": TOKEN, "lease_duration": 1200, "renewable": true}})),
                false => (400, json!({"errors": ["invalid role or secret ID"]})),
            };
        }
        if asked.headers.get("x-vault-token").map(String::as_str) != Some(TOKEN) {
            return (403, json!({"errors": ["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]}));
        }
        let secret = secret.lock().unwrap().clone();
        let values = json!({"auth_token": secret, "pin": 4711, "more": {"nested": "deep-secret"}});
        match asked.line.as_str() {
            "GET /v1/secret/data/team%20a/shop" => (
                200,
                json!({"request_id": "1", "data": {"data": values, "metadata": {"version": 3, "deletion_time": "", "destroyed": false}}}),
            ),
            "GET /v1/secret/data/deleted" => (
                404,
                json!({"data": {"data": null, "metadata": {"version": 2, "deletion_time": "2026-11-01T00:00:00Z"}}}),
            ),
            "GET /v1/old/shop" => (200, json!({"request_id": "2", "lease_duration": 2764800, "data": values})),
            "GET /v1/secret/team%20a/shop" => (
                404,
                json!({"errors": [], "warnings": ["Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use."]}),
            ),
            "GET /v1/sys/internal/ui/mounts/secret/team%20a/shop" => {
                (200, json!({"data": {"path": "secret/", "type": "kv", "options": {"version": "2"}}}))
            }
            line if line.contains("forbidden") => denied,
            _ => (404, json!({"errors": []})),
        }
    }))
}

/// The service that is asked: it takes any bearer token.
fn service() -> Server {
    Server::start(Box::new(|_| (200, json!([{"id": 1}]))))
}

fn settings(service: &Server, reference: &str, more: &str) -> String {
    format!(
        "listen: off\negress: {{allow: [\"127.0.0.1:*\"]}}\nconnections:\n  shop:\n    connector: json\n    \
         fields: {{url: \"{}\", token: {{vault: {reference}}}}}\n{more}",
        service.url
    )
}

/// A command with this environment and nothing of Vault's besides.
fn run(project: &Project, words: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.args(words).arg("--dir").arg(project.path(""));
    for variable in ["VAULT_ADDR", "VAULT_TOKEN", "VAULT_NAMESPACE", "VAULT_CACERT", "TIDEGATE_DIR", "TIDEGATE_STORE"] {
        command.env_remove(variable);
    }
    command.env("HOME", project.path("home")).envs(environment.iter().copied()).output().unwrap()
}

fn text(output: &Output) -> String {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    for secret in [TOKEN, "s3cret-of-shop", "deep-secret", "the-secret-id"] {
        assert!(!text.contains(secret), "a secret is printed: {text}");
    }
    text
}

const CALL: [&str; 4] = ["call", "json.get", "--output", "json"];

#[test]
fn a_secret_is_read_by_path_and_key_from_engines_of_both_versions() {
    let (vault, service) = (vault(), service());
    for reference in ["secret/data/team a/shop#auth_token", "secret/team a/shop#auth_token", "old/shop#auth_token"] {
        let project = Project::new(&[("tidegate.yaml", &settings(&service, &format!("\"{reference}\""), ""))]);
        let environment = [("VAULT_ADDR", vault.url.as_str()), ("VAULT_TOKEN", TOKEN), ("VAULT_NAMESPACE", "team/a")];
        let output = run(&project, &CALL, &environment);
        assert!(output.status.success(), "{reference}: {}", text(&output));
        let asked = service.seen().pop().unwrap();
        assert_eq!(asked.headers["authorization"], "Bearer s3cret-of-shop", "{reference}");
        let asked = vault.seen().pop().unwrap();
        assert_eq!(asked.headers["x-vault-namespace"], "team/a");
        assert_eq!(asked.headers["x-vault-request"], "true");
        text(&output);
    }
    assert!(service.seen().iter().all(|asked| !asked.headers.contains_key("x-vault-token")));
}

#[test]
fn the_settings_say_how_the_vault_is_asked() {
    let (vault, service) = (vault(), service());
    let address = &vault.url;
    let ways = [
        format!("vault: {{address: \"{address}\", token: {{file: token}}}}\n"),
        format!("vault: {{address: \"{address}/\", token: {{env: OUR_TOKEN}}, namespace: ours}}\n"),
        format!("vault: {{address: \"{address}\"}}\n"),
        format!("vault: {{address: \"{address}\", approle: {{role_id: {{env: ROLE}}, secret_id: {{file: role}}}}}}\n"),
    ];
    for way in ways {
        let settings = settings(&service, "old/shop#auth_token", &way);
        let token = format!("{TOKEN}\n");
        let project = Project::new(&[
            ("tidegate.yaml", settings.as_str()),
            ("token", &token),
            ("role", "the-secret-id\n"),
            ("home/.vault-token", &token),
        ]);
        let output = run(&project, &CALL, &[("OUR_TOKEN", TOKEN), ("ROLE", "the-role")]);
        assert!(output.status.success(), "{way}: {}", text(&output));
        assert_eq!(service.seen().pop().unwrap().headers["authorization"], "Bearer s3cret-of-shop", "{way}");
    }
    assert!(vault.seen().iter().any(|asked| asked.body.contains("\"role_id\":\"the-role\"")));
}

/// OpenSSL's own server, ended with this value.
struct Encrypted(Child);

impl Drop for Encrypted {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_vault_is_asked_over_tls_by_who_trusts_its_certificate() {
    let service = service();
    let folder = tempfile::tempdir().unwrap();
    let openssl = |arguments: &[&str]| {
        let mut command = Command::new("openssl");
        command.args(arguments).current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(Stdio::null());
        command
    };
    let made = openssl(&["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "key.pem", "-out", "certificate.pem"])
        .status();
    assert!(made.unwrap().success());
    // It answers with files that hold whole answers.
    let body = json!({"data": {"auth_token": "s3cret-of-shop"}}).to_string();
    fs::create_dir_all(folder.path().join("v1/old")).unwrap();
    let answer = format!("HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n{body}");
    fs::write(folder.path().join("v1/old/shop"), answer).unwrap();
    let port = free_port();
    let server = openssl(&["s_server", "-HTTP", "-quiet", "-key", "key.pem", "-cert", "certificate.pem", "-accept"])
        .arg(port.to_string())
        .spawn();
    let _server = Encrypted(server.unwrap());
    wait_for("the server", || TcpStream::connect(("127.0.0.1", port)).is_ok());

    let certificate = folder.path().join("certificate.pem").display().to_string();
    let address = format!("https://localhost:{port}");
    let trusting = format!("vault: {{address: \"{address}\", ca: \"{certificate}\"}}\n");
    let plain = format!("vault: {{address: \"{address}\"}}\n");
    for (way, variable, is_trusted) in
        [(&plain, "VAULT_OTHER", false), (&trusting, "VAULT_OTHER", true), (&plain, "VAULT_CACERT", true)]
    {
        let environment = [("VAULT_TOKEN", TOKEN), (variable, certificate.as_str())];
        let project = Project::new(&[("tidegate.yaml", &settings(&service, "old/shop#auth_token", way))]);
        let before = service.seen().len();
        let output = run(&project, &CALL, &environment);
        let said = text(&output);
        assert_eq!(output.status.success(), is_trusted, "{way}: {said}");
        match is_trusted {
            true => assert_eq!(service.seen().pop().unwrap().headers["authorization"], "Bearer s3cret-of-shop"),
            false => {
                assert!(said.contains("certificate"), "{said}");
                assert_eq!(service.seen().len(), before, "it was asked without its secret");
            }
        }
    }
}

#[test]
fn what_cannot_be_read_is_told_and_nothing_is_sent() {
    let (vault, service) = (vault(), service());
    let reachable = vault.url.as_str();
    for (reference, address, token, told) in [
        (
            "secret/data/forbidden#x",
            reachable,
            TOKEN,
            &["403", "permission denied", "may not read", "secret/data/forbidden"][..],
        ),
        ("old/none#x", reachable, TOKEN, &["404", "there is nothing at `old/none`"]),
        ("old/shop#auth_tokn", reachable, TOKEN, &["has no value `auth_tokn`", "did you mean `auth_token`?"]),
        ("old/shop#more", reachable, TOKEN, &["`more`", "no single value"]),
        ("secret/data/deleted#x", reachable, TOKEN, &["404", "secret/data/deleted"]),
        ("old/shop#auth_token", reachable, "hvs.old", &["403", "token is not valid any more"]),
        ("old/shop#auth_token", "http://127.0.0.1:1", TOKEN, &["http://127.0.0.1:1", "is not reached"]),
        ("old/shop#auth_token", "", TOKEN, &["no address of a vault", "VAULT_ADDR"]),
        ("old/shop#auth_token", reachable, "", &["no token for the vault", "VAULT_TOKEN"]),
        ("old/shop#auth_token", "http://vault.example.org:8200", TOKEN, &["in the clear", "https"]),
    ] {
        let project = Project::new(&[("tidegate.yaml", &settings(&service, reference, ""))]);
        let environment = [("VAULT_ADDR", address), ("VAULT_TOKEN", token)];
        let environment: Vec<_> = environment.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let output = run(&project, &CALL, &environment);
        let printed = text(&output);
        assert_eq!(output.status.code(), Some(4), "{reference}: {printed}");
        for words in told {
            assert!(printed.contains(words), "{reference} lacks {words}: {printed}");
        }
    }
    assert!(service.seen().is_empty());
}

#[test]
fn check_reads_nothing_and_says_so() {
    let (vault, service) = (vault(), service());
    let way = format!("vault: {{address: \"{}\"}}\n", vault.url);
    let project = Project::new(&[("tidegate.yaml", &settings(&service, "old/shop#auth_token", &way))]);
    let output = run(&project, &["check"], &[]);
    let printed = text(&output);
    assert!(output.status.success(), "{printed}");
    assert!(printed.contains("vault_not_read") && printed.contains("connections test"), "{printed}");
    assert!(vault.seen().is_empty(), "{:?}", vault.seen());
}

#[test]
fn a_connection_is_made_with_what_the_vault_holds() {
    let (vault, service) = (vault(), service());
    let project = Project::new(&[("tidegate.yaml", "listen: off\negress: {allow: [\"127.0.0.1:*\"]}\n")]);
    let environment = [("VAULT_ADDR", vault.url.as_str()), ("VAULT_TOKEN", TOKEN)];
    let url = format!("url={}", service.url);
    let connect = |reference: &str| {
        let token = format!("token={{vault: {reference}}}");
        run(&project, &["connect", "json", "--name", "shop", "--set", &url, "--set", &token], &environment)
    };
    let refused = connect("old/shop#nothing");
    assert_eq!(refused.status.code(), Some(4), "{}", text(&refused));
    assert!(text(&refused).contains("has no value `nothing`"), "{}", text(&refused));
    let done = connect("old/shop#auth_token");
    assert!(done.status.success(), "{}", text(&done));
    let shown = run(&project, &["connections", "show", "shop"], &environment);
    assert!(text(&shown).contains("{vault: old/shop#auth_token}"), "{}", text(&shown));
    let called = run(&project, &CALL, &environment);
    assert!(called.status.success(), "{}", text(&called));
    assert_eq!(service.seen().pop().unwrap().headers["authorization"], "Bearer s3cret-of-shop");
}

#[test]
fn a_host_takes_up_a_renewed_secret_when_it_reads_its_files_again() {
    let secret = Arc::new(Mutex::new("s3cret-of-shop".to_owned()));
    let (vault, service) = (vault_with(Arc::clone(&secret)), service());
    let way = format!("vault: {{address: \"{}\", token: {{file: token}}}}\n", vault.url);
    let settings = settings(&service, "old/shop#auth_token", &way);
    let flow =
        "flow: f\ntrigger: {poll: json.new_item, every: 1s}\nsteps:\n  - {action: log.write, with: {message: new}}\n";
    let project = Project::new(&[("tidegate.yaml", settings.as_str()), ("flows/f.yaml", flow), ("token", TOKEN)]);
    let host = project.host(1);
    let asked_with = |token: &str| {
        let bearer = format!("Bearer {token}");
        service.seen().iter().any(|asked| asked.headers.get("authorization") == Some(&bearer))
    };
    wait_for("a poll with the secret", || asked_with("s3cret-of-shop"));
    *secret.lock().unwrap() = "another-s3cret".to_owned();
    project.write("tidegate.yaml", &format!("{settings}# renewed\n"));
    wait_for("a poll with the renewed secret", || asked_with("another-s3cret"));
    assert_eq!(host.stop(), Some(0));
    assert!(!project.log().contains("s3cret"), "{}", project.log());
}
