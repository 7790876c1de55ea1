//! The demo as a whole: what arrives comes out on the other side, and what a person is asked they decide.

use std::future::pending;
use std::time::Duration;

use tidegate::app::demo::{Shown, Totals, start};
use tidegate::web;

#[tokio::test]
async fn tweets_become_sms_and_sms_tweets_and_a_person_decides_about_reports() {
    let public = web::bind("127.0.0.1:0", "public.listen:").await.unwrap().unwrap();
    let demo = start(public.address()).await.unwrap_or_else(|error| panic!("{error:#?}"));
    let serving = tokio::spawn(public.serve(web::public::router(demo.live()), pending()));
    let books = demo.books();
    let mut shown = demo.shown();
    // By link, by reply, and a no: the first three reports.
    let is_enough = |totals: &Totals| {
        totals.sms_out >= 2 && totals.tweets_out >= 1 && totals.replies_out >= 2 && totals.answered > totals.replies_out
    };
    let stop = {
        let books = books.clone();
        async move {
            for _ in 0..600 {
                if is_enough(&books.totals()) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    };
    let totals = demo.work(stop).await.unwrap();
    serving.abort();
    let mut lines = Vec::new();
    while let Ok(line) = shown.try_recv() {
        lines.push(line);
    }
    assert!(is_enough(&totals), "{totals:#?} {lines:#?}");
    assert_eq!((totals.runs_failed, totals.repeated), (0, 0), "{lines:#?}");
    assert!(lines.iter().any(|line| matches!(line, Shown::Arrived { what: "sms", .. })));
    // What is said to be written was, and what arrived and was not is said.
    let written = |line: &&Shown| matches!(line, Shown::Done { flow, state, .. } if flow == "json-to-file" && state == "succeeded");
    assert_eq!(totals.lines_out, lines.iter().filter(written).count() as u64, "{totals:#?} {lines:#?}");
    let Totals { tweets_in, sms_out, sms_in, tweets_out, items_in, lines_out, answered, settled, .. } = totals;
    let pairs = [(tweets_in, sms_out), (sms_in, tweets_out), (items_in, lines_out), (answered, settled)];
    let behind: u64 = pairs.iter().map(|(arrived, done)| arrived.saturating_sub(*done)).sum();
    assert_eq!(totals.left, behind, "{totals:#?}");
    let done = |flow: &str, with: &str| {
        lines
            .iter()
            .any(|line| matches!(line, Shown::Done { flow: of, summary, .. } if of == flow && summary.contains(with)))
    };
    assert!(done("tweet-to-sms", "harbour"), "{lines:#?}");
    assert!(done("outage-watch", "approve (link): A diver looks at the gate now"), "{lines:#?}");
    assert!(done("outage-watch", "approve (sms): We know, it opens again"), "{lines:#?}");
    assert!(done("outage-watch", "reject (link)"), "{lines:#?}");
    // A report that was left alone is answered by nobody, and no answer comes back as an SMS of its own.
    assert!(!done("outage-watch", "reject (link):"), "{lines:#?}");
    assert!(!done("sms-to-tweet", "yes We know"), "{lines:#?}");
}
