//! Named places at which a test stops the process as `kill -9` does: before and after every commit, send and
//! receive. Only a build with the feature `crash-points` looks; in any other one a point is nothing at all.
//! `TIDEGATE_CRASH_AT=settle.after:17` stops at the 17th time that `settle.after` is passed.

/// Every point, in the order in which an item passes them.
pub const POINTS: &[&str] = &[
    "deploy.before",
    "deploy.after",
    "request.before",
    "request.taken",
    "answer.head",
    "answer.whole",
    "page.before",
    "page.after",
    "release.before",
    "release.after",
    "claim.before",
    "claim.after",
    "mark.before",
    "mark.after",
    "settle.before",
    "settle.after",
    "match.before",
    "match.after",
    "prune.before",
    "prune.after",
    "commit.before",
    "commit.after",
];

/// The process passes the point `name`, one of [`POINTS`].
#[cfg(not(feature = "crash-points"))]
#[inline(always)]
pub fn point(_name: &'static str) {}

/// The process passes the point `name`, one of [`POINTS`]; at the wanted one it ends here and now.
#[cfg(feature = "crash-points")]
pub fn point(name: &'static str) {
    use std::sync::atomic::Ordering;

    debug_assert!(POINTS.contains(&name), "the crash point {name} is not in the list");
    let Some(wanted) = wanted::wanted().filter(|wanted| wanted.name == name) else {
        return;
    };
    if wanted.passed.fetch_add(1, Ordering::SeqCst) + 1 == wanted.at {
        // SIGKILL: no destructor, no handler, nothing flushed.
        if let Err(error) = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL) {
            tracing::error!("the process cannot end itself: {error}");
        }
        // The signal is on its way; nothing more is done meanwhile.
        loop {
            std::thread::park();
        }
    }
}

#[cfg(feature = "crash-points")]
mod wanted {
    use std::sync::OnceLock;
    use std::sync::atomic::AtomicU64;

    pub(super) struct Wanted {
        pub name: String,
        pub at: u64,
        pub passed: AtomicU64,
    }

    pub(super) fn wanted() -> Option<&'static Wanted> {
        static WANTED: OnceLock<Option<Wanted>> = OnceLock::new();
        let read = || {
            let text = std::env::var("TIDEGATE_CRASH_AT").ok()?;
            let (name, at) = text.split_once(':')?;
            Some(Wanted { name: name.to_owned(), at: at.parse().ok()?, passed: AtomicU64::new(0) })
        };
        WANTED.get_or_init(read).as_ref()
    }
}
