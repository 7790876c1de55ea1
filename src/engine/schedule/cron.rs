//! Cron expressions of five fields, or six with seconds first, in a time zone. The crate `cron` reads the
//! fields; days and clock changes are decided here, because the crate takes Sunday for 1, wants both day
//! fields to match, and mishandles repeated hours.
//!
//! Clock changes: a fixed hour that is left out fires once, where the gap ends; one that comes twice fires the
//! first time only. A wildcard hour follows the clock: nothing in a gap, both times in a repeated hour.

use std::str::FromStr;

use ::cron::{Schedule as Fields, TimeUnitSpec};
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::manifest::Problem;
use crate::template::closest;

/// Every combination of day, month and weekday comes back within so many days: leap years that fall on one
/// weekday are up to 40 years apart, across a century without a leap day.
const HORIZON_DAYS: i32 = 41 * 366;

const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const FIELDS: [(&str, &str); 6] = [
    ("second", "0-59"),
    ("minute", "0-59"),
    ("hour", "0-23"),
    ("day of the month", "1-31"),
    ("month", "1-12 or jan-dec"),
    ("day of the week", "0-7 or sun-sat, where 0 and 7 are Sunday"),
];

/// A cron expression in a time zone.
#[derive(Clone, Debug)]
pub struct Cron {
    source: String,
    fields: Fields,
    /// From Sunday.
    weekdays: [bool; 7],
    /// Whether one matching day field is enough, as it is where both are restricted.
    is_either_day_enough: bool,
    has_fixed_hours: bool,
    zone: TimeZone,
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source && self.zone == other.zone
    }
}

impl Cron {
    /// Reads an expression; `zone` is an IANA name, UTC where there is none.
    ///
    /// # Errors
    /// `cron_syntax`, `cron_never_fires`, `unknown_timezone`, at `/trigger`.
    pub fn parse(source: &str, zone: Option<&str>) -> Result<Cron, Problem> {
        let zone = find_zone(zone)?;
        let mut fields: Vec<String> = source.split_whitespace().map(str::to_lowercase).collect();
        if fields.len() == 5 {
            fields.insert(0, "0".to_owned());
        }
        let [second, minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(syntax(format!("`{source}` has {} fields", fields.len())).with_help(
                "write five: minute, hour, day of the month, month, day of the week; or six with seconds first",
            ));
        };
        let weekdays = weekdays(weekday).ok_or_else(|| wrong_field(weekday, FIELDS[5].0, FIELDS[5].1))?;
        for (place, field) in fields.iter().take(5).enumerate() {
            let mut alone = ["*"; 6];
            alone[place] = field;
            if Fields::from_str(&alone.join(" ")).is_err() {
                return Err(wrong_field(field, FIELDS[place].0, FIELDS[place].1));
            }
        }
        let expression = format!("{second} {minute} {hour} {day} {month} *");
        let cron = Cron {
            source: source.to_owned(),
            fields: Fields::from_str(&expression).map_err(|error| syntax(format!("`{source}`: {error}")))?,
            weekdays,
            is_either_day_enough: !is_wildcard(day) && !is_wildcard(weekday),
            has_fixed_hours: !is_wildcard(hour),
            zone,
        };
        match cron.next_civil(DateTime::constant(2000, 1, 1, 0, 0, 0, 0)) {
            Some(_) => Ok(cron),
            None => Err(Problem::new(
                "/trigger/cron",
                "cron_never_fires",
                format!("`{source}` never fires: no such day exists"),
            )
            .with_help("look at its day of the month and its month")),
        }
    }

    /// The first time strictly after `after_ms`, UTC epoch milliseconds; `None` beyond the calendar.
    pub fn next_after(&self, after_ms: i64) -> Option<i64> {
        let after = Timestamp::from_millisecond(after_ms).ok()?;
        let mut from = after.checked_add(Span::new().nanoseconds(1)).ok()?;
        loop {
            // From here to the next change of the clock the offset stands still: civil time is plain.
            let offset = self.zone.to_offset(from);
            let change = self.zone.following(from).next().map(|change| change.timestamp());
            let earliest = offset.to_datetime(from).max(self.repeated_until(from));
            let civil = self.next_civil(earliest)?;
            let instant = offset.to_timestamp(civil).ok()?;
            let Some(change) = change.filter(|change| *change <= instant) else {
                return Some(instant.as_millisecond());
            };
            let is_in_gap = civil < self.zone.to_offset(change).to_datetime(change);
            if is_in_gap && self.has_fixed_hours {
                return Some(change.as_millisecond());
            }
            from = change;
        }
    }

    /// The civil time up to which the clock at `from` shows what it has shown before: fixed hours do not
    /// fire again until then.
    fn repeated_until(&self, from: Timestamp) -> DateTime {
        let last_change = || {
            let just_after = from.checked_add(Span::new().nanoseconds(1)).ok()?;
            let change = self.zone.preceding(just_after).next()?.timestamp();
            let just_before = change.checked_sub(Span::new().nanoseconds(1)).ok()?;
            Some(self.zone.to_offset(just_before).to_datetime(change))
        };
        match self.has_fixed_hours {
            true => last_change().unwrap_or(DateTime::MIN),
            false => DateTime::MIN,
        }
    }

    /// The first matching civil time at or after `earliest`.
    fn next_civil(&self, earliest: DateTime) -> Option<DateTime> {
        let earliest = match earliest.subsec_nanosecond() {
            0 => earliest,
            fraction => earliest.checked_add(Span::new().nanoseconds(1_000_000_000 - i64::from(fraction))).ok()?,
        };
        let mut date = earliest.date();
        let end = date.checked_add(Span::new().days(HORIZON_DAYS)).ok()?;
        let mut since = earliest.time();
        while date <= end {
            let month = u32::from(date.month().unsigned_abs());
            if !self.fields.months().includes(month) {
                date = date.last_of_month().tomorrow().ok()?;
            } else if let Some(time) = self.time_on(date, since) {
                return Some(date.to_datetime(time));
            } else {
                date = date.tomorrow().ok()?;
            }
            since = Time::midnight();
        }
        None
    }

    fn time_on(&self, date: Date, since: Time) -> Option<Time> {
        let day = u32::from(date.day().unsigned_abs());
        let is_day = self.fields.days_of_month().includes(day);
        let weekday = usize::from(date.weekday().to_sunday_zero_offset().unsigned_abs());
        let is_weekday = self.weekdays.get(weekday).copied().unwrap_or(false);
        let matches = match self.is_either_day_enough {
            true => is_day || is_weekday,
            false => is_day && is_weekday,
        };
        if !matches {
            return None;
        }
        let start = |value: i8| u32::from(value.unsigned_abs());
        let (hour, minute, second) = (start(since.hour()), start(since.minute()), start(since.second()));
        for h in self.fields.hours().range(hour..) {
            let first_minute = if h == hour { minute } else { 0 };
            for m in self.fields.minutes().range(first_minute..) {
                let first_second = if (h, m) == (hour, minute) { second } else { 0 };
                if let Some(s) = self.fields.seconds().range(first_second..).next() {
                    let part = |value: u32| i8::try_from(value).ok();
                    return Time::new(part(h)?, part(m)?, part(s)?, 0).ok();
                }
            }
        }
        None
    }
}

fn is_wildcard(field: &str) -> bool {
    field.starts_with(['*', '?'])
}

/// The days that a weekday field names, from Sunday; 0 and 7 are Sunday, and a range may pass the week's end.
fn weekdays(field: &str) -> Option<[bool; 7]> {
    let mut days = [false; 7];
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse::<usize>().ok().filter(|step| *step > 0)?),
            None => (part, 1),
        };
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (weekday(first)? % 7, weekday(last)?),
            None if is_wildcard(range) => (0, 6),
            None if part.contains('/') => (weekday(range)? % 7, 6),
            None => (weekday(range)? % 7, weekday(range)? % 7),
        };
        let last = if last < first { last + 7 } else { last };
        for day in (first..=last).step_by(step) {
            *days.get_mut(day % 7)? = true;
        }
    }
    Some(days)
}

fn weekday(text: &str) -> Option<usize> {
    match text.parse::<usize>() {
        Ok(number) => (number <= 7).then_some(number),
        Err(_) => WEEKDAYS
            .iter()
            .position(|name| *name == text || (text.len() > 3 && text.starts_with(name) && text.ends_with("day"))),
    }
}

fn find_zone(name: Option<&str>) -> Result<TimeZone, Problem> {
    let Some(name) = name else {
        return Ok(TimeZone::UTC);
    };
    TimeZone::get(name).map_err(|_| {
        let problem = Problem::new("/trigger/timezone", "unknown_timezone", format!("there is no time zone `{name}`"));
        let known: Vec<String> = jiff::tz::db().available().map(|zone| zone.as_str().to_owned()).collect();
        match closest(name, known.iter().map(String::as_str)) {
            Some(known) => problem.with_help(format!("did you mean `{known}`?")),
            None => problem.with_help("write an IANA name such as `Europe/Zurich`"),
        }
    })
}

fn wrong_field(field: &str, name: &str, range: &str) -> Problem {
    syntax(format!("`{field}` is no {name}"))
        .with_help(format!("what can stand there is {range}; lists `1,2`, ranges `1-5` and steps `*/2` are possible"))
}

fn syntax(message: String) -> Problem {
    Problem::new("/trigger/cron", "cron_syntax", message)
}
