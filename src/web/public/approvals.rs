//! The page behind an approver's link. GET shows what is asked and changes nothing, so that whatever opens links
//! by itself (scanners, previews) decides nothing; POST takes the answer, and the first one counts.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use maud::{Markup, html};

use super::Page;
use crate::app::approvals::{self, Answered, MOST_TEXT, Opened};
use crate::app::up::Live;
use crate::app::{Error, Time};
use crate::store::approvals::{Approval, State as Is, Taken};

/// The paths of approvals.
pub fn routes() -> Router<Live> {
    Router::new().route("/a/{link}", get(show).post(decide).fallback(super::not_so))
}

async fn show(State(live): State<Live>, Path(link): Path<String>) -> Response {
    match approvals::open(&live, &link).await {
        Ok(Opened::Approval(approval, position)) => page_of(&approval, position),
        Ok(Opened::Nothing) => nothing(),
        Err(error) => super::broken(&error),
    }
}

async fn decide(State(live): State<Live>, Path(link): Path<String>, form: Bytes) -> Response {
    let (mut choice, mut text) = (None, None);
    for (name, value) in url::form_urlencoded::parse(&form) {
        match name.as_ref() {
            "choice" => choice = Some(value.into_owned()),
            "text" => text = Some(value.into_owned()),
            _ => {}
        }
    }
    match approvals::answer(&live, &link, choice, text).await {
        Ok(Answered::Taken(Taken::Recorded(approval), position)) => {
            answered("Thank you", "Your answer is recorded.", &approval, position).answer(StatusCode::OK)
        }
        Ok(Answered::Taken(Taken::Before(approval), position)) => {
            let said = "You answered before, and the first answer counts. Nothing was changed.";
            answered("Already answered", said, &approval, position).answer(StatusCode::CONFLICT)
        }
        Ok(Answered::Taken(Taken::Over(approval), position)) => page_of(&approval, position),
        Ok(Answered::Refused(approval, position, error)) => asked(&approval, position, Some(&error)),
        Ok(Answered::Nothing | Answered::Taken(Taken::Unknown, _)) => nothing(),
        Err(error) => super::broken(&error),
    }
}

/// What a link shows: the question while it can be answered, else what became of it.
fn page_of(approval: &Approval, position: usize) -> Response {
    let has_answered = approval.approvers.get(position).is_some_and(|approver| approver.at.is_some());
    match approval.state {
        _ if has_answered => {
            answered("Already answered", "This link was used. It shows the answer that was given.", approval, position)
                .answer(StatusCode::OK)
        }
        Is::Open => asked(approval, position, None),
        Is::Expired => over("Too late", "The time to answer this has passed.", approval),
        Is::Split => over("It is over", "The answers of those who were asked differ.", approval),
        Is::Closed => over("It is over", "Nobody waits for an answer to this any more.", approval),
        Is::Decided => {
            over("It is decided", &format!("Somebody else answered: {}.", approvals::ending(approval)), approval)
        }
    }
}

fn nothing() -> Response {
    Page::new("This link is not valid")
        .line("It was not copied whole, or it was changed on the way. Open it as it came in the message.")
        .answer(StatusCode::NOT_FOUND)
}

fn over(title: &str, why: &str, approval: &Approval) -> Response {
    Page::new(title).line(why).note(&question(approval)).answer(StatusCode::GONE)
}

fn answered(title: &str, said: &str, approval: &Approval, position: usize) -> Page {
    let mut page = Page::new(title).line(said).note(&question(approval));
    let Some(approver) = approval.approvers.get(position) else { return page };
    if let Some(choice) = approver.choice.as_deref().and_then(|name| approval.terms.choice(name)) {
        page = page.with(html! { p { "Answer: " strong { (choice.shown()) } } });
    }
    if let Some(text) = &approver.text {
        page = page.line(text);
    }
    let at = approver.at.map(Time::from_ms).map(|at| at.to_string()).unwrap_or_default();
    let how = approver.how.as_deref().filter(|how| *how != "link").map(|how| format!(" by {how}"));
    page.note(&format!("Given{} at {at}", how.unwrap_or_default()))
}

fn asked(approval: &Approval, position: usize, wrong: Option<&Error>) -> Response {
    let terms = &approval.terms;
    let mut page = Page::new(question(approval));
    if let Some(name) = terms.name_of(position) {
        page = page.note(&format!("Asked of {name}"));
    }
    if let Some(error) = wrong {
        page = page.line(&format!("Your answer was not taken: {}.", error.message));
    }
    let page = page.with(form(approval));
    let page = match approval.expires_at {
        Some(at) => page.note(&format!("To be answered by {}", Time::from_ms(at))),
        None => page,
    };
    page.answer(if wrong.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK })
}

fn form(approval: &Approval) -> Markup {
    let terms = &approval.terms;
    html! {
        form method="post" {
            @if terms.text {
                label {
                    @if terms.choices.is_empty() { "Your answer" } @else { "A few words, if you like" }
                    textarea name="text" maxlength=(MOST_TEXT) required[terms.choices.is_empty()] {}
                }
            }
            @for choice in &terms.choices {
                button type="submit" name="choice" value=(choice.name) { (choice.shown()) }
            }
            @if terms.choices.is_empty() {
                button type="submit" { "Send" }
            }
        }
    }
}

fn question(approval: &Approval) -> String {
    approval.terms.question.clone().unwrap_or_else(|| format!("{}: {}", approval.flow, approval.step))
}
