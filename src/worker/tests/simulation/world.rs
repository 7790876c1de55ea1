//! The lives of a process, one after another, in a world that a seed decides: when it is crashed, what is made
//! when, how time passes.

use std::sync::Arc;

use super::line::{Break, Line};
use super::plan::Plan;
use super::provider::{Provider, Weather};
use super::random::Random;
use crate::clock::Clock;
use crate::connector::Executor;
use crate::connector::egress::Egress;
use crate::connector::limits::Limits;
use crate::connector::requester::{MAX_RESPONSE_BYTES, Requester, RequesterOptions};
use crate::manifest::Catalog;
use crate::store::approvals::{Given, How, State as Asked};
use crate::store::database::simulated::{Simulated, Stop};
use crate::store::notices::Notice;
use crate::store::runs::{Detail, Filter, State};
use crate::store::schema::MIGRATIONS;
use crate::store::{Store, id};
use crate::worker::tests::{HOUR, NOON, deploy};
use crate::worker::work::{drain_on, prune, take_up};
use crate::worker::{Host, Options};

const MINUTE: i64 = 60_000;
const TICK: i64 = 20 * MINUTE;
// What is due a moment later is looked at, too.
const LOOK: i64 = 20_000;
// A day with faults, then three days in which everything comes to its end.
const TICKS: i64 = 72;
const HEALING_TICKS: i64 = 24;
const BURST_TICK: i64 = 12;
const HEALING_TICK: i64 = 3 * HOUR;
const OUTAGE_MS: i64 = 8 * 24 * HOUR;

/// What happened, for the laws and for whoever reads a seed that broke one.
pub struct World {
    pub plan: Plan,
    pub provider: Arc<Provider>,
    /// The service's time when the flow was enabled.
    pub baseline_ms: i64,
    /// When the host came back from the outage, if there was one, by whichever clock is ahead.
    pub outage_end_ms: Option<i64>,
    /// Whether our clock was set forward, or back.
    pub has_jumped: bool,
    /// More than the permitted runs that were begun at once, in words.
    pub crowds: Vec<String>,
    pub crashes: usize,
    /// How often a host stood still for longer than its lease.
    pub pauses: usize,
    pub(super) memory: Arc<Simulated>,
    pub(super) clock: Clock,
    pub(super) store: Store,
    pub(super) catalog: Catalog,
}

/// Everything that a seed is about, from the first reading until nothing is left to do.
pub fn simulate(seed: u64) -> World {
    let mut random = Random::new(seed);
    let plan = Plan::of(&mut random, true);
    live(plan, random)
}

/// The same with bursts, pauses between pages and looks moments apart.
pub fn simulate_harshly(seed: u64) -> World {
    let mut random = Random::new(seed);
    let plan = Plan::of(&mut random, false);
    live(plan, random)
}

fn live(plan: Plan, mut random: Random) -> World {
    let mut world = World::new(plan, &mut random);
    let line = Line::new(&world.provider, &world.memory);
    world.live(&mut random, &line);
    id::seeded::begin(None);
    world
}

/// A project of these two files.
pub fn catalog(connector: &str, flow: &str) -> Catalog {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("connectors/shop.yaml", connector),
        ("flows/f.yaml", flow),
        ("tidegate.yaml", "connections: {shop: {connector: shop}}\n"),
    ] {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let catalog = Catalog::load(folder.path());
    assert!(catalog.is_sound(), "{:#?}", catalog.diagnostics);
    catalog
}

impl World {
    /// Before anything happened.
    pub(super) fn new(plan: Plan, random: &mut Random) -> World {
        let clock = Clock::manual(NOON);
        let memory = Simulated::new(MIGRATIONS, NOON).unwrap();
        let provider = Provider::new(plan.clone(), clock.clone(), Random::new(random.next()));
        let store = Store::new(memory.handle());
        let world = World {
            baseline_ms: clock.now_ms() + plan.skew_ms,
            catalog: catalog(&plan.connector(), &plan.flow()),
            plan,
            provider: Arc::new(provider),
            memory,
            clock,
            store: store.clone(),
            outage_end_ms: None,
            has_jumped: false,
            crowds: Vec::new(),
            crashes: 0,
            pauses: 0,
        };
        world.provider.books(|books| books.store = Some(store));
        // History, and the first reading, go well: what counts as news is told by it.
        [240, 180, 120, 60, 15].iter().for_each(|age| world.provider.add_history(age * MINUTE));
        world
    }

    /// Every run, with its steps.
    pub fn runs(&self) -> Vec<Detail> {
        self.ask(async {
            let filter = Filter { limit: 100_000, ..Filter::default() };
            let mut runs = Vec::new();
            for run in self.store.list_runs(filter).await.unwrap() {
                runs.push(self.store.run(run.id).await.unwrap().unwrap());
            }
            runs
        })
    }

    /// What the host told.
    pub fn notices(&self) -> Vec<Notice> {
        self.ask(async { self.store.notices(None, 1_000).await.unwrap() })
    }

    pub(super) fn ask<T>(&self, question: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(question)
    }

    // Lives of the process, one after another, until all is over.
    fn live(&mut self, random: &mut Random, line: &Arc<Line>) {
        let mut tick = 0;
        while tick < TICKS + HEALING_TICKS {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            id::seeded::begin(Some(random.next()));
            let host = runtime.block_on(open(&self.store, &self.clock, line, &self.catalog));
            let mut is_new = true;
            while tick < TICKS + HEALING_TICKS {
                let began_ms = self.provider.now_ms();
                let is_healing = tick >= TICKS;
                if self.answer(random, is_healing) {
                    host.touched();
                }
                if tick > 0 && !is_healing {
                    self.spoil(random, line);
                } else {
                    self.heal(line);
                }
                let cancels = !is_healing && tick > 0 && random.chance(self.plan.cancels);
                let looks = if self.plan.is_calm { 1 } else { random.one_of(&[1, 1, 2, 4]) };
                let is_crashed = runtime.block_on(async {
                    if cancels {
                        self.cancel(&host).await;
                    }
                    for _ in 0..looks {
                        let takes_up = std::mem::take(&mut is_new) || self.plan.is_calm;
                        if self.work(&host, takes_up, tick % 6 == 5).await {
                            return true;
                        }
                        if !self.plan.is_calm {
                            self.clock.advance(LOOK);
                        }
                    }
                    false
                });
                tick += 1;
                self.clock.advance(if is_healing { HEALING_TICK } else { TICK });
                if tick < TICKS {
                    let count = random.one_of(&[0, 0, 0, 1, 1, 2, 5]);
                    let burst = if tick == BURST_TICK { self.plan.burst } else { 0 };
                    (0..count + burst).for_each(|_| self.provider.add(random, 0));
                }
                if is_crashed {
                    self.crashes += 1;
                    self.provider.ended(began_ms);
                }
                let is_outage = tick == TICKS / 2 && self.plan.has_outage;
                if is_outage {
                    self.be_away(random);
                }
                if is_crashed || is_outage {
                    break;
                }
            }
            // The tasks of this life end with their runtime, wherever they are.
            drop(host);
            drop(runtime);
            self.memory.revive();
        }
    }

    // A person cancels a run that waits; the host hears of it as of another process's commit.
    async fn cancel(&self, host: &Host) {
        let filter = Filter { state: Some(State::Running), limit: 1, ..Filter::default() };
        let Some(run) = self.store.list_runs(filter).await.unwrap().pop() else { return };
        self.memory.stop_at(None);
        self.provider.books(|books| books.meant.push(run.id.clone()));
        if self.store.end_run(run.id.clone(), None, State::Cancelled, None, self.clock.now_ms()).await.unwrap() {
            self.provider.books(|books| books.cancelled.push(run.id));
            host.touched();
        }
    }

    /// People answer what they are asked, some of it later; whether anybody did. Hosts hear of it as of another
    /// process's commit.
    pub(super) fn answer(&self, random: &mut Random, is_all: bool) -> bool {
        if !self.plan.asks {
            return false;
        }
        self.memory.stop_at(None);
        let now_ms = self.clock.now_ms();
        self.ask(async {
            let mut open = self.store.approvals(Some(Asked::Open), 1_000).await.unwrap();
            open.retain(|_| is_all || random.chance(600));
            for approval in &open {
                let given = Given { choice: Some("yes".to_owned()), text: None, by: None, how: How::Cli, now_ms };
                self.store.decide_approval(approval.id.clone(), given).await.unwrap();
            }
            !open.is_empty()
        })
    }

    // Everything that is due, or until the process ends; true where it did.
    async fn work(&mut self, host: &Arc<Host>, is_new: bool, prunes: bool) -> bool {
        tokio::select! {
            biased;
            () = self.memory.stopped.notified() => {}
            worked = async {
                if is_new {
                    take_up(host).await?;
                }
                drain_on(host).await?;
                if prunes {
                    prune(Arc::clone(host)).await;
                }
                crate::store::Result::Ok(())
            } => worked.unwrap(),
        }
        if self.memory.is_stopped() {
            return true;
        }
        self.count_begun().await;
        false
    }

    /// Notes where more runs than the limit have begun. Only a limit of one is held through waits.
    pub(super) async fn count_begun(&mut self) {
        if self.plan.limit == 1 {
            let filter = Filter { state: Some(State::Running), limit: 1_000, ..Default::default() };
            let begun = self.store.list_runs(filter).await.unwrap();
            let begun: Vec<_> = begun.into_iter().filter_map(|run| run.item_key).collect();
            if begun.len() > 1 {
                self.crowds.push(format!("{begun:?} had begun at {}", self.clock.now_ms()));
            }
        }
    }

    // Down for longer than the service keeps its list: it forgets what is older than a week.
    fn be_away(&mut self, random: &mut Random) {
        self.clock.advance(OUTAGE_MS);
        let mut ages: Vec<i64> = (0..12).map(|_| random.between(0, OUTAGE_MS)).collect();
        ages.sort_unstable();
        ages.iter().rev().for_each(|age| self.provider.add(random, *age));
        self.outage_end_ms = Some(self.provider.now_ms().max(self.clock.now_ms()));
    }

    // What goes wrong in the next tick.
    fn spoil(&mut self, random: &mut Random, line: &Line) {
        if random.chance(self.plan.jumps) {
            // Forward by more than a look-up has time would make absence prove what it does not.
            let ways: &[i64] = match self.plan.effect {
                "proof" => &[-120, -30, 4],
                _ => &[-120, -30, 4, 120],
            };
            self.provider.set_clock(random.one_of(ways) * MINUTE);
            self.has_jumped = true;
        }
        self.change_weather(random);
        let wants = random.chance(self.plan.crashes);
        let is_in_request = random.chance(400);
        let at = 1 + random.below(12);
        let stop = if random.chance(500) { Stop::Before(at) } else { Stop::After(at) };
        self.memory.stop_at((wants && !is_in_request).then_some(stop));
        line.break_at((wants && is_in_request).then_some((1 + at / 3, Break::Ends)));
    }

    /// Storms and outages begin and end.
    pub(super) fn change_weather(&self, random: &mut Random) {
        let changes = random.chance(300);
        let begins = random.chance(self.plan.storms);
        let next = random.one_of(&[Weather::Storm, Weather::Down]);
        self.provider.books(|books| {
            books.has_faults = true;
            match books.weather {
                Weather::Fair if begins => books.weather = next,
                Weather::Storm | Weather::Down if changes => books.weather = Weather::Fair,
                _ => {}
            }
        });
    }

    fn heal(&self, line: &Line) {
        self.memory.stop_at(None);
        line.break_at(None);
        self.clear_up();
    }

    /// Nothing goes wrong any more.
    pub(super) fn clear_up(&self) {
        self.provider.books(|books| {
            books.has_faults = false;
            books.weather = Weather::Fair;
        });
    }
}

/// A host that begins.
pub async fn open(store: &Store, clock: &Clock, line: &Arc<Line>, catalog: &Catalog) -> Arc<Host> {
    let options = RequesterOptions {
        egress: Egress::new(&[]).unwrap(),
        clock: clock.clone(),
        max_response_bytes: MAX_RESPONSE_BYTES,
        user_agent: "tidegate-simulation".to_owned(),
        ca: None,
    };
    let requester = Requester::simulated(options, Arc::clone(line) as _).unwrap();
    let executor = Executor::new(requester, Limits::new(), clock.clone(), vec![]);
    let host = Host::new(store.clone(), executor, clock.clone(), Options::default());
    deploy(&host, catalog, "shop", clock.now_ms()).await;
    host
}
