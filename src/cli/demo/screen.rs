//! The part of the terminal that is redrawn in place: one write per picture, so that nothing flickers.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::cli::output;

/// Lines that were drawn and are drawn over next time.
#[derive(Debug, Default)]
pub struct Screen {
    drawn: usize,
}

static IS_ACTIVE: AtomicBool = AtomicBool::new(false);

impl Screen {
    /// Draws these lines in the place of those before; each must be within the terminal's width.
    ///
    /// # Errors
    /// When standard output can not be written.
    pub fn draw(&mut self, lines: &[String]) -> io::Result<()> {
        IS_ACTIVE.store(true, Ordering::SeqCst);
        let picture = picture(self.drawn, lines);
        self.drawn = lines.len();
        output::write(&picture)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Whether a picture stands on the terminal, which other lines would tear.
pub fn is_active() -> bool {
    IS_ACTIVE.load(Ordering::SeqCst)
}

/// Gives the terminal back as it was: its cursor is shown and its lines wrap.
pub fn restore() {
    if IS_ACTIVE.swap(false, Ordering::SeqCst) {
        // The terminal is gone where this fails, and with it what was to be restored.
        let _ = output::write("\x1b[?25h\x1b[?7h");
    }
}

/// One picture: synchronised where the terminal can do that, without cursor and wrapping while it is drawn.
fn picture(drawn: usize, lines: &[String]) -> String {
    let mut text = String::from("\x1b[?2026h\x1b[?25l\x1b[?7l\r");
    if drawn > 0 {
        text.push_str(&format!("\x1b[{drawn}A"));
    }
    for line in lines {
        text.push_str(line);
        text.push_str("\x1b[K\r\n");
    }
    text.push_str("\x1b[J\x1b[?2026l");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_drawn_over_the_one_before() {
        let lines = ["a".to_owned(), "b".to_owned()];
        assert!(!picture(0, &lines).contains('A'));
        let second = picture(2, &lines);
        assert!(second.contains("\r\x1b[2Aa\x1b[K\r\nb\x1b[K\r\n\x1b[J"), "{second:?}");
    }
}
