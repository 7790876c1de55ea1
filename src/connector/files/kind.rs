//! What a file is, by its first bytes. Names lie; services look at the bytes.

/// As much of a file's beginning as tells what it is.
pub const LOOKED_AT_BYTES: u64 = 8 * 1024;

/// What nothing is known about.
pub const UNKNOWN: &str = "application/octet-stream";

/// The media type of what begins so: `text/plain` for what is UTF-8, else `application/octet-stream`, where
/// no signature is known.
pub fn of(beginning: &[u8]) -> &'static str {
    if let Some(known) = infer::get(beginning) {
        return known.mime_type();
    }
    let is_text = match std::str::from_utf8(beginning) {
        Ok(text) => !text.is_empty() && !text.contains('\0'),
        // A letter may be cut at the end of what is looked at.
        Err(error) => error.error_len().is_none() && error.valid_up_to() > 0 && !beginning.contains(&0),
    };
    if is_text { "text/plain" } else { UNKNOWN }
}

/// What services have limits and categories for: `image`, `gif`, `video`, `audio`, `text` or `other`.
pub fn family(kind: &str) -> &'static str {
    match kind.split('/').next().unwrap_or_default() {
        _ if kind == "image/gif" => "gif",
        "image" => "image",
        "video" => "video",
        "audio" => "audio",
        "text" => "text",
        _ => "other",
    }
}

/// The ending of a file's name.
pub fn extension(beginning: &[u8]) -> &'static str {
    match infer::get(beginning) {
        Some(known) => known.extension(),
        None if of(beginning) == "text/plain" => "txt",
        None => "bin",
    }
}

/// Whether a media type is one of those that a pattern (`image/png`, `image/*`, `*/*`) stands for.
pub fn fits(kind: &str, pattern: &str) -> bool {
    let (main, sub) = pattern.split_once('/').unwrap_or((pattern, "*"));
    let (kind_main, kind_sub) = kind.split_once('/').unwrap_or((kind, ""));
    let same = |wanted: &str, given: &str| wanted == "*" || wanted.eq_ignore_ascii_case(given);
    same(main, kind_main) && same(sub, kind_sub)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_tell_what_a_file_is() {
        for (beginning, kind, family_of) in [
            (&b"\x89PNG\r\n\x1a\n"[..], "image/png", "image"),
            (b"\xff\xd8\xff\xe0", "image/jpeg", "image"),
            (b"GIF89a", "image/gif", "gif"),
            (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp", "image"),
            (b"\0\0\0\x18ftypmp42\0\0\0\0", "video/mp4", "video"),
            (b"\0\0\0\x14ftypqt  \0\0\0\0", "video/quicktime", "video"),
            ("Grüezi".as_bytes(), "text/plain", "text"),
            (b"Gr\xc3", "text/plain", "text"),
            (b"\xc3(", UNKNOWN, "other"),
            (b"a\0b", UNKNOWN, "other"),
            (b"", UNKNOWN, "other"),
        ] {
            assert_eq!((of(beginning), family(kind)), (kind, family_of), "{beginning:?}");
        }
    }

    #[test]
    fn patterns_stand_for_types() {
        for (kind, pattern, fit) in [
            ("image/png", "image/png", true),
            ("image/png", "IMAGE/*", true),
            ("image/png", "*/*", true),
            ("image/png", "image/jpeg", false),
            ("imagery/png", "image/*", false),
        ] {
            assert_eq!(fits(kind, pattern), fit, "{kind} {pattern}");
        }
    }
}
