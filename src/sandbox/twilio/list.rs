//! `GET Messages.json`: the filters by number and date, and keyset paging with `next_page_uri`.

use serde_json::{Value, json};

use super::answers::{Failure, VERSION, view};
use super::store::{Filter, Start, Store};
use crate::sandbox::Options;
use crate::sandbox::exchange::{Call, Parameters};

const DAY_MS: i64 = 86_400_000;

/// Whether `DateSent` filters look at the day alone or at the time as well. Reports about Twilio disagree;
/// a poller must be right under both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateGranularity {
    /// The time of day is ignored, and both bounds include their whole day.
    Day,
    /// Bounds are instants; a bare date is its midnight, so `DateSent<` excludes the day it names.
    Time,
}

/// The page that the call asks for.
pub(super) fn list(store: &Store, account: &str, options: &Options, call: &Call<'_>) -> Result<Value, Failure> {
    let parameters = call.parameters(false);
    let filter = read_filter(&parameters, options.date_granularity)?;
    let size = read_number(&parameters, "PageSize", 50)?;
    if size == 0 {
        return Err(Failure::bad_request(20001, "Page size must be greater than 0."));
    }
    let size = size.min(1_000);
    let number = read_number(&parameters, "Page", 0)?;
    let start = read_token(&parameters, store)?;

    let shown = call.page_limit.map_or(size, |limit| limit.min(size));
    let page = store.page(&filter, start, shown, call.now_ms);
    let has_older = page.has_older || call.page_limit.is_some();
    let uri = |page: usize, token: Option<String>| page_uri(account, &parameters, size, page, token);
    let older = page.messages.last().filter(|_| has_older).map(|last| format!("PA{}", last.sid));
    // An empty page that was injected goes on from where it began.
    let older =
        older.or_else(|| Some(parameters.get("PageToken").unwrap_or("").into()).filter(|_| call.page_limit.is_some()));
    let newer = page.messages.first().filter(|_| number > 0).map(|first| format!("PB{}", first.sid));
    let first = number * size;
    let own = parameters.get("PageToken").map(Into::into);
    let views: Vec<_> = page.messages.iter().map(|message| view(message, call.now_ms, options.delivery_ms)).collect();
    Ok(json!({
        "end": if views.is_empty() { 0 } else { first + views.len() - 1 },
        "first_page_uri": uri(0, None),
        "messages": views,
        "next_page_uri": older.map(|token| uri(number + 1, Some(token).filter(|token| !token.is_empty()))),
        "page": number,
        "page_size": size,
        "previous_page_uri": newer.map(|token| uri(number - 1, Some(token))),
        "start": if page.messages.is_empty() { 0 } else { first },
        "uri": uri(number, own),
    }))
}

fn read_filter(parameters: &Parameters<'_>, granularity: DateGranularity) -> Result<Filter, Failure> {
    let mut filter = Filter {
        to: parameters.filled("To").map(Into::into),
        from: parameters.filled("From").map(Into::into),
        ..Filter::default()
    };
    let from = parameters.filled("DateSent>").map(read_date).transpose()?;
    let until = parameters.filled("DateSent<").map(read_date).transpose()?;
    let on = parameters.filled("DateSent").map(read_date).transpose()?;
    let day = |ms: i64| ms.div_euclid(DAY_MS) * DAY_MS;
    let by_day = granularity == DateGranularity::Day;
    filter.from_ms = from.map(|(ms, _)| if by_day { day(ms) } else { ms });
    // Dates have a precision of seconds: a bound includes the second that it names.
    filter.until_ms = until.map(|(ms, _)| if by_day { day(ms) + DAY_MS - 1 } else { ms + 999 });
    if let Some((ms, is_bare)) = on {
        let (first, last) = if by_day || is_bare { (day(ms), day(ms) + DAY_MS - 1) } else { (ms, ms + 999) };
        filter.from_ms = Some(filter.from_ms.map_or(first, |from| from.max(first)));
        filter.until_ms = Some(filter.until_ms.map_or(last, |until| until.min(last)));
    }
    Ok(filter)
}

/// A date in ms, and whether it had no time.
pub(super) fn read_date(text: &str) -> Result<(i64, bool), Failure> {
    if let Ok(date) = text.parse::<jiff::civil::Date>()
        && text.len() == 10
        && let Ok(midnight) = date.to_zoned(jiff::tz::TimeZone::UTC)
    {
        return Ok((midnight.timestamp().as_millisecond(), true));
    }
    let time = text
        .parse::<jiff::Timestamp>()
        .ok()
        .or_else(|| jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok());
    match time {
        Some(time) => Ok((time.as_millisecond().div_euclid(1000) * 1000, false)),
        None => Err(Failure::bad_request(20001, "Invalid date value.")),
    }
}

pub(super) fn read_number(parameters: &Parameters<'_>, name: &str, default: usize) -> Result<usize, Failure> {
    match parameters.filled(name) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| Failure::bad_request(20001, format!("Invalid {name} value: {text}"))),
    }
}

fn read_token(parameters: &Parameters<'_>, store: &Store) -> Result<Start, Failure> {
    let Some(token) = parameters.filled("PageToken") else {
        return Ok(Start::Newest);
    };
    let stale = || Failure::bad_request(21481, format!("Invalid PageToken: {token}"));
    let (direction, sid) = token.split_at_checked(2).ok_or_else(stale)?;
    let place = store.find(sid, i64::MAX).ok_or_else(stale)?.place;
    match direction {
        "PA" => Ok(Start::OlderThan(place)),
        "PB" => Ok(Start::NewerThan(place)),
        _ => Err(stale()),
    }
}

/// Relative, with the filters as they were given.
fn page_uri(account: &str, parameters: &Parameters<'_>, size: usize, page: usize, token: Option<String>) -> String {
    const FILTERS: [&str; 5] = ["To", "From", "DateSent", "DateSent<", "DateSent>"];
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in parameters.pairs.iter().filter(|(name, _)| FILTERS.contains(&name.as_ref())) {
        query.append_pair(name, value);
    }
    query.append_pair("PageSize", &size.to_string()).append_pair("Page", &page.to_string());
    if let Some(token) = token {
        query.append_pair("PageToken", &token);
    }
    format!("/{VERSION}/Accounts/{account}/Messages.json?{}", query.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(granularity: DateGranularity, pairs: &[(&'static str, &'static str)]) -> (Option<i64>, Option<i64>) {
        let pairs = pairs.iter().map(|&(name, value)| (name.into(), value.into())).collect();
        let filter = read_filter(&Parameters { pairs }, granularity).unwrap();
        (filter.from_ms, filter.until_ms)
    }

    #[test]
    fn dates_bound_by_day_or_by_time() {
        // 2026-01-02T00:00:00Z
        let midnight = 1_767_312_000_000;
        let noon = midnight + DAY_MS / 2;
        let (from, until, on) = ("DateSent>", "DateSent<", "DateSent");
        for (granularity, pairs, expected) in [
            (DateGranularity::Day, vec![(from, "2026-01-02T12:00:00Z")], (Some(midnight), None)),
            (DateGranularity::Time, vec![(from, "2026-01-02T12:00:00Z")], (Some(noon), None)),
            (DateGranularity::Day, vec![(until, "2026-01-02")], (None, Some(midnight + DAY_MS - 1))),
            (DateGranularity::Time, vec![(until, "2026-01-02")], (None, Some(midnight + 999))),
            (DateGranularity::Time, vec![(until, "Fri, 02 Jan 2026 12:00:00 +0000")], (None, Some(noon + 999))),
            (DateGranularity::Time, vec![(on, "2026-01-02")], (Some(midnight), Some(midnight + DAY_MS - 1))),
            (
                DateGranularity::Day,
                vec![(on, "2026-01-02"), (from, "2026-01-03")],
                (Some(midnight + DAY_MS), Some(midnight + DAY_MS - 1)),
            ),
            (DateGranularity::Day, vec![("DateSentAfter", "2026-01-02")], (None, None)),
        ] {
            assert_eq!(window(granularity, &pairs), expected, "{granularity:?} {pairs:?}");
        }
    }

    #[test]
    fn other_dates_are_refused() {
        for text in ["yesterday", ">=2026-01-02", "2026-13-01", "2026-01-02 12:00"] {
            assert_eq!(read_date(text).unwrap_err().code, 20001, "{text}");
        }
    }
}
