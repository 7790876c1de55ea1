//! How an SMS is encoded and how many segments it takes (3GPP TS 23.038): GSM-7 with 160 characters, or 153
//! in each of several segments; with any character outside of it UCS-2 with 70, or 67.

/// The longest text that one message may have, in characters, whatever its segments. Twilio refuses more
/// (error 21617).
pub const MAX_CHARACTERS: usize = 1600;

/// The characters that take one septet.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";

/// The characters that take two: an escape before them.
const EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// How a text is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Gsm7,
    Ucs2,
}

/// What a text takes as SMS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    pub encoding: Encoding,
    /// Septets in GSM-7, 16-bit units in UCS-2.
    pub units: usize,
    /// 0 for an empty text.
    pub segments: usize,
}

/// The encoding and the segments of a text. A character that takes two units is never split over segments.
pub fn measure(text: &str) -> Measure {
    let septets: Option<Vec<usize>> = text.chars().map(septets).collect();
    let (encoding, sizes, alone, joined) = match septets {
        Some(sizes) => (Encoding::Gsm7, sizes, 160, 153),
        None => (Encoding::Ucs2, text.chars().map(char::len_utf16).collect(), 70, 67),
    };
    let units: usize = sizes.iter().sum();
    let segments = match units {
        0 => 0,
        _ if units <= alone => 1,
        _ => {
            let (mut segments, mut filled) = (1, 0);
            for size in sizes {
                if filled + size > joined {
                    segments += 1;
                    filled = 0;
                }
                filled += size;
            }
            segments
        }
    };
    Measure { encoding, units, segments }
}

/// Whether a text can be sent as one message.
pub fn validate(text: &str) -> Result<(), String> {
    match text.chars().count() {
        0 => Err("an SMS cannot be empty".to_owned()),
        count if count > MAX_CHARACTERS => Err(format!(
            "an SMS has at most {MAX_CHARACTERS} characters, this one has {count}: shorten it with `truncate`"
        )),
        _ => Ok(()),
    }
}

fn septets(character: char) -> Option<usize> {
    if BASIC.contains(character) {
        Some(1)
    } else if EXTENSION.contains(character) {
        Some(2)
    } else {
        None
    }
}
