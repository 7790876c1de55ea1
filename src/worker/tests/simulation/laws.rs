//! What must be true after any simulation, whatever went wrong in it. Each law names the promise that it holds the
//! host to.

use std::collections::BTreeMap;

use serde_json::Value;

use super::provider::Done;
use super::shelf::Item;
use super::world::World;
use crate::store::notices::Notice;
use crate::store::runs::Detail;

/// Checks every law.
pub fn check(world: &World) -> Result<(), String> {
    let runs = world.runs();
    let notices = world.notices();
    let outcome = world.provider.books(|books| {
        let (items, done) = (books.items.clone(), books.done.clone());
        let (cancelled, meant) = (books.cancelled.clone(), books.meant.clone());
        Outcome { world, runs, notices, items, done, cancelled, meant }
    });
    outcome.each_item_has_one_run()?;
    outcome.history_starts_nothing()?;
    outcome.every_run_comes_to_its_end()?;
    outcome.actions_are_done_as_their_effect_says()?;
    outcome.what_is_cancelled_stays_cancelled()?;
    outcome.items_are_taken_when_they_are_ready()?;
    outcome.runs_begin_oldest_first()?;
    outcome.waits_are_kept()?;
    outcome.slots_are_held()?;
    outcome.gaps_are_told_and_no_others()
}

struct Outcome<'a> {
    world: &'a World,
    runs: Vec<Detail>,
    notices: Vec<Notice>,
    items: Vec<Item>,
    done: Vec<Done>,
    cancelled: Vec<String>,
    meant: Vec<String>,
}

impl Outcome<'_> {
    fn runs_of(&self, item: &Item) -> Vec<&Detail> {
        let key = item.id.to_string();
        self.runs.iter().filter(|run| run.summary.item_key.as_deref() == Some(&key)).collect()
    }

    fn is_news(&self, item: &Item) -> bool {
        item.created_ms >= self.world.baseline_ms + 1_000
    }

    // What lies in a gap that was told: before the end of one with bounds, anywhere where one has none.
    fn may_be_lost(&self, item: &Item) -> bool {
        // The bounds are by the host's clock.
        let off_ms = if self.world.has_jumped { 6 * 3_600_000 } else { self.world.plan.skew_ms.max(0) };
        self.notices.iter().filter(|notice| notice.kind == "gap").any(|gap| match to_ms(gap) {
            Some(to) => item.created_ms < to + off_ms,
            None => true,
        })
    }

    fn each_item_has_one_run(&self) -> Result<(), String> {
        for item in self.items.iter().filter(|item| self.is_news(item)) {
            match self.runs_of(item).len() {
                1 => {}
                0 if self.may_be_lost(item) => {}
                count => return Err(format!("item {item:?} has {count} runs")),
            }
        }
        Ok(())
    }

    fn history_starts_nothing(&self) -> Result<(), String> {
        match self.items.iter().find(|item| item.created_ms < self.world.baseline_ms && !self.runs_of(item).is_empty())
        {
            Some(item) => Err(format!("item {item:?} is older than the flow, and started a run")),
            None => Ok(()),
        }
    }

    fn every_run_comes_to_its_end(&self) -> Result<(), String> {
        for run in &self.runs {
            let summary = &run.summary;
            let is_right = match summary.state.as_str() {
                "succeeded" => true,
                "filtered" => self.world.plan.is_filtered,
                "cancelled" => self.meant.contains(&summary.id),
                "unknown" => ["none", "lookup", "proof"].contains(&self.world.plan.effect),
                // Attempts are used up by what goes wrong, never by waiting for a limit.
                "failed" => summary.error.as_deref().is_some_and(|error| !error.contains("429")),
                _ => false,
            };
            if !is_right {
                return Err(format!(
                    "run {} of item {:?} is {}: {:?}",
                    summary.id, summary.item_key, summary.state, summary.error
                ));
            }
        }
        Ok(())
    }

    fn actions_are_done_as_their_effect_says(&self) -> Result<(), String> {
        let mut counts: BTreeMap<(i64, &str), usize> = BTreeMap::new();
        for done in &self.done {
            *counts.entry((done.item, &done.to)).or_default() += 1;
        }
        let receivers: &[&str] = if self.world.plan.has_receivers { &["a", "b"] } else { &["all"] };
        for run in &self.runs {
            let item: i64 = run.summary.item_key.as_deref().unwrap_or_default().parse().unwrap_or_default();
            for receiver in receivers {
                let count = counts.get(&(item, receiver)).copied().unwrap_or(0);
                let state = run.summary.state.as_str();
                let is_right = match state {
                    "filtered" => count == 0,
                    "succeeded" if self.world.plan.has_receivers && !is_told_of_all(run) => {
                        count <= 1 || self.world.plan.effect == "natural"
                    }
                    "succeeded" if self.world.plan.effect == "natural" => count >= 1,
                    "succeeded" => count == 1,
                    _ => count <= 1 || self.world.plan.effect == "natural",
                };
                if !is_right {
                    return Err(format!("item {item} was done {count} times for {receiver}; its run is {state}"));
                }
            }
        }
        Ok(())
    }

    fn what_is_cancelled_stays_cancelled(&self) -> Result<(), String> {
        for run in self.runs.iter().filter(|run| self.cancelled.contains(&run.summary.id)) {
            if run.summary.state != "cancelled" {
                return Err(format!("run {} was cancelled, and is {}", run.summary.id, run.summary.state));
            }
        }
        Ok(())
    }

    fn items_are_taken_when_they_are_ready(&self) -> Result<(), String> {
        for run in &self.runs {
            let item: Value = run.item.as_deref().and_then(|item| serde_json::from_str(item).ok()).unwrap_or_default();
            if item["status"] == "arriving" {
                return Err(format!("item {} was taken before it was ready", item["id"]));
            }
        }
        Ok(())
    }

    // Where nothing is late and one run works at a time, the service is told in the order of the items.
    fn runs_begin_oldest_first(&self) -> Result<(), String> {
        let plan = &self.world.plan;
        // A walk that could not close for an hour lets go of what it has, and says so. Beginnings are told by a
        // clock that here was set.
        let is_told = self.notices.iter().any(|notice| notice.kind == "out_of_order");
        if plan.trigger != "new" || plan.limit != 1 || is_told || self.world.has_jumped {
            return Ok(());
        }
        let mut started: Vec<(i64, i64)> = self
            .runs
            .iter()
            .filter_map(|run| Some((run.started_at?, run.summary.item_key.as_deref()?.parse().ok()?)))
            .collect();
        started.sort_by_key(|(at, _)| *at);
        match started.windows(2).find(|pair| pair[0].0 < pair[1].0 && pair[0].1 > pair[1].1) {
            Some(pair) => Err(format!("item {} began before item {}", pair[0].1, pair[1].1)),
            None => Ok(()),
        }
    }

    // A wait is by a clock: where it was set forward, the service is asked too early and says so again.
    fn waits_are_kept(&self) -> Result<(), String> {
        let impatient = self.world.provider.books(|books| books.impatient.first().cloned());
        // So does a host that stood still.
        match impatient.filter(|_| !self.world.has_jumped && self.world.pauses == 0) {
            Some(first) => Err(format!("the service asked to wait, and was asked again: {first}")),
            None => Ok(()),
        }
    }

    fn slots_are_held(&self) -> Result<(), String> {
        match self.world.crowds.first() {
            Some(crowd) => Err(format!("more runs than the limit of {}: {crowd}", self.world.plan.limit)),
            None => Ok(()),
        }
    }

    fn gaps_are_told_and_no_others(&self) -> Result<(), String> {
        let slips = self.world.provider.books(|books| books.slips);
        let gaps: Vec<_> = self.notices.iter().filter(|notice| notice.kind == "gap").collect();
        let (bounded, unbounded): (Vec<&Notice>, Vec<_>) = gaps.iter().partition(|gap| to_ms(gap).is_some());
        // A list that moved by just a page shows a page twice.
        let moves = self.world.plan.arrivals > 0 || self.world.plan.token_ms > 900_000;
        let is_expected = bounded.is_empty() != self.world.plan.has_outage;
        if !is_expected || (slips == 0 && !moves && !unbounded.is_empty()) {
            return Err(format!("of an outage of a week or none, and {slips} pages named again, was told {gaps:?}"));
        }
        Ok(())
    }
}

// Where a gap ends, if that is known.
fn to_ms(gap: &Notice) -> Option<i64> {
    serde_json::from_str::<Value>(gap.details.as_deref()?).ok()?["to_ms"].as_i64()
}

// Whether the step that tells several receivers says that all were told.
fn is_told_of_all(run: &Detail) -> bool {
    let told = run.steps.iter().rfind(|step| step.key == "0").and_then(|step| step.output.as_deref());
    told.and_then(|output| serde_json::from_str::<Value>(output).ok())
        .is_some_and(|output| output["status"] == "successful")
}
