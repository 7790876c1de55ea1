//! What the demo's table shows: per flow the latest arrival and the latest results, and what it came to.
//! Pure: events and a width in, lines out.

use std::collections::VecDeque;

use crate::app::demo::{Addresses, Shown};
use crate::cli::table::{ColumnWidth, Table};
use crate::cli::text::{count, elapsed, one_line};

/// The flow whose questions the person on call answers.
const ASKS: &str = "outage-watch";

/// The state of the table.
#[derive(Debug)]
pub struct Board {
    services: String,
    sections: Vec<Section>,
    notice: Option<String>,
    failed: u64,
}

/// One flow's part.
#[derive(Debug)]
struct Section {
    flow: &'static str,
    title: &'static str,
    what: &'static str,
    arrived: u64,
    latest: String,
    done: u64,
    rows: VecDeque<Done>,
    kept: usize,
}

/// One result.
#[derive(Debug)]
struct Done {
    state: String,
    summary: String,
    elapsed_ms: Option<i64>,
}

impl Board {
    /// Before anything happened.
    pub fn new(addresses: &Addresses) -> Self {
        let Addresses { x, twilio, json, .. } = addresses;
        Board {
            services: format!("X {x}   Twilio {twilio}   JSON {json}"),
            sections: vec![
                Section::new("tweet-to-sms", "Tweets to SMS", "tweet", 3),
                Section::new("sms-to-tweet", "SMS to tweets", "sms", 3),
                Section::new(ASKS, "Outages, asked about", "report", 4),
                Section::new("json-to-file", "Items to a file", "item", 1),
            ],
            notice: None,
            failed: 0,
        }
    }

    /// Takes in what happened.
    pub fn take(&mut self, event: Shown) {
        match event {
            Shown::Arrived { what, from, text } => {
                if let Some(section) = self.sections.iter_mut().find(|section| section.what == what) {
                    section.arrived += 1;
                    section.latest = format!("{from}: {text}");
                }
            }
            Shown::Person { did, text } => {
                if let Some(section) = self.sections.iter_mut().find(|section| section.flow == ASKS) {
                    section.show(Done { state: did.to_owned(), summary: text, elapsed_ms: None });
                }
            }
            Shown::Done { flow, state, summary, elapsed_ms, .. } => {
                self.failed += u64::from(state == "failed");
                if let Some(section) = self.sections.iter_mut().find(|section| section.flow == flow) {
                    section.done += u64::from(state == "succeeded");
                    section.show(Done { state, summary, elapsed_ms });
                }
            }
            Shown::Notice { message } => self.notice = Some(message),
        }
    }

    /// More happened than could be told.
    pub fn miss(&mut self, events: u64) {
        self.notice = Some(format!("{} not shown", count(events, "event")));
    }

    /// The table's lines, none wider than `width`; as many each time, so that it stands still.
    pub fn lines(&self, width: u16, so_far_ms: i64) -> Vec<String> {
        let mut lines = vec![bold("tidegate demo", width), cut(&self.services, width)];
        for section in &self.sections {
            lines.push(String::new());
            section.draw(width, &mut lines);
        }
        lines.push(String::new());
        let notice = self.notice.as_deref().map(|notice| format!("Notice: {notice}")).unwrap_or_default();
        lines.push(cut(&notice, width));
        let done: Vec<String> = self
            .sections
            .iter()
            .map(|section| format!("{}/{} {}", section.done, section.arrived, section.what))
            .collect();
        let totals = format!(
            "{} done: {}; {} failed. Ctrl-C ends",
            elapsed(so_far_ms / 1_000 * 1_000),
            done.join(", "),
            self.failed
        );
        lines.push(bold(&totals, width));
        lines
    }
}

impl Section {
    fn new(flow: &'static str, title: &'static str, what: &'static str, kept: usize) -> Self {
        Section { flow, title, what, arrived: 0, latest: String::new(), done: 0, rows: VecDeque::new(), kept }
    }

    fn show(&mut self, row: Done) {
        self.rows.push_front(row);
        self.rows.truncate(self.kept);
    }

    fn draw(&self, width: u16, lines: &mut Vec<String>) {
        lines.push(bold(&format!("{}   latest in: {}", self.title, self.latest), width));
        let mut table = Table::new([]);
        for row in &self.rows {
            let took = row.elapsed_ms.map(elapsed).unwrap_or_default();
            table.row([row.state.as_str(), &took, &row.summary]);
        }
        let widths = [ColumnWidth::Fixed(9), ColumnWidth::Fixed(6), ColumnWidth::Rest];
        let drawn = table.draw_within(width.saturating_sub(MARK), &widths);
        for (row, line) in self.rows.iter().zip(drawn) {
            lines.push(format!("{}{line}", mark(&row.state)));
        }
        for _ in self.rows.len()..self.kept {
            lines.push(String::new());
        }
    }
}

/// How wide [`mark`] is.
const MARK: u16 = 4;

/// A coloured sign of a state.
fn mark(state: &str) -> String {
    let (colour, sign) = match state {
        "succeeded" => (32, '✓'),
        "failed" | "unknown" => (31, '✗'),
        "retrying" | "waiting" => (33, '↻'),
        _ => (36, '·'),
    };
    format!("  \x1b[{colour}m{sign}\x1b[0m ")
}

fn bold(text: &str, width: u16) -> String {
    format!("\x1b[1m{}\x1b[0m", cut(text, width))
}

/// A text within a width, by the characters' own widths.
fn cut(text: &str, width: u16) -> String {
    let mut table = Table::new([]);
    table.row([one_line(text).as_str()]);
    table.draw_within(width, &[ColumnWidth::Rest]).concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board() -> Board {
        let local = "http://127.0.0.1:18080".to_owned();
        Board::new(&Addresses {
            x: local.clone(),
            twilio: local.clone(),
            json: local.clone(),
            control: local.clone(),
            public: local,
        })
    }

    fn done(state: &str, number: u32) -> Shown {
        Shown::Done {
            flow: "tweet-to-sms".into(),
            state: state.into(),
            step: "twilio.send_sms".into(),
            summary: format!("message {number}\u{1b}[2J, and more text than a narrow terminal has room for, 日本語"),
            elapsed_ms: Some(15),
        }
    }

    fn visible(line: &str) -> String {
        anstream::adapter::strip_str(line).to_string()
    }

    #[test]
    fn it_has_as_many_lines_whatever_happens() {
        let mut board = board();
        let before = board.lines(80, 0).len();
        assert!(before <= 24, "{before} lines do not fit a small terminal");
        for number in 0..30 {
            board.take(done("succeeded", number));
            board.take(Shown::Arrived { what: "sms", from: "+15550101".into(), text: "hi".into() });
        }
        board.take(Shown::Notice { message: "one\ntwo".into() });
        assert_eq!(board.lines(80, 5_000).len(), before);
    }

    #[test]
    fn lines_stay_within_the_width_and_obey_nothing() {
        let mut board = board();
        board.take(done("failed", 1));
        for width in [30, 60, 200] {
            for line in board.lines(width, 0) {
                let shown = visible(&line);
                assert!(shown.chars().count() <= usize::from(width), "{width}: {shown}");
                assert!(!line.contains("\x1b[2J"), "{line:?}");
            }
        }
    }

    #[test]
    fn the_newest_is_on_top_and_counted() {
        let mut board = board();
        board.take(Shown::Arrived { what: "tweet", from: "@ada".into(), text: "The bridge is open".into() });
        for number in 1..=7 {
            board.take(done("succeeded", number));
        }
        board.take(done("failed", 8));
        let shown: Vec<String> = board.lines(120, 3_200).iter().map(|line| visible(line)).collect();
        let at = |text: &str| shown.iter().position(|line| line.contains(text));
        assert!(at("message 8") < at("message 7") && at("message 7").is_some(), "{shown:#?}");
        assert_eq!(at("message 5"), None, "{shown:#?}");
        assert!(at("latest in: @ada: The bridge is open").is_some(), "{shown:#?}");
        assert!(at("3.0s done: 7/1 tweet, 0/0 sms, 0/0 report, 0/0 item; 1 failed").is_some(), "{shown:#?}");
    }
}
