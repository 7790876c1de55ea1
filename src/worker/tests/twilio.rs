//! Messages, calls and recordings of Twilio, polled: rows that come late, share a second or a day, are not complete
//! yet or are gone; pages that fail; clocks that differ. Each item starts one run, and none is lost.

use super::*;
use crate::sandbox::{DateGranularity, Fault, NewCall, NewSms, Service, TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN};

const MINUTE: i64 = 60_000;

/// A host that polls a sandbox's Twilio every five minutes.
struct Phone {
    folder: tempfile::TempDir,
    /// The host's.
    clock: Clock,
    /// The service's.
    service_clock: Clock,
    sandbox: Sandbox,
    options: Options,
    host: Arc<Host>,
}

impl Phone {
    async fn new(trigger: &str, granularity: DateGranularity) -> Phone {
        Phone::apart(trigger, granularity, NOON, 0).await
    }

    /// With a service whose clock is not the host's.
    async fn apart(trigger: &str, granularity: DateGranularity, now_ms: i64, ahead_ms: i64) -> Phone {
        let folder = tempfile::tempdir().unwrap();
        let (clock, service_clock) = (Clock::manual(now_ms), Clock::manual(now_ms + ahead_ms));
        let options = sandbox::Options {
            clock: service_clock.clone(),
            date_granularity: granularity,
            ..sandbox::Options::default()
        };
        let sandbox = Sandbox::start(options).await.unwrap();
        let project = folder.path().join("project");
        fs::create_dir_all(project.join("flows")).unwrap();
        let flow =
            format!("flow: f\ntrigger: {{poll: twilio.{trigger}, every: 5m}}\nsteps: [{{set: {{seen: true}}}}]\n");
        fs::write(project.join("flows/f.yaml"), flow).unwrap();
        let fields = format!("account_sid: {TWILIO_ACCOUNT_SID}, auth_token: {TWILIO_AUTH_TOKEN}");
        let url = sandbox.twilio_url();
        let settings = format!(
            "connections: {{twilio: {{connector: twilio, fields: {{{fields}}}, hosts: {{api: \"{url}\"}}}}}}\n"
        );
        fs::write(project.join("tidegate.yaml"), settings).unwrap();
        let options = Options::default();
        let host = host_of(folder.path(), &project, "twilio", &clock, &options).await;
        let phone = Phone { folder, clock, service_clock, sandbox, options, host };
        drain_due(&phone.host).await.unwrap();
        phone
    }

    /// Drops the host as a crash would, and opens another on the same file.
    async fn restart(&mut self) {
        self.host.store.clone().close().await.unwrap();
        let project = self.folder.path().join("project");
        self.host = host_of(self.folder.path(), &project, "twilio", &self.clock, &self.options).await;
    }

    fn advance(&self, ms: i64) {
        self.clock.advance(ms);
        self.service_clock.advance(ms);
    }

    async fn poll(&self) {
        self.advance(5 * MINUTE);
        drain_due(&self.host).await.unwrap();
    }

    fn add(&self, new: NewSms) -> Vec<String> {
        self.sandbox.control().add_sms(&new)
    }

    fn now(&self) -> i64 {
        self.service_clock.now_ms()
    }

    /// The keys of the items that started a run, sorted.
    async fn started(&self) -> Vec<String> {
        let runs = self.host.store.list_runs(Filter { limit: 10_000, ..Filter::default() }).await.unwrap();
        let mut keys: Vec<String> = runs.into_iter().filter_map(|run| run.item_key).collect();
        keys.sort();
        keys
    }

    fn fault(&self, fault: Fault) {
        self.sandbox.control().inject(Fault { service: Some(Service::Twilio), ..fault }).unwrap();
    }
}

fn sorted(parts: &[&[String]]) -> Vec<String> {
    let mut all = parts.concat();
    all.sort();
    all
}

#[tokio::test]
async fn messages_of_one_second_on_both_sides_of_a_page_cut_are_all_found_once() {
    for granularity in [DateGranularity::Day, DateGranularity::Time] {
        let phone = Phone::new("incoming_sms", granularity).await;
        let history = phone.add(NewSms { sent_ms: Some(NOON - MINUTE), ..NewSms::default() });
        phone.advance(MINUTE);
        // A page has 100: the cut goes through the second.
        let first = phone.add(NewSms { count: 99, ..NewSms::default() });
        let second = phone.add(NewSms { count: 150, ..NewSms::default() });
        phone.poll().await;
        phone.poll().await;
        let started = phone.started().await;
        assert_eq!(started, sorted(&[&first, &second]), "{granularity:?}");
        assert!(!started.contains(&history[0]));
    }
}

#[tokio::test]
async fn rows_that_show_up_minutes_or_hours_late_are_found_once() {
    for granularity in [DateGranularity::Day, DateGranularity::Time] {
        let phone = Phone::new("incoming_sms", granularity).await;
        phone.poll().await;
        let now = phone.now();
        let late = |after_ms| NewSms { sent_ms: Some(now), visible_ms: Some(now + after_ms), ..NewSms::default() };
        let on_time = phone.add(NewSms::default());
        let twelve_minutes = phone.add(late(12 * MINUTE));
        let twenty_minutes = phone.add(late(20 * MINUTE));
        let five_hours = phone.add(late(5 * HOUR));
        for _ in 0..(6 * 12) {
            phone.poll().await;
            phone.add(NewSms { outbound: true, ..NewSms::default() });
        }
        let expected = sorted(&[&on_time, &twelve_minutes, &twenty_minutes, &five_hours]);
        assert_eq!(phone.started().await, expected, "{granularity:?}");
    }
}

#[tokio::test]
async fn midnight_and_a_clock_that_is_ten_minutes_off_lose_nothing() {
    // 23:50 in UTC.
    let evening = NOON + 12 * HOUR - 10 * MINUTE;
    for granularity in [DateGranularity::Day, DateGranularity::Time] {
        for ahead_ms in [-10 * MINUTE, 0, 10 * MINUTE] {
            let phone = Phone::apart("incoming_sms", granularity, evening, ahead_ms).await;
            let mut sids = Vec::new();
            for _ in 0..6 {
                phone.advance(2 * MINUTE);
                sids.extend(phone.add(NewSms::default()));
                phone.advance(2 * MINUTE);
                sids.extend(phone.add(NewSms::default()));
                phone.poll().await;
            }
            sids.sort();
            assert_eq!(phone.started().await, sids, "{granularity:?}, {ahead_ms} ms ahead");
        }
    }
}

#[tokio::test]
async fn a_limit_on_page_two_and_a_crash_between_pages_repeat_nothing() {
    let mut phone = Phone::new("incoming_sms", DateGranularity::Day).await;
    phone.advance(MINUTE);
    let sids = phone.add(NewSms { count: 250, ..NewSms::default() });
    let limited = Fault { operation: Some("list_sms".to_owned()), skip: 1, status: Some(429), ..Fault::default() };
    phone.fault(limited);
    phone.poll().await;
    let walk = phone.host.store.open_walk("f".to_owned()).await.unwrap().expect("the walk is open");
    assert_eq!(walk.pages, 1);
    phone.restart().await;
    phone.poll().await;
    phone.poll().await;
    assert_eq!(phone.started().await, sorted(&[&sids]));
}

#[tokio::test]
async fn a_message_that_is_deleted_between_pages_makes_its_token_stale_and_loses_no_other() {
    let phone = Phone::new("incoming_sms", DateGranularity::Day).await;
    phone.advance(MINUTE);
    let mut sids = phone.add(NewSms { count: 250, ..NewSms::default() });
    let failing = Fault { operation: Some("list_sms".to_owned()), skip: 1, status: Some(503), ..Fault::default() };
    phone.fault(failing);
    phone.poll().await;
    // Newest first: the hundredth row ended the first page.
    let gone = sids.remove(150);
    assert!(phone.sandbox.control().remove_sms(&gone));
    phone.poll().await;
    phone.poll().await;
    let started = phone.started().await;
    let lost: Vec<&String> = sids.iter().filter(|sid| !started.contains(sid)).collect();
    assert!(lost.is_empty(), "{lost:?}");
    assert_eq!(started.len(), 250, "the one that was deleted had been seen");
}

#[tokio::test]
async fn more_than_a_thousand_new_rows_are_each_found_once() {
    let phone = Phone::new("incoming_sms", DateGranularity::Day).await;
    phone.advance(MINUTE);
    let sids = phone.add(NewSms { count: 1_250, ..NewSms::default() });
    for _ in 0..3 {
        phone.poll().await;
    }
    assert_eq!(phone.started().await, sorted(&[&sids]));
}

#[tokio::test]
async fn a_message_that_is_still_being_received_waits_until_it_is_complete_or_too_long() {
    let phone = Phone::new("incoming_sms", DateGranularity::Day).await;
    phone.poll().await;
    let soon = phone.add(NewSms { receiving_ms: 7 * MINUTE, media: 1, ..NewSms::default() });
    let never = phone.add(NewSms { receiving_ms: 48 * HOUR, ..NewSms::default() });
    phone.poll().await;
    assert!(phone.started().await.is_empty(), "neither is complete");
    phone.poll().await;
    assert_eq!(phone.started().await, sorted(&[&soon, &never]), "one is complete, the other taken as it is");
    phone.poll().await;
    assert_eq!(phone.started().await.len(), 2);
}

#[tokio::test]
async fn channels_and_numbers_are_told_apart_and_own_messages_are_none() {
    let whatsapp = || NewSms {
        from: "whatsapp:+41790000001".to_owned(),
        to: "whatsapp:+15550100100".to_owned(),
        ..NewSms::default()
    };
    let own = || NewSms { outbound: true, to: "+15550100100".to_owned(), ..NewSms::default() };
    let only = "incoming_sms, with: {to: \"whatsapp:+15550100100\"}";
    for (trigger, expects_all) in [("incoming_sms", true), (only, false)] {
        let phone = Phone::new(trigger, DateGranularity::Day).await;
        phone.advance(MINUTE);
        let plain = phone.add(NewSms::default());
        let channel = phone.add(whatsapp());
        phone.add(own());
        phone.poll().await;
        let expected = if expects_all { sorted(&[&plain, &channel]) } else { channel };
        assert_eq!(phone.started().await, expected, "{trigger}");
    }
}

#[tokio::test]
async fn a_message_that_fails_after_it_was_listed_as_sent_is_told_once() {
    let phone = Phone::new("delivery_failed", DateGranularity::Time).await;
    phone.poll().await;
    let sids = phone.add(NewSms { outbound: true, count: 3, ..NewSms::default() });
    phone.poll().await;
    assert!(phone.started().await.is_empty());
    assert!(phone.sandbox.control().fail_sms(&sids[0], 30003));
    phone.poll().await;
    assert_eq!(phone.started().await, [sids[0].clone()]);
    // Carriers report hours later.
    phone.advance(9 * HOUR);
    phone.poll().await;
    assert!(phone.sandbox.control().fail_sms(&sids[2], 30005));
    for _ in 0..8 {
        phone.poll().await;
    }
    assert_eq!(phone.started().await, sorted(&[&sids[..1], &sids[2..]]));
}

#[tokio::test]
async fn calls_and_recordings_are_told_once_when_they_are_ready() {
    let call = |phone: &Phone| NewCall {
        duration_ms: 12 * MINUTE,
        is_recorded: true,
        processing_ms: 8 * MINUTE,
        started_ms: Some(phone.now()),
        ..NewCall::default()
    };
    for (trigger, waits) in [("new_call", 1), ("new_call, with: {ended: true}", 3), ("new_recording", 5)] {
        let phone = Phone::new(trigger, DateGranularity::Day).await;
        phone.poll().await;
        let before = phone.started().await.len();
        phone.sandbox.control().add_calls(&call(&phone));
        let late = NewCall { visible_ms: Some(phone.now() + 3 * HOUR), ..call(&phone) };
        phone.sandbox.control().add_calls(&late);
        phone.sandbox.control().add_calls(&NewCall { outbound: true, duration_ms: 24 * HOUR, ..call(&phone) });
        for turn in 1..=waits {
            phone.poll().await;
            let expected = if turn == waits { 1 } else { 0 };
            assert_eq!(phone.started().await.len() - before, expected, "{trigger}, turn {turn}");
        }
        for _ in 0..(4 * 12) {
            phone.poll().await;
        }
        assert_eq!(phone.started().await.len() - before, 2, "{trigger}: with the one that was listed late");
    }
}
