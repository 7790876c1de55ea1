//! A host with one flow on the service of `notes`, whose runs a test puts in, cancels, retries and settles.

use super::notes::Notes;
use super::*;
use crate::store::id;
use crate::store::repeats::{Repeats, Retried};
use crate::store::runs::NewRun;
use crate::store::steps::StepRow;
use crate::worker::{SETTLED, waiting};

pub(super) const SECOND: i64 = 1_000;

/// A host with one flow, which a test starts by hand.
pub(super) struct Board {
    pub folder: tempfile::TempDir,
    pub clock: Clock,
    pub service_clock: Clock,
    pub notes: Notes,
    pub host: Arc<Host>,
}

impl Board {
    pub async fn new(effect: &str, flow: &str, ids: &[Value]) -> Board {
        Board::apart(effect, flow, ids, 0).await
    }

    /// With a service whose clock is so far ahead.
    pub async fn apart(effect: &str, flow: &str, ids: &[Value], ahead_ms: i64) -> Board {
        let folder = tempfile::tempdir().unwrap();
        let (clock, service_clock) = (Clock::manual(NOON), Clock::manual(NOON + ahead_ms));
        let notes = Notes::start(service_clock.clone(), ids).await;
        let project = folder.path().join("project");
        fs::create_dir_all(project.join("connectors")).unwrap();
        fs::create_dir_all(project.join("flows")).unwrap();
        let connector = format!(
            r#"connector: shop
hosts: {{api: "{}"}}
defaults: {{host: api, auth: [open], errors: {{message: message, rules: [{{status: 403, text: duplicate, then: reconcile}}]}}}}
connection: {{auth: {{open: {{type: none}}}}}}
actions:
  list:
    effect: read
    request: {{path: /notes}}
    response: {{records: notes, many: true}}
  list_two:
    effect: read
    request: {{path: /notes}}
    response: {{records: notes}}
    paginate: {{type: page, into: {{query: page}}, size: 100}}
    limit: 2
  add:
    effect: {effect}
    inputs: {{text: {{type: string, required: true}}}}
    request: {{method: POST, path: /notes, json: {{text: "{{{{inputs.text}}}}"}}}}
"#,
            notes.url
        );
        fs::write(project.join("connectors/shop.yaml"), connector).unwrap();
        fs::write(project.join("flows/f.yaml"), format!("flow: f\ntrigger: {{manual: true}}\n{flow}\n")).unwrap();
        fs::write(project.join("tidegate.yaml"), "connections: {shop: {connector: shop}}\n").unwrap();
        let host = host_of(folder.path(), &project, "shop", &clock, &Options::default()).await;
        Board { folder, clock, service_clock, notes, host }
    }

    pub async fn restart(&mut self) {
        self.host.store.clone().close().await.unwrap();
        let project = self.folder.path().join("project");
        self.host = host_of(self.folder.path(), &project, "shop", &self.clock, &Options::default()).await;
    }

    pub fn advance(&self, ms: i64) {
        self.clock.advance(ms);
        self.service_clock.advance(ms);
    }

    pub async fn work(&self) {
        drain_due(&self.host).await.unwrap();
    }

    /// Works on until nothing is due within the next minutes.
    pub async fn work_for_minutes(&self, minutes: i64) {
        for _ in 0..minutes * 4 {
            self.work().await;
            self.advance(15 * SECOND);
        }
        self.work().await;
    }

    pub fn new_run(&self, item: &Value) -> NewRun {
        NewRun {
            id: id::new(self.clock.now_ms()),
            flow: "f".to_owned(),
            definition: self.host.deployment().flows["f"].hash.clone(),
            state: State::Queued,
            position: self.clock.now_ms(),
            slot: item.get("slot").and_then(Value::as_str).map(str::to_owned),
            walk: None,
            item_key: None,
            item: item.to_string(),
            repeats: None,
            error: None,
        }
    }

    /// Puts a run in.
    pub async fn start(&self, item: Value) -> String {
        let run = self.new_run(&item);
        let id = run.id.clone();
        self.host.store.insert_run(run, self.clock.now_ms()).await.unwrap();
        self.host.stir();
        id
    }

    pub async fn start_and_work(&self, text: &str) -> String {
        let run = self.start(json!({"text": text})).await;
        self.work().await;
        run
    }

    pub async fn retry(&self, of: &str) -> String {
        let failed = self.run(of).await;
        let root = failed.root.clone().unwrap_or_else(|| of.to_owned());
        let item = serde_json::from_str(failed.item.as_deref().unwrap()).unwrap();
        let run = NewRun { repeats: Some(Repeats::Retry { of: of.to_owned(), root }), ..self.new_run(&item) };
        let id = run.id.clone();
        let retried = self.host.store.retry_run(of.to_owned(), run, self.clock.now_ms()).await.unwrap();
        assert_eq!(retried, Retried::Queued);
        self.host.stir();
        id
    }

    pub async fn cancel(&self, run: &str) {
        assert!(
            self.host.store.end_run(run.to_owned(), None, State::Cancelled, None, self.clock.now_ms()).await.unwrap(),
            "it was not over"
        );
    }

    pub async fn settle(&self, run: &str, as_what: &str) {
        self.settle_at(run, as_what, self.clock.now_ms()).await;
    }

    /// As a person does at a machine that has this time.
    pub async fn settle_at(&self, run: &str, as_what: &str, now_ms: i64) {
        let steps = self.run(run).await.steps;
        let waiting = waiting(&steps).unwrap().clone();
        let said = StepRow {
            key: format!("{}!{now_ms}", waiting.key),
            form: as_what.to_owned(),
            state: SETTLED.to_owned(),
            started_at: now_ms,
            ended_at: Some(now_ms),
            ..waiting
        };
        assert!(self.host.store.resume_unknown(run.to_owned(), said, self.clock.now_ms()).await.unwrap());
        self.host.stir();
    }

    pub async fn run(&self, id: &str) -> Detail {
        self.host.store.run(id.to_owned()).await.unwrap().unwrap()
    }

    pub async fn state(&self, id: &str) -> String {
        self.run(id).await.summary.state
    }

    /// Begins to work and comes back when the service has so many requests to add something.
    pub async fn work_until_posts(&self, posts: usize) -> tokio::task::JoinHandle<()> {
        let host = Arc::clone(&self.host);
        let working = tokio::spawn(async move { drain_due(&host).await.unwrap() });
        while self.notes.posts() < posts {
            tokio::task::yield_now().await;
        }
        working
    }
}
