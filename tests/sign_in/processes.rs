//! The built program: a sign-in from the command line, and eight processes that need a new token at once.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tidegate::sandbox::{self, Options, Sandbox, Service};

use super::{back, open};

/// A project with one connection, at a sandbox.
pub struct Project {
    folder: TempDir,
    pub sandbox: Sandbox,
}

impl Project {
    pub async fn new(fields: &str) -> Project {
        let sandbox = Sandbox::start(Options::default()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let url = sandbox.x_url();
        let settings = format!(
            "listen: off\negress: {{allow: [\"127.0.0.1:*\"]}}\nconnections:\n  main: {{connector: x, fields: {{{fields}}}, hosts: {{api: \"{url}\", site: \"{url}\"}}}}\n"
        );
        std::fs::write(folder.path().join("tidegate.yaml"), settings).unwrap();
        Project { folder, sandbox }
    }

    pub async fn with_client() -> Project {
        let (id, secret) = (sandbox::X_CLIENT_ID, sandbox::X_CLIENT_SECRET);
        Project::new(&format!("client_id: {id}, client_secret: {secret}")).await
    }

    pub async fn with_keys() -> Project {
        let (key, secret) = (sandbox::X_CONSUMER_KEY, sandbox::X_CONSUMER_SECRET);
        Project::new(&format!("consumer_key: {key}, consumer_secret: {secret}")).await
    }

    /// More of its settings.
    pub fn add(&self, settings: &str) {
        let path = self.folder.path().join("tidegate.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, format!("{text}{settings}")).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn start(&self, arguments: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        for name in ["TIDEGATE_DIR", "TIDEGATE_STORE", "TIDEGATE_LISTEN", "TIDEGATE_LOG", "TIDEGATE_KEY"] {
            command.env_remove(name);
        }
        command.args(arguments).arg("--dir").arg(self.folder.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Begins a sign-in, and gives the address that it prints.
    pub fn sign_in(&self, more: &[&str]) -> (Child, String) {
        let mut child = self.start(&[&["connections", "sign-in", "main"], more].concat());
        let mut told = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.trim().starts_with("http://") {
            line.clear();
            assert!(told.read_line(&mut line).unwrap() > 0, "no address was printed");
        }
        // Nobody reads on: what it says later must not stop it.
        std::thread::spawn(move || told.lines().for_each(drop));
        (child, line.trim().to_owned())
    }

    pub fn asked(&self, operation: &str) -> u64 {
        self.sandbox.control().count(Service::X, operation).requests
    }

    pub fn holds(&self, text: &str) -> bool {
        let holds = |path: &Path| {
            let bytes = std::fs::read(path).unwrap_or_default();
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        };
        std::fs::read_dir(self.folder.path()).unwrap().any(|entry| holds(&entry.unwrap().path()))
    }
}

/// Waits on a thread of its own: the sandbox answers on this one.
pub async fn ended(child: Child) -> Output {
    tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_raced_by_eight_processes_makes_one_call() {
    let project = Project::with_client().await;
    project.sandbox.control().set_token_lifetime(1_000);
    let (child, url) = project.sign_in(&["--port", "0"]);
    let callback = back(&url, "allow").await;
    assert!(open(&callback).await.contains("Signed in"));
    let signed_in = ended(child).await;
    assert!(signed_in.status.success(), "{signed_in:?}");
    assert!(!project.holds("sandbox-access") && !project.holds("sandbox-refresh"), "tokens are sealed");

    project.sandbox.control().set_token_lifetime(7_200_000);
    // Processes read the machine's clock: the token ends by itself.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let before = project.asked("token");
    let racing: Vec<Child> = (0..8).map(|_| project.start(&["call", "x.get_me"])).collect();
    for child in racing {
        let output = ended(child).await;
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!(project.asked("token") - before, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_without_a_browser_takes_the_pin() {
    let project = Project::with_keys().await;
    let (mut child, url) = project.sign_in(&["--pin"]);
    assert_eq!(back(&url, "allow").await, "");
    child.stdin.take().unwrap().write_all(b"1234567\n").unwrap();
    let output = ended(child).await;
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && told.contains("@tidegate_demo"), "{output:?}");
    assert!(!project.holds(sandbox::X_ACCESS_TOKEN_SECRET), "tokens are sealed");
    let called = ended(project.start(&["call", "x.get_me", "--output", "json"])).await;
    assert!(called.status.success(), "{called:?}");
    assert!(!String::from_utf8_lossy(&called.stdout).contains(sandbox::X_ACCESS_TOKEN_SECRET));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denied_sign_in_and_a_callback_of_somebody_else_change_nothing() {
    let project = Project::with_keys().await;
    let (child, url) = project.sign_in(&["--port", "0"]);
    let denied = back(&url, "deny").await;
    let address = denied.split('?').next().unwrap();
    let of_another = open(&format!("{address}?oauth_token=not-ours&oauth_verifier=x")).await;
    assert!(of_another.contains("This is another sign-in"), "{of_another}");
    let page = open(&denied).await;
    assert!(page.contains("Not signed in") && page.contains("denied"), "{page}");
    assert!(page.contains("content-security-policy: default-src 'none'"), "{page}");
    let output = ended(child).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let called = ended(project.start(&["call", "x.get_me"])).await;
    let told = String::from_utf8_lossy(&called.stderr).into_owned();
    assert!(called.status.code() == Some(4) && told.contains("has not signed in yet"), "{told}");
    assert_eq!(project.asked("access_token"), 0);
}
