//! What arrives in the demo: people who tweet about a harbour, people who text it, readings of its gauge, and reports
//! that its gate is stuck.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Map, json};
use tokio::sync::broadcast;

use super::settings::{HASHTAG, TRUSTED, WATCHED};
use super::{Shown, Totals};
use crate::sandbox::{Control, NewItems, NewSms, NewTweet};

// The first poll, which tells history from news, comes first.
const FIRST_AFTER: Duration = Duration::from_millis(900);
const BEAT: Duration = Duration::from_millis(1_200);
// SMS, readings and reports come on every so many beats.
const SMS_EVERY: usize = 2;
const READING_EVERY: usize = 3;
const REPORT_EVERY: usize = 2;

const TWEETS: [(&str, &str); 12] = [
    ("mara_sails", "First boat through the gate this morning, the water is like glass"),
    ("northpier", "Ferry to the island leaves twenty minutes late, bring a book"),
    ("kelp_and_co", "Fresh mussels at the north quay until noon or until they are gone"),
    ("old_lockkeeper", "Forty years I opened that gate by hand. Now a phone does it. Fine by me"),
    ("tideline", "Spring tide tonight, highest water at a quarter past nine"),
    ("jonas_on_deck", "Lost a red fender somewhere near the breakwater, there is coffee for the finder"),
    ("harbour_choir", "We rehearse on the steps at six, passers-by are welcome to hum along"),
    ("captain_ines", "Wind turns to the west, the small ones should be in by four"),
    ("gullwatch", "A heron on the crane again. It looks like it owns the place"),
    ("bakery_am_kai", "Cinnamon rolls, second batch, out of the oven in ten minutes 🥐"),
    ("rosa_rows", "Personal best on the inner loop: 21:40! My arms disagree with the joy"),
    ("dockside_vet", "Somebody brought a very small seal. It is fine, it was only curious"),
];

const TEXTS: [&str; 10] = [
    "North quay is full, please use the visitor berths on the east side",
    "Crane inspection done, everything is open again",
    "Seal spotted next to berth 14, keep your distance and your lunch",
    "The gate closes for maintenance at 23:00 for one hour",
    "Fuel dock is back, sorry for the wait and thanks for the patience",
    "Lantern festival on Saturday: boats with lights may enter after sunset",
    "Water taxi number 3 is running again",
    "Fog expected after midnight, horns on",
    "New pump at the west basin, please try it and tell us",
    "We found a red fender. Its owner owes somebody a coffee",
];

const REPORTS: [(&str, &str); 4] = [
    ("ferry_lena", "the gate is stuck half open and eight boats are waiting, is anybody looking?"),
    ("skipper_bo", "outage at the gate again? The display is dark and nothing moves"),
    ("prank_gull", "the gate is down, I saw a kraken take it. Send biscuits"),
    ("dinghy_dan", "stuck behind the gate with my dinghy. I forgot my oars at home, never mind"),
];

/// Makes things arrive until it is dropped.
pub async fn arrive(control: Control, shown: broadcast::Sender<Shown>, counted: Arc<Mutex<Totals>>) {
    tokio::time::sleep(FIRST_AFTER).await;
    let mut beat: usize = 0;
    loop {
        tweet(&control, &shown, beat);
        counted.lock().tweets_in += 1;
        if beat.is_multiple_of(SMS_EVERY) {
            text(&control, &shown, beat / SMS_EVERY);
            counted.lock().sms_in += 1;
        }
        if beat.is_multiple_of(REPORT_EVERY) {
            report(&control, &shown, beat / REPORT_EVERY);
            counted.lock().reports_in += 1;
        }
        if beat.is_multiple_of(READING_EVERY) {
            reading(&control, &shown, beat / READING_EVERY);
            counted.lock().items_in += 1;
        }
        beat += 1;
        tokio::time::sleep(BEAT).await;
    }
}

fn tweet(control: &Control, shown: &broadcast::Sender<Shown>, number: usize) {
    let Some((author, said)) = TWEETS.get(number % TWEETS.len()) else {
        return;
    };
    let text = format!("{said} {HASHTAG}");
    control.add_tweets(&NewTweet { author: (*author).to_owned(), text: text.clone(), ..NewTweet::default() });
    tell(shown, "tweet", &format!("@{author}"), text);
}

fn text(control: &Control, shown: &broadcast::Sender<Shown>, number: usize) {
    let (Some(said), Some(from)) = (TEXTS.get(number % TEXTS.len()), TRUSTED.get(number % TRUSTED.len())) else {
        return;
    };
    // X refuses a text that it has seen a short while ago.
    let round = number / TEXTS.len();
    let body = if round == 0 { (*said).to_owned() } else { format!("{said} (update {round})") };
    control.add_sms(&NewSms { from: (*from).to_owned(), body: body.clone(), ..NewSms::default() });
    tell(shown, "sms", from, body);
}

fn report(control: &Control, shown: &broadcast::Sender<Shown>, number: usize) {
    let Some((author, said)) = REPORTS.get(number % REPORTS.len()) else {
        return;
    };
    let text = format!("{WATCHED} {said}");
    control.add_tweets(&NewTweet { author: (*author).to_owned(), text: text.clone(), ..NewTweet::default() });
    tell(shown, "report", &format!("@{author}"), text);
}

fn reading(control: &Control, shown: &broadcast::Sender<Shown>, number: usize) {
    // Water goes up and down by a triangle of two metres.
    let phase = i64::try_from(number % 40).unwrap_or(0);
    let level_cm = 120 + 10 * (20 - (phase - 20).abs());
    let fields = json!({"gauge": "inner basin", "level_cm": level_cm});
    let fields: Map<_, _> = fields.as_object().cloned().unwrap_or_default();
    control.add_items(&NewItems { fields, ..NewItems::default() });
    tell(shown, "item", "gauge", format!("inner basin at {level_cm} cm"));
}

fn tell(shown: &broadcast::Sender<Shown>, what: &'static str, from: &str, text: String) {
    // An error means that nobody watches.
    let _ = shown.send(Shown::Arrived { what, from: from.to_owned(), text });
}
