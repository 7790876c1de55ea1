//! The worker on a real store and real HTTP: the sandbox's JSON service, a clock that tests move, and a host
//! that is dropped and opened again on the same file.

mod acts;
mod approvals;
mod board;
mod busy;
mod held;
mod lanes;
mod notes;
mod polls;
mod resolve;
mod runs;
mod schedules;
mod simulation;
mod sources;
mod trouble;
mod twilio;
mod windows;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Accounts, Definitions, Deployment, Host, Keys, Links, Options, Written, drain_due, source_hash};
use crate::clock::Clock;
use crate::connector::Executor;
use crate::connector::egress::Egress;
use crate::connector::limits::Limits;
use crate::connector::requester::{MAX_RESPONSE_BYTES, Requester, RequesterOptions};
use crate::engine::type_flow;
use crate::manifest::{Catalog, Origin};
use crate::sandbox::{self, NewItems, Sandbox};
use crate::secrets::Secrets;
use crate::secrets::key::KeyPlace;
use crate::store::database;
use crate::store::runs::{Detail, Filter, State};
use crate::store::schema::MIGRATIONS;
use crate::store::triggers::{TriggerRow, TriggerSync};
use crate::store::{Store, runs::Summary};

const NOON: i64 = 1_794_916_800_000;
const HOUR: i64 = 3_600_000;

const CONNECTOR: &str = r#"connector: shop
title: Shop
hosts: {api: "URL"}
defaults: {host: api, auth: [open], errors: {message: message}}
connection:
  auth: {open: {type: none}}
actions:
  list:
    effect: read
    inputs: {since: {type: string}}
    request: {method: GET, path: /items, query: {limit: 3, since: "{{maybe inputs.since}}"}}
    response: {records: items, schema: {type: object, required: [id], properties: {id: {type: integer}, name: {type: string}}}}
    paginate: {type: page, into: {query: page}, size: 3}
  tell:
    effect: EFFECT
    inputs: {id: {type: integer, required: true}}
    request: {method: POST, path: /sink, json: {id: "{{inputs.id}}"}}
  newest:
    effect: read
    inputs: {since: {type: string}}
    request: {method: GET, path: /items, query: {limit: 1, order: desc, since: "{{maybe inputs.since}}"}}
    response: {records: items, many: true}
  tell_newest:
    effect: EFFECT
    inputs: {since: {type: string}, id: {type: integer}}
    resolve: {newest: {action: newest, with: {since: "{{maybe inputs.since}}"}, take: "[0].id", remember: 30m, when: "eq (default inputs.id 0) 0", missing: "there is nothing since {{inputs.since}}"}}
    request: {method: POST, path: /sink, json: {id: "{{default resolved.newest inputs.id}}"}}
  list_known:
    effect: read
    resolve: {first: {action: list, take: "[0].id"}}
    request: {method: GET, path: /items, query: {limit: 3, first: "{{resolved.first}}"}}
    response: {records: items, many: true, schema: {type: object, required: [id], properties: {id: {type: integer}}}}
triggers:
  known:
    poll: list_known
    cursor: {field: id, type: integer, order: ORDER}
    key: id
  new:
    poll: list
    cursor: {field: id, type: integer, order: ORDER}
    key: id
  dated:
    poll: list
    with: {since: "{{maybe cursor.since}}"}
    cursor: {field: created_at, type: datetime, order: ORDER, lookback: 1m, max_age: 7d, not_ready: "eq (maybe record.state) 'draft'", not_ready_for: 10m}
    key: id
  listed:
    poll: list
    cursor: {field: created_at, type: datetime, order: ORDER, lookback: 1m}
    key: id
  plain:
    poll: list
    inputs: {since: {type: string}}
    with: {since: "{{maybe inputs.since}}"}
    key: id
"#;

/// A host on a file, and the services that it uses.
struct World {
    folder: tempfile::TempDir,
    clock: Clock,
    sandbox: Sandbox,
    effect: &'static str,
    order: &'static str,
    flow: String,
    options: Options,
    host: Arc<Host>,
}

impl World {
    async fn new(effect: &'static str, order: &'static str, flow: &str) -> World {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(NOON);
        let sandbox = Sandbox::start(sandbox::Options { clock: clock.clone(), ..Default::default() }).await.unwrap();
        let flow = format!("flow: f\n{flow}");
        let options = Options::default();
        let host = open(folder.path(), &clock, &sandbox, effect, order, &flow, &options).await;
        World { folder, clock, sandbox, effect, order, flow, options, host }
    }

    /// Drops the host as a crash would, and opens another on the same file.
    async fn restart(&mut self) {
        let old = Arc::clone(&self.host);
        old.store.clone().close().await.unwrap();
        let World { folder, clock, sandbox, effect, order, flow, options, .. } = &*self;
        self.host = open(folder.path(), clock, sandbox, effect, order, flow, options).await;
    }

    async fn work(&self) {
        drain_due(&self.host).await.unwrap();
    }

    async fn work_an_hour_later(&self) {
        self.clock.advance(HOUR);
        self.work().await;
    }

    fn add(&self, count: u64) {
        self.sandbox.control().add_items(&NewItems { count, ..NewItems::default() });
    }

    fn add_dated(&self, at_ms: i64) {
        self.sandbox.control().add_items(&NewItems { count: 1, at_ms: Some(at_ms), ..NewItems::default() });
    }

    fn fault(&self, fault: sandbox::Fault) {
        self.sandbox.control().inject(fault).unwrap();
    }

    /// What the service was told, in its order.
    fn told(&self) -> Vec<i64> {
        told_to(&self.sandbox)
    }

    /// Edits a file of the project, and deploys it.
    async fn edit(&self, file: &str, from: &str, to: &str) {
        let project = self.folder.path().join("project");
        let written = fs::read_to_string(project.join(file)).unwrap();
        assert!(written.contains(from), "{written}");
        fs::write(project.join(file), written.replace(from, to)).unwrap();
        let catalog = Catalog::load(&project);
        assert!(catalog.is_sound(), "{:?}", catalog.diagnostics);
        deploy(&self.host, &catalog, "shop", self.clock.now_ms()).await;
    }

    async fn trigger(&self) -> TriggerRow {
        self.host.store.trigger("f".to_owned()).await.unwrap().unwrap()
    }

    /// Refuses the second page of the next reading, once.
    fn refuse_page_two(&self) {
        let operation = Some("list_items".to_owned());
        self.fault(sandbox::Fault {
            operation,
            skip: 1,
            times: Some(1),
            status: Some(500),
            ..sandbox::Fault::default()
        });
    }

    async fn runs(&self, state: State) -> Vec<Summary> {
        let filter = Filter { state: Some(state), limit: 1_000, ..Filter::default() };
        self.host.store.list_runs(filter).await.unwrap()
    }

    async fn only_run(&self) -> Detail {
        let runs = self.host.store.list_runs(Filter { limit: 10, ..Filter::default() }).await.unwrap();
        assert_eq!(runs.len(), 1, "{runs:?}");
        self.host.store.run(runs[0].id.clone()).await.unwrap().unwrap()
    }

    async fn notices(&self) -> Vec<String> {
        self.host.store.notices(None, 100).await.unwrap().into_iter().map(|notice| notice.kind).collect()
    }
}

/// What a service was told, in its order.
fn told_to(sandbox: &Sandbox) -> Vec<i64> {
    let received = sandbox.control().received(&sandbox::ReceiptFilter::default());
    received
        .iter()
        .filter(|receipt| receipt.id.is_some())
        .filter_map(|receipt| serde_json::from_str::<Value>(&receipt.fingerprint).ok()?.get("id")?.as_i64())
        .collect()
}

async fn open(
    folder: &Path,
    clock: &Clock,
    sandbox: &Sandbox,
    effect: &str,
    order: &str,
    flow: &str,
    options: &Options,
) -> Arc<Host> {
    let project = folder.join("project");
    fs::create_dir_all(project.join("connectors")).unwrap();
    fs::create_dir_all(project.join("flows")).unwrap();
    let connector = CONNECTOR.replace("URL", &sandbox.json_url()).replace("EFFECT", effect).replace("ORDER", order);
    fs::write(project.join("connectors/shop.yaml"), connector).unwrap();
    fs::write(project.join("flows/f.yaml"), flow.replace("URL", &sandbox.json_url())).unwrap();
    fs::write(project.join("tidegate.yaml"), "connections: {shop: {connector: shop}}\n").unwrap();
    host_of(folder, &project, "shop", clock, options).await
}

/// A host for the one flow of a project, which polls `connector`.
async fn host_of(folder: &Path, project: &Path, connector: &str, clock: &Clock, options: &Options) -> Arc<Host> {
    let catalog = Catalog::load(project);
    assert!(catalog.is_sound(), "{:?}", catalog.diagnostics);

    let handle = database::open(&folder.join("t.db"), &database::Options::new(MIGRATIONS, clock.now_ms())).unwrap();
    let egress = Egress::new(&["127.0.0.1:*".to_owned()]).unwrap();
    let requester = Requester::new(RequesterOptions {
        egress,
        clock: clock.clone(),
        max_response_bytes: MAX_RESPONSE_BYTES,
        user_agent: "tidegate-test".to_owned(),
        ca: None,
    })
    .unwrap();
    let executor = Executor::new(requester, Limits::new(), clock.clone(), vec![folder.join("out")]);
    let host = Host::new(Store::new(handle), executor, clock.clone(), options.clone());
    let keys = Keys::new(KeyPlace::Beside(folder.join("t.key")), host.store.clone());
    host.link_with(Links::new(keys, host.store.clone(), Some("https://gate.example.org")));
    deploy(&host, &catalog, connector, clock.now_ms()).await;
    host
}

// What `app` does, for one flow with the defaults of its inputs.
async fn deploy(host: &Arc<Host>, catalog: &Catalog, name: &str, now_ms: i64) {
    let definitions: &Definitions = &host.definitions;
    let manifests: BTreeMap<_, _> =
        catalog.connectors.iter().map(|(name, loaded)| (name.clone(), Arc::clone(&loaded.value))).collect();
    let used = definitions.connector(&manifests[name], Origin::File).unwrap();
    let loaded = &catalog.flows["f"];
    let flow = type_flow(&loaded.value, &loaded.source, &manifests);
    let written = Written {
        flow,
        inputs: loaded
            .value
            .inputs
            .iter()
            .map(|(name, input)| (name.clone(), input.default_value().cloned()))
            .collect(),
        connections: [(name.to_owned(), name.to_owned())].into(),
        connectors: [(name.to_owned(), used.hash.clone())].into(),
    };
    let all = [(name.to_owned(), used.clone())].into();
    let definition = definitions.flow(&written, &all).unwrap();
    let bodies = vec![(used.hash.clone(), used.written.text().to_string()), (definition.hash.clone(), written.text())];
    host.store.keep_definitions(bodies, now_ms).await.unwrap();
    let accounts = Accounts::new(catalog.settings.value.connections.clone(), Secrets::new(Path::new(".")));
    let sync = TriggerSync {
        flow: "f".to_owned(),
        was: None,
        definition: definition.hash.clone(),
        source: source_hash(&definition, &manifests, &accounts),
        is_enabled: true,
        is_dated: {
            let polled =
                loaded.value.trigger.poll.as_deref().and_then(|poll| poll.strip_prefix(name)?.strip_prefix('.'));
            polled.and_then(|polled| used.connector.trigger(polled)).is_some_and(|trigger| trigger.cursor.is_dated())
        },
        first_due_at: Some(now_ms),
        latest_due_at: Some(now_ms + HOUR),
        stopped: None,
    };
    host.store.sync_triggers(vec![sync], now_ms).await.unwrap();
    host.deploy(Deployment {
        flows: [("f".to_owned(), definition)].into(),
        connectors: [(name.to_owned(), Arc::clone(&used.connector))].into(),
        accounts,
        ..Deployment::default()
    });
}
