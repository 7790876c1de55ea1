//! Bugs that can be planted, to see that the simulation finds each of them. Only a build with the feature
//! `planted-bugs` has any; in every other one [`bug`] is a constant, and nothing of them is in the program.

/// Every bug, with what it does wrong.
pub const BUGS: &[(&str, &str)] = &[
    ("cursor_before_items", "the cursor moves in a commit of its own, before the last page's runs"),
    ("no_lookback", "the window does not look back"),
    ("no_deep_look", "the rarer, wider look is never taken"),
    ("late_is_history", "what is dated before the newest value counts as history"),
    ("strict_bound", "the newest value is no longer asked for: what shares it and shows up later is passed over"),
    ("history_is_news", "what is dated before the flow was enabled starts runs"),
    ("own_clock_baseline", "the baseline is this machine's time instead of the service's"),
    ("covered_until_the_end", "a walk covers until it ended, not until it began"),
    ("future_moves_cursor", "a record dated in the future takes the cursor along"),
    ("known_value_ends_walk", "a page that reaches back to what is known is the last one"),
    ("empty_page_ends_walk", "an empty page is the last one"),
    ("repeat_is_the_end", "a page that is named again ends the reading in silence"),
    ("ledger_not_written", "keys are not remembered"),
    ("ledger_pruned_early", "keys are forgotten while they are still listed"),
    ("ledger_of_page", "only the first key of a page is remembered"),
    ("filtered_not_remembered", "filtered items are not remembered"),
    ("held_forgotten", "held runs are not released after a crash"),
    ("newest_first", "held runs are released newest first"),
    ("gap_not_told", "an expired cursor is not told"),
    ("not_ready_seen", "a record that is not ready counts as seen"),
    ("none_retried", "an uncertain attempt of class none is repeated"),
    ("mark_not_committed", "a request leaves before its mark is durable"),
    ("mark_ignored", "a mark means nothing after a restart"),
    ("error_is_not_done", "a 5xx counts as not done"),
    ("timeout_is_not_sent", "a timeout counts as not sent"),
    ("key_per_attempt", "each attempt has another idempotency key"),
    ("match_not_exclusive", "two steps may take the same record"),
    ("absence_is_proof", "what a look-up does not find was not done"),
    ("look_up_too_early", "the first look-up decides, however soon"),
    ("limit_uses_retries", "waiting for a limit uses up attempts"),
    ("retry_after_ignored", "the service's wait is not kept"),
    ("retry_lost", "a retry that waits is not due after a restart"),
    ("stale_settle", "a run that is over can be settled again"),
    ("slot_let_go", "a run that waits lets go of its slot"),
    ("cancelled_holds_slot", "a run that is cancelled while it waits keeps its slot"),
    ("full_buffer", "a run that waits is not looked for while as many as fit wait for its slot"),
    ("answer_put_off", "a run that goes to wait for an answer that is there waits for the time to be over"),
];

/// Those that only several hosts on one store can have.
pub const BUGS_AMONG_HOSTS: &[(&str, &str)] = &[
    ("epoch_ignored", "a host settles what another one has taken over"),
    ("claim_outlives_host", "what a killed host had claimed stays its own"),
    ("pause_taken_for_death", "a host that stands still counts as one that was killed"),
    ("asking_stays_claimed", "a run that waits for answers is its host's, which claims nothing twice"),
];

/// Whether this bug is planted.
#[cfg(not(feature = "planted-bugs"))]
#[inline(always)]
pub const fn bug(_name: &str) -> bool {
    false
}

#[cfg(feature = "planted-bugs")]
pub use on_a_thread::{bug, plant};

#[cfg(feature = "planted-bugs")]
mod on_a_thread {
    use std::cell::Cell;

    use super::{BUGS, BUGS_AMONG_HOSTS};

    thread_local! {
        static PLANTED: Cell<Option<&'static str>> = const { Cell::new(None) };
    }

    /// Whether this bug is planted on this thread.
    pub fn bug(name: &str) -> bool {
        debug_assert!(BUGS.iter().chain(BUGS_AMONG_HOSTS).any(|(known, _)| *known == name), "there is no bug {name}");
        PLANTED.get() == Some(name)
    }

    /// Plants a bug on this thread, or takes it out.
    pub fn plant(name: Option<&'static str>) {
        PLANTED.set(name);
    }
}
