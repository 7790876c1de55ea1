//! Approvals as the worker and the store see them: what an approval step asks to be written down, and what came
//! of it. The terms themselves are the step form's (`steps/approval`).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use crate::steps::approval::{
    Choice, LINK_ALPHABET, OTHER_PLACEHOLDER, Reminders, Reply, Standing, Terms, Unreached, approval_id, code, link_id,
    placeholder, read_reply, unreached,
};

/// What a decision changes about approvals: one commit with its entries.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// One begins: its links and codes are good from now on.
    Open {
        /// Its id.
        id: String,
        /// The step's place in the run.
        key: String,
        /// The step's id or title, for people.
        step: String,
        /// What is asked, of whom.
        terms: Arc<Terms>,
    },
    /// Everybody was sent the question: the time runs.
    Until {
        /// Its id.
        id: String,
        /// UTC epoch milliseconds.
        expires_ms: i64,
    },
    /// Not everybody could be sent the question.
    Unreached {
        /// Its id.
        id: String,
        /// Who could not, in any round so far.
        unreached: Vec<Unreached>,
    },
    /// The run goes on without it.
    Close {
        /// Its id.
        id: String,
    },
}

/// Whom a request asks: its inputs hold the placeholder of this approver's link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asking {
    /// The approval's id.
    pub approval: String,
    /// The approver, by position.
    pub position: usize,
}

/// Answers that a run waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Awaited {
    /// The approval's id.
    pub approval: String,
    /// When those are reminded who have not answered, or the time is over; UTC epoch milliseconds.
    pub due_ms: i64,
    /// When the time is over; UTC epoch milliseconds.
    pub expires_ms: i64,
    /// The first of the choices: what a dry run takes for the answer.
    pub first_choice: Option<String>,
}

/// What came of an approval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resolution {
    /// How it ended.
    pub end: End,
    /// What was decided.
    pub choice: Option<String>,
    /// The deciding answer's text.
    pub text: Option<String>,
    /// Who gave the deciding answer.
    pub by: Option<String>,
    /// When, RFC 3339.
    pub at: Option<String>,
    /// How the deciding answer came: `link`, `sms`, `cli`.
    pub how: Option<String>,
    /// Every answer, in the order of the approvers.
    pub answers: Vec<Answer>,
    /// Whom no message could be sent.
    #[serde(default)]
    pub unreached: Vec<NotAsked>,
}

/// How an approval ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// With a decision.
    Decided,
    /// Its time passed.
    Expired,
    /// Its answers differ so that no choice can get enough.
    Split,
    /// Too few could be asked for any choice to get enough.
    Unreachable,
}

/// Somebody who could not be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotAsked {
    /// What the approver is called.
    pub approver: Option<String>,
    /// What the failure of the message is called.
    pub code: String,
    /// What it says.
    pub message: String,
}

/// One approver's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The choice.
    pub choice: Option<String>,
    /// The text.
    pub text: Option<String>,
    /// Who gave it.
    pub by: Option<String>,
    /// When, RFC 3339.
    pub at: Option<String>,
    /// How it came.
    pub how: Option<String>,
}
