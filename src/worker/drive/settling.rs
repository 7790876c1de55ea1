//! What is written down of a run at work: marks before a request, progress, waits, its end. One commit each, tried
//! again while the store cannot take it; a run that another host has taken over meanwhile is let go of.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::{Drive, Left};
use crate::crash;
use crate::engine::{Call, Ending, EntryState};
use crate::planted::bug;
use crate::store;
use crate::store::approvals::Changes;
use crate::store::notices::Notice;
use crate::store::runs::State;
use crate::store::settle::{Change, Settlement};
use crate::worker::busy::REPLACED;
use crate::worker::claims::STORE_PAUSE_MS;
use crate::worker::events::What;
use crate::worker::host::Stop;
use crate::worker::journal;

impl Drive<'_> {
    // What was settled before, and the mark of what is about to be sent: one commit. False when the run is
    // over meanwhile. `note` is what a repeat of a built-in action has to know.
    pub(super) async fn commit_before(&mut self, call: &Call, note: Option<Value>) -> store::Result<bool> {
        let now_ms = self.host.now_ms();
        let had_progress = !self.pending.is_empty();
        if call.needs_mark || note.is_some() {
            let mark = self.run.mark(&self.flow.flow, now_ms);
            self.pending.add(mark);
        }
        if let Some(note) = note {
            self.pending.exchange(&call.key, Some(self.notes.keep(&call.key, note)));
        }
        if self.pending.is_empty() || bug("mark_not_committed") {
            return Ok(true);
        }
        let frames = self.run.frames();
        let change = if had_progress { Change::Continue { frames, due_at: now_ms } } else { Change::Mark { frames } };
        crash::point("mark.before");
        let is_live = self.settle(change, now_ms).await?;
        crash::point("mark.after");
        Ok(is_live)
    }

    // The last look before a request leaves: among other hosts a lease may have run out since the claim, while
    // this process was stopped or the database was away. Then the run says whether somebody else has it.
    pub(super) async fn is_still_ours(&mut self) -> store::Result<bool> {
        let Some(presence) = self.host.store.presence().cloned() else { return Ok(true) };
        while !presence.is_valid() || presence.lapses() != self.lapses {
            presence.is_valid_again().await;
            let lapses = presence.lapses();
            if !self.settle(Change::Mark { frames: self.run.frames() }, self.host.now_ms()).await? {
                return Ok(false);
            }
            self.lapses = lapses;
        }
        Ok(true)
    }

    pub(super) async fn settle_progress(&mut self, now_ms: i64) -> store::Result<bool> {
        if self.pending.is_empty() {
            return Ok(true);
        }
        self.settle(Change::Continue { frames: self.run.frames(), due_at: now_ms }, now_ms).await
    }

    pub(super) async fn leave(&mut self, due_ms: i64) -> store::Result<Left> {
        let now_ms = self.host.now_ms();
        let due_ms = if bug("retry_lost") { i64::MAX } else { due_ms };
        let is_live = self.settle(Change::Wait { frames: self.run.frames(), due_at: due_ms }, now_ms).await?;
        Ok(if is_live { Left::Waits { due_ms } } else { Left::Over })
    }

    pub(super) async fn park(&mut self) -> store::Result<Left> {
        let now_ms = self.host.now_ms();
        let message = format!(
            "run {0} waits for a person: the service may or may not have done its last step; look there, then \
             `tidegate runs settle {0} --as done|retry|failed`",
            self.id
        );
        let notice = Notice {
            flow: Some(self.flow.name.clone()),
            kind: State::Unknown.word().to_owned(),
            message: message.clone(),
            at: now_ms,
            ..Notice::default()
        };
        if self.settle(Change::Unknown { frames: self.run.frames(), notice: notice.clone() }, now_ms).await? {
            self.host.announce(&notice);
            self.over(State::Unknown, Some(message), now_ms);
        }
        Ok(Left::Over)
    }

    pub(super) async fn end(&mut self, ending: Ending) -> store::Result<Left> {
        let now_ms = self.host.now_ms();
        let (state, error, message) = match ending {
            Ending::Succeeded => (State::Succeeded, None, None),
            Ending::Stopped { message } => (State::Succeeded, None, message),
            Ending::Failed(failure) => {
                let message = format!("{}: {}", failure.step, failure.failure.message);
                (State::Failed, serde_json::to_string(&failure).ok(), Some(message))
            }
        };
        if self.settle(Change::End { state, error }, now_ms).await? {
            self.over(state, message, now_ms);
        }
        Ok(Left::Over)
    }

    // A newer item takes this run's place; nothing is being sent now, and nothing is left open.
    pub(super) async fn give_way(&mut self) -> store::Result<Left> {
        let now_ms = self.host.now_ms();
        let error = Some(serde_json::json!({ "message": REPLACED }).to_string());
        if self.settle(Change::End { state: State::Cancelled, error }, now_ms).await? {
            self.over(State::Cancelled, Some(REPLACED.to_owned()), now_ms);
        }
        Ok(Left::Over)
    }

    // What is known is kept until the store takes it: after a full disk no answer that came is forgotten.
    pub(super) async fn settle(&mut self, change: Change, now_ms: i64) -> store::Result<bool> {
        let steps = self.pending.take();
        let made = std::mem::take(&mut self.pending.made);
        let approvals = Changes { may_ask: self.flow.flow.may_ask(), ..std::mem::take(&mut self.pending.approvals) };
        let settlement = Arc::new(Settlement {
            run: self.id.clone(),
            epoch: self.epoch,
            steps,
            made,
            change,
            approvals,
            started_at: self.started_ms,
            now_ms,
        });
        crash::point("settle.before");
        loop {
            match self.host.store.settle(Arc::clone(&settlement)).await {
                Err(error) if error.retryable && self.host.stop() == Stop::No => {
                    self.host.store_refused(&error);
                    tokio::time::sleep(Duration::from_millis(STORE_PAUSE_MS.unsigned_abs())).await;
                }
                settled => {
                    if settled.is_ok() {
                        self.host.store_took();
                    }
                    crash::point("settle.after");
                    if matches!(settled, Ok(false)) {
                        self.tell_taken().await?;
                    }
                    return settled;
                }
            }
        }
    }

    // Another host goes on with the run: what this one did of it since is in no journal.
    async fn tell_taken(&self) -> store::Result<()> {
        if self.host.store.give_way(self.id.clone(), self.epoch).await? {
            self.host.taken_over.lock().push(self.id.clone());
        }
        Ok(())
    }

    fn over(&self, state: State, message: Option<String>, now_ms: i64) {
        // One that waits for a person's word is none that polls wait for: it counts again once that is given.
        self.host.ended();
        if state == State::Failed {
            tracing::warn!(
                flow = self.flow.name,
                run = self.id,
                "run failed: {}",
                message.as_deref().unwrap_or_default()
            );
        }
        let elapsed_ms = now_ms - self.created_ms;
        self.host.tell(&self.flow.name, || What::RunEnded {
            run: self.id.clone(),
            state: state.word(),
            message,
            elapsed_ms,
        });
    }

    pub(super) fn tell_steps(&mut self, now_ms: i64) {
        if !self.host.events.is_heard() {
            self.pending.hear_nothing();
            return;
        }
        for told in self.pending.untold() {
            if told.state == EntryState::Sending {
                continue;
            }
            let step = told.id.clone().unwrap_or_else(|| told.key.clone());
            let summary = journal::summary(&told);
            let (form, state) = (told.form.to_string(), told.state.as_str().to_owned());
            let what = What::StepEnded { run: self.id.clone(), step, form, state, summary };
            self.host.events.tell(now_ms, &self.flow.name, what);
        }
    }
}
