//! A year of a schedule, in zones whose clocks change and in some whose do not: the host hears its times, hears them
//! late, or is away for days. Each time of the year starts one run, with `croner` as the oracle.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::line::Line;
use super::plan::Plan;
use super::provider::Provider;
use super::random::Random;
use super::world::{catalog, open};
use crate::clock::{Clock, rfc3339};
use crate::store::database::simulated::Simulated;
use crate::store::runs::Filter;
use crate::store::schema::MIGRATIONS;
use crate::store::{Store, id};
use crate::worker::drain_due;
use crate::worker::tests::HOUR;

const ZONES: [&str; 5] = ["UTC", "Europe/Zurich", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"];
// Where clocks change, this time of a day is left out or comes twice.
const CRON: &str = "30 2 * * *";
const YEAR_MS: i64 = 365 * 24 * HOUR;

#[test]
fn a_year_of_a_schedule_starts_each_time_once_in_every_zone() {
    for (seed, zone) in (1..).zip(ZONES) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let started = runtime.block_on(year(seed, zone));
        assert_eq!(started, expected(zone), "{zone}");
    }
}

fn begin_ms() -> i64 {
    "2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap().as_millisecond()
}

// The times of the runs that were started, sorted.
async fn year(seed: u64, zone: &str) -> Vec<String> {
    let mut random = Random::new(seed);
    id::seeded::begin(Some(seed));
    let clock = Clock::manual(begin_ms());
    let memory = Simulated::new(MIGRATIONS, begin_ms()).unwrap();
    let plan = Plan::of(&mut random, true);
    let flow = format!(
        "flow: f\ntrigger: {{cron: \"{CRON}\", timezone: {zone}, missed: run_all}}\n\
         steps: [{{action: shop.look, with: {{id: 1}}}}]\n"
    );
    let catalog = catalog(&plan.connector(), &flow);
    let provider = Arc::new(Provider::new(plan, clock.clone(), random.clone()));
    let store = Store::new(memory.handle());
    let host = open(&store, &clock, &Line::new(&provider, &memory), &catalog).await;
    let end_ms = begin_ms() + YEAR_MS;
    while clock.now_ms() < end_ms {
        drain_due(&host).await.unwrap();
        let due_ms = store.trigger("f".to_owned()).await.unwrap().unwrap().due_at.unwrap();
        let late_ms = match random.below(3) {
            0 => 0,
            1 => random.between(0, 2 * HOUR),
            _ => random.between(0, 96 * HOUR),
        };
        clock.advance((due_ms + late_ms).min(end_ms) - clock.now_ms());
    }
    drain_due(&host).await.unwrap();
    id::seeded::begin(None);
    let runs = store.list_runs(Filter { limit: 10_000, ..Filter::default() }).await.unwrap();
    assert!(runs.iter().all(|run| run.state == "succeeded"), "{runs:?}");
    let mut started: Vec<String> = runs.into_iter().filter_map(|run| run.item_key).collect();
    started.sort();
    started
}

// A new flow is due at once; then each time until the last one that was heard of.
fn expected(zone: &str) -> Vec<String> {
    let oracle: croner::Cron = CRON.parse().unwrap();
    let tz = TimeZone::get(zone).unwrap();
    let mut times = vec![rfc3339(begin_ms())];
    let mut at = Timestamp::from_millisecond(begin_ms()).unwrap();
    loop {
        at = oracle.find_next_occurrence(&at.to_zoned(tz.clone()), false).unwrap().timestamp();
        if at.as_millisecond() >= begin_ms() + YEAR_MS {
            return times;
        }
        times.push(rfc3339(at.as_millisecond()));
    }
}
