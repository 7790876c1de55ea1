//! Several hosts under a seed on one store, with leases and epochs as on PostgreSQL: each is killed, stands still
//! for longer than its lease in the middle of a commit or of a request, wakes and goes on with what it had begun.
//! Meanwhile the others take over. The laws are those of one host.

use std::pin::Pin;
use std::sync::Arc;

use tokio::runtime::Runtime;

use super::line::{Break, Line};
use super::plan::Plan;
use super::random::Random;
use super::world::{World, open};
use crate::store::database::simulated::{Simulated, Stop};
use crate::store::{Store, id};
use crate::worker::Host;
use crate::worker::others::Others;
use crate::worker::work::{drain_on, prune, take_up};

const HOSTS: usize = 3;
const MINUTE: i64 = 60_000;
const LEASE_MS: i64 = 10 * MINUTE;
const TICK: i64 = 20 * MINUTE;
const TICKS: i64 = 48;
const HEALING_TICKS: i64 = 12;
const HEALING_TICK: i64 = 180 * MINUTE;
const BURST_TICK: i64 = 12;

/// Everything that a seed is about, from the first reading until nothing is left to do.
pub fn simulate(seed: u64) -> World {
    let mut random = Random::new(seed);
    let plan = Plan::of(&mut random, false);
    // What clocks and pages do is the other simulation's.
    let plan = Plan { jumps: 0, has_outage: false, slips: 0, crashes: random.one_of(&[100, 300]), ..plan };
    let mut world = World::new(plan, &mut random);
    let mut hosts: Vec<Place> = (0..HOSTS).map(|_| Place::Empty { until: 0 }).collect();
    for tick in 0..TICKS + HEALING_TICKS {
        let is_fair = tick == 0 || tick >= TICKS;
        world.set_weather(&mut random, is_fair);
        world.answer(&mut random, is_fair);
        let first = usize::try_from(random.below(HOSTS as u64)).unwrap();
        let up = hosts.iter().filter(|place| matches!(place, Place::Up(_))).count();
        for at in 0..HOSTS {
            let at = (first + at) % HOSTS;
            // The first reading is one host's.
            if tick > 0 || at == first {
                let place = std::mem::replace(&mut hosts[at], Place::Empty { until: 0 });
                hosts[at] = world.turn(&mut random, place, tick, is_fair, up.max(1));
            }
        }
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(world.count_begun());
        world.pass(if is_fair && tick > 0 { HEALING_TICK } else { TICK }, &hosts);
        if tick < TICKS {
            let burst = if tick == BURST_TICK { world.plan.burst } else { 0 };
            let count = random.one_of(&[0, 0, 0, 1, 1, 2, 5]) + burst;
            (0..count).for_each(|_| world.provider.add(&mut random, 0));
        }
    }
    drop(hosts);
    id::seeded::begin(None);
    world
}

// Where a host is, or was.
enum Place {
    Up(Box<Node>),
    Still { node: Box<Node>, until: i64 },
    Empty { until: i64 },
}

struct Node {
    name: String,
    memory: Arc<Simulated>,
    line: Arc<Line>,
    is_new: bool,
    host: Arc<Host>,
    others: Option<Others>,
    // What it was doing when it stood still: it goes on with it.
    doing: Option<Pin<Box<dyn Future<Output = Others>>>>,
    // Its tasks end with it.
    runtime: Runtime,
}

impl World {
    fn set_weather(&self, random: &mut Random, is_fair: bool) {
        if is_fair {
            self.clear_up();
        } else {
            self.change_weather(random);
        }
    }

    // What one host does in a tick.
    fn turn(&mut self, random: &mut Random, place: Place, tick: i64, is_fair: bool, up: usize) -> Place {
        let began_ms = self.provider.now_ms();
        let mut node = match place {
            Place::Empty { until } | Place::Still { until, .. } if tick < until && !is_fair => return place,
            Place::Empty { .. } => self.begin(random, up),
            Place::Still { node, .. } if random.chance(300) => return self.end(*node, tick, began_ms),
            Place::Still { mut node, .. } => {
                self.trace(&node.name, "wakes");
                node.line.wake();
                // It goes on before it hears that its lease is over.
                if random.chance(500) {
                    node.runtime.block_on(async {
                        for _ in 0..100 {
                            tokio::task::yield_now().await;
                        }
                    });
                }
                if node.memory.is_stopped() {
                    return self.end(*node, tick, began_ms);
                }
                node.is_new = false;
                node
            }
            Place::Up(node) => node,
        };
        node.plan(random, if is_fair { 0 } else { self.plan.crashes });
        node.memory.attend(u32::try_from(up).unwrap()).unwrap();
        self.trace(&node.name, "works");
        node.work(self.clock.now_ms(), tick % 6 == 5);
        if node.memory.is_stopped() {
            return self.end(*node, tick, began_ms);
        }
        if node.memory.is_still() {
            self.trace(&node.name, "stands still");
            self.pauses += 1;
            // At times it wakes before anybody has missed it.
            return Place::Still { node, until: tick + random.between(1, 5) };
        }
        Place::Up(node)
    }

    fn begin(&self, random: &mut Random, up: usize) -> Box<Node> {
        id::seeded::begin(Some(random.next()));
        let name = format!("host-{}", random.below(1_000_000));
        self.trace(&name, "begins");
        let memory = self.memory.beside(&name, LEASE_MS, &self.clock);
        memory.attend(u32::try_from(up).unwrap()).unwrap();
        let line = Line::new(&self.provider, &memory);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let store = Store::new(memory.handle());
        let host = runtime.block_on(open(&store, &self.clock, &line, &self.catalog));
        let others = Some(Others::default());
        Box::new(Node { name, memory, line, is_new: true, host, others, doing: None, runtime })
    }

    fn trace(&self, host: &str, what: &str) {
        self.provider.books(|books| books.trace.push(format!("{} {host} {what}", self.clock.now_ms())));
    }

    // It was killed.
    fn end(&mut self, node: Node, tick: i64, began_ms: i64) -> Place {
        self.trace(&node.name, "is killed");
        node.memory.leave().unwrap();
        self.crashes += 1;
        self.provider.ended(began_ms);
        Place::Empty { until: tick + 1 }
    }

    // Time passes, and whoever is up renews its lease.
    fn pass(&self, ms: i64, hosts: &[Place]) {
        let up: Vec<&Node> =
            hosts.iter().filter_map(|place| if let Place::Up(node) = place { Some(&**node) } else { None }).collect();
        let mut left_ms = ms;
        while left_ms > 0 {
            let step_ms = left_ms.min(LEASE_MS / 4);
            self.clock.advance(step_ms);
            up.iter().for_each(|node| node.memory.attend(u32::try_from(up.len()).unwrap()).unwrap());
            left_ms -= step_ms;
        }
    }
}

impl Node {
    // What befalls it in this tick.
    fn plan(&self, random: &mut Random, breaks: u64) {
        let stands_still = random.chance(700);
        let is_in_request = random.chance(500);
        let at = 1 + random.below(12);
        let wants = random.chance(breaks);
        let stop = match (stands_still, random.chance(500)) {
            (true, true) => Stop::Still(at),
            (true, false) => Stop::StillAfter(at),
            (false, true) => Stop::Before(at),
            (false, false) => Stop::After(at),
        };
        let line = if stands_still { Break::StandsStill } else { Break::Ends };
        self.memory.stop_at((wants && !is_in_request).then_some(stop));
        self.line.break_at((wants && is_in_request).then_some((1 + at / 3, line)));
    }

    // What it was doing, and then everything that is due for it, or until it ends or stands still.
    fn work(&mut self, now_ms: i64, prunes: bool) {
        let Node { memory, is_new, host, others, doing, runtime, .. } = self;
        runtime.block_on(async {
            tokio::select! {
                biased;
                () = memory.stopped.notified() => {}
                () = async {
                    if let Some(before) = doing {
                        *others = Some(before.await);
                        *doing = None;
                    }
                    let is_new = std::mem::take(is_new);
                    let begins = work(Arc::clone(host), others.take().unwrap(), is_new, now_ms, prunes);
                    *others = Some(doing.insert(Box::pin(begins)).await);
                    *doing = None;
                } => {}
            }
        });
    }
}

async fn work(host: Arc<Host>, mut others: Others, is_new: bool, now_ms: i64, prunes: bool) -> Others {
    if is_new {
        take_up(&host).await.unwrap();
    }
    others.look(&host, now_ms).await.unwrap();
    drain_on(&host).await.unwrap();
    if prunes {
        prune(Arc::clone(&host)).await;
    }
    others
}
