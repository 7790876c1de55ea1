//! Where redirects lead, and what goes along.

use super::*;

#[tokio::test]
async fn credentials_and_own_headers_do_not_follow_a_redirect_to_strangers() {
    let home = Arc::new(Mutex::new(String::new()));
    let back = home.clone();
    let stranger = Server::start(move |_| redirect(307, &back.lock())).await;
    let away = stranger.url("/collect").to_string();
    let server =
        Server::start(move |request| if request.contains(" /back ") { ok("end") } else { redirect(307, &away) }).await;
    *home.lock() = server.url("/back").to_string();

    let response = send(&post(server.url("/a")), &[&server]).await.unwrap();
    assert_eq!((response.hops, response.url.path()), (2, "/back"));
    let [first, back] = server.requests().try_into().unwrap();
    assert_eq!(header(&first, "authorization").as_deref(), Some("Bearer hunter22"));
    // Neither the stranger nor where the stranger sends us gets anything that is ours.
    for request in [&stranger.requests()[0], &back] {
        for name in ["authorization", "x-own", "cookie"] {
            assert_eq!(header(request, name), None, "{request}");
        }
        assert_eq!(header(request, "accept").as_deref(), Some("application/json"));
        assert!(request.starts_with("POST ") && request.ends_with(r#"{"text":"hi"}"#), "{request}");
    }
}

#[tokio::test]
async fn a_key_in_query_or_body_stays_at_home_too() {
    let stranger = Server::start(|_| ok("")).await;
    let away = stranger.url("/").to_string();
    let server = Server::start(move |_| redirect(308, &away)).await;
    for place in [KeyPlace::Query, KeyPlace::Body, KeyPlace::Header] {
        let key =
            Credentials::new(&Auth::ApiKey { r#in: place, name: "key".into(), value: "hunter22".into() }).unwrap();
        let allowed = HostSet::new([server.url("/")]);
        let request = post(server.url("/"));
        requester(&["127.0.0.1:*"]).send(&request, &key, &allowed, SOON, None).await.unwrap();
    }
    assert!(server.requests().iter().all(|request| request.contains("hunter22")));
    assert!(stranger.requests().iter().all(|request| !request.contains("hunter22")));
    assert_eq!(stranger.requests().len(), 3);
}

#[tokio::test]
async fn a_redirect_among_the_connections_own_hosts_keeps_everything() {
    let other = Server::start(|_| ok("end")).await;
    let away = other.url("/next").to_string();
    let server = Server::start(move |_| redirect(303, &away)).await;
    send(&post(server.url("/a")), &[&server, &other]).await.unwrap();
    let request = &other.requests()[0];
    assert!(request.starts_with("GET /next ") && request.ends_with("\r\n\r\n"), "{request}");
    assert_eq!(header(request, "authorization").as_deref(), Some("Bearer hunter22"));
    assert_eq!(header(request, "x-own").as_deref(), Some("internal"));
    assert_eq!(header(request, "content-type"), None);
}

#[tokio::test]
async fn redirects_that_do_not_end_are_given_up() {
    let circle = Server::start(|request| redirect(307, if request.contains(" /a ") { "/b" } else { "/a" })).await;
    let failure = send(&post(circle.url("/a")), &[&circle]).await.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.outcome), ("redirect_loop", Outcome::NotDone));
    assert_eq!(circle.requests().len(), 2);

    let count = AtomicUsize::new(0);
    let endless = Server::start(move |_| redirect(307, &format!("/{}", count.fetch_add(1, Ordering::SeqCst)))).await;
    let failure = send(&post(endless.url("/a")), &[&endless]).await.unwrap_err();
    assert_eq!(failure.code, "redirect_loop");
    assert_eq!(endless.requests().len(), 6);
}

#[tokio::test]
async fn an_answer_says_whether_the_request_was_taken_before_it() {
    for (path, accepted) in [("/303", true), ("/301", true), ("/307", false), ("/408", true), ("/404", false)] {
        let server = Server::start(move |request| match request.split('/').nth(1).map(|path| &path[..3]) {
            Some("303") => redirect(303, "/404"),
            Some("301") => redirect(301, "/404"),
            Some("307") => redirect(307, "/404"),
            Some(status) => Reply::Send(format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n")),
            None => Reply::Hang,
        })
        .await;
        let response = send(&post(server.url(path)), &[&server]).await.unwrap();
        assert_eq!(response.accepted, accepted, "{path}");
    }
    // Reading does nothing, wherever it leads.
    let server = Server::start(|request| if request.contains(" /a ") { redirect(303, "/b") } else { ok("end") }).await;
    let read = HttpRequest { method: Method::GET, body: Body::Empty, ..post(server.url("/a")) };
    assert!(!send(&read, &[&server]).await.unwrap().accepted);
}

#[tokio::test]
async fn what_fails_after_a_303_may_have_been_done() {
    let server = Server::start(|_| redirect(303, "http://10.0.0.1/done")).await;
    let failure = send(&post(server.url("/")), &[&server]).await.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.outcome), ("egress_refused", Outcome::Unknown));
    let server = Server::start(|_| redirect(307, "http://10.0.0.1/there")).await;
    let failure = send(&post(server.url("/")), &[&server]).await.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.outcome), ("egress_refused", Outcome::NotSent));
}
