//! The demo as a whole: what arrives comes out on the other side.

use std::time::Duration;

use tidegate::app::demo::{Shown, Totals, start};

#[tokio::test]
async fn tweets_become_sms_and_sms_become_tweets() {
    let demo = start().await.unwrap_or_else(|error| panic!("{error:#?}"));
    let books = demo.books();
    let mut shown = demo.shown();
    let is_enough = |totals: &Totals| totals.sms_out >= 2 && totals.tweets_out >= 1;
    let stop = {
        let books = books.clone();
        async move {
            for _ in 0..200 {
                if is_enough(&books.totals()) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    };
    let totals = demo.work(stop).await.unwrap();
    let mut lines = Vec::new();
    while let Ok(line) = shown.try_recv() {
        lines.push(line);
    }
    assert!(is_enough(&totals), "{totals:#?} {lines:#?}");
    assert_eq!((totals.runs_failed, totals.repeated), (0, 0), "{lines:#?}");
    assert!(lines.iter().any(|line| matches!(line, Shown::Arrived { what: "sms", .. })));
    assert!(
        lines.iter().any(|line| matches!(line, Shown::Done { flow, summary, .. } if flow == "tweet-to-sms" && summary.contains("harbour"))),
        "{lines:#?}"
    );
}
