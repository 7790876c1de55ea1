//! What a composite action is given, completed by its connection's defaults and checked as the inputs of any
//! other action; and what its steps see of that connection. For runs, dry runs and calls alike.

use std::sync::Arc;

use serde_json::Value;

use super::definition::Definition;
use super::deployment::Deployment;
use super::send::action_of;
use crate::connector::composite;
use crate::engine::{self, Failure, Target};

/// The accounts of a deployment, for the composites of one definition.
pub struct Composites {
    deployment: Arc<Deployment>,
    definition: Arc<Definition>,
}

impl Composites {
    /// For the runs of `definition`, with the accounts of `deployment`.
    pub fn new(deployment: Arc<Deployment>, definition: Arc<Definition>) -> Arc<Self> {
        Arc::new(Composites { deployment, definition })
    }
}

impl std::fmt::Debug for Composites {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Composites").field("flow", &self.definition.name).finish_non_exhaustive()
    }
}

impl engine::Composites for Composites {
    fn begin(&self, target: &Target, given: Value) -> Result<Value, Failure> {
        let Target::Action { connector, action } = target else {
            return Err(Failure::not_sent("action_unknown", format!("{target} is no action of a connector")));
        };
        let action = action_of(&self.definition, connector, action)?;
        let connection = self.deployment.connection(&self.definition, connector)?;
        composite::roots(&connection, &action, given)
    }
}
