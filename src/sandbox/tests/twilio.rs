//! Twilio: who may call, sending, listing by number and date, pages.

use super::*;

#[tokio::test]
async fn credentials_are_checked_and_the_account_is_shown() {
    let bench = Bench::start(|_| {}).await;
    let account = send(bench.twilio(Method::GET, ".json")).await;
    assert_eq!(account.json()["auth_token"], TWILIO_AUTH_TOKEN);
    assert_eq!(account.json()["status"], "active");
    assert!(account.header("twilio-request-id").starts_with("RQ"));
    assert_eq!(account.header("twilio-concurrent-requests"), "1");

    let url = format!("{}/2010-04-01/Accounts/{TWILIO_ACCOUNT_SID}", bench.sandbox.twilio_url());
    let with = |path: &str, user: &str, password: &str| {
        send(bench.client.get(format!("{url}{path}")).basic_auth(user, Some(password)))
    };
    let wrong = with(".json", TWILIO_ACCOUNT_SID, "wrong").await;
    assert_eq!((wrong.status, wrong.json()["code"].as_u64()), (401, Some(20003)));
    assert_eq!(wrong.header("www-authenticate"), "Basic realm=\"Twilio API\"");
    assert_eq!(with(".json", TWILIO_API_KEY, TWILIO_API_KEY_SECRET).await.status, 401, "a standard key");
    assert_eq!(with("/Messages.json", TWILIO_API_KEY, TWILIO_API_KEY_SECRET).await.status, 200);
    assert_eq!(
        with("/Messages.json", TWILIO_TEST_ACCOUNT_SID, TWILIO_TEST_AUTH_TOKEN).await.status,
        401,
        "another account"
    );

    let test_url =
        format!("{}/2010-04-01/Accounts/{TWILIO_TEST_ACCOUNT_SID}/Messages.json", bench.sandbox.twilio_url());
    let test = |request: reqwest::RequestBuilder| {
        send(request.basic_auth(TWILIO_TEST_ACCOUNT_SID, Some(TWILIO_TEST_AUTH_TOKEN)))
    };
    assert_eq!(test(bench.client.get(&test_url)).await.json()["code"], 20008);
    let form = [("To", "+41791234567"), ("From", "+15005550006"), ("Body", "x")];
    let sent = test(bench.client.post(&test_url).form(&form)).await;
    assert_eq!((sent.status, sent.json()["account_sid"].as_str()), (201, Some(TWILIO_TEST_ACCOUNT_SID)));
    assert_eq!(with("/Messages.json", TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN).await.json()["messages"], json!([]));

    let missing = send(bench.twilio(Method::GET, "/Messages/SM1.json")).await;
    assert_eq!((missing.status, missing.json()["code"].as_u64()), (404, Some(20404)));
    let xml = send(bench.twilio(Method::GET, "/Messages/SM1")).await;
    assert_eq!(xml.header("content-type"), "application/xml");
    assert!(xml.text.contains("<RestException><Code>20404</Code>"), "{}", xml.text);
    let xml = send(bench.twilio(Method::GET, "/Messages")).await;
    assert!(xml.text.contains("<TwilioResponse><Messages>"), "{}", xml.text);
}

#[tokio::test]
async fn a_message_is_sent_and_goes_its_way() {
    let bench = Bench::start(|_| {}).await;
    let post = |form: &[(&str, &str)]| send(bench.twilio(Method::POST, "/Messages.json").form(form));
    let sent = post(&[("To", "+41791234567"), ("From", "+15550100100"), ("Body", "hello 😎")]).await;
    assert_eq!(sent.status, 201);
    let message = sent.json();
    let sid = message["sid"].as_str().unwrap().to_owned();
    assert!(sid.starts_with("SM") && sid.len() == 34, "{sid}");
    assert_eq!(message["status"], "queued");
    assert_eq!(message["date_sent"], Value::Null);
    assert_eq!(message["date_created"], "Fri, 20 Nov 2026 13:19:00 +0000");
    assert_eq!(message["num_media"], "0");
    assert_eq!(message["uri"], format!("/2010-04-01/Accounts/{TWILIO_ACCOUNT_SID}/Messages/{sid}.json"));

    let fetch = || send(bench.twilio(Method::GET, &format!("/Messages/{sid}.json")));
    bench.clock.advance(1_000);
    assert_eq!(fetch().await.json()["status"], "sent");
    bench.clock.advance(1_000);
    let delivered = fetch().await.json();
    assert_eq!((&delivered["status"], &delivered["price"]), (&json!("delivered"), &json!("-0.00750")));
    assert_eq!(delivered["date_sent"], "Fri, 20 Nov 2026 13:19:01 +0000");

    let service = post(&[
        ("To", "+41791234567"),
        ("MessagingServiceSid", "MG5a9db0c5000000000000000000000001"),
        ("MediaUrl", "https://example.org/1.png"),
        ("MediaUrl", "https://example.org/2.png"),
    ])
    .await
    .json();
    assert_eq!(
        (&service["from"], &service["num_segments"], &service["status"]),
        (&Value::Null, &json!("0"), &json!("accepted"))
    );
    assert_eq!(service["num_media"], "2");
    assert!(service["sid"].as_str().unwrap().starts_with("MM"));

    let refused = post(&[("To", "+15005550001"), ("From", "+15550100100"), ("Body", "x")]).await;
    assert_eq!(refused.json()["code"], 21211);
    let update =
        |form: &'static [(&str, &str)]| send(bench.twilio(Method::POST, &format!("/Messages/{sid}.json")).form(form));
    assert_eq!(update(&[("Body", "")]).await.json()["body"], "");
    assert_eq!(update(&[("Status", "canceled")]).await.status, 409, "it was sent");
    let delete = || send(bench.twilio(Method::DELETE, &format!("/Messages/{sid}.json")));
    assert_eq!((delete().await.status, delete().await.status), (204, 404));
    let count = bench.sandbox.control().count(Service::Twilio, "send_sms");
    assert_eq!((count.requests, count.done), (3, 2));
    let receipts = bench
        .sandbox
        .control()
        .received(&ReceiptFilter { operation: Some("send_sms".into()), ..ReceiptFilter::default() });
    assert_eq!(receipts[0].fingerprint, "+41791234567 hello 😎");
    assert_eq!((receipts[2].fingerprint.as_str(), receipts[2].id.as_deref()), ("+15005550001 x", None));
}

#[tokio::test]
async fn a_list_is_paged_by_key_and_filtered() {
    let bench = Bench::start(|_| {}).await;
    let control = bench.sandbox.control();
    let sms = |from: &str, count, sent_ms| {
        let new =
            NewSms { from: from.into(), body: "n {n}".into(), count, sent_ms: Some(sent_ms), ..NewSms::default() };
        control.add_sms(&new)
    };
    let other = sms("+41790000002", 3, NOW_MS - 60_000);
    let mut wanted = sms("+41790000001", 7, NOW_MS - 30_000);
    wanted.reverse();

    let mut found = Vec::new();
    let mut path = Some("/Messages.json?From=%2B41790000001&PageSize=3".to_owned());
    let base = format!("/2010-04-01/Accounts/{TWILIO_ACCOUNT_SID}");
    let mut pages = Vec::new();
    while let Some(at) = path {
        let page = send(bench.twilio(Method::GET, &at)).await.json();
        found.extend(ids(&page["messages"], "sid"));
        assert_eq!(page["page"], pages.len());
        assert_eq!(page["start"], pages.len() * 3);
        // What arrives between two pages must not shift them.
        sms("+41790000001", 1, NOW_MS);
        path = page["next_page_uri"].as_str().map(|uri| uri.strip_prefix(&base).unwrap().to_owned());
        pages.push(page);
    }
    assert_eq!(found, wanted);
    assert_eq!((&pages[2]["end"], &pages[2]["next_page_uri"]), (&json!(6), &Value::Null));
    let back = pages[1]["previous_page_uri"].as_str().unwrap().strip_prefix(&base).unwrap();
    assert_eq!(send(bench.twilio(Method::GET, back)).await.json()["messages"], pages[0]["messages"]);

    let stale = pages[0]["next_page_uri"].as_str().unwrap().strip_prefix(&base).unwrap();
    assert!(control.remove_sms(&wanted[2]));
    assert_eq!(send(bench.twilio(Method::GET, stale)).await.json()["code"], 21481);

    let list = |query: &str| send(bench.twilio(Method::GET, &format!("/Messages.json?{query}")));
    assert_eq!(
        ids(&list("From=+41790000002").await.json()["messages"], "sid"),
        Vec::<String>::new(),
        "a bare + is a blank"
    );
    assert_eq!(list("From=%2B41790000002").await.json()["messages"].as_array().unwrap().len(), other.len());
    assert_eq!(list("DateSentAfter=2030-01-01&PageSize=1000").await.json()["messages"].as_array().unwrap().len(), 12);
    assert_eq!(list("DateSent%3E=2026-11-21").await.json()["messages"], json!([]));
    assert_eq!(
        list("DateSent%3E=2026-11-20&DateSent%3C=2026-11-20").await.json()["messages"].as_array().unwrap().len(),
        12
    );
    assert_eq!(list("DateSent=%3E%3D2026-01-02").await.json()["code"], 20001);
    assert_eq!(list("PageSize=0").await.status, 400);
}

#[tokio::test]
async fn a_late_row_appears_below_known_ones() {
    let bench = Bench::start(|_| {}).await;
    let control = bench.sandbox.control();
    control.add_sms(&NewSms { body: "on time".into(), ..NewSms::default() });
    let late = NewSms {
        body: "late".into(),
        sent_ms: Some(NOW_MS - 60_000),
        visible_ms: Some(NOW_MS + 1_000),
        receiving_ms: 2_000,
        ..NewSms::default()
    };
    let sid = control.add_sms(&late).remove(0);
    let list = || async { send(bench.twilio(Method::GET, "/Messages.json")).await.json()["messages"].clone() };
    assert_eq!(ids(&list().await, "body"), ["on time"]);
    assert_eq!(send(bench.twilio(Method::GET, &format!("/Messages/{sid}.json"))).await.status, 404);
    bench.clock.advance(1_000);
    let messages = list().await;
    assert_eq!(ids(&messages, "body"), ["on time", "late"]);
    assert_eq!(ids(&messages, "status"), ["received", "receiving"]);
    assert_eq!(messages[1]["date_sent"], "Fri, 20 Nov 2026 13:18:00 +0000");
    assert_eq!(messages[1]["direction"], "inbound");
    bench.clock.advance(2_000);
    assert_eq!(ids(&list().await, "status"), ["received", "received"]);
}
