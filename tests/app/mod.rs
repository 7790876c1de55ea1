//! The use cases on a real project: a folder of files, the local services, a SQLite file.

mod accounts;
mod demo;
mod files;
mod flows;
mod runs;
mod secrets;

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tidegate::app::up::{self, Change, Summary, Up};
use tidegate::app::{Error, Place, View, open};
use tidegate::sandbox::{self, Options, Sandbox};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A project on the local services.
struct Project {
    folder: TempDir,
    sandbox: Sandbox,
}

/// A host at work, until it is stopped.
struct Working {
    stop: oneshot::Sender<()>,
    work: JoinHandle<Result<Summary, Error>>,
    live: up::Live,
}

const LIST_TO_FILE: &str = "flow: lines\ninputs: {file: {type: string, default: lines.txt}}\ntrigger: {poll: json.new_item, with: {path: /linked}, start: all}\nsteps:\n  - {id: line, action: file.append, with: {path: \"{{inputs.file}}\", text: \"item {{item.id}}\"}}\n";
const BY_HAND: &str = "flow: hello\ntrigger: {manual: true}\nsteps:\n  - {id: line, action: file.append, with: {path: hello.txt, text: \"Hello {{item.name}}\"}}\n";
const TO_SMS: &str = "flow: notify\ntrigger: {manual: true}\nsteps:\n  - {id: sms, action: twilio.send_sms, with: {to: +15550199001, body: \"Hello {{item.name}}\"}}\n  - {action: log.write, with: {message: \"was {{steps.sms.output.status}}\"}}\n";

impl Project {
    async fn new(files: &[(&str, &str)]) -> Project {
        let project = Project {
            folder: tempfile::tempdir().unwrap(),
            sandbox: Sandbox::start(Options::default()).await.unwrap(),
        };
        project.settings("");
        for (path, text) in files {
            project.write(path, text);
        }
        project
    }

    /// The accounts of the local services, and what else a test wants in the settings.
    fn settings(&self, more: &str) {
        self.settings_with_token(sandbox::TWILIO_AUTH_TOKEN, more);
    }

    fn settings_with_token(&self, token: &str, more: &str) {
        let text = format!(
            "listen: off\negress: {{allow: [\"127.0.0.1:*\"]}}\nconnections:\n  feed: {{connector: json, fields: {{url: \"{}\"}}}}\n  phone: {{connector: twilio, fields: {{account_sid: {}, auth_token: \"{token}\"}}, hosts: {{api: \"{}\"}}, defaults: {{from: {}}}}}\n  timeline: {{connector: x, fields: {{bearer_token: {}}}, hosts: {{api: \"{}\"}}}}\n{more}",
            self.sandbox.json_url(),
            sandbox::TWILIO_ACCOUNT_SID,
            self.sandbox.twilio_url(),
            sandbox::TWILIO_NUMBER,
            sandbox::X_BEARER_TOKEN,
            self.sandbox.x_url(),
        );
        self.write("tidegate.yaml", &text);
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.folder.path().join(path)
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    fn place(&self) -> Place {
        Place::new(self.folder.path())
    }

    async fn view(&self) -> View {
        open::view(&self.place()).await.unwrap()
    }

    async fn up(&self) -> Up {
        up::start(&self.place()).await.unwrap_or_else(|error| panic!("{error:#?}"))
    }

    async fn work(&self) -> Working {
        let up = self.up().await;
        let live = up.live();
        let (stop, stopped) = oneshot::channel();
        let work = tokio::spawn(up.work(async {
            let _ = stopped.await;
        }));
        Working { stop, work, live }
    }
}

impl Working {
    async fn stop(self) -> Summary {
        let _ = self.stop.send(());
        self.work.await.unwrap().unwrap()
    }
}

/// What the start deployed and what it left out.
fn deployed(up: &Up) -> (Vec<String>, Vec<String>) {
    match up.deployed() {
        Change::Deployed { flows, diagnostics, .. } => {
            (flows, diagnostics.into_iter().map(|found| format!("{}: {}", found.code, found.message)).collect())
        }
        Change::Refused { diagnostics, .. } => panic!("{diagnostics:#?}"),
    }
}

/// Waits until something holds; the host works by itself meanwhile.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..400 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("never came: {what}");
}

fn lines(path: &Path) -> usize {
    std::fs::read_to_string(path).unwrap_or_default().lines().count()
}
