//! What the parts of one item's way cost: evaluating templates, deciding, and committing. Run with
//! `cargo bench --bench parts`.
#![expect(clippy::expect_used, reason = "a measurement that cannot be set up has nothing to say")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_json::json;
use tidegate::engine::{Composites, Event, Facts, Failure, Flow, Run, Target, advance};
use tidegate::manifest::Catalog;
use tidegate::store::database::{self, Options};
use tidegate::store::runs::{NewRun, State};
use tidegate::store::schema::MIGRATIONS;
use tidegate::store::{Store, id};
use tidegate::template::{Scope, Template, Tree};

const NOW: i64 = 1_794_916_800_000;

fn templates(criterion: &mut Criterion) {
    let text = "@{{default item.author.username 'unknown'}}: {{truncate item.text 90}}";
    let template = Template::compile(text).expect("it is sound");
    let with = json!({"id": "{{item.id}}", "text": text, "reply": {"to": "{{maybe item.reply_to}}"}});
    let tree = Tree::compile(&with, "").expect("it is sound");
    let mut scope = Scope::new();
    let item = json!({"id": "2123791120344285185", "text": "First boat through the gate this morning", "author": {"username": "mara"}});
    scope.set("item", item);
    criterion.bench_function("template: compile", |bench| bench.iter(|| Template::compile(black_box(text))));
    criterion.bench_function("template: a line of text", |bench| bench.iter(|| template.render(black_box(&scope))));
    criterion
        .bench_function("template: a tree of three", |bench| bench.iter(|| tree.evaluate_pruned(black_box(&scope))));
}

/// The flow calls none.
#[derive(Debug)]
struct NoComposites;

impl Composites for NoComposites {
    fn begin(&self, _target: &Target, given: serde_json::Value) -> Result<serde_json::Value, Failure> {
        Ok(given)
    }
}

fn decisions(criterion: &mut Criterion) {
    let catalog = Catalog::embedded();
    let connectors: BTreeMap<_, _> =
        catalog.connectors.iter().map(|(name, loaded)| (name.clone(), Arc::clone(&loaded.value))).collect();
    let flow = Flow::compile(&catalog.flows["sms-to-tweet"].value, &connectors).expect("it is sound");
    let item = json!({"sid": "SM1", "from": "+15550142001", "to": "+15550100", "body": "North quay is full"});
    criterion.bench_function("engine: a run of one action", |bench| {
        bench.iter(|| {
            let facts = Facts {
                run_id: "r".to_owned(),
                root_id: "r".to_owned(),
                item: item.clone(),
                inputs: json!({}),
                started_ms: NOW,
                composites: Arc::new(NoComposites),
            };
            let mut run = Run::begin(&flow, facts);
            black_box(advance(&flow, &mut run, Event::Begin, NOW));
            black_box(advance(&flow, &mut run, Event::Answered { output: json!({"id": "1"}) }, NOW))
        });
    });
}

fn commits(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let handle = database::open(&folder.path().join("bench.db"), &Options::new(MIGRATIONS, NOW)).expect("a store");
    let store = Store::new(handle);
    let mut group = criterion.benchmark_group("store: runs put in, synchronous=FULL");
    group.sample_size(20);
    for in_flight in [1_u64, 64, 256] {
        group.throughput(Throughput::Elements(in_flight));
        group.bench_function(format!("{in_flight} at once"), |bench| {
            bench.iter(|| {
                let work = (0..in_flight).map(|_| store.insert_run(new_run(), NOW));
                runtime.block_on(futures_util::future::join_all(work))
            });
        });
    }
    group.finish();
}

fn new_run() -> NewRun {
    NewRun {
        id: id::new(NOW),
        flow: "f".to_owned(),
        definition: "d".to_owned(),
        state: State::Queued,
        position: 0,
        slot: None,
        walk: None,
        item_key: Some("k".to_owned()),
        item: "{\"id\":1}".to_owned(),
        repeats: None,
        error: None,
    }
}

criterion_group!(parts, templates, decisions, commits);
criterion_main!(parts);
