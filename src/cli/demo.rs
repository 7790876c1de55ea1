//! `tidegate demo`: a table redrawn in place on a terminal, a line per event elsewhere, and a summary.

mod board;
pub mod screen;

use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::MissedTickBehavior;

use self::board::Board;
use self::screen::Screen;
use super::exit::{Result, ended};
use super::table::{Form, terminal_width};
use super::text::{count, elapsed, one_line};
use super::{Context, output, signals};
use crate::app::Exit;
use crate::app::demo::{self, Addresses, Shown, Totals};
use crate::manifest;
use crate::web;

/// The words of `demo`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tidegate demo                          until Ctrl-C
  tidegate demo --for 10s                and end by itself
  tidegate demo --for 10s --output json  a JSON line per event, then the totals

Tweets and SMS arrive at local services that behave as X and Twilio do, and flows turn one into the other. Tweets
that report an outage ask a person by SMS, whose answer, by link or by reply, decides whether X is answered.
Nothing leaves this machine, and nothing is kept.")]
pub struct Demo {
    /// End after this long, as in 10s or 2m
    #[arg(long = "for", value_name = "TIME")]
    length: Option<manifest::Duration>,
}

impl Demo {
    pub async fn perform(self, context: Context) -> Result {
        let stop = until(self.length, signals::stop()?);
        let public = web::bind("127.0.0.1:0", "the demo's public pages:").await?;
        let Some(public) = public else { return Ok(ended(Exit::Host)) };
        let demo = demo::start(public.address()).await?;
        let serving = tokio::spawn(public.serve(web::public::router(demo.live()), std::future::pending()));
        let addresses = demo.addresses().clone();
        let shown = demo.shown();
        let is_logging = tracing::enabled!(tracing::Level::WARN);
        let totals = match terminal_width() {
            Some(_) if !context.output.is_json() && !is_logging => {
                beside(demo.work(stop), redraw(shown, Board::new(&addresses))).await?
            }
            _ => {
                let is_json = context.output.is_json();
                if !is_json {
                    output::note(&told_addresses(&addresses))?;
                }
                beside(demo.work(stop), print(shown, is_json)).await?
            }
        };
        serving.abort();
        if context.output.is_json() {
            output::write(&format!("{}\n", json!({"kind": "totals", "totals": totals})))?;
        } else {
            output::write(&summarise(&totals, Form::Plain))?;
        }
        Ok(if totals.runs_failed > 0 { ended(Exit::Problem) } else { ExitCode::SUCCESS })
    }
}

/// The signal, or the end of the time.
async fn until(length: Option<manifest::Duration>, stop: impl Future<Output = ()>) {
    match length {
        Some(length) => tokio::select! {
            () = stop => {}
            () = tokio::time::sleep(length.to_std()) => {}
        },
        None => stop.await,
    }
}

/// The work's end, and until then whatever shows it. Where showing fails, the work ends with it.
async fn beside(
    work: impl Future<Output = crate::app::Result<Totals>>,
    show: impl Future<Output = std::io::Result<()>>,
) -> Result<Totals> {
    tokio::pin!(work, show);
    tokio::select! {
        biased;
        shown = &mut show => {
            shown?;
            Ok(work.await?)
        }
        totals = &mut work => {
            // What was told and not yet shown. The tellers are gone, so this ends; should one be left, it ends too.
            let totals = totals?;
            match tokio::time::timeout(Duration::from_secs(1), show).await {
                Ok(shown) => shown?,
                Err(_) => tracing::debug!("somebody still tells events of the demo"),
            }
            Ok(totals)
        }
    }
}

async fn redraw(mut shown: broadcast::Receiver<Shown>, mut board: Board) -> std::io::Result<()> {
    let mut screen = Screen::default();
    // Ten times a second is smooth; drawing at each event would only flicker.
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let began = tokio::time::Instant::now();
    let mut is_open = true;
    while is_open {
        tokio::select! {
            _ = ticks.tick() => {
                let so_far = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
                screen.draw(&board.lines(terminal_width().unwrap_or(80), so_far))?;
            }
            event = shown.recv() => match event {
                Ok(event) => board.take(event),
                Err(RecvError::Lagged(missed)) => board.miss(missed),
                Err(RecvError::Closed) => is_open = false,
            },
        }
    }
    let so_far = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
    screen.draw(&board.lines(terminal_width().unwrap_or(80), so_far))
}

async fn print(mut shown: broadcast::Receiver<Shown>, is_json: bool) -> std::io::Result<()> {
    loop {
        let event = match shown.recv().await {
            Ok(event) => event,
            Err(RecvError::Lagged(missed)) => Shown::Notice { message: format!("{} more", count(missed, "event")) },
            Err(RecvError::Closed) => return Ok(()),
        };
        let line = if is_json { json!(event).to_string() } else { told(&event) };
        output::write(&format!("{line}\n"))?;
    }
}

/// One event as a plain line.
fn told(event: &Shown) -> String {
    match event {
        Shown::Arrived { what, from, text } => {
            format!("{:<14} {:<10} {}: {}", "arrived", what, one_line(from), one_line(text))
        }
        Shown::Person { did, text } => format!("{:<14} {:<10} {}", "on-call", did, one_line(text)),
        Shown::Done { flow, state, summary, elapsed_ms, .. } => {
            let took = elapsed_ms.map(|length| format!(" ({})", elapsed(length))).unwrap_or_default();
            format!("{:<14} {:<10} {}{took}", one_line(flow), one_line(state), one_line(summary))
        }
        Shown::Notice { message } => format!("{:<14} {}", "notice", one_line(message)),
    }
}

fn told_addresses(addresses: &Addresses) -> String {
    let Addresses { x, twilio, json, public, .. } = addresses;
    format!("X at {x}, Twilio at {twilio}, a JSON service at {json}, approval pages at {public}; Ctrl-C ends")
}

fn summarise(totals: &Totals, _: Form) -> String {
    let Totals { tweets_in, sms_in, sms_out, tweets_out, items_in, lines_out, left: behind, .. } = totals;
    let Totals { reports_in, asked, answered, replies_out, .. } = totals;
    let Totals { runs_succeeded, runs_failed, repeated, elapsed_ms, .. } = totals;
    let mut text = format!("\nIn {}:\n", elapsed(*elapsed_ms));
    text.push_str(&format!("  {} arrived, {sms_out} SMS sent for them\n", count(*tweets_in, "tweet")));
    text.push_str(&format!("  {sms_in} SMS arrived, {} posted for them\n", count(*tweets_out, "tweet")));
    let left = answered.saturating_sub(*replies_out);
    text.push_str(&format!(
        "  {} of an outage, {asked} asked about by SMS: {replies_out} answered on X, {left} left alone\n",
        count(*reports_in, "report")
    ));
    text.push_str(&format!("  {} arrived, {lines_out} written to a file\n", count(*items_in, "item")));
    if *behind > 0 {
        text.push_str(&format!("  {behind} of these were still on their way; a host that is kept goes on with them\n"));
    }
    text.push_str(&format!("  {} succeeded, {runs_failed} failed\n", count(*runs_succeeded, "run")));
    let repeats = match repeated {
        0 => "nothing was sent twice".to_owned(),
        number => format!("{} sent twice", count(*number, "write")),
    };
    text.push_str(&format!("  {repeats}\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_one_harmless_line_each() {
        let event = Shown::Arrived { what: "tweet", from: "@ada".into(), text: "one\ntwo\u{1b}[2J".into() };
        assert_eq!(told(&event), "arrived        tweet      @ada: one two [2J");
        let event = Shown::Done {
            flow: "sms-to-tweet".into(),
            state: "succeeded".into(),
            step: "x.post_tweet".into(),
            summary: "hello -> 17".into(),
            elapsed_ms: Some(12),
        };
        assert_eq!(told(&event), "sms-to-tweet   succeeded  hello -> 17 (12ms)");
    }

    #[test]
    fn the_summary_counts_both_ways() {
        let totals =
            Totals { tweets_in: 1, sms_out: 1, sms_in: 2, tweets_out: 2, elapsed_ms: 61_000, ..Totals::default() };
        let text = summarise(&totals, Form::Plain);
        assert!(
            text.contains("In 1m 1s:\n  1 tweet arrived, 1 SMS sent for them\n  2 SMS arrived, 2 tweets posted"),
            "{text}"
        );
        assert!(!text.contains("on their way"), "{text}");
        let totals = Totals { items_in: 3, lines_out: 2, left: 1, ..totals };
        let cut = summarise(&totals, Form::Plain);
        assert!(cut.contains("  3 items arrived, 2 written to a file\n  1 of these were still on their way"), "{cut}");
        assert!(text.contains("nothing was sent twice"), "{text}");
    }

    #[tokio::test]
    async fn what_was_told_before_the_end_is_still_shown() {
        let (teller, told) = broadcast::channel(8);
        let work = async move {
            teller.send(1).unwrap();
            Ok(Totals { sms_in: 3, ..Totals::default() })
        };
        let mut seen = Vec::new();
        let mut told = told;
        let show = async {
            while let Ok(number) = told.recv().await {
                seen.push(number);
            }
            Ok(())
        };
        assert_eq!(beside(work, show).await.unwrap().sms_in, 3);
        assert_eq!(seen, [1]);
    }
}
