//! X: who may call, windows of ids and times, pages, fields, posting.

use super::*;

#[tokio::test]
async fn credentials_are_checked_per_endpoint() {
    let bench = Bench::start(|_| {}).await;
    let me = || bench.client.get(bench.sandbox.x_url() + "/2/users/me");
    let none = send(me()).await;
    assert_eq!((none.status, none.json()["title"].as_str()), (401, Some("Unauthorized")));
    assert_eq!(none.header("x-rate-limit-limit"), "");
    assert_eq!(send(me().bearer_auth("wrong")).await.status, 401);
    let app = send(me().bearer_auth(X_BEARER_TOKEN)).await;
    assert_eq!(app.status, 403);
    assert!(app.json()["type"].as_str().unwrap().ends_with("/unsupported-authentication"));
    assert_eq!(app.header("content-type"), "application/problem+json");

    let path = "/2/users/me?user.fields=created_at,public_metrics";
    let signed = send(bench.x_signed(Method::GET, path, "n1")).await;
    assert_eq!(signed.json()["data"]["username"], X_USERNAME);
    assert_eq!(signed.header("x-rate-limit-remaining"), "74");
    assert_eq!(send(bench.x_signed(Method::GET, path, "n1")).await.status, 401, "a nonce is good for one call");
    let counts = send(bench.x_signed(Method::GET, "/2/tweets/counts/recent?query=a", "n2")).await;
    assert_eq!(counts.status, 403);
    let unknown = bench.x("/2/usage/credits").await;
    assert_eq!((unknown.status, unknown.text.as_str()), (404, ""));
}

#[tokio::test]
async fn pages_go_from_newest_to_oldest_without_loss() {
    let bench = Bench::start(|_| {}).await;
    let noise = bench.tweets("something else {n}", 30);
    let expected: Vec<String> = bench.tweets("@acme down {n}", 250).into_iter().rev().collect();
    let mut found = Vec::new();
    let mut token = String::new();
    let path = format!("/2/tweets/search/recent?query=%40acme&max_results=100&since_id={}", noise[0]);
    loop {
        let page = bench.x(&format!("{path}{token}")).await.json();
        let page_ids = ids(&page["data"], "id");
        assert_eq!(page["meta"]["newest_id"], page_ids[0].as_str());
        assert_eq!(page["meta"]["oldest_id"], page_ids[page_ids.len() - 1].as_str());
        assert_eq!(page["meta"]["result_count"], page_ids.len());
        found.extend(page_ids);
        // What arrives between two pages must not shift them.
        bench.tweets("@acme again {n}", 5);
        match page["meta"]["next_token"].as_str() {
            Some(next) => token = format!("&next_token={next}"),
            None => break,
        }
    }
    assert_eq!(found, expected);
    let other = format!("/2/tweets/search/recent?query=other&since_id={}{token}", noise[0]);
    assert_eq!(bench.x(&other).await.status, 400, "a token is bound to its query");
    let nothing = bench.x("/2/tweets/search/recent?query=nothing").await.text;
    assert_eq!(nothing, r#"{"meta":{"result_count":0}}"#);
}

#[tokio::test]
async fn since_id_is_exclusive_and_must_be_recent() {
    let bench = Bench::start(|_| {}).await;
    let all = bench.tweets("hello {n}", 3);
    let search = |query: String| {
        let path = format!("/2/tweets/search/recent?query=hello{query}");
        let bench = &bench;
        async move { bench.x(&path).await }
    };
    assert_eq!(ids(&search(format!("&since_id={}", all[0])).await.json()["data"], "id"), [&*all[2], &*all[1]]);
    assert_eq!(ids(&search(format!("&until_id={}", all[1])).await.json()["data"], "id"), [&*all[0]]);
    assert!(search(format!("&since_id={}", all[2])).await.json().get("data").is_none());

    let week_ms = 7 * 24 * 3_600_000;
    let oldest = ((NOW_MS - week_ms - 1_288_834_974_657) as u64) << 22;
    let stale = search(format!("&since_id={oldest}")).await;
    assert_eq!(stale.status, 400);
    assert_eq!(
        stale.json(),
        json!({
            "errors": [{
                "parameters": {"since_id": [oldest.to_string()]},
                "message": format!("'since_id' must be a tweet id created after 2026-11-13T13:19Z. Please use a 'since_id' that is larger than {oldest}"),
            }],
            "title": "Invalid Request",
            "detail": "One or more parameters to your request was invalid.",
            "type": "https://api.twitter.com/2/problems/invalid-request",
        })
    );
    assert_eq!(search(format!("&since_id={}", oldest + 1)).await.status, 200);
    for wrong in [
        "&since_id=abc",
        "&since_id=12345678901234567890",
        &format!("&since_id={}&start_time=2026-11-20T00:00:00Z", all[0]),
        &format!("&until_id={}&end_time=2026-11-20T00:00:00Z", all[0]),
        "&start_time=2026-11-13T13:18:59Z",
        "&start_time=2026-11-20T00:00:00Z&end_time=2026-11-19T00:00:00Z",
        "&end_time=2026-11-20T13:18:51Z",
        "&start_time=today",
        "&max_results=9",
        "&max_results=101",
        "&sort_order=best",
        "&tweet.fields=id,nope",
        "&expansions=nope",
        "&unknown=1",
        "&next_token=abc",
        "%20(",
    ] {
        let reply = search(wrong.into()).await;
        assert_eq!(reply.status, 400, "{wrong}");
        assert_eq!(reply.json()["title"], "Invalid Request", "{wrong}");
    }
    bench.clock.advance(week_ms + 1);
    assert_eq!(search(format!("&since_id={}", all[2])).await.status, 400, "ids grow old");
    assert!(search(String::new()).await.json().get("data").is_none(), "tweets leave the window");
}

#[tokio::test]
async fn times_include_their_start_and_exclude_their_end() {
    let bench = Bench::start(|_| {}).await;
    let minute = |text: &str, at_ms| {
        let new = NewTweet { text: text.into(), at_ms: Some(at_ms), ..NewTweet::default() };
        bench.sandbox.control().add_tweets(&new).remove(0)
    };
    let first = minute("at eleven", NOW_MS - 3_600_000);
    minute("at noon", NOW_MS - 1_800_000);
    let window = "&start_time=2026-11-20T12:19:00Z&end_time=2026-11-20T12:49:00.000Z";
    let found = bench.x(&format!("/2/tweets/search/recent?query=at{window}")).await.json();
    assert_eq!(ids(&found["data"], "id"), [first]);
    let counts = bench.x(&format!("/2/tweets/counts/recent?query=at&granularity=hour{window}")).await.json();
    assert_eq!(
        counts,
        json!({
            "data": [{"end": "2026-11-20T12:49:00.000Z", "start": "2026-11-20T12:19:00.000Z", "tweet_count": 1}],
            "meta": {"total_tweet_count": 1},
        })
    );
    let week = bench.x("/2/tweets/counts/recent?query=at").await.json();
    assert_eq!(week["data"].as_array().unwrap().len(), 169, "the first and the last hour are cut");
    assert_eq!(week["meta"]["total_tweet_count"], 2);
    assert_eq!(bench.x("/2/tweets/counts/recent?query=at&granularity=second").await.status, 400);

    let later = minute("at later", NOW_MS + 5_000);
    let found = bench.x("/2/tweets/search/recent?query=later").await;
    assert!(found.json().get("data").is_none(), "a tweet is not found before its time");
    bench.clock.advance(5_000);
    assert_eq!(ids(&bench.x("/2/tweets/search/recent?query=later").await.json()["data"], "id"), [later]);
}

#[tokio::test]
async fn fields_and_expansions_are_given_as_asked() {
    let bench = Bench::start(|_| {}).await;
    let control = bench.sandbox.control();
    let first = bench.tweets("@bob see #this", 1).remove(0);
    let answer = NewTweet {
        author: "bob".into(),
        text: "yes & no".into(),
        reply_to: Some(first.clone()),
        ..NewTweet::default()
    };
    let second = control.add_tweets(&answer).remove(0);

    let plain = bench.x("/2/tweets/search/recent?query=yes").await.json();
    assert_eq!(plain["data"], json!([{"id": second, "text": "yes &amp; no", "edit_history_tweet_ids": [second]}]));
    assert!(plain.get("includes").is_none());

    let path = "/2/tweets/search/recent?query=yes&tweet.fields=lang,created_at,conversation_id,public_metrics&user.fields=verified&expansions=author_id,referenced_tweets.id,in_reply_to_user_id";
    let full = bench.x(path).await.json();
    let tweet = &full["data"][0];
    assert_eq!(tweet["created_at"], "2026-11-20T13:19:00.000Z");
    assert_eq!(tweet["conversation_id"], first.as_str());
    assert_eq!(tweet["referenced_tweets"], json!([{"type": "replied_to", "id": first}]));
    assert_eq!(tweet["public_metrics"]["impression_count"], 0);
    let mut names = ids(&full["includes"]["users"], "username");
    names.sort();
    assert_eq!(names, ["alice", "bob"]);
    assert_eq!(full["includes"]["users"][0]["verified"], false);
    assert_eq!(full["includes"]["tweets"][0]["id"], first.as_str());

    let renamed =
        bench.x("/2/tweets/search/recent?query=yes&post.fields=lang&expansions=referenced_posts").await.json();
    assert_eq!(renamed["data"][0]["edit_history_post_ids"], json!([second]));
    assert_eq!(renamed["data"][0]["referenced_posts"][0]["id"], first.as_str());
    assert_eq!(renamed["includes"]["posts"][0]["id"], first.as_str());

    let entities = bench.x("/2/tweets/search/recent?query=see&tweet.fields=entities").await.json();
    assert_eq!(entities["data"][0]["entities"]["hashtags"], json!([{"tag": "this", "start": 9, "end": 14}]));
    assert_eq!(entities["data"][0]["entities"]["mentions"][0]["username"], "bob");

    assert!(control.hide_user("bob", true));
    let partial = bench.x("/2/tweets/search/recent?query=yes&expansions=author_id").await;
    assert_eq!(partial.status, 200);
    let partial = partial.json();
    assert_eq!(partial["data"][0]["id"], second.as_str());
    assert_eq!(partial["errors"][0]["parameter"], "author_id");
    assert_eq!(partial["errors"][0]["resource_type"], "user");
    let lookup = bench.x("/2/users/by/username/bob").await;
    assert_eq!((lookup.status, lookup.json()["errors"][0]["value"].as_str()), (200, Some("bob")));
    assert_eq!(bench.x("/2/users/by/username/alice").await.json()["data"]["username"], "alice");
    assert_eq!(bench.x("/2/users/by/username/not-a-name").await.status, 400);
}

#[tokio::test]
async fn a_timeline_has_one_authors_tweets() {
    let bench = Bench::start(|_| {}).await;
    let control = bench.sandbox.control();
    bench.tweets("noise {n}", 5);
    let own = control.add_tweets(&NewTweet {
        author: X_USERNAME.into(),
        text: "own {n}".into(),
        count: 7,
        ..NewTweet::default()
    });
    let reply = NewTweet {
        author: X_USERNAME.into(),
        text: "reply".into(),
        reply_to: Some(own[0].clone()),
        ..NewTweet::default()
    };
    control.add_tweets(&reply);
    let path = format!("/2/users/{X_USER_ID}/tweets?max_results=5&exclude=replies");
    let first = bench.x(&path).await.json();
    assert_eq!(ids(&first["data"], "id"), own[2..].iter().rev().cloned().collect::<Vec<_>>());
    let token = first["meta"]["next_token"].as_str().unwrap();
    let second = bench.x(&format!("{path}&pagination_token={token}")).await.json();
    assert_eq!(ids(&second["data"], "id"), [&*own[1], &*own[0]]);
    assert!(second["meta"].get("next_token").is_none());
    let since = bench.x(&format!("{path}&since_id={}&start_time=2026-11-20T14:00:00Z", own[5])).await.json();
    assert_eq!(ids(&since["data"], "id"), [&*own[6]], "the id wins over the time");
    let missing = bench.x("/2/users/42/tweets").await.json();
    assert_eq!(missing["errors"][0]["resource_id"], "42");
    assert!(missing.get("data").is_none());
    assert_eq!(
        bench.x(&format!("{path}&next_token={token}")).await.status,
        400,
        "timelines know only pagination_token"
    );
}

#[tokio::test]
async fn a_post_is_stored_once() {
    let bench = Bench::start(|_| {}).await;
    let text = "see https://example.org/a-long-path-of-some-kind <now>";
    let body = json!({"text": text});
    let posted = send(bench.x_signed(Method::POST, "/2/tweets", "p1").json(&body)).await;
    assert_eq!(posted.status, 201);
    let data = posted.json()["data"].clone();
    let id = data["id"].as_str().unwrap().to_owned();
    assert_eq!(posted.header("location"), format!("https://api.twitter.com/2/tweets/{id}"));
    assert_eq!(data.as_object().unwrap().len(), 2);
    let stored = data["text"].as_str().unwrap();
    assert!(stored.starts_with("see https://t.co/") && stored.ends_with(" &lt;now&gt;"), "{stored}");

    let again = bench.post_tweet(&body).await;
    assert_eq!(again.status, 403);
    assert_eq!(again.json()["detail"], "You are not allowed to create a Tweet with duplicate content.");
    bench.clock.advance(15 * 60_000);
    assert_eq!(bench.post_tweet(&body).await.status, 201, "not for ever");
    let reply = json!({"text": text, "reply": {"in_reply_to_tweet_id": id}});
    assert_eq!(bench.post_tweet(&reply).await.status, 201, "a reply is another tweet");
    let own = bench.x(&format!("/2/users/{X_USER_ID}/tweets")).await.json();
    assert_eq!(own["meta"]["result_count"], 3);

    for (wrong, message) in [
        (json!({"text": "a", "location": "here"}), "$.location: is not defined in the schema"),
        (json!({"text": 1}), "invalid type"),
        (json!({}), "text is required"),
        (json!({"text": "x".repeat(281)}), "too long"),
        (json!({"text": "a", "media": {"media_ids": ["1"]}}), "media IDs are invalid"),
        (json!({"text": "a", "reply": {"in_reply_to_tweet_id": "x"}}), "regex"),
    ] {
        let refused = bench.post_tweet(&wrong).await;
        assert_eq!(refused.status, 400, "{wrong}");
        assert!(refused.json()["errors"][0]["message"].as_str().unwrap().contains(message), "{}", refused.text);
    }
    let gone = json!({"text": "a", "reply": {"in_reply_to_tweet_id": "42"}});
    assert_eq!(bench.post_tweet(&gone).await.status, 403);

    let delete = |id: String| {
        send(bench.client.delete(format!("{}/2/tweets/{id}", bench.sandbox.x_url())).bearer_auth(X_USER_TOKEN))
    };
    assert_eq!(delete(id.clone()).await.json(), json!({"data": {"deleted": true}}));
    assert_eq!(delete(id).await.json()["errors"][0]["resource_type"], "tweet");
    let others = bench.tweets("mine", 1).remove(0);
    assert_eq!(delete(others).await.status, 403);

    let count = bench.sandbox.control().count(Service::X, "post_tweet");
    assert_eq!((count.requests, count.done, count.repeated), (11, 3, 2));
    let receipts = bench.sandbox.control().received(&ReceiptFilter { limit: Some(2), ..ReceiptFilter::default() });
    assert_eq!(receipts[0].fingerprint, text, "as it was sent, not as it was stored");
    assert_eq!((receipts[1].status, receipts[1].id.as_deref()), (403, None));
}

#[tokio::test]
async fn a_window_that_is_used_up_answers_429_until_its_reset() {
    let bench = Bench::start(|options| options.rate_limits = RateLimits::Each(2)).await;
    let path = "/2/users/by/username/alice";
    assert_eq!(bench.x(path).await.header("x-rate-limit-remaining"), "1");
    bench.x(path).await;
    let full = bench.x(path).await;
    assert_eq!((full.status, full.json()["title"].as_str()), (429, Some("Too Many Requests")));
    assert_eq!(full.header("x-rate-limit-remaining"), "0");
    let reset_s: i64 = full.header("x-rate-limit-reset").parse().unwrap();
    assert_eq!(bench.x("/2/tweets/search/recent?query=a").await.status, 200, "windows are per endpoint");
    bench.clock.advance(reset_s * 1000 - NOW_MS);
    assert_eq!(bench.x(path).await.status, 200);
}

#[tokio::test]
async fn what_a_tweet_is_posted_with_stays_with_it() {
    let bench = Bench::start(|_| {}).await;
    let beginning = json!({"media_type": "image/png", "total_bytes": 3, "media_category": "tweet_image"});
    let begun = send(bench.x_signed(Method::POST, "/2/media/upload/initialize", "m1").json(&beginning)).await;
    let upload = begun.json()["data"].clone();
    let id = upload["id"].as_str().unwrap();
    let chunk = "--b\r\nContent-Disposition: form-data; name=\"segment_index\"\r\n\r\n0\r\n--b\r\n\
                 Content-Disposition: form-data; name=\"media\"; filename=\"a\"\r\n\r\nabc\r\n--b--\r\n";
    let append = bench.x_signed(Method::POST, &format!("/2/media/upload/{id}/append"), "m2");
    assert_eq!(send(append.header("content-type", "multipart/form-data; boundary=b").body(chunk)).await.status, 200);
    let finalize = bench.x_signed(Method::POST, &format!("/2/media/upload/{id}/finalize"), "m3");
    assert_eq!(send(finalize).await.status, 200);
    let described = json!({"id": id, "metadata": {"alt_text": {"text": "a tide"}}});
    assert_eq!(send(bench.x_signed(Method::POST, "/2/media/metadata", "m4").json(&described)).await.status, 200);
    let posted = bench.post_tweet(&json!({"text": "look", "media": {"media_ids": [id]}})).await.json();
    bench.post_tweet(&json!({"text": "look elsewhere"})).await;

    let key = upload["media_key"].as_str().unwrap();
    for query in ["look%20has%3Amedia", "look%20has%3Aimages", "look%20-has%3Avideos%20has%3Amedia"] {
        let path = format!(
            "/2/tweets/search/recent?query={query}&media.fields=url,alt_text,width&expansions=attachments.media_keys"
        );
        let found = bench.x(&path).await.json();
        assert_eq!(ids(&found["data"], "id"), [posted["data"]["id"].as_str().unwrap()], "{query}");
        assert_eq!(found["data"][0]["attachments"], json!({"media_keys": [key]}));
        let address = format!("https://pbs.twimg.com/media/{key}.jpg");
        let medium = json!({"media_key": key, "type": "photo", "url": address, "alt_text": "a tide"});
        assert_eq!(found["includes"]["media"], json!([medium]));
    }
    let videos = bench.x("/2/tweets/search/recent?query=look%20has%3Avideos").await.json();
    assert_eq!(videos["meta"]["result_count"], 0);
    let near = bench.x("/2/tweets/search/recent?query=look%20point_radius%3A%5B-8.54%2047.37%2016km%5D").await;
    assert_eq!((near.status, near.json()["meta"]["result_count"].as_u64()), (200, Some(0)));
}
