//! Ctrl-C and SIGTERM: the first asks to finish what is under way, the second ends the program at once.
//! Nothing is lost by the second: what was not settled resumes at the next start.

use std::future::Future;
use std::io::{self, IsTerminal};
#[cfg(unix)]
use std::sync::OnceLock;

use tokio::sync::watch;

use super::demo::screen;
use super::exit::STOPPED;
use super::{logging, output};
use crate::app::demo;

/// Listens from now on; the future ends with the first signal.
///
/// # Errors
/// When the system refuses to tell of signals.
pub fn stop() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut signals = Signals::listen()?;
    let (sender, mut receiver) = watch::channel(false);
    tokio::spawn(async move {
        signals.next().await;
        sender.send_replace(true);
        if !screen::is_active() {
            // Where standard error is gone, nobody is left to be told.
            let _ = logging::say("finishing what is under way; Ctrl-C again ends at once");
        }
        signals.next().await;
        screen::restore();
        demo::clear();
        std::process::exit(STOPPED);
    });
    Ok(async move {
        // An error means that the sender is gone, which it is only once it has sent.
        let _ = receiver.wait_for(|is_asked| *is_asked).await;
    })
}

/// Has a write beyond the limit on the size of files fail as on a full disk, for as long as the process lives: the
/// system would end it without a word.
pub fn outlive_size_limits() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        // Listening for it once takes the place of what the system does. Where that is refused, all stays as it is.
        let _ = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()));
    }
}

/// Ends the program at the first signal, once it has said what `told` says. Heard on a thread of its own: what is
/// under way may keep the other one busy.
///
/// # Errors
/// When the system refuses to tell of signals.
pub fn end_at_once(told: impl FnOnce() -> Option<String> + Send + 'static) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let mut signals = {
        let _within = runtime.enter();
        Signals::listen()?
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(signals.next());
        if let Some(told) = told() {
            // Where standard error is gone, nobody is left to be told.
            let _ = output::note(&told);
        }
        interrupted()
    })?;
    Ok(())
}

/// The same while questions are asked: the terminal is left as it is now.
///
/// # Errors
/// As [`end_at_once`].
pub fn end_questions() -> io::Result<()> {
    #[cfg(unix)]
    if let Ok(found) = rustix::termios::tcgetattr(io::stdin()) {
        // What was found first is how it was.
        let _ = TERMINAL.set(found);
    }
    end_at_once(|| None)
}

// How the terminal was before anything was asked: a question hides the cursor or what is typed.
#[cfg(unix)]
static TERMINAL: OnceLock<rustix::termios::Termios> = OnceLock::new();

/// Ends the program as an interrupt does.
pub fn interrupted() -> ! {
    if io::stderr().is_terminal() {
        let _ = output::note("\u{1b}[?25h");
    }
    // Last: a question that is just being asked may change it in this moment.
    #[cfg(unix)]
    if let Some(found) = TERMINAL.get() {
        // A terminal that is gone needs nothing.
        let _ = rustix::termios::tcsetattr(io::stdin(), rustix::termios::OptionalActions::Now, found);
    }
    std::process::exit(STOPPED)
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Signals)
    }

    async fn next(&mut self) {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::error!(%error, "Ctrl-C can not be heard");
            std::future::pending::<()>().await;
        }
    }
}
