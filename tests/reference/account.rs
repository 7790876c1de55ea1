//! An account of a built-in connector on a server of ours, and the executor that calls it, on a clock that
//! stands still.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};
use tidegate::clock::Clock;
use tidegate::connector::egress::Egress;
use tidegate::connector::limits::Limits;
use tidegate::connector::requester::{MAX_RESPONSE_BYTES, Requester, RequesterOptions};
use tidegate::connector::{Action, Call, Connection, Connector, Executor, Page, PageToken, Sent};
use tidegate::engine::Failure;
use tidegate::manifest::{self, Catalog};
use tidegate::secrets::Secrets;
use tidegate::settings;

/// What calls are made with.
pub struct Account {
    executor: Executor,
    connection: Arc<Connection>,
    clock: Clock,
}

impl Account {
    /// An account of the connector `name` at `url`, at a time in UTC epoch milliseconds.
    pub fn new(name: &str, url: &str, now_ms: i64, fields: &Value) -> Account {
        let connector = compiled(name);
        let hosts: BTreeMap<&str, &str> = connector.hosts().map(|host| (host, url)).collect();
        let written = json!({"connector": name, "fields": fields, "hosts": hosts});
        let settings: settings::Connection = serde_json::from_value(written).unwrap();
        let secrets = Secrets::new("").with_environment(BTreeMap::new());
        let clock = Clock::manual(now_ms);
        let requester = Requester::new(RequesterOptions {
            egress: Egress::new(&["127.0.0.1:*".to_owned()]).unwrap(),
            clock: clock.clone(),
            max_response_bytes: MAX_RESPONSE_BYTES,
            user_agent: "tidegate-reference".to_owned(),
            ca: None,
        });
        Account {
            executor: Executor::new(requester.unwrap(), Limits::new(), clock.clone(), vec![std::env::temp_dir()]),
            clock,
            connection: Arc::new(Connection::bind(name, connector, &settings, &secrets).unwrap()),
        }
    }

    /// An account that has been bound elsewhere, such as one that signed in.
    pub fn of(executor: Executor, connection: Arc<Connection>, clock: Clock) -> Account {
        Account { executor, connection, clock }
    }

    /// Its actions.
    pub fn actions(&self) -> impl Iterator<Item = &Arc<Action>> {
        self.connection.connector.actions()
    }

    /// A call of one of its actions.
    pub fn call_of(&self, action: &str, inputs: Value) -> Call<'_> {
        let found = self.connection.connector.action(action);
        let action = found.unwrap_or_else(|| panic!("no action `{action}`"));
        Call::new(&self.connection, action, inputs)
    }

    /// One request: a page, or an element. A failure of the outer kind came before anything was sent.
    pub async fn send(&self, call: Call<'_>) -> Result<Result<Page, Failure>, Failure> {
        let prepared = self.executor.prepare(call)?;
        // A second page may have to wait for its turn: the clock goes on instead.
        let permit = match self.executor.permit(&prepared) {
            Ok(permit) => permit,
            Err(blocked) => {
                self.clock.advance(blocked.until_ms - self.clock.now_ms());
                self.executor.permit(&prepared).expect("it is not limited any more")
            }
        };
        Ok(self.executor.send(prepared, permit).await.result)
    }

    /// The page after another.
    pub async fn follow(&self, action: &str, inputs: Value, next: &PageToken) -> Result<Page, Failure> {
        let call = Call { page: Some(next), ..self.call_of(action, inputs) };
        self.send(call).await?
    }

    /// A whole action, with all its pages or elements.
    pub async fn call(&self, action: &str, inputs: Value) -> Sent {
        self.executor.call(self.call_of(action, inputs)).await
    }
}

/// Compiled once: a suite has hundreds of accounts.
fn compiled(name: &str) -> Arc<Connector> {
    static CONNECTORS: OnceLock<BTreeMap<String, Arc<Connector>>> = OnceLock::new();
    let connectors = CONNECTORS.get_or_init(|| {
        let written = Catalog::embedded().connectors;
        let compiled = |written: &manifest::Connector| Arc::new(Connector::compile(written).unwrap());
        written.iter().map(|(name, written)| (name.clone(), compiled(&written.value))).collect()
    });
    Arc::clone(&connectors[name])
}
