use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::connector::selector::PathSource;
use crate::template::Scope;

const EPOCH: i64 = 1_288_834_974_657;

fn cursor(kind: Kind, field: &str) -> Cursor {
    Cursor {
        field: Some(JmesPath::compile(field).unwrap()),
        kind,
        order: Order::Desc,
        lookback_ms: 60_000,
        deep: None,
        max_age_ms: Some(7 * 86_400_000),
    }
}

fn snowflake() -> Cursor {
    cursor(Kind::Snowflake { epoch_ms: EPOCH, shift: 22 }, "id")
}

fn datetime(formats: &[&str], emit: &str) -> Cursor {
    let formats = formats.iter().map(|form| Form::compile(form).unwrap());
    cursor(Kind::Datetime { formats: formats.collect(), emit: Form::compile(emit).unwrap() }, "sent || created")
}

#[test]
fn a_snowflake_tells_its_time_and_back() {
    let cursor = snowflake();
    // The example of X's own documentation of ids.
    let position = cursor.position(&json!({"id": "1541815603606036480"})).unwrap().unwrap();
    assert_eq!(cursor.time_ms(&position), Some(1_656_432_460_105));
    let first = cursor.at_ms(1_656_432_460_105).unwrap();
    assert!(first <= position);
    assert_eq!(cursor.time_ms(&first), Some(1_656_432_460_105));
}

#[test]
fn times_are_read_in_every_form_and_written_in_one() {
    let cursor = datetime(&["rfc2822", "rfc3339", "epoch", "%Y-%m-%d %H:%M:%S", "%d.%m.%Y"], "%Y-%m-%d");
    for (value, expected) in [
        (json!("Fri, 24 May 2019 17:44:50 +0000"), 1_558_719_890_000),
        (json!("Fri, 24 May 2019 17:44:50 GMT"), 1_558_719_890_000),
        (json!("Fri, 24 May 2019 17:44:50 -0000"), 1_558_719_890_000),
        (json!("2019-05-24T19:44:50.250+02:00"), 1_558_719_890_250),
        (json!(1_558_719_890), 1_558_719_890_000),
        (json!("1558719890.5"), 1_558_719_890_500),
        (json!("2019-05-24 17:44:50"), 1_558_719_890_000),
        (json!("24.05.2019"), 1_558_656_000_000),
    ] {
        let position = cursor.position(&json!({"sent": value})).unwrap();
        assert_eq!(position, Some(Position::Instant(expected)), "{value}");
    }
    assert_eq!(cursor.emit(&Position::Instant(1_558_719_890_250)), json!("2019-05-24"));
    let position = cursor.position(&json!({"sent": null, "created": "24.05.2019"})).unwrap();
    assert_eq!(position, Some(Position::Instant(1_558_656_000_000)));
    for (form, expected) in [
        ("rfc3339", json!("2019-05-24T17:44:50.250Z")),
        ("rfc2822", json!("Fri, 24 May 2019 17:44:50 +0000")),
        ("epoch", json!(1_558_719_890)),
        ("epoch_ms", json!(1_558_719_890_250_i64)),
    ] {
        assert_eq!(Form::compile(form).unwrap().emit(1_558_719_890_250), expected, "{form}");
    }
}

#[test]
fn unreadable_and_missing_positions_fail_loudly() {
    let missing = snowflake().position(&json!({"text": "x"})).unwrap_err();
    assert_eq!(missing.code, "cursor_missing");
    for id in [json!("12a"), json!(1.5), json!(1e30), json!([1])] {
        let failure = snowflake().position(&json!({"id": id})).unwrap_err();
        assert_eq!(failure.code, "cursor_unreadable", "{id}");
    }
    let failure = datetime(&["rfc3339"], "rfc3339").position(&json!({"sent": "soon"})).unwrap_err();
    assert!(failure.message.contains("rfc3339"), "{}", failure.message);
}

#[test]
fn since_is_what_is_covered_or_else_the_value_less_the_lookback() {
    let cursor = datetime(&["rfc3339"], "rfc3339");
    let at = |ms| Some(Position::Instant(ms));
    for (value, covered, expected) in [
        (None, None, None),
        (at(100_000), None, at(40_000)),
        (None, Some(200_000), at(140_000)),
        (at(100_000), Some(200_000), at(140_000)),
        // listed late in a reading that began at 200 s: what its first pages could not list yet is older
        (at(300_000), Some(200_000), at(140_000)),
        // neither a record nor a clock of the future moves it past the server's time
        (at(9_000_000), None, at(940_000)),
        (None, Some(9_000_000), at(940_000)),
    ] {
        let since = cursor.since(value.as_ref(), covered, 60_000, 1_000_000);
        assert_eq!(since, expected, "{value:?} {covered:?}");
    }
    let id = Position::Integer(Integer::parse("41").unwrap());
    assert_eq!(integer().since(Some(&id), Some(5), 60_000, 9), Some(id));
    assert_eq!(cursor_of_none().since(None, Some(5), 0, 9), None);
}

fn integer() -> Cursor {
    cursor(Kind::Integer, "id")
}

fn cursor_of_none() -> Cursor {
    cursor(Kind::None, "id")
}

#[test]
fn a_record_of_the_future_counts_as_the_present() {
    let cursor = snowflake();
    let now = EPOCH + 10_000_000;
    let future = cursor.at_ms(now + 3_600_000).unwrap();
    let present = cursor.at_ms(now).unwrap();
    assert_eq!(cursor.advance(None, future, now), Some(present.clone()));
    let past = cursor.at_ms(now - 5_000).unwrap();
    assert_eq!(cursor.advance(Some(present.clone()), past.clone(), now), Some(present));
    assert_eq!(cursor.advance(None, past.clone(), now), Some(past));
}

#[test]
fn before_the_epoch_there_is_no_bound() {
    assert_eq!(snowflake().at_ms(EPOCH - 1), None);
    assert_eq!(snowflake().since(None, Some(EPOCH + 10), 60_000, EPOCH + 20), None);
}

#[test]
fn keys_tell_records_apart() {
    let scope = Scope::new();
    let path = |source: &str| PathSource::compile(source).unwrap();
    let record = json!({"id": 7, "a": "x", "b": "yz", "nested": {"q": 1, "p": 2}});
    let turned = json!({"nested": {"p": 2, "q": 1}, "b": "yz", "a": "x", "id": 7});
    assert_eq!(Key::Field(path("id")).of(&record, &scope).unwrap(), "7");
    let both = Key::Fields(vec![path("a"), path("b")]);
    assert_eq!(both.of(&record, &scope).unwrap(), r#"["x","yz"]"#);
    assert_ne!(both.of(&record, &scope).unwrap(), both.of(&json!({"a": "xy", "b": "z"}), &scope).unwrap());
    let whole = Key::Hash(Vec::new());
    assert_eq!(whole.of(&record, &scope).unwrap(), whole.of(&turned, &scope).unwrap());
    assert_eq!(Key::Field(path("@")).of(&record, &scope).unwrap(), whole.of(&turned, &scope).unwrap());
    assert_eq!(Key::Field(path("none")).of(&record, &scope).unwrap_err().code, "key_missing");
}

#[test]
fn a_key_can_come_from_inputs() {
    let mut scope = Scope::new();
    scope.set("inputs", json!({"id": "meta.uid"}));
    let key = Key::Field(PathSource::compile("{{inputs.id}}").unwrap());
    assert_eq!(key.of(&json!({"meta": {"uid": "u1"}}), &scope).unwrap(), "u1");
}

proptest! {
    #[test]
    fn integers_compare_as_numbers(left in any::<i128>(), right in any::<i128>(), zeros in 0_usize..4) {
        let padded = |number: i128| {
            let sign = if number < 0 { "-" } else { "" };
            format!("{sign}{}{}", "0".repeat(zeros), number.unsigned_abs())
        };
        let (a, b) = (Integer::parse(&padded(left)).unwrap(), Integer::parse(&right.to_string()).unwrap());
        prop_assert_eq!(a.cmp(&b), left.cmp(&right));
        prop_assert_eq!(a == b, left == right);
        prop_assert_eq!(a.to_string(), left.to_string());
    }

    #[test]
    fn a_position_survives_the_store(ms in 0_i64..4_000_000_000_000, id in any::<u128>()) {
        let time = Position::Instant(ms);
        prop_assert_eq!(datetime(&["rfc3339"], "rfc3339").parse(&time.to_string()), Some(time));
        let id = Position::Integer(Integer::from(id));
        prop_assert_eq!(integer().parse(&id.to_string()), Some(id));
    }

    /// Whatever was read, a record from within the lookback is asked for again: strictly after the bound for
    /// ids, at or after it for times.
    #[test]
    fn since_never_skips(
        value in proptest::option::of(0_i64..2_000_000_000),
        covered in proptest::option::of(0_i64..2_000_000_000),
        lookback in 0_i64..100_000_000,
        now in 1_i64..2_000_000_000,
        low_bits in 0_u128..(1 << 22),
    ) {
        let read_until = covered.or(value).map(|ms| ms.min(now));
        let cursor = snowflake();
        let id_at = |ms: i64| cursor.at_ms(EPOCH + ms);
        let since = cursor.since(
            value.and_then(id_at).as_ref(), covered.map(|ms| EPOCH + ms), lookback, EPOCH + now);
        if let (Some(since), Some(read_until)) = (since, read_until) {
            let earliest = (read_until - lookback).max(1);
            let id = u128::try_from(earliest).unwrap() << 22 | low_bits;
            prop_assert!(since < Position::Integer(Integer::from(id)));
        }
        let times = datetime(&["rfc3339"], "rfc3339");
        let bound = times.since(value.map(Position::Instant).as_ref(), covered, lookback, now);
        if let (Some(bound), Some(read_until)) = (bound, read_until) {
            prop_assert!(bound <= Position::Instant(read_until - lookback));
        }
    }
}
