//! Which runs may begin: per flow a buffer of claimed runs and its free slots. Pure bookkeeping: the worker fills
//! and empties it.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use crate::planted::bug;
use crate::store::due::DueRun;

/// A buffer with fewer runs than this is refilled while there are more in the store.
pub const LOW: usize = 64;
/// How many runs one claim takes.
pub const CLAIM: u32 = 256;

/// The lanes of all flows.
#[derive(Default)]
pub struct Lanes {
    // In an order, so that a simulation's seed gives the same again.
    flows: BTreeMap<String, Lane>,
    turns: VecDeque<String>,
    in_flight: usize,
}

/// One flow's runs.
#[derive(Default)]
struct Lane {
    buffer: VecDeque<DueRun>,
    // In the buffer or in flight: a claim that finds them again leaves them out.
    claimed: HashSet<String>,
    // Runs at work, and with a limit of 1 also begun ones that wait, by concurrency key.
    slots: BTreeMap<String, BTreeSet<String>>,
    // Those of them that have begun and wait: nobody works on them, and they are in no buffer.
    waiting: BTreeSet<String>,
    // While a claim is under way: runs that were done with meanwhile, which it may still find as due.
    finished: Option<HashSet<String>>,
    // The last claim did not look at runs whose slot is taken.
    leaves_out: bool,
    has_more: bool,
    // What waits may go on, however full the buffer is of runs that its slot keeps from beginning.
    is_urgent: bool,
    next_due_at: Option<i64>,
    is_waiting_turn: bool,
}

/// What cannot begin because one slot is taken.
#[derive(Default)]
pub struct Crowd {
    /// Runs that there is no room for; no longer claimed.
    pub left_over: Vec<DueRun>,
    /// The run whose place the newest takes.
    pub gives_way: Option<String>,
}

/// What a flow's `concurrency` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Runs at once, per key.
    pub limit: u32,
}

impl Bounds {
    /// A limit of 1 is first in, first out: it keeps its slot through retries and waits.
    pub fn holds_slots(self) -> bool {
        self.limit == 1
    }
}

impl Lanes {
    /// Says that a flow may have due runs in the store.
    pub fn stir(&mut self, flow: &str) {
        self.lane(flow).stir();
    }

    /// Says when a flow's next run is due.
    pub fn wake_at(&mut self, flow: &str, due_at: i64) {
        let lane = self.lane(flow);
        lane.next_due_at = Some(lane.next_due_at.map_or(due_at, |known| known.min(due_at)));
    }

    /// Stirs the flows whose time has come, and tells when the next one's comes.
    pub fn stir_due(&mut self, now_ms: i64) -> Option<i64> {
        for lane in self.flows.values_mut() {
            if lane.next_due_at.is_some_and(|due| due <= now_ms) {
                lane.next_due_at = None;
                lane.stir();
            }
        }
        self.flows.values().filter_map(|lane| lane.next_due_at).min()
    }

    /// The flows whose buffers want to be refilled, each with how many of its runs are claimed already.
    pub fn hungry(&self) -> Vec<(String, u32)> {
        self.flows
            .iter()
            .filter(|(_, lane)| lane.is_hungry())
            .map(|(flow, lane)| (flow.clone(), u32::try_from(lane.claimed.len()).unwrap_or(u32::MAX)))
            .collect()
    }

    /// The concurrency keys of a flow that have no free slot.
    pub fn busy(&self, flow: &str, bounds: Bounds) -> Vec<String> {
        let Some(lane) = self.flows.get(flow) else { return Vec::new() };
        let limit = bounds.limit as usize;
        lane.slots.iter().filter(|(_, runs)| runs.len() >= limit).map(|(slot, _)| slot.clone()).collect()
    }

    /// A begun run that waits keeps its slot.
    pub fn hold(&mut self, flow: &str, run: String, slot: Option<String>) {
        let lane = self.lane(flow);
        lane.waiting.insert(run.clone());
        lane.slots.entry(slot.unwrap_or_default()).or_default().insert(run);
    }

    /// Whether begun runs of a flow wait and keep their slots.
    pub fn has_waiting(&self, flow: &str) -> bool {
        self.flows.get(flow).is_some_and(|lane| !lane.waiting.is_empty())
    }

    /// Frees the slots of runs that waited and are over: `held` are those that are not.
    pub fn keep_held(&mut self, flow: &str, held: &[(String, Option<String>)]) {
        let lane = self.lane(flow);
        let is_over = |run: &String| !held.iter().any(|(id, _)| id == run);
        let over: Vec<String> = lane.waiting.iter().filter(|run| is_over(run)).cloned().collect();
        over.iter().for_each(|run| lane.let_go(run));
    }

    /// A claim begins: what is done with from now on is not taken from what it finds, and what is stirred from now on
    /// it may not see. `leaves_out`: it does not look at runs whose slot is taken, so that they are looked for when one
    /// comes free.
    pub fn begin_claim(&mut self, flow: &str, leaves_out: bool) {
        let lane = self.lane(flow);
        lane.finished = Some(HashSet::new());
        lane.has_more = false;
        lane.leaves_out = leaves_out;
        lane.is_urgent = false;
    }

    /// Takes what a claim found; gives back what it leaves out, as it is at work already or was until now.
    pub fn claim(&mut self, flow: &str, runs: Vec<DueRun>, has_more: bool, next_due_at: Option<i64>) -> Vec<DueRun> {
        let mut left_out = Vec::new();
        let lane = self.flows.entry(flow.to_owned()).or_default();
        let finished = lane.finished.take().unwrap_or_default();
        let mut is_new = !finished.is_empty();
        for run in runs {
            if !finished.contains(&run.id) && lane.claimed.insert(run.id.clone()) {
                lane.waiting.remove(&run.id);
                lane.enqueue(run);
                is_new = true;
            } else {
                left_out.push(run);
            }
        }
        // A claim that brought only runs already claimed has to wait until some of them are done.
        lane.has_more |= has_more && is_new;
        if let Some(due) = next_due_at {
            lane.next_due_at = Some(lane.next_due_at.map_or(due, |known| known.min(due)));
        }
        if !lane.buffer.is_empty() && !lane.is_waiting_turn {
            lane.is_waiting_turn = true;
            self.turns.push_back(flow.to_owned());
        }
        left_out
    }

    /// The next run that may begin, flows taking turns; `bounds` tells a flow's limits.
    pub fn next(&mut self, total: usize, bounds: impl Fn(&str) -> Bounds) -> Option<(String, DueRun)> {
        if self.in_flight >= total {
            return None;
        }
        for _ in 0..self.turns.len() {
            let flow = self.turns.pop_front()?;
            let Some(lane) = self.flows.get_mut(&flow) else { continue };
            match lane.take(bounds(&flow)) {
                Some(run) => {
                    self.in_flight += 1;
                    if lane.buffer.is_empty() {
                        lane.is_waiting_turn = false;
                    } else {
                        self.turns.push_back(flow.clone());
                    }
                    return Some((flow, run));
                }
                None if lane.buffer.is_empty() => lane.is_waiting_turn = false,
                None => self.turns.push_back(flow),
            }
        }
        None
    }

    /// Takes the claimed runs out that cannot begin because their slot is taken, by slot. With `keeps_newest` the
    /// newest of each slot stays, to begin when a run has given way. Runs that a person repeats stay and wait.
    pub fn crowded(&mut self, flow: &str, bounds: Bounds, keeps_newest: bool) -> Vec<Crowd> {
        let Some(lane) = self.flows.get_mut(flow) else { return Vec::new() };
        let mut crowds: BTreeMap<String, Crowd> = BTreeMap::new();
        // From the newest on.
        for run in std::mem::take(&mut lane.buffer).into_iter().rev() {
            let slot = run.slot.clone().unwrap_or_default();
            let full = lane.slots.get(&slot).filter(|holders| holders.len() >= bounds.limit as usize);
            let Some(holders) = full.filter(|_| !run.has_begun && !run.is_repeat) else {
                lane.buffer.push_front(run);
                continue;
            };
            let is_first = !crowds.contains_key(&slot);
            let crowd = crowds.entry(slot).or_default();
            if is_first && keeps_newest {
                // Ids are in the order of time.
                crowd.gives_way = holders.first().cloned();
                lane.buffer.push_front(run);
            } else {
                lane.claimed.remove(&run.id);
                crowd.left_over.push(run);
            }
        }
        crowds.into_values().collect()
    }

    /// Whether a run is at work or about to be.
    pub fn is_claimed(&self, flow: &str, run: &str) -> bool {
        self.flows.get(flow).is_some_and(|lane| lane.claimed.contains(run))
    }

    /// A run that held its slot while it waited is over.
    pub fn let_go(&mut self, flow: &str, run: &str) {
        if let Some(lane) = self.flows.get_mut(flow) {
            lane.let_go(run);
            lane.has_more = true;
        }
    }

    /// A run is done with for now. `keeps_slot`: it has begun, waits, and its flow's limit is 1.
    /// True when its flow's buffer wants to be refilled.
    pub fn finish(&mut self, flow: &str, run: &DueRun, keeps_slot: bool, due_at: Option<i64>) -> bool {
        self.in_flight = self.in_flight.saturating_sub(1);
        let lane = self.lane(flow);
        lane.claimed.remove(&run.id);
        if let Some(finished) = &mut lane.finished {
            finished.insert(run.id.clone());
        }
        if keeps_slot {
            lane.waiting.insert(run.id.clone());
        } else {
            // One that waits was begun by another host after it was claimed here, and keeps its slot for that.
            if !lane.waiting.contains(&run.id) {
                lane.free(run);
            }
            lane.has_more |= lane.leaves_out;
        }
        if let Some(due) = due_at {
            lane.next_due_at = Some(lane.next_due_at.map_or(due, |known| known.min(due)));
        }
        lane.is_hungry()
    }

    /// Runs at work.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Gives up everything that is claimed and not at work: a stop, or a change from outside.
    pub fn clear_buffers(&mut self) {
        self.turns.clear();
        for lane in self.flows.values_mut() {
            for run in lane.buffer.drain(..) {
                lane.claimed.remove(&run.id);
                if lane.slots.values().any(|runs| runs.contains(&run.id)) {
                    lane.waiting.insert(run.id);
                }
            }
            lane.is_waiting_turn = false;
            lane.has_more = true;
        }
    }

    fn lane(&mut self, flow: &str) -> &mut Lane {
        if !self.flows.contains_key(flow) {
            self.flows.insert(flow.to_owned(), Lane::default());
        }
        self.flows.entry(flow.to_owned()).or_default()
    }
}

impl Lane {
    fn stir(&mut self) {
        self.has_more = true;
        self.is_urgent |= !self.waiting.is_empty() && !bug("full_buffer");
    }

    // Begun runs go on before others begin.
    fn enqueue(&mut self, run: DueRun) {
        let first_new = self.buffer.iter().position(|other| !other.has_begun);
        match first_new.filter(|_| run.has_begun) {
            Some(at) => self.buffer.insert(at, run),
            None => self.buffer.push_back(run),
        }
    }

    fn is_hungry(&self) -> bool {
        self.has_more && (self.buffer.len() < LOW || self.is_urgent)
    }

    fn let_go(&mut self, run: &str) {
        self.waiting.remove(run);
        self.slots.retain(|_, runs| {
            runs.remove(run);
            !runs.is_empty()
        });
    }

    // The first run of the buffer whose slot is free; with one key for all it is the first or none.
    fn take(&mut self, bounds: Bounds) -> Option<DueRun> {
        let mut full: HashSet<&str> = HashSet::new();
        let mut found = None;
        for (at, run) in self.buffer.iter().enumerate() {
            let slot = run.slot.as_deref().unwrap_or_default();
            let holders = self.slots.get(slot);
            if holders.is_some_and(|runs| runs.contains(&run.id)) {
                found = Some(at);
                break;
            }
            if full.contains(slot) {
                continue;
            }
            if holders.map_or(0, BTreeSet::len) < bounds.limit as usize {
                found = Some(at);
                break;
            }
            full.insert(slot);
        }
        let run = self.buffer.remove(found?)?;
        self.slots.entry(run.slot.clone().unwrap_or_default()).or_default().insert(run.id.clone());
        Some(run)
    }

    fn free(&mut self, run: &DueRun) {
        let slot = run.slot.as_deref().unwrap_or_default();
        if let Some(runs) = self.slots.get_mut(slot) {
            runs.remove(&run.id);
            if runs.is_empty() {
                self.slots.remove(slot);
            }
        }
    }
}
