//! Who a text message comes from: a number, a short code, a name, or an address on another channel. Only what
//! can be no sender at all is refused; whose it is, the service knows.

use super::phone;

/// The longest name that carriers show (Twilio's documentation of alphanumeric sender IDs).
const MAX_NAME: usize = 11;

/// What an address on a channel without phone numbers begins with.
const NAMED_CHANNELS: [&str; 2] = ["rcs:", "messenger:"];

/// Whether a text can be a sender: an E.164 number, perhaps after `whatsapp:`, a short code of 3 to 8 digits, a
/// name of up to 11 letters, digits, blanks and `+-_&` with a letter among them, or `rcs:` and `messenger:`
/// with a name. Says what stands in the way.
pub fn validate(text: &str) -> Result<(), String> {
    if let Some(name) = NAMED_CHANNELS.iter().find_map(|channel| text.strip_prefix(channel)) {
        return match name.is_empty() || name.chars().any(char::is_whitespace) {
            true => Err("after `rcs:` or `messenger:` comes the name of the agent or page".to_owned()),
            false => Ok(()),
        };
    }
    if text.starts_with('+') || text.starts_with(phone::WHATSAPP) {
        return phone::validate(text);
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return match text.len() {
            3..=8 => Ok(()),
            count => Err(format!(
                "a short code has 3 to 8 digits, this one has {count}; a phone number begins with `+` and its country code"
            )),
        };
    }
    if let Some(other) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || " +-_&".contains(*c))) {
        return Err(format!("a sender's name has letters, digits, blanks and `+-_&`, not `{other}`"));
    }
    if !text.bytes().any(|byte| byte.is_ascii_alphabetic()) {
        return Err("a sender is a number such as `+15550100`, a short code, or a name with a letter in it".to_owned());
    }
    match text.len() {
        1..=MAX_NAME => Ok(()),
        count => Err(format!("a sender's name has at most {MAX_NAME} characters, this one has {count}")),
    }
}
