//! Whether an account works: the connector's test actions, the first that its credentials allow.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::Executor;
use crate::connector::connection::Connection;
use crate::connector::prepare::Call;
use crate::engine::Failure;

/// What a test of an account found.
#[derive(Debug)]
pub struct Proof {
    /// What was asked, as `x.get_me`; none where nothing could be.
    pub action: Option<String>,
    /// Whether it was answered. Without anything to ask, whether the fields are complete.
    pub result: Result<(), Failure>,
}

impl Executor {
    /// Asks the service whether an account works. A test for which nobody has signed in leaves its place to the
    /// next.
    pub async fn prove(&self, connection: &Arc<Connection>) -> Proof {
        let mut proof: Option<Proof> = None;
        for action in connection.connector.test.iter().filter_map(|name| connection.connector.action(name)) {
            match connection.credentials(action) {
                Ok(_) => {
                    let sent = self.call(Call::new(connection, action, Value::Object(Map::new()))).await;
                    let result = sent.result.map(|_| ());
                    let is_needed = result.as_ref().is_err_and(|failure| failure.code == "sign_in_needed");
                    proof = Some(Proof { action: Some(action.to_string()), result });
                    if !is_needed {
                        break;
                    }
                }
                // What the first lacks is the answer where none can be asked.
                Err(failure) => {
                    proof.get_or_insert(Proof { action: None, result: Err(failure) });
                }
            }
        }
        proof.unwrap_or(Proof { action: None, result: Ok(()) })
    }
}
