//! What happens, told as it happens: for `demo`, the log and the console. Telling never waits and never
//! fails; who listens too slowly misses some.

use tokio::sync::broadcast;

/// One thing that happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// UTC epoch milliseconds.
    pub at_ms: i64,
    /// The flow.
    pub flow: String,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum What {
    /// A trigger's page was committed.
    Polled {
        /// Records listed.
        listed: usize,
        /// Runs found.
        started: u64,
        /// Items that the trigger's `where` left out.
        filtered: u64,
    },
    /// A poll failed.
    PollFailed {
        /// In words.
        message: String,
        /// When it is tried again; UTC epoch milliseconds.
        due_ms: i64,
    },
    /// A run began.
    RunBegan {
        /// Its id.
        run: String,
    },
    /// An attempt of a step ended.
    StepEnded {
        /// The run's id.
        run: String,
        /// Its id, or its place.
        step: String,
        /// Its form, as in `approval`.
        form: String,
        /// `succeeded`, `failed`, `retrying`, ...
        state: String,
        /// What was done, in a few words; secrets are masked.
        summary: String,
    },
    /// A run is over, or waits for a person.
    RunEnded {
        /// Its id.
        run: String,
        /// How.
        state: &'static str,
        /// Why, where it failed.
        message: Option<String>,
        /// From its making to its end, in milliseconds.
        elapsed_ms: i64,
    },
    /// Something that a person should know.
    Notice {
        /// `gap`, `attention`, ...
        kind: String,
        /// In words.
        message: String,
    },
}

/// Where events are told.
#[derive(Clone)]
pub struct Events {
    sender: broadcast::Sender<Event>,
}

impl Default for Events {
    fn default() -> Self {
        Events { sender: broadcast::channel(1024).0 }
    }
}

impl Events {
    /// Hears what happens from now on.
    pub fn listen(&self) -> broadcast::Receiver<Event> {
        self.sender.subscribe()
    }

    /// Whether anybody listens: what is costly to describe need not be described otherwise.
    pub fn is_heard(&self) -> bool {
        self.sender.receiver_count() > 0
    }

    /// Tells what happened.
    pub fn tell(&self, at_ms: i64, flow: &str, what: What) {
        if self.is_heard() {
            // An error means that the last listener left meanwhile: nobody misses it.
            let _ = self.sender.send(Event { at_ms, flow: flow.to_owned(), what });
        }
    }
}
