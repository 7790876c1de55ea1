//! Twilio's messages, sorted by the time they were sent, with an index per number, so that a filtered page is
//! a range. What a message's status and dates are follows from the clock; nothing has to be moved along.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

/// Place in the list: when it was sent (ms), then in which order it came.
pub(super) type Place = (i64, u64);

#[derive(Clone, Debug)]
pub(super) struct Message {
    pub sid: String,
    /// The account in whose path it is.
    pub account: &'static str,
    pub place: Place,
    pub is_inbound: bool,
    /// `None` until a messaging service has picked one.
    pub from: Option<String>,
    pub to: String,
    pub body: String,
    pub service: Option<String>,
    /// The sids of its media.
    pub media: Vec<String>,
    pub created_ms: i64,
    /// Not listed and not found before.
    pub visible_ms: i64,
    /// An incoming message is `receiving` until then.
    pub received_ms: i64,
    pub is_canceled: bool,
    /// Not sent before the time of its place, because it was scheduled.
    pub is_scheduled: bool,
    /// From when on it is undelivered, and Twilio's code for why.
    pub failure: Option<(i64, u32)>,
}

/// Which messages are wanted; `from_ms` and `until_ms` are both included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    pub to: Option<String>,
    pub from: Option<String>,
    pub from_ms: Option<i64>,
    pub until_ms: Option<i64>,
}

/// Where a page begins, its place itself excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Newest,
    OlderThan(Place),
    NewerThan(Place),
}

/// A page, newest first.
pub(super) struct Page {
    pub messages: Vec<Arc<Message>>,
    pub has_older: bool,
}

pub(super) struct Store {
    messages: BTreeMap<Place, Arc<Message>>,
    by_sid: HashMap<String, Place>,
    by_to: HashMap<String, BTreeSet<Place>>,
    by_from: HashMap<String, BTreeSet<Place>>,
    last: u64,
    /// Makes the sids of one sandbox differ from those of the next.
    seed: u64,
}

impl Store {
    pub fn new(seed: u64) -> Self {
        Store {
            messages: BTreeMap::new(),
            by_sid: HashMap::new(),
            by_to: HashMap::new(),
            by_from: HashMap::new(),
            last: 0,
            seed,
        }
    }

    /// Gives the message its sid and its place, `sent_ms` being when it is or will be sent.
    pub fn insert(&mut self, mut message: Message, sent_ms: i64) -> Arc<Message> {
        self.last += 1;
        let kind = if message.media.is_empty() { "SM" } else { "MM" };
        message.sid =
            format!("{kind}{:016x}{:016x}", mix(self.seed ^ self.last), mix(self.last.wrapping_add(self.seed << 1)));
        for (position, medium) in (0_u64..).zip(&mut message.media) {
            *medium = format!("ME{:016x}{:016x}", mix(self.seed ^ !self.last), mix(self.last ^ (position << 32)));
        }
        message.place = (sent_ms, self.last);
        let message = Arc::new(message);
        self.by_sid.insert(message.sid.clone(), message.place);
        index(&mut self.by_to, &message.to, message.place);
        if let Some(from) = &message.from {
            index(&mut self.by_from, from, message.place);
        }
        self.messages.insert(message.place, message.clone());
        message
    }

    pub fn find(&self, sid: &str, now_ms: i64) -> Option<&Arc<Message>> {
        self.messages.get(self.by_sid.get(sid)?).filter(|message| message.visible_ms <= now_ms)
    }

    pub fn remove(&mut self, sid: &str) -> bool {
        let Some(message) = self.by_sid.remove(sid).and_then(|place| self.messages.remove(&place)) else {
            return false;
        };
        for (numbers, number) in [(&mut self.by_to, Some(&message.to)), (&mut self.by_from, message.from.as_ref())] {
            if let Some(places) = number.and_then(|number| numbers.get_mut(number)) {
                places.remove(&message.place);
            }
        }
        true
    }

    /// Changes what does not move a message: its body, whether it was canceled.
    pub fn update(&mut self, sid: &str, change: impl FnOnce(&mut Message)) -> Option<Arc<Message>> {
        let message = self.messages.get_mut(self.by_sid.get(sid)?)?;
        change(Arc::make_mut(message));
        Some(message.clone())
    }

    pub fn page(&self, filter: &Filter, start: Start, size: usize, now_ms: i64) -> Page {
        let lowest = Bound::Included((filter.from_ms.unwrap_or(i64::MIN), 0));
        let highest = Bound::Included((filter.until_ms.unwrap_or(i64::MAX), u64::MAX));
        let wanted = |place: &Place| {
            let message = self.messages.get(place)?;
            let fits = message.visible_ms <= now_ms
                && filter.to.as_ref().is_none_or(|to| *to == message.to)
                && filter.from.as_ref().is_none_or(|from| Some(from) == message.from.as_ref());
            fits.then(|| message.clone())
        };
        if let Start::NewerThan(place) = start {
            let range = self.range(filter, Bound::Excluded(place), highest);
            let mut messages: Vec<_> = range.filter_map(|place| wanted(&place)).take(size).collect();
            messages.reverse();
            return Page { messages, has_older: true };
        }
        let highest = match start {
            Start::OlderThan(place) if (place.0, place.1) <= (filter.until_ms.unwrap_or(i64::MAX), u64::MAX) => {
                Bound::Excluded(place)
            }
            _ => highest,
        };
        let mut found = self.range(filter, lowest, highest).rev().filter_map(|place| wanted(&place));
        let messages: Vec<_> = found.by_ref().take(size).collect();
        let has_older = found.next().is_some();
        Page { messages, has_older }
    }

    /// The places in the range, oldest first, of the number that the filter names if it names one.
    fn range(
        &self,
        filter: &Filter,
        lowest: Bound<Place>,
        highest: Bound<Place>,
    ) -> Box<dyn DoubleEndedIterator<Item = Place> + '_> {
        // A map's range panics when it is upside down.
        let inner = |bound| match bound {
            Bound::Included(place) | Bound::Excluded(place) => place,
            Bound::Unbounded => (i64::MAX, 0),
        };
        if inner(lowest) >= inner(highest) {
            return Box::new(std::iter::empty());
        }
        let places = match (&filter.to, &filter.from) {
            (Some(to), _) => self.by_to.get(to),
            (None, Some(from)) => self.by_from.get(from),
            (None, None) => {
                return Box::new(self.messages.range((lowest, highest)).map(|(place, _)| *place));
            }
        };
        Box::new(places.into_iter().flat_map(move |places| places.range((lowest, highest)).copied()))
    }
}

fn index(numbers: &mut HashMap<String, BTreeSet<Place>>, number: &str, place: Place) {
    match numbers.get_mut(number) {
        Some(places) => {
            places.insert(place);
        }
        None => {
            numbers.insert(number.into(), BTreeSet::from([place]));
        }
    }
}

/// SplitMix64's finaliser: a number that looks random and is never given twice.
pub(super) fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
