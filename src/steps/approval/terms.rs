//! What an approval asks, and what its answers come to: pure, and shared by the step form, the engine, the store
//! (which decides while it writes an answer down) and the pages. Kept as JSON with the run and with the approval.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// What is asked, of how many, until when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// The approval's own id; set by the engine when the step begins.
    #[serde(default)]
    pub id: String,
    /// What a page and a list show of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// Who is asked; one `null` where the step names nobody.
    pub approvers: Vec<Value>,
    /// What can be answered; none where only a text is asked for.
    pub choices: Vec<Choice>,
    /// Whether a text of one's own can be added, or is the answer where there are no choices.
    #[serde(default)]
    pub text: bool,
    /// How many have to answer alike.
    pub needed: u32,
    /// From the last message sent on; milliseconds.
    pub expires_ms: i64,
    /// The choice that counts when nobody has answered in time; none fails the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_expire: Option<String>,
    /// Who has not answered is asked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reminders: Option<Reminders>,
    /// Those whom no message could be sent; known once everybody was to be asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreached: Vec<Unreached>,
}

/// Somebody whom no message could be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreached {
    /// The approver, by position.
    pub position: usize,
    /// What the first failure is called.
    pub code: String,
    /// What it says.
    pub message: String,
}

/// One of the possible answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// What the output says: `approve`.
    pub name: String,
    /// What people see; the name unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What counts as it in a reply besides its name: `yes`, `ok`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<String>,
}

/// How often and how many times is asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reminders {
    /// Milliseconds.
    pub every_ms: i64,
    /// At most so many times.
    pub limit: u32,
}

/// What the answers so far come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing<'a> {
    /// More answers are needed.
    Open,
    /// It is decided: the choice, none where only texts are asked for.
    Decided(Option<&'a str>),
    /// No choice can get as many answers as are needed any more.
    Split,
}

impl Choice {
    /// What people see.
    pub fn shown(&self) -> &str {
        self.title.as_deref().unwrap_or(&self.name)
    }
}

impl Terms {
    /// The choice with this very name.
    pub fn choice(&self, name: &str) -> Option<&Choice> {
        self.choices.iter().find(|choice| choice.name == name)
    }

    /// What an approver is called: a text as it is, of an object its `name`.
    pub fn name_of(&self, position: usize) -> Option<&str> {
        match self.approvers.get(position)? {
            Value::String(text) => Some(text),
            Value::Object(members) => members.get("name")?.as_str(),
            _ => None,
        }
    }

    /// Whether too few could be asked for any choice to get as many answers as are needed.
    pub fn is_hopeless(&self, unreached: usize) -> bool {
        self.approvers.len().saturating_sub(unreached) < usize::try_from(self.needed).unwrap_or(usize::MAX)
    }

    /// What these answers (one per approver who gave one, `None` for a text alone) come to, where `silent` of the
    /// others cannot answer.
    pub fn standing<'a>(&self, answers: &[Option<&'a str>], silent: usize) -> Standing<'a> {
        let needed = usize::try_from(self.needed).unwrap_or(usize::MAX);
        let mut counts: BTreeMap<Option<&str>, usize> = BTreeMap::new();
        let mut most = 0;
        for answer in answers {
            let count = counts.entry(*answer).or_default();
            *count += 1;
            if *count >= needed {
                return Standing::Decided(*answer);
            }
            most = most.max(*count);
        }
        let left = self.approvers.len().saturating_sub(answers.len()).saturating_sub(silent);
        if most + left < needed { Standing::Split } else { Standing::Open }
    }
}

/// The id of the approval that a step of a run asks for: the same after every restart, and known to nobody who
/// does not know the run.
pub fn approval_id(run_id: &str, key: &str) -> String {
    letters(&["approval", run_id, key], LINK_ALPHABET, ID_LETTERS)
}

/// What an approver's link names. It proves nothing: the token behind it does.
pub fn link_id(approval: &str, position: usize) -> String {
    letters(&["link", approval, &position.to_string()], LINK_ALPHABET, ID_LETTERS)
}

/// What an approver's reply must carry: no vowels, so that it is no word, and nothing that is taken for another
/// letter.
pub fn code(approval: &str, position: usize) -> String {
    letters(&["code", approval, &position.to_string()], CODE_ALPHABET, CODE_LETTERS)
}

/// What stands for an approver's link wherever it is written down: the link itself is made when it is sent.
pub fn placeholder(link: &str) -> String {
    format!("approval-link-{link}")
}

/// Another way to write where the link goes, known from other systems. What `approval.url` gives to the inputs of
/// a composite that asks, since its links are made later.
pub const OTHER_PLACEHOLDER: &str = "<<UserActionRequiredURL>>";

/// The same for the code of a reply.
pub const CODE_PLACEHOLDER: &str = "<<UserActionRequiredCode>>";

/// `value` with the code in the place of what stands for it, at any depth.
pub fn with_code(value: Value, code: &str) -> Value {
    match value {
        Value::String(text) if text.contains(CODE_PLACEHOLDER) => Value::String(text.replace(CODE_PLACEHOLDER, code)),
        Value::Array(elements) => elements.into_iter().map(|element| with_code(element, code)).collect(),
        Value::Object(members) => members.into_iter().map(|(name, member)| (name, with_code(member, code))).collect(),
        other => other,
    }
}

/// Letters that survive being read out, typed, and cut from a message: 32 of them.
pub const LINK_ALPHABET: &[u8] = b"0123456789abcdefghjkmnpqrstvwxyz";
const CODE_ALPHABET: &[u8] = b"BCDFGHJKMNPQRTVWXYZ2346789";
/// 60 bits: two of a million approvals share an id once in a million stores.
const ID_LETTERS: usize = 12;
/// 12 million codes, each good for one asked number.
const CODE_LETTERS: usize = 5;

fn letters(of: &[&str], alphabet: &[u8], length: usize) -> String {
    let mut hash = Sha256::new();
    for part in of {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    // One byte per letter: the bias of a byte over 26 letters does not help anyone to guess.
    let letter = |byte: &u8| alphabet.get(usize::from(*byte) % alphabet.len().max(1)).copied().map(char::from);
    hash.finalize().iter().take(length).filter_map(letter).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn terms(approvers: usize, needed: u32) -> Terms {
        serde_json::from_value(json!({
            "approvers": vec![Value::Null; approvers], "needed": needed, "expires_ms": 1,
            "choices": [{"name": "approve"}, {"name": "reject"}],
        }))
        .unwrap()
    }

    #[test]
    fn enough_equal_answers_decide_and_hopeless_ones_split() {
        let (yes, no) = (Some("approve"), Some("reject"));
        for (approvers, silent, needed, answers, standing) in [
            (1, 0, 1, vec![], Standing::Open),
            (1, 0, 1, vec![yes], Standing::Decided(yes)),
            (3, 0, 1, vec![no], Standing::Decided(no)),
            (3, 0, 2, vec![yes], Standing::Open),
            (3, 0, 2, vec![yes, no], Standing::Open),
            (3, 0, 2, vec![yes, no, no], Standing::Decided(no)),
            (3, 0, 3, vec![yes, yes], Standing::Open),
            (3, 0, 3, vec![yes, no], Standing::Split),
            (3, 0, 3, vec![yes, yes, yes], Standing::Decided(yes)),
            (2, 0, 2, vec![None, None], Standing::Decided(None)),
            // Those who could not be asked are not waited for.
            (3, 1, 1, vec![], Standing::Open),
            (3, 1, 2, vec![yes, no], Standing::Split),
            (3, 1, 2, vec![yes, yes], Standing::Decided(yes)),
            (3, 1, 3, vec![], Standing::Split),
        ] {
            let found = terms(approvers, needed).standing(&answers, silent);
            assert_eq!(found, standing, "{needed} of {approvers}, {silent} not asked: {answers:?}");
        }
    }

    #[test]
    fn ids_are_the_same_every_time_and_differ_by_what_they_are_for() {
        let approval = approval_id("run", "1");
        assert_eq!(approval, approval_id("run", "1"));
        let others = [approval_id("run", "2"), approval_id("run1", ""), link_id(&approval, 0), link_id(&approval, 1)];
        for (at, other) in others.iter().enumerate() {
            assert_ne!(&approval, other);
            assert!(!others[..at].contains(other), "{other}");
        }
        assert_eq!(code(&approval, 0).len(), 5);
        assert!(!code(&approval, 0).contains(['A', 'E', 'I', 'O', 'U', '0', '1']));
    }
}
