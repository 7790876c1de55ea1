//! Secret inputs of flows. A run is made with what stands for each, so that nothing of it that is kept, logged or
//! shown holds the value; that takes its place only while a request is made. Values are live, as those of
//! connections are: no definition holds them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::definition::hash;
use super::send::Sent;
use crate::connector::mask::{Mask, SHORTEST_BYTES};
use crate::engine::{Call, Failure, LookUp, Target};

/// The values of a flow's secret inputs, by name.
pub type FlowSecrets = BTreeMap<String, Zeroizing<String>>;

/// The secret inputs of one run.
pub struct SecretInputs {
    hidden: Vec<Hidden>,
    mask: Mask,
}

struct Hidden {
    placeholder: String,
    value: Zeroizing<String>,
}

impl SecretInputs {
    /// Puts what stands for each value into a run's inputs; `None` where the flow has none. `root_id` is the
    /// run's, or that of the first one of its retries: they read each other's outputs.
    pub fn hide(inputs: &mut Value, secrets: Option<&FlowSecrets>, root_id: &str) -> Option<SecretInputs> {
        let secrets = secrets.filter(|secrets| !secrets.is_empty())?;
        if inputs.is_null() {
            *inputs = Value::Object(Map::new());
        }
        let mut hidden = Vec::new();
        for (name, value) in secrets {
            let placeholder = placeholder(root_id, name);
            if let Some(members) = inputs.as_object_mut() {
                members.insert(name.clone(), Value::from(placeholder.as_str()));
            }
            hidden.push(Hidden { placeholder, value: value.clone() });
        }
        Some(SecretInputs { mask: Mask::new(secrets.values().map(|value| value.as_str())), hidden })
    }

    /// The call with the values in it; not one that writes to the log.
    pub fn lifted(&self, call: Call) -> Call {
        if matches!(&call.target, Target::Action { connector, .. } if &**connector == "log") {
            return call;
        }
        let inputs = Arc::new(self.lift(&call.inputs));
        let element = call.element.as_ref().map(|element| self.lift(element));
        Call { inputs, element, ..call }
    }

    /// The look-up with the values in what it looks for.
    pub fn lifted_look(&self, look: &LookUp) -> LookUp {
        let element = look.element.as_ref().map(|element| self.lift(element));
        LookUp { inputs: Arc::new(self.lift(&look.inputs)), element, ..look.clone() }
    }

    /// What came of it, without the values.
    pub fn covered(&self, sent: Sent) -> Sent {
        Sent {
            exchange: sent.exchange.map(|exchange| self.mask.text(&exchange)),
            result: match sent.result {
                Ok(output) => Ok(self.cover(&output)),
                Err(failure) => Err(self.cover_failure(failure)),
            },
        }
    }

    /// What came back: a service's echo of a value is what stands for it, so that it can be sent again.
    pub fn cover(&self, value: &Value) -> Value {
        map(value, &|text| {
            let long_enough = self.hidden.iter().filter(|hidden| hidden.value.len() >= SHORTEST_BYTES);
            let text = long_enough
                .fold(text.to_owned(), |text, hidden| text.replace(hidden.value.as_str(), &hidden.placeholder));
            self.mask.text(&text)
        })
    }

    /// The same failure, without the values.
    pub fn cover_failure(&self, failure: Failure) -> Failure {
        Failure {
            message: self.mask.text(&failure.message),
            help: failure.help.map(|help| self.mask.text(&help)),
            ..failure
        }
    }

    fn lift(&self, value: &Value) -> Value {
        map(value, &|text| {
            self.hidden.iter().fold(text.to_owned(), |text, hidden| text.replace(&hidden.placeholder, &hidden.value))
        })
    }
}

// Nobody outside knows a run's id before it is there, so no item holds this.
fn placeholder(root_id: &str, name: &str) -> String {
    let mark: String = hash(&format!("secret input {root_id} {name}")).chars().take(16).collect();
    format!("•••{name}-{mark}•••")
}

fn map(value: &Value, change: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(change(text)),
        Value::Array(elements) => elements.iter().map(|element| map(element, change)).collect(),
        Value::Object(members) => members.iter().map(|(name, member)| (change(name), map(member, change))).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secrets() -> FlowSecrets {
        [("pw".to_owned(), Zeroizing::new("hunter22".to_owned()))].into()
    }

    #[test]
    fn a_value_is_there_while_a_request_is_made_and_nowhere_else() {
        let mut inputs = json!({"to": "ada"});
        let run = SecretInputs::hide(&mut inputs, Some(&secrets()), "r1").unwrap();
        let stands = inputs["pw"].as_str().unwrap().to_owned();
        assert!(!stands.contains("hunter22") && inputs["to"] == "ada");
        let given = json!({"list": [{"header": format!("Bearer {stands}")}]});
        let sent = run.lift(&given);
        assert_eq!(sent, json!({"list": [{"header": "Bearer hunter22"}]}));
        assert_eq!(run.cover(&sent), given, "an echo can be sent again");
        assert!(!run.cover(&json!("aHVudGVyMjI=")).to_string().contains("dGVyMj"), "encoded, too");
        // Another run's is only text.
        let mut others = json!(null);
        SecretInputs::hide(&mut others, Some(&secrets()), "r2").unwrap();
        assert_eq!(run.lift(&others), others);
    }

    #[test]
    fn a_flow_without_any_is_left_alone() {
        let mut inputs = json!({"to": "ada"});
        assert!(SecretInputs::hide(&mut inputs, None, "r").is_none());
        assert!(SecretInputs::hide(&mut inputs, Some(&FlowSecrets::new()), "r").is_none());
        assert_eq!(inputs, json!({"to": "ada"}));
    }
}
