//! The step form `approval` as written: whom to ask and how, what can be answered, until when (design section 4).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Step;
use crate::manifest::OneOrMany;

/// Asks people over any action, and waits for what they answer. Its output is `{choice, text, by, at, how, answers}`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// What sends the question: an `action` or `http` step, or several. Their templates see `approval.url`,
    /// `approval.code`, `approval.choices`, `approval.reminder` and `approver`.
    pub send: OneOrMany<Step>,
    /// What the page and the list of approvals show; a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// Who is asked, each by the messages of `send` with a link and a code of their own: a list or a template of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvers: Option<Value>,
    /// How many of them have to answer alike: `first` unless given, `all`, or a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needed: Option<Needed>,
    /// What can be answered: names, or `{name, title, words}`; a list or a template of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choices: Option<Choices>,
    /// Whether a text of one's own can be added, or is the answer where there are no choices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Flag>,
    /// How long it can be answered, from the last message on; a day unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// The choice that counts when nobody answered in time; `fail`, which fails the step, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_expire: Option<String>,
    /// Asks those again who have not answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reminders: Option<Reminding>,
}

/// How many have to answer alike.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(untagged)]
pub enum Needed {
    /// Two or more of those who are asked.
    Number(u32),
    /// `first`, `all`, or a template.
    Word(String),
}

/// What can be answered.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(untagged)]
pub enum Choices {
    /// Written out.
    List(Vec<Choice>),
    /// A template that gives a list.
    Template(String),
}

/// One of the possible answers.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(untagged, deny_unknown_fields)]
pub enum Choice {
    /// `approve`
    Name(String),
    /// `{name: approve, title: Go ahead, words: [yes]}`
    Described {
        /// What the output says.
        name: String,
        /// What people see; the name unless given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<String>,
        /// What counts as it in a reply besides its name.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        words: Vec<String>,
    },
}

/// True or false, or a template of one.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(untagged)]
pub enum Flag {
    /// `true` or `false`
    Value(bool),
    /// A template.
    Template(String),
}

/// How those are asked again who have not answered.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(untagged)]
pub enum Reminding {
    /// Written out.
    Every(Reminders),
    /// A template that gives `{every, limit}`; where it gives nothing, nobody is reminded.
    Template(String),
}

/// `reminders: {every: 30m, limit: 2}`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Reminders {
    /// How long after the last message.
    pub every: String,
    /// How many times at most; once unless given.
    #[serde(default = "once")]
    pub limit: u32,
}

fn once() -> u32 {
    1
}

/// A word as replies are compared: letters and digits alone, in lower case; a word without any as it is.
pub fn said(word: &str) -> String {
    let letters: String = word.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    if letters.is_empty() { word.trim().to_owned() } else { letters }
}

impl Choice {
    /// What the output says of it.
    pub fn name(&self) -> &str {
        match self {
            Choice::Name(name) | Choice::Described { name, .. } => name,
        }
    }

    /// What a reply can say for it: its name, what people see, its words.
    pub fn answers(&self) -> Vec<&str> {
        match self {
            Choice::Name(name) => vec![name],
            Choice::Described { name, title, words } => {
                std::iter::once(name).chain(title).chain(words).map(String::as_str).collect()
            }
        }
    }
}

impl Approval {
    /// What sends the question, in its order.
    pub fn sends(&self) -> &[Step] {
        self.send.as_slice()
    }

    /// The pointer of one of [`Approval::sends`], below the approval's.
    pub fn send_pointer(&self, position: usize) -> String {
        match &self.send {
            OneOrMany::One(_) => "send".to_owned(),
            OneOrMany::Many(_) => format!("send/{position}"),
        }
    }

    /// Everything but what sends it, as a value whose strings are templates.
    pub fn terms(&self) -> Value {
        let members = [
            ("question", json!(self.question)),
            ("approvers", json!(self.approvers)),
            ("needed", json!(self.needed)),
            ("choices", json!(self.choices)),
            ("text", json!(self.text)),
            ("expires", json!(self.expires)),
            ("on_expire", json!(self.on_expire)),
            ("reminders", json!(self.reminders)),
        ];
        let written = members.into_iter().filter(|(_, value)| !value.is_null());
        Value::Object(written.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
    }
}
