//! Phone numbers in E.164 form (ITU-T E.164: at most 15 digits, the country code first), also as the addresses
//! that messaging services make of them for WhatsApp and RCS.

/// What an address of that number on WhatsApp begins with (Twilio's documentation of channel addresses).
pub const WHATSAPP: &str = "whatsapp:";

/// What an address of that number on RCS begins with (the same page).
const RCS: &str = "rcs:";

/// Whether a text is a `+` and 2 to 15 digits of which the first is not 0, perhaps after `whatsapp:` or `rcs:`. Says
/// what stands in the way.
pub fn validate(text: &str) -> Result<(), String> {
    let number = text.strip_prefix(WHATSAPP).or_else(|| text.strip_prefix(RCS)).unwrap_or(text);
    let Some(digits) = number.strip_prefix('+') else {
        return Err("a phone number begins with `+` and its country code, as in `+41791234567`".to_owned());
    };
    if let Some(other) = digits.chars().find(|c| !c.is_ascii_digit()) {
        let what = if other.is_whitespace() { "spaces".to_owned() } else { format!("`{other}`") };
        return Err(format!("a phone number is written with digits alone after the `+`, without {what}"));
    }
    if digits.starts_with('0') {
        return Err("after the `+` comes the country code, which never begins with 0".to_owned());
    }
    match digits.len() {
        2..=15 => Ok(()),
        count => Err(format!("a phone number has 2 to 15 digits, this one has {count}")),
    }
}
