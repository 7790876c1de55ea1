//! `tidegate approvals` and the pages behind the links: what people are asked, and taking what they answer.

use serde::Serialize;

use super::up::Live;
use super::{Error, Result, Time, View};
use crate::manifest::diagnostic::did_you_mean;
use crate::store::approvals::{Approval, Given, How, State, Taken};

// How many rows a list has unless told otherwise.
const LISTED: u32 = 50;
/// The longest text of one's own, in characters.
pub const MOST_TEXT: usize = 4_000;

/// One approval.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its id.
    pub id: String,
    /// The flow that asks.
    pub flow: String,
    /// The run that waits.
    pub run: String,
    /// The step that asks.
    pub step: String,
    /// What is asked.
    pub question: Option<String>,
    /// `open`, `decided`, `expired`, `split` or `closed`.
    pub state: State,
    /// The names of the choices.
    pub choices: Vec<String>,
    /// How many have to answer alike.
    pub needed: u32,
    /// What was decided.
    pub choice: Option<String>,
    /// The deciding answer's text.
    pub text: Option<String>,
    /// Who gave it.
    pub by: Option<String>,
    /// How it came.
    pub how: Option<String>,
    /// When it was asked.
    pub created_at: Time,
    /// When the time is over; none while messages are still being sent.
    pub expires_at: Option<Time>,
    /// When it was decided.
    pub decided_at: Option<Time>,
    /// Who is asked.
    pub approvers: Vec<Approver>,
}

/// One of those who are asked.
#[derive(Clone, Debug, Serialize)]
pub struct Approver {
    /// What the flow calls them.
    pub name: Option<String>,
    /// What a reply must carry.
    pub code: String,
    /// The choice.
    pub choice: Option<String>,
    /// The text.
    pub text: Option<String>,
    /// Who answered.
    pub by: Option<String>,
    /// How.
    pub how: Option<String>,
    /// When.
    pub at: Option<Time>,
    /// The last reply that carried the code and answered nothing.
    pub unclear: Option<String>,
    /// Why no message could be sent, where none could.
    pub unreached: Option<String>,
}

/// What is behind a link.
pub enum Opened {
    /// There is no such link, or it was altered.
    Nothing,
    /// An approval, and which of its approvers the link is of.
    Approval(Box<Approval>, usize),
}

/// What became of an answer that came by a link.
pub enum Answered {
    /// There is no such link, or it was altered.
    Nothing,
    /// It is no answer to what is asked.
    Refused(Box<Approval>, usize, Error),
    /// See [`Taken`].
    Taken(Taken, usize),
}

/// Approvals, newest first; in one state where it is named, else all.
///
/// # Errors
/// `state_unknown`.
pub async fn list(view: &View, state: Option<&str>, limit: u32) -> Result<Vec<Row>> {
    let state = state.map(state_of).transpose()?;
    let limit = if limit == 0 { LISTED } else { limit };
    Ok(view.store()?.approvals(state, limit).await?.into_iter().map(Row::from).collect())
}

/// One approval by its id, or by an unambiguous beginning of it.
///
/// # Errors
/// `approval_unknown`.
pub async fn show(view: &View, id: &str) -> Result<Row> {
    find(view, id).await.map(Row::from)
}

/// Decides an approval as a whole, whoever was asked. `by` says who does it.
///
/// # Errors
/// `approval_unknown`, `approval_over`, and what is wrong with the answer.
pub async fn decide(
    view: &View,
    id: &str,
    choice: Option<String>,
    text: Option<String>,
    by: Option<String>,
) -> Result<Row> {
    let approval = find(view, id).await?;
    let (choice, text) = checked(&approval, choice, text)?;
    let given = Given { choice, text, by, how: How::Cli, now_ms: view.clock.now_ms() };
    match view.store()?.decide_approval(approval.id, given).await? {
        Taken::Recorded(approval) => Ok(Row::from(*approval)),
        Taken::Over(approval) | Taken::Before(approval) => {
            Err(Error::problem("approval_over", format!("the approval {} is over: {}", approval.id, ending(&approval))))
        }
        Taken::Unknown => Err(unknown(id)),
    }
}

/// What a link leads to. Changes nothing, however often it is looked at.
///
/// # Errors
/// The store's and the key's.
pub async fn open(live: &Live, written: &str) -> Result<Opened> {
    let Some(link) = live.link(written).await? else { return Ok(Opened::Nothing) };
    let view = live.view();
    let found = view.store()?.approval_of_link(link).await?;
    let Some((mut approval, position)) = found else { return Ok(Opened::Nothing) };
    // Its end is written down by whoever answers, or by its run; to the reader it is over now.
    if approval.state == State::Open && approval.expires_at.is_some_and(|at| at <= view.clock.now_ms()) {
        approval.state = State::Expired;
    }
    Ok(Opened::Approval(Box::new(approval), position))
}

/// Takes the answer that was given behind a link.
///
/// # Errors
/// The store's and the key's.
pub async fn answer(live: &Live, written: &str, choice: Option<String>, text: Option<String>) -> Result<Answered> {
    let Opened::Approval(approval, position) = open(live, written).await? else { return Ok(Answered::Nothing) };
    let (choice, text) = match checked(&approval, choice, text) {
        Ok(answer) => answer,
        Err(error) if approval.state == State::Open => return Ok(Answered::Refused(approval, position, error)),
        // It is over, whatever was answered.
        Err(_) => (None, None),
    };
    let view = live.view();
    let given = Given { choice, text, by: None, how: How::Link, now_ms: view.clock.now_ms() };
    let flow = approval.flow.clone();
    let taken = view.store()?.answer_approval(approval.id, position, given).await?;
    live.stir(&flow);
    Ok(Answered::Taken(taken, position))
}

/// How an approval ended, in words.
pub fn ending(approval: &Approval) -> String {
    match approval.state {
        State::Open => "it waits for answers".to_owned(),
        State::Decided => {
            let choice = approval.choice.as_deref().and_then(|name| approval.terms.choice(name));
            let what = choice.map_or_else(|| "answered".to_owned(), |choice| choice.shown().to_owned());
            match &approval.by {
                Some(by) => format!("{what} (by {by})"),
                None => what,
            }
        }
        State::Expired => "its time has passed".to_owned(),
        State::Split if approval.terms.is_hopeless(approval.terms.unreached.len()) => {
            "too few could be asked to decide it".to_owned()
        }
        State::Split => "the answers differ".to_owned(),
        State::Closed => "nobody waits for an answer any more".to_owned(),
    }
}

/// The answer as it is written down.
fn checked(
    approval: &Approval,
    choice: Option<String>,
    text: Option<String>,
) -> Result<(Option<String>, Option<String>)> {
    let terms = &approval.terms;
    let text = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    if let Some(choice) = &choice
        && terms.choice(choice).is_none()
    {
        let names: Vec<&str> = terms.choices.iter().map(|choice| choice.name.as_str()).collect();
        let help = match names.is_empty() {
            true => "answer with a text".to_owned(),
            false => format!("choices: {}", names.join(", ")),
        };
        let message = format!("`{choice}` is none of the choices");
        return Err(Error::usage("choice_unknown", message).with_help(help));
    }
    if choice.is_none() && !terms.choices.is_empty() {
        return Err(Error::usage("choice_missing", "no choice was made").with_help("choose one of them"));
    }
    if choice.is_none() && text.is_none() {
        return Err(Error::usage("text_missing", "there is no answer").with_help("write one"));
    }
    if text.as_ref().is_some_and(|text| text.chars().count() > MOST_TEXT) {
        let message = format!("the text is longer than {MOST_TEXT} characters");
        return Err(Error::usage("text_too_long", message).with_help("shorten it"));
    }
    match text {
        Some(_) if !terms.text => Err(Error::usage("text_not_asked", "this approval takes no text")),
        text => Ok((choice, text)),
    }
}

async fn find(view: &View, id: &str) -> Result<Approval> {
    let store = view.store()?;
    if let Some(found) = store.approval(id.to_owned()).await? {
        return Ok(found);
    }
    let mut begun: Vec<Approval> =
        store.approvals(None, u32::MAX).await?.into_iter().filter(|found| found.id.starts_with(id)).collect();
    match (begun.pop(), begun.is_empty()) {
        (Some(found), true) if id.len() >= 3 => Ok(found),
        _ => Err(unknown(id)),
    }
}

fn unknown(id: &str) -> Error {
    Error::problem("approval_unknown", format!("there is no approval `{id}`"))
        .with_help("`tidegate approvals list` shows them; a beginning that no other has is enough")
}

fn state_of(word: &str) -> Result<State> {
    State::from_word(word).ok_or_else(|| {
        let words = State::ALL.map(State::word);
        let error = Error::usage("state_unknown", format!("approvals have no state `{word}`"));
        error.with_help(match did_you_mean(word, words) {
            Some(word) => format!("did you mean `{word}`?"),
            None => format!("states: {}", words.join(", ")),
        })
    })
}

impl From<Approval> for Row {
    fn from(approval: Approval) -> Row {
        let Approval { terms, approvers, .. } = approval;
        let approvers = approvers.into_iter().map(|approver| Approver {
            name: terms.name_of(approver.position).map(str::to_owned),
            code: approver.code,
            choice: approver.choice,
            text: approver.text,
            by: approver.by,
            how: approver.how,
            at: approver.at.map(Time::from_ms),
            unclear: approver.unclear,
            unreached: terms
                .unreached
                .iter()
                .find(|unreached| unreached.position == approver.position)
                .map(|unreached| unreached.message.clone()),
        });
        Row {
            id: approval.id,
            flow: approval.flow,
            run: approval.run,
            step: approval.step,
            approvers: approvers.collect(),
            question: terms.question,
            state: approval.state,
            choices: terms.choices.into_iter().map(|choice| choice.name).collect(),
            needed: terms.needed,
            choice: approval.choice,
            text: approval.text,
            by: approval.by,
            how: approval.how,
            created_at: Time::from_ms(approval.created_at),
            expires_at: approval.expires_at.map(Time::from_ms),
            decided_at: approval.decided_at.map(Time::from_ms),
        }
    }
}
