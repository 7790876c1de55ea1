//! Times. They go in as epoch milliseconds, as RFC 3339 or RFC 2822 text or as seen from now, and come out as RFC 3339
//! text in UTC. Calendar arithmetic happens in a time zone, UTC unless `timezone=` names another.

use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned, civil};
use serde_json::Value;

use super::super::error::Error;
use super::signature::{one, optional};
use super::{Arguments, Helper, Signature, Type};
use crate::clock;
use crate::formats::date::rfc2822;
use crate::formats::instant::from_now;

const TIME: &[super::Parameter] = &[one("time", Type::Time)];
const ZONE: super::Parameter = optional("timezone", Type::String);

pub(super) const HELPERS: &[Helper] = &[
    Helper::function(Signature::new("now", &[], Type::Time, "the time of the run's clock"), |a| {
        let now = a.scope.now_ms().ok_or_else(|| Error::new("template_clock", "`now`: there is no clock here"))?;
        Ok(clock::rfc3339(now).into())
    }),
    Helper::function(
        Signature::new(
            "date_add",
            &[one("time", Type::Time), one("duration", Type::Duration)],
            Type::Time,
            "a time plus a duration such as `90s`, `-2h 30m`, `7 days`, `1 month`",
        )
        .with_options(&[ZONE]),
        date_add,
    ),
    Helper::function(
        Signature::new(
            "date_format",
            &[one("time", Type::Time), optional("format", Type::String)],
            Type::String,
            "a time as text: a strftime format such as `%Y-%m-%d %H:%M`, or RFC 3339 with the zone's offset",
        )
        .with_options(&[ZONE]),
        date_format,
    ),
    Helper::function(
        Signature::new(
            "parse_date",
            &[one("text", Type::Time)],
            Type::Time,
            "a time out of RFC 3339 or RFC 2822 text, text such as `3 days ago` or epoch milliseconds, or by a strftime format=",
        )
        .with_options(&[optional("format", Type::String), ZONE]),
        parse_date,
    ),
    Helper::function(
        Signature::new(
            "date_of",
            &[one("value", Type::Any)],
            Type::Any,
            "the same as `parse_date`, but null for what is no time, or seen from now: for data that nobody vouches for",
        )
        .with_options(&[optional("format", Type::String), ZONE]),
        date_of,
    ),
    Helper::function(
        Signature::new("epoch_ms", TIME, Type::Integer, "a time as milliseconds since 1970 in UTC")
            .with_options(&[ZONE]),
        |a| Ok(Value::from(time(a)?.as_millisecond())),
    ),
    Helper::function(
        Signature::new(
            "snowflake_time",
            &[one("id", Type::Text)],
            Type::Time,
            "the time that a snowflake id holds; epoch_ms= and shift= as its service has them, X's without",
        )
        .with_options(&[optional("epoch_ms", Type::Integer), optional("shift", Type::Integer)]),
        snowflake_time,
    ),
];

fn date_add(a: &Arguments<'_>) -> Result<Value, Error> {
    let start = zoned(a)?;
    let span: Span = a.string(1)?.parse().map_err(|_| {
        a.fail(format!("{} is not a duration", a.expression(1)))
            .with_help("write for example `90s`, `-2h 30m` or `7 days`")
    })?;
    let end = start.checked_add(span).map_err(|_| outside(a))?;
    Ok(written(end.timestamp()))
}

fn date_format(a: &Arguments<'_>) -> Result<Value, Error> {
    let time = zoned(a)?;
    let text = match a.value(1) {
        Value::Null => time.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        _ => strtime::format(a.string(1)?, &time)
            .map_err(|error| a.fail(format!("the format cannot be used: {error}")))?,
    };
    Ok(text.into())
}

fn parse_date(a: &Arguments<'_>) -> Result<Value, Error> {
    let Some(format) = a.text_option("format")? else {
        return Ok(written(time(a)?));
    };
    let text = a.string(0)?;
    // The error of the crate repeats the text, which is data.
    let unread = || a.fail(format!("{} is not written in this format", a.expression(0)));
    let parsed = strtime::parse(format, text).map_err(|_| unread())?;
    if let Ok(time) = parsed.to_timestamp() {
        return Ok(written(time));
    }
    let local =
        parsed.to_datetime().or_else(|_| parsed.to_date().map(|date| date.at(0, 0, 0, 0))).map_err(|_| unread())?;
    Ok(written(local.to_zoned(zone(a)?).map_err(|_| outside(a))?.timestamp()))
}

fn date_of(a: &Arguments<'_>) -> Result<Value, Error> {
    // A zone or a format that cannot be is the template's mistake, whatever the value.
    zone(a)?;
    let is_from_now = a.text_option("format")?.is_none() && a.value(0).as_str().is_some_and(|t| from_now(t).is_some());
    Ok(parse_date(a).ok().filter(|_| !is_from_now).unwrap_or(Value::Null))
}

fn snowflake_time(a: &Arguments<'_>) -> Result<Value, Error> {
    let id: u64 = a.text(0)?.parse().map_err(|_| a.fail(format!("{} is not a snowflake id", a.expression(0))))?;
    let epoch_ms = a.integer_option("epoch_ms")?.unwrap_or(1_288_834_974_657);
    let shift = a.integer_option("shift")?.unwrap_or(22);
    let shift =
        u32::try_from(shift).ok().filter(|shift| *shift < 64).ok_or_else(|| a.fail("`shift` has to be 0 to 63"))?;
    let since = i64::try_from(id >> shift).map_err(|_| outside(a))?;
    let epoch_ms = epoch_ms.checked_add(since).ok_or_else(|| outside(a))?;
    Timestamp::from_millisecond(epoch_ms).map(written).map_err(|_| outside(a))
}

/// The first argument as a time, seen in the zone of the call.
fn zoned(a: &Arguments<'_>) -> Result<Zoned, Error> {
    Ok(time(a)?.to_zoned(zone(a)?))
}

fn zone(a: &Arguments<'_>) -> Result<TimeZone, Error> {
    match a.text_option("timezone")? {
        None => Ok(TimeZone::UTC),
        Some(name) => TimeZone::get(name).map_err(|_| {
            a.fail("this time zone is not known").with_help("write a name of the IANA database such as `Europe/Zurich`")
        }),
    }
}

/// The first argument as a time. A date or a time without offset is one of the call's zone.
fn time(a: &Arguments<'_>) -> Result<Timestamp, Error> {
    let text = match a.value(0) {
        Value::Number(_) => {
            return Timestamp::from_millisecond(a.integer(0)?).map_err(|_| outside(a));
        }
        Value::String(text) => text.trim(),
        _ => return Err(a.mistyped(0, Type::Time)),
    };
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    if let Some(time) = rfc2822(text) {
        return Ok(time);
    }
    if let (Some(span), Some(now)) = (from_now(text), a.scope.now_ms()) {
        let now = Timestamp::from_millisecond(now).map_err(|_| outside(a))?.to_zoned(zone(a)?);
        return Ok(now.checked_add(span).map_err(|_| outside(a))?.timestamp());
    }
    match text.parse::<civil::DateTime>() {
        Ok(local) => Ok(local.to_zoned(zone(a)?).map_err(|_| outside(a))?.timestamp()),
        Err(_) => Err(a.fail(format!("{} is not a time", a.expression(0))).with_help(
            "a time is RFC 3339 or RFC 2822 text, text such as `3 days ago` or epoch milliseconds as a number; other forms are read with `parse_date x format='…'`",
        )),
    }
}

fn written(time: Timestamp) -> Value {
    clock::rfc3339(time.as_millisecond()).into()
}

fn outside(a: &Arguments<'_>) -> Error {
    a.fail("this time is outside the calendar")
}
