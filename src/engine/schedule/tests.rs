//! Schedules: tables for what is written in words, croner as an oracle for the rest.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use proptest::prelude::*;

use super::*;

fn ms(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

fn cron(text: &str, zone: &str) -> Cron {
    Cron::parse(text, Some(zone)).unwrap_or_else(|problem| panic!("{problem:?}"))
}

fn next(text: &str, zone: &str, after: &str) -> String {
    let next = cron(text, zone).next_after(ms(after)).unwrap();
    Timestamp::from_millisecond(next).unwrap().to_string()
}

#[test]
fn expressions_mean_what_crontab_says() {
    let from = "2026-11-20T13:19:30Z"; // a Friday
    for (text, expected) in [
        ("* * * * *", "2026-11-20T13:20:00Z"),
        ("*/10 * * * * *", "2026-11-20T13:19:40Z"),
        ("0 9 * * 1-5", "2026-11-23T09:00:00Z"),
        ("0 9 * * mon", "2026-11-23T09:00:00Z"),
        ("0 9 * * 0", "2026-11-22T09:00:00Z"),
        ("0 9 * * 7", "2026-11-22T09:00:00Z"),
        ("0 9 * * sunday", "2026-11-22T09:00:00Z"),
        ("0 9 * * 5-7", "2026-11-21T09:00:00Z"),
        ("0 9 * * SAT-MON", "2026-11-21T09:00:00Z"),
        ("0 0 13 * 5", "2026-11-27T00:00:00Z"),
        ("0 0 21 * 5", "2026-11-21T00:00:00Z"),
        ("0 0 29 2 *", "2028-02-29T00:00:00Z"),
        ("0 0 29 feb *", "2028-02-29T00:00:00Z"),
        ("30 13 * * *", "2026-11-20T13:30:00Z"),
        ("19 13 * * *", "2026-11-21T13:19:00Z"),
    ] {
        assert_eq!(next(text, "UTC", from), expected, "{text}");
    }
}

#[test]
fn the_next_time_is_strictly_later() {
    assert_eq!(next("0 9 * * *", "UTC", "2026-11-20T09:00:00Z"), "2026-11-21T09:00:00Z");
    assert_eq!(next("0 9 * * *", "UTC", "2026-11-20T08:59:59.999Z"), "2026-11-20T09:00:00Z");
    assert_eq!(next("0 9 * * *", "UTC", "2026-11-20T09:00:00.001Z"), "2026-11-21T09:00:00Z");
}

#[test]
fn clock_changes_lose_nothing_and_repeat_no_fixed_hour() {
    // Zurich: 2026-03-29 02:00 to 03:00 (01:00Z), 2026-10-25 03:00 to 02:00 (01:00Z).
    for (text, after, expected) in [
        ("30 2 * * *", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"),
        ("30 2 * * *", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"),
        ("*/15 2 * * *", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"),
        ("*/15 2 * * *", "2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"),
        ("0 2,3 * * *", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"),
        ("0 2,3 * * *", "2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"),
        ("30 * * * *", "2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z"),
        ("30 2 * * *", "2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z"),
        ("30 2 * * *", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"),
        ("30 2 * * *", "2026-10-25T01:10:00Z", "2026-10-26T01:30:00Z"),
        ("0 3 * * *", "2026-10-25T00:30:00Z", "2026-10-25T02:00:00Z"),
        ("30 * * * *", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"),
        ("30 * * * *", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"),
    ] {
        assert_eq!(next(text, "Europe/Zurich", after), expected, "{text} after {after}");
    }
}

#[test]
fn mistakes_are_told() {
    for (text, zone, code, help) in [
        ("0 0 30 2 *", None, "cron_never_fires", "day of the month"),
        ("0 0 31 4,6,9,11 *", None, "cron_never_fires", "day of the month"),
        ("61 * * * *", None, "cron_syntax", "0-59"),
        ("* 24 * * *", None, "cron_syntax", "0-23"),
        ("* * * * 8", None, "cron_syntax", "0-7"),
        ("* * * * foo", None, "cron_syntax", "sun-sat"),
        ("*/0 * * * *", None, "cron_syntax", "steps"),
        ("* * *", None, "cron_syntax", "write five"),
        ("@daily", None, "cron_syntax", "write five"),
        ("* * * * * * 2027", None, "cron_syntax", "write five"),
        ("* * * * *", Some("Europe/Zürich"), "unknown_timezone", "`Europe/Zurich`"),
        ("* * * * *", Some("Nowhere"), "unknown_timezone", "IANA"),
    ] {
        let problem = Cron::parse(text, zone).unwrap_err();
        assert_eq!(problem.code, code, "{text}");
        assert!(problem.help.as_deref().unwrap_or_default().contains(help), "{text}: {problem:?}");
    }
}

#[test]
fn a_trigger_has_one_schedule() {
    let trigger = |yaml: &str| Schedule::of_trigger(&serde_yaml::from_str(yaml).unwrap());
    assert_eq!(trigger("{every: 5m}"), Ok(Some(Schedule::Every(Duration::from_secs(300)))));
    assert_eq!(trigger("{poll: x.new_tweet}"), Ok(None));
    assert!(matches!(trigger("{cron: 0 9 * * *, timezone: Asia/Tokyo}"), Ok(Some(Schedule::Cron(_)))));
    for (yaml, code) in [
        ("{every: 5m, cron: 0 9 * * *}", "schedule_conflict"),
        ("{every: 0s}", "every_zero"),
        ("{every: 5m, timezone: UTC}", "timezone_without_cron"),
    ] {
        assert_eq!(trigger(yaml).unwrap_err().code, code, "{yaml}");
    }
}

#[test]
fn intervals_are_spread_over_names() {
    let hourly = Schedule::Every(Duration::from_secs(3_600));
    let mut minutes = std::collections::BTreeSet::new();
    for number in 0..500 {
        let due_ms = hourly.next_due(0, &format!("flow-{number}")).unwrap();
        minutes.insert(due_ms / 60_000);
    }
    assert!(minutes.len() > 55, "500 flows poll in {} of 60 minutes", minutes.len());
    // Written down once: another phase after an update of this program would poll twice or late.
    assert_eq!(hourly.next_due(0, "tweet-to-sms"), Some(2_524_743));
}

#[test]
fn what_was_missed_is_made_up_for_as_told() {
    let hour_ms = 3_600_000;
    let hourly = Schedule::Every(Duration::from_ms(hour_ms));
    let first_ms = hourly.next_due(0, "a").unwrap();
    let now_ms = first_ms + 5 * hour_ms + 600_000;
    let missed = |policy, last_ms, now_ms| hourly.missed(policy, last_ms + 1, now_ms, "a");
    assert_eq!(missed(Missed::RunAll, first_ms, now_ms), (1..=5).map(|n| first_ms + n * hour_ms).collect::<Vec<_>>());
    assert_eq!(missed(Missed::RunOnce, first_ms, now_ms), [first_ms + 5 * hour_ms]);
    assert_eq!(missed(Missed::Skip, first_ms, now_ms), [0_i64; 0]);
    assert_eq!(
        missed(Missed::Skip, first_ms, first_ms + hour_ms + 500),
        [first_ms + hour_ms],
        "a little late is not missed"
    );
    assert_eq!(missed(Missed::RunAll, first_ms, first_ms + 10), [0_i64; 0]);
    let each_second = Schedule::Cron(Box::new(cron("* * * * * *", "UTC")));
    let year_ms = 365 * 86_400_000;
    let all = each_second.missed(Missed::RunAll, 1, year_ms, "a");
    assert_eq!((all.len(), all.last()), (MAX_MISSED, Some(&year_ms)));
}

const ZONES: [&str; 5] = ["UTC", "Europe/Zurich", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"];

fn field(from: u8, to: u8) -> impl Strategy<Value = String> {
    prop_oneof![
        Just("*".to_owned()),
        (from..=to).prop_map(|value| value.to_string()),
        (from..=to, from..=to).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
        (from..=to, from..=to).prop_map(|(a, b)| format!("{a},{b}")),
        (2_u8..=6).prop_map(|step| format!("*/{step}")),
    ]
}

/// Expressions on whose clock changes croner agrees about what is fixed: hour and minute both single, or a
/// wildcard hour.
fn times() -> impl Strategy<Value = String> {
    prop_oneof![
        (0_u8..60, 0_u8..24).prop_map(|(minute, hour)| format!("{minute} {hour}")),
        (field(0, 59), prop_oneof![Just("*"), Just("*/2"), Just("*/5")])
            .prop_map(|(minute, hour)| format!("{minute} {hour}")),
    ]
}

/// Steps over a day field count as a wildcard here and as a restriction for croner: left out.
fn days() -> impl Strategy<Value = String> {
    let plain = |field: String| !field.contains('/');
    (
        field(1, 28).prop_filter("no steps", move |text| plain(text.clone())),
        field(1, 12),
        field(0, 6).prop_filter("no steps", move |text| plain(text.clone())),
    )
        .prop_map(|(day, month, weekday)| format!("{day} {month} {weekday}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn croner_agrees(times in times(), days in days(), zone in 0..ZONES.len(), after_s in 1_700_000_000_i64..1_900_000_000) {
        let text = format!("{times} {days}");
        let ours = cron(&text, ZONES[zone]);
        let oracle: croner::Cron = text.parse().unwrap();
        let mut at = Timestamp::from_second(after_s).unwrap();
        for _ in 0..20 {
            let now: Zoned = at.to_zoned(TimeZone::get(ZONES[zone]).unwrap());
            let expected = oracle.find_next_occurrence(&now, false).unwrap().timestamp();
            let found = Timestamp::from_millisecond(ours.next_after(at.as_millisecond()).unwrap()).unwrap();
            prop_assert_eq!(found, expected, "{} in {} after {}", text, ZONES[zone], now);
            at = found;
        }
    }

    #[test]
    fn croner_agrees_around_clock_changes(times in times(), zone in 1..4_usize, change in 0..8_usize, before_s in 0_i64..20_000) {
        let text = format!("{times} * * *");
        let tz = TimeZone::get(ZONES[zone]).unwrap();
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let change = tz.following(start).nth(change).unwrap().timestamp();
        let ours = cron(&text, ZONES[zone]);
        let oracle: croner::Cron = text.parse().unwrap();
        let mut at = Timestamp::from_second(change.as_second() - before_s).unwrap();
        for _ in 0..12 {
            let expected = oracle.find_next_occurrence(&at.to_zoned(tz.clone()), false).unwrap().timestamp();
            let found = Timestamp::from_millisecond(ours.next_after(at.as_millisecond()).unwrap()).unwrap();
            prop_assert_eq!(found, expected, "{} in {} after {}", text, ZONES[zone], at);
            at = found;
        }
    }

    #[test]
    fn an_interval_is_strictly_later_and_keeps_its_place(every_ms in 1_i64..100_000_000, after_ms in -1_000_000_000_000_i64..4_000_000_000_000, name in "[a-z]{1,8}") {
        let schedule = Schedule::Every(Duration::from_ms(every_ms));
        let due_ms = schedule.next_due(after_ms, &name).unwrap();
        prop_assert!(due_ms > after_ms && due_ms - after_ms <= every_ms);
        prop_assert_eq!(schedule.next_due(due_ms, &name), Some(due_ms + every_ms));
        prop_assert_eq!(schedule.next_due(due_ms - 1, &name), Some(due_ms));
    }
}
