//! A `multipart/form-data` body (RFC 7578): its length is known before anything is sent, and files are read
//! from the disk piece by piece while they are sent, so that a part of any size takes a few pieces of memory.

use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use crate::engine::Failure;

/// How much of a file is in memory at once.
const PIECE_BYTES: usize = 128 * 1024;

/// A body of parts.
#[derive(Clone, Debug)]
pub struct Multipart {
    boundary: String,
    /// The parts, in their order.
    pub parts: Vec<Part>,
}

/// One part.
#[derive(Clone, Debug)]
pub struct Part {
    /// The field's name.
    pub name: String,
    /// Its value.
    pub content: Content,
}

/// What a part holds.
#[derive(Clone, Debug)]
pub enum Content {
    /// A text.
    Text(String),
    /// A piece of a file.
    File(FilePart),
}

/// A piece of a file, or all of it.
#[derive(Clone, Debug)]
pub struct FilePart {
    /// Where it is: absolute, without links, permitted.
    pub path: PathBuf,
    /// The path as it was written.
    pub written: String,
    /// Where the piece begins.
    pub offset: u64,
    /// How long it is.
    pub length: u64,
    /// Its media type.
    pub content_type: String,
    /// The name that the service is told.
    pub filename: String,
}

impl Multipart {
    /// With a boundary that no file holds but by intent.
    pub fn new(parts: Vec<Part>) -> Result<Multipart, Failure> {
        let random = super::auth::oauth1::nonce()?;
        let letters: String = random.chars().filter(char::is_ascii_alphanumeric).collect();
        Ok(Multipart { boundary: format!("tidegate-{letters}"), parts })
    }

    /// `multipart/form-data; boundary=...`
    pub fn content_type(&self) -> String {
        format!("multipart/form-data; boundary={}", self.boundary)
    }

    /// How many bytes it is as a body.
    pub fn length(&self) -> u64 {
        let parts = self.parts.iter().map(|part| {
            let content = match &part.content {
                Content::Text(text) => text.len() as u64,
                Content::File(file) => file.length,
            };
            self.head(part).len() as u64 + content + 2
        });
        parts.sum::<u64>() + self.tail().len() as u64
    }

    /// Opens every file, and gives the body as it is sent. Each piece is read when it is asked for.
    ///
    /// # Errors
    /// `file_unreadable`, before anything was sent. A file that became shorter since breaks the stream.
    pub async fn open(&self) -> Result<BoxStream<'static, io::Result<Bytes>>, Failure> {
        let mut pieces: Vec<BoxStream<'static, io::Result<Bytes>>> = Vec::with_capacity(self.parts.len() * 3 + 1);
        let text = |text: String| stream::once(std::future::ready(Ok(Bytes::from(text)))).boxed();
        for part in &self.parts {
            pieces.push(text(self.head(part)));
            match &part.content {
                Content::Text(value) => pieces.push(text(value.clone())),
                Content::File(file) => {
                    let opened = file.open().await.map_err(|error| {
                        let message = format!("the file `{}` cannot be read: {error}", file.written);
                        Failure::not_sent("file_unreadable", message)
                    })?;
                    pieces.push(opened);
                }
            }
            pieces.push(text("\r\n".to_owned()));
        }
        pieces.push(text(self.tail()));
        Ok(stream::iter(pieces).flatten().boxed())
    }

    /// As it may be looked at afterwards: texts as they are, files by path, size and type.
    pub fn shown(&self) -> Value {
        let mut shown = Map::new();
        for part in &self.parts {
            let content = match &part.content {
                Content::Text(text) => Value::from(text.as_str()),
                Content::File(file) => {
                    json!({"file": file.written, "offset": file.offset, "bytes": file.length, "type": file.content_type})
                }
            };
            // A name that comes again is a list, as it was written.
            match shown.get_mut(&part.name) {
                Some(Value::Array(known)) => known.push(content),
                Some(known) => *known = json!([known.take(), content]),
                None => {
                    shown.insert(part.name.clone(), content);
                }
            }
        }
        Value::Object(shown)
    }

    fn head(&self, part: &Part) -> String {
        let mut head =
            format!("--{}\r\nContent-Disposition: form-data; name=\"{}\"", self.boundary, escaped(&part.name));
        if let Content::File(file) = &part.content {
            head.push_str(&format!(
                "; filename=\"{}\"\r\nContent-Type: {}",
                escaped(&file.filename),
                file.content_type
            ));
        }
        head.push_str("\r\n\r\n");
        head
    }

    fn tail(&self) -> String {
        format!("--{}--\r\n", self.boundary)
    }
}

impl FilePart {
    async fn open(&self) -> io::Result<BoxStream<'static, io::Result<Bytes>>> {
        let mut file = tokio::fs::File::open(&self.path).await?;
        file.set_max_buf_size(PIECE_BYTES);
        file.seek(io::SeekFrom::Start(self.offset)).await?;
        let pieces = ReaderStream::with_capacity(file.take(self.length), PIECE_BYTES);
        let (left, written) = (self.length, self.written.clone());
        // `take` ends quietly where the file does; the service would wait for the rest.
        let whole = stream::unfold((pieces, left, written), |(mut pieces, left, written)| async move {
            match pieces.next().await {
                Some(Ok(piece)) => {
                    let left = left.saturating_sub(piece.len() as u64);
                    Some((Ok(piece), (pieces, left, written)))
                }
                Some(Err(error)) => Some((Err(error), (pieces, left, written))),
                None if left > 0 => {
                    let told = format!("the file `{written}` became shorter while it was sent");
                    Some((Err(io::Error::new(io::ErrorKind::UnexpectedEof, told)), (pieces, 0, written)))
                }
                None => None,
            }
        });
        Ok(whole.boxed())
    }
}

/// As browsers write it into a quoted name (HTML, section 4.10.21.8).
fn escaped(text: &str) -> String {
    text.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(path: PathBuf, offset: u64, length: u64) -> Multipart {
        let file = FilePart {
            path,
            written: "a".to_owned(),
            offset,
            length,
            content_type: "image/png".to_owned(),
            filename: "a \"b\".png".to_owned(),
        };
        let parts = vec![
            Part { name: "index".to_owned(), content: Content::Text("0".to_owned()) },
            Part { name: "media".to_owned(), content: Content::File(file) },
        ];
        Multipart::new(parts).unwrap()
    }

    async fn read(body: &Multipart) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        let mut pieces = body.open().await.unwrap();
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            assert!(piece.len() <= PIECE_BYTES);
            all.extend_from_slice(&piece);
        }
        Ok(all)
    }

    #[tokio::test]
    async fn a_body_is_as_long_as_it_says_and_holds_the_piece() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a");
        let content: Vec<u8> = (0..400_000_u32).map(|number| (number % 251) as u8).collect();
        std::fs::write(&path, &content).unwrap();
        let body = body(path, 1_000, 300_000);
        let sent = read(&body).await.unwrap();
        assert_eq!(sent.len() as u64, body.length());
        let boundary = body.content_type().split_once("boundary=").unwrap().1.to_owned();
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"index\"\r\n\r\n0\r\n--{boundary}\r\n\
             Content-Disposition: form-data; name=\"media\"; filename=\"a %22b%22.png\"\r\nContent-Type: image/png\r\n\r\n"
        );
        assert!(sent.starts_with(head.as_bytes()));
        assert_eq!(&sent[head.len()..head.len() + 300_000], &content[1_000..301_000]);
        assert_eq!(sent[head.len() + 300_000..], *format!("\r\n--{boundary}--\r\n").as_bytes());
        let shown =
            json!({"index": "0", "media": {"file": "a", "offset": 1_000, "bytes": 300_000, "type": "image/png"}});
        assert_eq!(body.shown(), shown);
    }

    #[tokio::test]
    async fn a_file_that_became_shorter_breaks_the_body() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a");
        std::fs::write(&path, "short").unwrap();
        let error = read(&body(path, 0, 6)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
