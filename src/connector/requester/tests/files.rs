//! Files that are sent, and answers that become files.

use super::*;
use crate::connector::files::Folders;
use crate::connector::files::save::Download;
use crate::connector::multipart::{Content, FilePart, Multipart, Part};

fn upload(url: Url, path: &std::path::Path, length: u64) -> HttpRequest {
    let file = FilePart {
        path: path.to_owned(),
        written: "wave.gif".into(),
        offset: 0,
        length,
        content_type: "image/gif".into(),
        filename: "wave.gif".into(),
    };
    let part = Part { name: "media".into(), content: Content::File(file) };
    HttpRequest { body: Body::Multipart(Multipart::new(vec![part]).unwrap()), ..post(url) }
}

async fn fetch(server: &Server, folders: &Folders, place: Option<&str>, limit: u64) -> Result<HttpResponse, Failure> {
    let download = Download::new(folders, place, limit)?;
    let request = get(server.url("/media").as_str());
    requester(&["127.0.0.1:*"])
        .fetch(&request, Some(&download), &Credentials::None, &HostSet::default(), SOON, None)
        .await
}

#[tokio::test]
async fn a_file_arrives_whole_with_its_length_told_and_again_after_a_redirect() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("wave.gif");
    std::fs::write(&path, "GIF89a-and-more").unwrap();
    let server = Server::start(|request| match request.starts_with("POST /first") {
        true => redirect(307, "/second"),
        false => ok("taken"),
    })
    .await;
    send(&upload(server.url("/first"), &path, 15), &[&server]).await.unwrap();
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    for request in &requests {
        let (_, body) = request.split_once("\r\n\r\n").unwrap();
        assert_eq!(header(request, "content-length").unwrap(), body.len().to_string());
        assert!(header(request, "content-type").unwrap().starts_with("multipart/form-data; boundary=tidegate-"));
        assert!(body.contains("\r\n\r\nGIF89a-and-more\r\n--tidegate-"), "{body}");
    }
}

#[tokio::test]
async fn a_file_that_went_is_told_before_anything_is_sent() {
    let server = Server::start(|_| ok("taken")).await;
    let failure = send(&upload(server.url("/"), "/tmp/is-not-there".as_ref(), 1), &[&server]).await.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.outcome), ("file_unreadable", Outcome::NotSent));
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_file_that_shrinks_leaves_the_outcome_open() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("wave.gif");
    std::fs::write(&path, "GIF89a").unwrap();
    let server = Server::start(|_| ok("taken")).await;
    let failure = send(&upload(server.url("/"), &path, 7), &[&server]).await.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.outcome), ("connection_lost", Outcome::Unknown));
    assert!(failure.message.contains("became shorter"), "{failure}");
}

#[tokio::test]
async fn a_success_becomes_a_file_and_anything_else_does_not() {
    let place = tempfile::tempdir().unwrap();
    let folders = Folders::new(vec![place.path().to_owned()]);
    let server = Server::start(|_| ok("GIF89a-and-more")).await;
    let response = fetch(&server, &folders, Some("a/wave.gif"), 15).await.unwrap();
    let saved = response.saved.unwrap();
    assert_eq!((saved.bytes, saved.kind.as_str(), response.body.len()), (15, "image/gif", 0));
    assert_eq!(std::fs::read_to_string(place.path().join("a/wave.gif")).unwrap(), "GIF89a-and-more");

    // Larger than told, and larger than it turns out: nothing of either is left.
    assert_eq!(fetch(&server, &folders, Some("b"), 14).await.unwrap_err().code, "response_too_large");
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n5\r\n12345\r\n0\r\n\r\n";
    let server = Server::start(move |_| Reply::Send(chunked.to_owned())).await;
    assert_eq!(fetch(&server, &folders, Some("b"), 9).await.unwrap_err().code, "response_too_large");
    let refused = "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone";
    let server = Server::start(move |_| Reply::Send(refused.to_owned())).await;
    let response = fetch(&server, &folders, Some("b"), 2).await.unwrap();
    assert_eq!((response.saved, response.body.as_ref()), (None, b"none".as_slice()));
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
}
