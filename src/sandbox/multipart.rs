//! Reads `multipart/form-data` bodies (RFC 7578) that were received whole.

use std::io::BufRead as _;

use axum::http::header::CONTENT_TYPE;

use super::exchange::Call;

/// The parts: their names and contents. `None` where the body is none of that form.
pub(super) fn parts<'a>(call: &Call<'a>) -> Option<Vec<(String, &'a [u8])>> {
    let content_type = call.header(CONTENT_TYPE);
    let (kind, rest) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = rest.split(';').find_map(|word| word.trim().strip_prefix("boundary="))?.trim_matches('"');
    let delimiter = format!("--{boundary}");
    let mut rest = call.body.strip_prefix(delimiter.as_bytes())?;
    let mut parts = Vec::new();
    loop {
        if rest.starts_with(b"--") {
            return Some(parts);
        }
        rest = rest.strip_prefix(b"\r\n")?;
        let head_end = find(rest, b"\r\n\r\n")?;
        let head = std::str::from_utf8(rest.get(..head_end)?).ok()?;
        let body = rest.get(head_end + 4..)?;
        let end = find(body, format!("\r\n{delimiter}").as_bytes())?;
        let disposition = head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
        let name = disposition.split(';').find_map(|word| word.trim().strip_prefix("name="))?;
        parts.push((name.trim_matches('"').to_owned(), body.get(..end)?));
        rest = body.get(end + 2 + delimiter.len()..)?;
    }
}

/// Where `wanted` begins. Chunks are megabytes of anything: only places of its first byte are looked at, and
/// those are found by the standard library's own quick search.
fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    let mut rest = text;
    loop {
        rest.skip_until(first).ok().filter(|skipped| *skipped > 0)?;
        let place = text.len() - rest.len() - 1;
        if text.get(place..)?.starts_with(wanted) {
            return Some(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderMap, HeaderValue, Method};

    #[test]
    fn parts_are_told_apart() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("multipart/form-data; boundary=b-1"));
        let read = |body: &[u8]| {
            let call = Call {
                method: &Method::POST,
                path: "",
                query: "",
                headers: &headers,
                body,
                now_ms: 0,
                in_flight: 0,
                page_limit: None,
            };
            parts(&call)
                .map(|parts| parts.into_iter().map(|(name, content)| (name, content.to_vec())).collect::<Vec<_>>())
        };
        let body = b"--b-1\r\nContent-Disposition: form-data; name=\"segment_index\"\r\n\r\n0\r\n--b-1\r\nContent-Disposition: form-data; name=\"media\"; filename=\"a\"\r\nContent-Type: x/y\r\n\r\n\r\n\xff--b\r\n\r\n--b-1--\r\n";
        assert_eq!(
            read(body),
            Some(vec![("segment_index".to_owned(), b"0".to_vec()), ("media".to_owned(), b"\r\n\xff--b\r\n".to_vec())])
        );
        assert_eq!(read(b"--b-2\r\n"), None);
        assert_eq!(read(&body[..80]), None);
    }
}
