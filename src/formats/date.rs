//! Dates of mail and of HTTP (RFC 2822, RFC 9110 section 5.6.7): one reading for templates, inputs and cursors.

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

/// A wrong day of the week does not make a date another one: some services print the wrong one.
static PARSER: DateTimeParser = DateTimeParser::new().relaxed_weekday(true);

/// Reads `Fri, 24 May 2019 17:44:50 +0000`, also with `-0000`, `GMT` or `UTC` at its end.
pub fn rfc2822(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    PARSER.parse_timestamp(text).ok().or_else(|| {
        let without_zone = text.strip_suffix("GMT").or_else(|| text.strip_suffix("UTC"))?;
        PARSER.parse_timestamp(format!("{without_zone}+0000")).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_that_services_print_is_the_same_moment() {
        let zones = ["+0000", "-0000", "GMT", "UTC"];
        for (day, zone) in zones.iter().flat_map(|zone| [("Fri, ", zone), ("Mon, ", zone), ("", zone)]) {
            let text = format!(" {day}24 May 2019 17:44:50 {zone} ");
            assert_eq!(rfc2822(&text).map(|time| time.as_second()), Some(1_558_719_890), "{text}");
        }
        for text in ["", "Fri, 24 May 2019", "2019-05-24T17:44:50Z", "Fri, 32 May 2019 17:44:50 +0000"] {
            assert_eq!(rfc2822(text), None, "{text}");
        }
    }
}
