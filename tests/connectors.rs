//! Every connector, action by action, over a real connection: what goes out, and what is made of what comes
//! back. The cases are data: `tests/connectors/<connector>/<action or trigger>.yaml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tidegate::app::call::{Inputs, Way};
use tidegate::app::{self, Place};
use tidegate::clock::Clock;
use tidegate::connector::egress::Egress;
use tidegate::connector::limits::Limits;
use tidegate::connector::reconcile::Reconcile;
use tidegate::connector::requester::{MAX_RESPONSE_BYTES, Requester, RequesterOptions};
use tidegate::connector::{Call, Connection, Connector, Executor, PageToken, Trigger};
use tidegate::engine::Failure;
use tidegate::manifest::Catalog;
use tidegate::manifest::connector::errors::Scope;
use tidegate::secrets::Secrets;
use tidegate::settings;

/// 2026-11-20T12:00:00Z, the time of every case.
const NOW: i64 = 1_795_176_000_000;

/// One file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Suite {
    /// The settings of the connection; its hosts are replaced by the test's server.
    connection: Value,
    cases: Vec<Case>,
}

/// One exchange, or for a trigger one page.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default)]
    inputs: Value,
    element: Option<Value>,
    /// Files that are there: their paths in the permitted folder, and what is in them.
    #[serde(default)]
    files: BTreeMap<String, String>,
    page: Option<Value>,
    #[serde(default)]
    after_uncertain: bool,
    /// Instead of the file's connection.
    connection: Option<Value>,
    /// Call the action whole: all pages, all elements.
    #[serde(default)]
    whole: bool,
    /// Of a trigger: the stored position that the cursor stands at.
    value: Option<String>,
    /// Of an uncertain attempt: look it up instead, begun at this time.
    looked_up_since_ms: Option<i64>,
    #[serde(default)]
    answers: Vec<Answer>,
    expect: BTreeMap<String, Value>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    #[serde(default = "ok")]
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    json: Option<Value>,
    #[serde(default)]
    text: String,
}

fn ok() -> u16 {
    200
}

/// What the server received, and what it answers with.
#[derive(Default)]
struct Service {
    answers: Vec<Answer>,
    received: Vec<Value>,
}

#[tokio::test]
async fn every_case_holds() {
    let mut wrong = Vec::new();
    let mut held = 0;
    for file in files() {
        let text = std::fs::read_to_string(&file).unwrap();
        let suite: Suite = serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for case in &suite.cases {
            match run(&file, case.connection.as_ref().unwrap_or(&suite.connection), case).await {
                Ok(()) => held += 1,
                Err(told) => wrong.push(format!("{} · {}: {told}", file.display(), case.name)),
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n\n"));
    assert!(held >= 50, "only {held} cases were found");
}

/// Every embedded connector compiles, and each of its actions and triggers has a file of cases.
#[test]
fn every_action_has_cases() {
    let catalog = Catalog::embedded();
    let missing: Vec<String> = catalog
        .connectors
        .values()
        .flat_map(|loaded| {
            let connector = &loaded.value;
            let names = connector.actions.keys().chain(connector.triggers.keys());
            names.map(|name| format!("{}/{name}.yaml", connector.connector)).collect::<Vec<_>>()
        })
        .filter(|file| !folder().join(file).exists())
        .collect();
    assert_eq!(missing, Vec::<String>::new());
}

/// What X's documents say of the limits that no answer shows.
#[test]
fn the_limits_of_x_are_those_of_its_documents() {
    let connector = connector("x");
    // By the app's own token, or by either kind, or by an account's alone.
    let of_the_app = ["list_webhooks", "list_subscriptions", "unsubscribe_webhook"];
    let of_both = ["register_webhook", "validate_webhook", "delete_webhook"];
    let of_accounts = ["subscribe_webhook", "check_subscription"];
    let of_messages: &[&str] = &["15/15m", "1440/1d", "1440/1d of the app"];
    let mut documented = vec![
        ("get_messages", &["15/15m"] as &[&str]),
        ("get_message", &["15/15m"]),
        ("create_message", of_messages),
        ("create_group", of_messages),
        ("delete_message", &["300/15m", "1500/1d", "4000/1d of the app"]),
        ("create_tweet", &["100/15m", "10000/1d of the app"]),
        ("get_me", &["75/15m"]),
    ];
    documented.extend(of_the_app.map(|name| (name, &["450/15m of the app"] as &[&str])));
    documented.extend(of_both.map(|name| (name, &["450/15m of the app", "450/15m"] as &[&str])));
    documented.extend(of_accounts.map(|name| (name, &["450/15m"] as &[&str])));
    for (name, rates) in documented {
        let limits = connector.action(name).unwrap().limits.iter();
        let told = limits.filter_map(|limit| {
            let rate = limit.rate.as_deref()?;
            Some(if limit.scope == Scope::App { format!("{rate} of the app") } else { rate.to_owned() })
        });
        assert_eq!(told.collect::<Vec<_>>(), rates, "{name}");
    }
}

/// A window belongs to an endpoint, whichever of our actions asks it.
#[test]
fn actions_of_one_endpoint_share_its_limit() {
    let connector = connector("x");
    let fields =
        json!({"consumer_key": "a", "consumer_secret": "b", "access_token": "1-c", "access_token_secret": "d"});
    let settings = json!({"connector": "x", "fields": fields});
    let connection = Arc::new(connect(&connector, &settings, "http://service").unwrap());
    for (one, other) in [
        ("get_own_tweets", "get_user_timeline"),
        ("get_my_followers", "get_followers"),
        ("get_my_following", "get_following"),
    ] {
        let executor = executor(Path::new("."));
        let prepared = |name: &str, inputs: Value| {
            let action = connector.action(name).unwrap();
            executor.prepare(Call::new(&connection, action, inputs)).unwrap()
        };
        let (own, theirs) = (prepared(one, json!({})), prepared(other, json!({"user_id": "7"})));
        let most = (0..1_000).take_while(|_| executor.permit(&own).is_ok()).count();
        assert!((1..1_000).contains(&most), "{one} may be asked {most} times at once");
        assert!(executor.permit(&theirs).is_err(), "{one} and {other}");
    }
}

async fn run(file: &Path, settings: &Value, case: &Case) -> Result<(), String> {
    let name = file.file_stem().unwrap().to_string_lossy().into_owned();
    let connector = connector(&file.parent().unwrap().file_name().unwrap().to_string_lossy());
    let service = Arc::new(Mutex::new(Service { answers: case.answers.clone(), received: Vec::new() }));
    let origin = serve(Arc::clone(&service)).await;
    let connection = Arc::new(connect(&connector, settings, &origin)?);
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in &case.files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let executor = executor(folder.path());
    let is_composite = connector.action(&name).is_some_and(|action| action.is_composite);
    let outcome = match connector.trigger(&name) {
        Some(trigger) => poll(&executor, &connection, trigger, case).await,
        None if is_composite => call(folder.path(), &connector, &name, settings, &origin, case).await,
        None => act(&executor, &connection, &name, case).await,
    };
    let mut told = match outcome {
        Ok(told) => told,
        Err(failure) => BTreeMap::from([("failure".to_owned(), json!(failure))]),
    };
    let received = service.lock().unwrap().received.clone();
    told.insert("requests".to_owned(), Value::Array(received));
    compare(&case.expect, &told, &origin)
}

/// A composite, as `tidegate call` does it: in a project of its own, by the system's clock.
async fn call(
    folder: &Path,
    connector: &Connector,
    name: &str,
    settings: &Value,
    origin: &str,
    case: &Case,
) -> Result<BTreeMap<String, Value>, Failure> {
    let mut settings = settings.clone();
    if connector.name != "json" {
        settings["hosts"] =
            connector.hosts().map(|host| (host.to_owned(), origin.into())).collect::<Map<_, _>>().into();
    }
    let project = json!({"egress": {"allow": ["127.0.0.1:*"]}, "files": ["."], "connections": {"main": settings}});
    std::fs::write(folder.join("tidegate.yaml"), project.to_string()).unwrap();
    let inputs = Inputs { json: Some(case.inputs.clone()), ..Inputs::default() };
    let way = Way { connection: Some("main"), ..Way::default() };
    let called = app::call::call(&Place::new(folder), &format!("{}.{name}", connector.name), inputs, way).await;
    let result = called.map_err(|error| Failure::not_sent(error.code, error.message))?.result;
    if let Some(error) = result.error {
        let failure = Failure::not_sent(error.code, error.detail);
        let (status, service_code, help, outcome) = (error.status, error.service_code, error.help, error.outcome);
        return Err(Failure { status, service_code, help, outcome, ..failure });
    }
    let (raw, tables) = (json!(result.raw), json!(result.tables));
    Ok(BTreeMap::from([("output".to_owned(), result.output), ("raw".to_owned(), raw), ("tables".to_owned(), tables)]))
}

async fn act(
    executor: &Executor,
    connection: &Arc<Connection>,
    name: &str,
    case: &Case,
) -> Result<BTreeMap<String, Value>, Failure> {
    let action = connection.connector.action(name).expect("the file is named after an action");
    if let Some(since_ms) = case.looked_up_since_ms {
        let reconcile = action.reconcile.as_ref().expect("the action can be looked up");
        let mut scope = Reconcile::scope(connection, action, case.inputs.clone(), case.element.clone(), since_ms)?;
        let listing = connection.connector.action(&reconcile.action).unwrap();
        let sent = executor.call(Call::new(connection, listing, reconcile.inputs(&scope)?)).await;
        let candidates = reconcile.candidates(sent.result?.records, &mut scope)?;
        let ids: Vec<Value> = candidates.candidates.into_iter().map(|candidate| candidate.id.into()).collect();
        return Ok(BTreeMap::from([("candidates".to_owned(), ids.into())]));
    }
    let page: Option<PageToken> = case.page.clone().map(|page| serde_json::from_value(page).unwrap());
    let call = Call {
        element: case.element.clone(),
        page: page.as_ref(),
        after_uncertain: case.after_uncertain,
        idempotency_key: Some("run-1/step-1".to_owned()),
        ..Call::new(connection, action, case.inputs.clone())
    };
    let sent = match case.whole {
        true => executor.call(call).await,
        false => {
            let prepared = executor.prepare(call)?;
            let permit = executor.permit(&prepared).expect("a new executor is not limited");
            executor.send(prepared, permit).await
        }
    };
    let exchange = serde_json::to_string(&sent.exchange).unwrap();
    let page = sent.result?;
    Ok(BTreeMap::from([
        ("exchange".to_owned(), Value::from(exchange)),
        ("next".to_owned(), page.next.as_ref().map_or(Value::Null, |next| json!(next.at))),
        ("problems".to_owned(), json!(page.problems)),
        ("server_ms".to_owned(), json!(page.server_ms)),
        ("output".to_owned(), page.into_output()),
    ]))
}

async fn poll(
    executor: &Executor,
    connection: &Arc<Connection>,
    trigger: &Trigger,
    case: &Case,
) -> Result<BTreeMap<String, Value>, Failure> {
    let action = connection.connector.action(&trigger.poll).unwrap();
    let inputs = trigger.resolve(case.inputs.clone())?;
    let value = case.value.as_ref().and_then(|value| trigger.cursor.parse(value));
    let since = trigger.cursor.since(value.as_ref(), None, trigger.cursor.lookback_ms, NOW);
    let asked = trigger.action_inputs(&inputs, since.as_ref())?;
    let prepared = executor.prepare(Call::new(connection, action, asked))?;
    let permit = executor.permit(&prepared).expect("a new executor is not limited");
    let page = executor.send(prepared, permit).await.result?;
    let mut scope = trigger.scope(&inputs);
    let mut items = Vec::new();
    for record in page.records {
        if let Some(item) = trigger.item(record, &mut scope)? {
            items.push(json!({
                "key": item.key, "time_ms": item.time_ms, "is_ready": item.is_ready,
                "position": item.position.map(|position| position.to_string())
            }));
        }
    }
    Ok(BTreeMap::from([
        ("items".to_owned(), items.into()),
        ("next".to_owned(), page.next.map_or(Value::Null, |next| json!(next.at))),
    ]))
}

/// What is expected must be there; what is not mentioned does not matter. Texts may be given as
/// `{contains: ...}` or `{lacks: ...}`.
fn compare(expected: &BTreeMap<String, Value>, told: &BTreeMap<String, Value>, origin: &str) -> Result<(), String> {
    let text = serde_json::to_string(told).unwrap().replace(origin, "http://service");
    let told: BTreeMap<String, Value> = serde_json::from_str(&text).unwrap();
    for (name, expected) in expected {
        let Some(found) = told.get(name) else {
            return Err(format!("there is no `{name}` in {text}"));
        };
        differs(expected, found).map_or(Ok(()), |why| Err(format!("{name}: {why}\n  found {found}")))?;
    }
    match (expected.contains_key("failure"), told.get("failure")) {
        (false, Some(failure)) => Err(format!("it failed: {failure}")),
        _ => Ok(()),
    }
}

fn differs(expected: &Value, found: &Value) -> Option<String> {
    match (expected, found) {
        (Value::Object(words), Value::String(text)) => words.iter().find_map(|(word, part)| {
            let part = part.as_str().unwrap_or_default();
            let holds = match word.as_str() {
                "contains" => text.contains(part),
                "lacks" => !text.contains(part),
                _ => false,
            };
            (!holds).then(|| format!("`{text}` does not fit {word} `{part}`"))
        }),
        (Value::Object(members), Value::Object(found)) => members.iter().find_map(|(name, member)| {
            let found = found.get(name).unwrap_or(&Value::Null);
            differs(member, found).map(|why| format!("{name}: {why}"))
        }),
        (Value::Array(elements), Value::Array(found)) if elements.len() == found.len() => {
            elements.iter().zip(found).find_map(|(element, found)| differs(element, found))
        }
        _ => (expected != found).then(|| format!("expected {expected}, found {found}")),
    }
}

async fn serve(service: Arc<Mutex<Service>>) -> String {
    let router = Router::new().fallback(answer).with_state(service);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

async fn answer(State(service): State<Arc<Mutex<Service>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let headers: serde_json::Map<String, Value> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), Value::from(String::from_utf8_lossy(value.as_bytes()))))
        .collect();
    let mut service = service.lock().unwrap();
    service.received.push(json!({
        "method": parts.method.as_str(),
        "url": parts.uri.to_string(),
        "headers": headers,
        "body": String::from_utf8_lossy(&body),
    }));
    let answer = match service.answers.is_empty() {
        true => Answer { status: 599, headers: BTreeMap::new(), json: None, text: "no answer is left".to_owned() },
        false => service.answers.remove(0),
    };
    let mut response = Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    let body = answer.json.map_or(answer.text, |json| json.to_string());
    response.body(Body::from(body)).unwrap()
}

fn executor(folder: &Path) -> Executor {
    let clock = Clock::manual(NOW);
    let requester = Requester::new(RequesterOptions {
        egress: Egress::new(&["127.0.0.1:*".to_owned()]).unwrap(),
        clock: clock.clone(),
        max_response_bytes: MAX_RESPONSE_BYTES,
        user_agent: "tidegate-test".to_owned(),
        ca: None,
    });
    Executor::new(requester.unwrap(), Limits::new(), clock, vec![folder.to_owned()])
}

/// The embedded connectors, compiled once for all cases.
static CONNECTORS: LazyLock<BTreeMap<String, Arc<Connector>>> = LazyLock::new(|| {
    let catalog = Catalog::embedded();
    assert!(catalog.diagnostics.is_empty(), "{:#?}", catalog.diagnostics);
    let compile = |written| Arc::new(Connector::compile(written).unwrap_or_else(|problems| panic!("{problems:#?}")));
    catalog.manifests().iter().map(|(name, written)| (name.clone(), compile(written))).collect()
});

fn connector(name: &str) -> Arc<Connector> {
    Arc::clone(CONNECTORS.get(name).unwrap_or_else(|| panic!("there is no connector {name}")))
}

fn connect(connector: &Arc<Connector>, settings: &Value, origin: &str) -> Result<Connection, String> {
    let text = settings.to_string().replace("http://service", origin);
    let mut settings: settings::Connection = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    if connector.name != "json" {
        for host in connector.hosts() {
            settings.hosts.entry(host.to_owned()).or_insert_with(|| origin.to_owned());
        }
    }
    Connection::bind("main", Arc::clone(connector), &settings, &Secrets::new(""))
        .map_err(|problems| format!("{problems:?}"))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/connectors")
}

fn files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for service in std::fs::read_dir(folder()).unwrap() {
        let service = service.unwrap().path();
        files.extend(std::fs::read_dir(service).unwrap().map(|file| file.unwrap().path()));
    }
    files.sort();
    files
}
