//! A sign-in by link: from the command's address over the host's public pages to the sealed grant.

use std::process::Child;

use super::back;
use super::processes::{Project, ended};
use crate::ports::free_port;
use crate::public::ask;

/// A host at work, until the test leaves it.
pub struct Host(pub Child);

impl Drop for Host {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The path and query of an address.
fn path(url: &str) -> String {
    let url = url::Url::parse(url).unwrap();
    url[url::Position::BeforePath..].to_owned()
}

/// Goes on from the link: where the page leads, and the browser's cookie.
async fn begin(port: u16, path: &str) -> (String, String) {
    let url = format!("http://127.0.0.1:{port}{path}");
    let page = super::request("POST", &url, "content-length: 0\r\n").await;
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    let between = |from: &str, to: char| page.split(from).nth(1).unwrap().split(to).next().unwrap().to_owned();
    assert!(page.contains("; HttpOnly; SameSite=Lax\r\n"), "{page}");
    (between("href=\"", '"').replace("&amp;", "&"), between("set-cookie: ", ';'))
}

/// The same as `ask`, with a cookie.
async fn visit(url: &str, cookie: &str) -> String {
    super::request("GET", url, &format!("cookie: other=1; {cookie}\r\n")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_signs_in_the_browser_that_began_and_no_other_once() {
    let port = free_port();
    let project = Project::with_client().await;
    project.add(&format!("public: {{url: \"http://127.0.0.1:{port}/\", listen: \"127.0.0.1:{port}\"}}\n"));
    let _host = Host(project.start(&["up", "--log", "error"]));
    crate::processes::wait_for("the public listener", || ask(port, "GET", "/", "").is_some());
    let (child, link) = project.sign_in(&["--link", "--scheme", "user2"]);

    // Looked at by a scanner first, which changes nothing.
    for _ in 0..3 {
        let page = ask(port, "GET", &path(&link), "").unwrap();
        assert!(page.status == 200 && page.body.contains("Sign in for main"), "{}", page.body);
    }
    // Begun twice: the answer to the first is nobody's any more.
    let (first, old_cookie) = begin(port, &path(&link)).await;
    let (second, cookie) = begin(port, &path(&link)).await;
    let old = visit(&back(&first, "allow").await, &old_cookie).await;
    assert!(old.contains("belongs to no sign-in of this browser"), "{old}");
    let callback = back(&second, "allow").await;
    let stranger = visit(&callback, "tidegate-sign-in=somebody-else").await;
    assert!(stranger.contains("belongs to no sign-in of this browser"), "{stranger}");
    let page = visit(&callback, &cookie).await;
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("The connection main has signed in"), "{page}");
    assert!(visit(&callback, &cookie).await.contains("was used before"), "once only");
    assert_eq!(ask(port, "GET", &path(&link), "").unwrap().status, 410);

    let output = ended(child).await;
    assert!(output.status.success(), "{output:?}");
    assert!(!project.holds("sandbox-access") && !project.holds("sandbox-refresh"), "tokens are sealed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denied_link_is_told_to_the_page_and_to_the_command() {
    let port = free_port();
    let project = Project::with_keys().await;
    project.add(&format!("public: {{url: \"http://127.0.0.1:{port}\", listen: \"127.0.0.1:{port}\"}}\n"));
    let _host = Host(project.start(&["up", "--log", "error"]));
    crate::processes::wait_for("the public listener", || ask(port, "GET", "/", "").is_some());
    let (child, link) = project.sign_in(&["--link"]);
    let (url, cookie) = begin(port, &path(&link)).await;
    let page = visit(&back(&url, "deny").await, &cookie).await;
    assert!(page.starts_with("HTTP/1.1 400") && page.contains("denied"), "{page}");
    let output = ended(child).await;
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert!(ask(port, "GET", "/sign-in/not-a-link", "").unwrap().status == 410);
}
