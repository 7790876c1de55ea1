//! Which tweets a list's parameters mean: windows of ids and times, what X refuses about them, and the tokens
//! that continue a list.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::problems;
use super::store::id_at;
use crate::clock::rfc3339;
use crate::sandbox::Options;
use crate::sandbox::exchange::{Answer, Parameters};

/// Recent search and counts reach back so far.
const RECENT_MS: i64 = 7 * 24 * 3_600_000;

/// `end_time` must be so long ago.
const END_LAG_MS: i64 = 10_000;

/// Ids between which tweets are wanted, both excluded.
#[derive(Clone, Copy)]
pub(super) struct Window {
    pub after: u64,
    pub before: u64,
}

/// The window of recent search and counts.
pub(super) fn recent_window(parameters: &Parameters<'_>, options: &Options, now_ms: i64) -> Result<Window, Answer> {
    search_window(parameters, options, now_ms, now_ms - RECENT_MS)
}

/// The window of archive search: as far back as there are tweets, the last 30 days unless told otherwise.
pub(super) fn archive_window(parameters: &Parameters<'_>, options: &Options, now_ms: i64) -> Result<Window, Answer> {
    let mut window = search_window(parameters, options, now_ms, super::store::EPOCH_MS)?;
    if ["since_id", "start_time"].iter().all(|name| parameters.get(name).is_none()) {
        window.after = id_at(now_ms - 30 * 24 * 3_600_000).saturating_sub(1);
    }
    Ok(window)
}

fn search_window(
    parameters: &Parameters<'_>,
    options: &Options,
    now_ms: i64,
    oldest_ms: i64,
) -> Result<Window, Answer> {
    let given = |names: &[&str]| names.iter().any(|name| parameters.get(name).is_some());
    if given(&["since_id", "until_id"]) && given(&["start_time", "end_time"]) {
        let names = ["since_id", "until_id", "start_time", "end_time"];
        let values: Vec<(&str, Vec<&str>)> =
            names.iter().filter_map(|name| Some((*name, vec![parameters.get(name)?]))).collect();
        let values: Vec<(&str, &[&str])> = values.iter().map(|(name, values)| (*name, values.as_slice())).collect();
        let message = "Invalid use of 'since_id' or 'until_id' in conjunction with 'start_time' or 'end_time'.";
        return Err(problems::invalid_all(&values, message));
    }
    let mut window =
        Window { after: id_at(oldest_ms).saturating_sub(1), before: id_at(now_ms - options.index_lag_ms + 1) };
    for name in ["since_id", "until_id"] {
        let Some(id) = read_id(parameters, name)? else {
            continue;
        };
        if id <= id_at(oldest_ms) {
            let message = format!(
                "'{name}' must be a tweet id created after {}. Please use a '{name}' that is larger than {}",
                minute(oldest_ms),
                id_at(oldest_ms)
            );
            return Err(problems::invalid(name, &[&id.to_string()], &message));
        }
        match name {
            "since_id" => window.after = id,
            _ => window.before = window.before.min(id),
        }
    }
    let (start_ms, end_ms) = read_times(parameters)?;
    if let (Some(start_ms), Some(text)) = (start_ms, parameters.get("start_time")) {
        if start_ms < oldest_ms {
            let message = format!(
                "Invalid 'start_time':'{}'. 'start_time' must be on or after {}",
                minute(start_ms),
                minute(oldest_ms)
            );
            return Err(problems::invalid("start_time", &[text], &message));
        }
        window.after = id_at(start_ms).saturating_sub(1);
    }
    if let (Some(end_ms), Some(text)) = (end_ms, parameters.get("end_time")) {
        if end_ms > now_ms - END_LAG_MS {
            let message = format!(
                "Invalid 'end_time':'{}'. 'end_time' must be a minimum of 10 seconds prior to the request time.",
                minute(end_ms)
            );
            return Err(problems::invalid("end_time", &[text], &message));
        }
        window.before = window.before.min(id_at(end_ms));
    }
    Ok(window)
}

/// On timelines an id silently wins over a time.
pub(super) fn timeline_window(parameters: &Parameters<'_>, options: &Options, now_ms: i64) -> Result<Window, Answer> {
    let (start_ms, end_ms) = read_times(parameters)?;
    let after = match read_id(parameters, "since_id")? {
        Some(id) => id,
        None => start_ms.map_or(0, |start_ms| id_at(start_ms).saturating_sub(1)),
    };
    let before = match read_id(parameters, "until_id")? {
        Some(id) => id,
        None => end_ms.map_or(u64::MAX, id_at),
    };
    Ok(Window { after, before: before.min(id_at(now_ms - options.index_lag_ms + 1)) })
}

/// `start_time` and `end_time` in ms, in their order.
fn read_times(parameters: &Parameters<'_>) -> Result<(Option<i64>, Option<i64>), Answer> {
    let read = |name: &str| match parameters.get(name) {
        None => Ok(None),
        Some(text) => match text.parse::<jiff::Timestamp>() {
            Ok(time) => Ok(Some(time.as_millisecond())),
            Err(_) => {
                let message = format!("Invalid '{name}':'{text}'. '{name}' must be a valid RFC3339 date-time");
                Err(problems::invalid(name, &[text], &message))
            }
        },
    };
    let (start_ms, end_ms) = (read("start_time")?, read("end_time")?);
    if let (Some(start), Some(end)) = (start_ms, end_ms)
        && start >= end
    {
        let (start, end) = (minute(start), minute(end));
        let message = format!("Invalid 'start_time':'{start}'. 'start_time' must be before 'end_time':{end}");
        return Err(problems::invalid_all(&[("start_time", &[&start]), ("end_time", &[&end])], &message));
    }
    Ok((start_ms, end_ms))
}

fn read_id(parameters: &Parameters<'_>, name: &str) -> Result<Option<u64>, Answer> {
    let Some(text) = parameters.get(name) else {
        return Ok(None);
    };
    let valid = (1..=19).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse().ok().filter(|_| valid) {
        Some(id) => Ok(Some(id)),
        None => {
            let message = format!("The `{name}` query parameter value [{text}] does not match ^[0-9]{{1,19}}$");
            Err(problems::invalid(name, &[text], &message))
        }
    }
}

pub(super) fn read_number(
    parameters: &Parameters<'_>,
    name: &str,
    default: usize,
    least: usize,
    most: usize,
) -> Result<usize, Answer> {
    let Some(text) = parameters.get(name) else {
        return Ok(default);
    };
    text.parse().ok().filter(|number| (least..=most).contains(number)).ok_or_else(|| {
        let message = format!("The `{name}` query parameter value [{text}] is not between {least} and {most}");
        problems::invalid(name, &[text], &message)
    })
}

pub(super) fn read_choice<'p>(
    parameters: &'p Parameters<'_>,
    name: &str,
    all: &[&str],
) -> Result<Option<&'p str>, Answer> {
    match parameters.get(name) {
        Some(text) if !all.contains(&text) => {
            let message = format!("The `{name}` query parameter value [{text}] is not one of [{}]", all.join(","));
            Err(problems::invalid(name, &[text], &message))
        }
        choice => Ok(choice),
    }
}

/// X names every parameter that it does not know.
pub(super) fn refuse_unknown(parameters: &Parameters<'_>, own: &[&str], fields: &[&str]) -> Result<(), Answer> {
    let known = |name: &str| own.contains(&name) || fields.contains(&name);
    match parameters.pairs.iter().find(|(name, _)| !known(name)) {
        None => Ok(()),
        Some((name, value)) => {
            let all = own.iter().chain(fields).copied().collect::<Vec<_>>().join(",");
            let message = format!("The query parameter [{name}] is not one of [{all}]");
            Err(problems::invalid(name, &[value], &message))
        }
    }
}

/// Cuts the window where the token says that the last page ended.
pub(super) fn continue_from(
    parameters: &Parameters<'_>,
    names: &[&str],
    binding: u64,
    window: Window,
) -> Result<Window, Answer> {
    let mut given = names.iter().filter_map(|name| Some((*name, parameters.get(name)?)));
    let Some((name, text)) = given.next() else {
        return Ok(window);
    };
    if let Some((other, _)) = given.next() {
        let message = format!("'{name}' and '{other}' cannot be used together");
        return Err(problems::invalid(name, &[text], &message));
    }
    match read_token(text, binding) {
        Some(place) => Ok(Window { before: window.before.min(place), ..window }),
        None => {
            let message = format!("The `{name}` query parameter value [{text}] is not valid");
            Err(problems::invalid(name, &[text], &message))
        }
    }
}

/// The place where the last page of users ended; none on the first.
pub(super) fn read_place(parameters: &Parameters<'_>, name: &str, binding: u64) -> Result<Option<u64>, Answer> {
    let Some(text) = parameters.get(name) else { return Ok(None) };
    let place = read_token(text, binding);
    place.map(Some).ok_or_else(|| {
        let message = format!("The `{name}` query parameter value [{text}] is not valid");
        problems::invalid(name, &[text], &message)
    })
}

/// What a token is valid for: everything that was asked for except how the records look and how many.
pub(super) fn bind(parameters: &Parameters<'_>, subject: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    subject.hash(&mut hasher);
    for name in ["query", "start_time", "end_time", "since_id", "until_id", "exclude"] {
        parameters.get(name).hash(&mut hasher);
    }
    hasher.finish()
}

/// Opaque to callers: the place and the binding, 13 digits of base 36 each.
pub(super) fn token(place: u64, binding: u64) -> String {
    let digits = |mut number: u64| {
        let mut digits = [b'0'; 13];
        for digit in digits.iter_mut().rev() {
            *digit = b"0123456789abcdefghijklmnopqrstuvwxyz"[(number % 36) as usize];
            number /= 36;
        }
        String::from_utf8_lossy(&digits).into_owned()
    };
    format!("b26v89c19{}{}", digits(place), digits(binding))
}

fn read_token(text: &str, binding: u64) -> Option<u64> {
    let (place, bound) = text.strip_prefix("b26v89c19")?.split_at_checked(13)?;
    (u64::from_str_radix(bound, 36).ok()? == binding).then(|| u64::from_str_radix(place, 36).ok())?
}

/// `2026-07-31T11:45Z`, the form of times in X's messages.
fn minute(epoch_ms: i64) -> String {
    let full = rfc3339(epoch_ms);
    full.get(..16).map_or(full.clone(), |minute| format!("{minute}Z"))
}
