//! What our connector sends to Twilio and what the sandbox answers, held against Twilio's own OpenAPI document.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tidegate::clock::Clock;
use tidegate::engine::{Failure, Verdict};
use tidegate::sandbox::{self, Fault, NewSms, Options, Sandbox, Service};

use crate::reference::account::Account;
use crate::reference::document::Document;
use crate::reference::wire::{Message, Wire};
use crate::reference::{reference, settle};

use super::quirks;

const DOCUMENTS: [&str; 5] = ["messages", "content-v1", "messaging-v1", "lookups-v2", "verify-v2"];

/// What is not in the documents: those of calls and recordings are not in the reference.
const UNDESCRIBED: [&str; 3] = ["start_call", "list_calls", "list_recordings"];

/// 2026-11-20T13:19:00Z
const NOW_MS: i64 = 1_795_180_740_000;

/// A sandbox, what passes before it, and an account of it.
struct Bench {
    documents: Vec<Document>,
    sandbox: Sandbox,
    wire: Wire,
    account: Account,
    wrong: Vec<String>,
    /// The actions that were called.
    asked: BTreeSet<String>,
}

impl Bench {
    async fn start(test: &str) -> Option<Bench> {
        let folder = reference(test, "specs")?;
        let read = |name: &str| Document::read(&folder.join(format!("twilio-{name}-openapi.json")), quirks::set_right);
        let options = Options { clock: Clock::manual(NOW_MS), ..Options::default() };
        let sandbox = Sandbox::start(options).await.unwrap();
        let wire = Wire::before(&sandbox.twilio_url()).await;
        Some(Bench {
            documents: DOCUMENTS.map(read).into(),
            account: account(&wire, &json!({"auth_token": sandbox::TWILIO_AUTH_TOKEN})),
            sandbox,
            wire,
            wrong: Vec::new(),
            asked: BTreeSet::new(),
        })
    }

    /// Calls an action, all its pages and elements, and examines what passed.
    async fn call(&mut self, action: &str, inputs: Value) -> Result<Value, Failure> {
        self.asked.insert(action.to_owned());
        let called = self.account.call(action, inputs).await.result;
        assert!(!self.wire.passed().is_empty(), "{action} sent nothing: {called:?}");
        self.examine(action, 200);
        if called.is_err() {
            // What the document says against it tells more than the failure.
            settle(&self.wrong);
        }
        called.map(tidegate::connector::Page::into_output)
    }

    /// The same for a call that Twilio refuses; gives Twilio's code.
    async fn refused(&mut self, action: &str, inputs: Value, status: u16) -> (Option<String>, Verdict) {
        let called = self.account.call(action, inputs).await.result;
        assert!(!self.wire.passed().is_empty(), "{action} sent nothing: {called:?}");
        self.examine(action, status);
        let failure = match called {
            Err(failure) => failure,
            Ok(page) => panic!("{action} gives {:?}", page.into_output()),
        };
        (failure.service_code, failure.verdict)
    }

    fn examine(&mut self, action: &str, status: u16) {
        let passed = self.wire.take();
        for passed in passed {
            let described = self.documents.iter().find(|document| document.described(&passed.request).is_some());
            if described.is_none() && UNDESCRIBED.contains(&action) {
                continue;
            }
            // What no document has is told by the first.
            let document = described.unwrap_or(&self.documents[0]);
            let mut found = document.wrong_request(&passed.request);
            found.extend(wrong_conditions(document, &passed.request));
            let answered = passed.answer.status();
            found.extend(match answered {
                400.. => quirks::wrong_refusal(&passed),
                204 => Vec::new(),
                _ => document.wrong_answer(&passed).unwrap_or_else(|| vec![format!("{answered} is not described")]),
            });
            if (answered >= 400 || status >= 400) && answered != status {
                found.push(format!("the sandbox answers {answered}, not {status}: {}", passed.answer.json()));
            }
            let found = found
                .into_iter()
                .map(|what| format!("{action}, {} {}: {what}", passed.request.method(), passed.request.url().path()));
            self.wrong.extend(found);
        }
    }
}

/// Of some members one must be given; that stands in an extension of the document.
fn wrong_conditions(document: &Document, sent: &Message) -> Vec<String> {
    let Some(described) = document.described(sent) else {
        return Vec::new();
    };
    let form = sent.form();
    let groups = described["x-twilio"]["conditional"].as_array().into_iter().flatten();
    let lacking = groups.filter(|group| {
        let names: Vec<String> = group.as_array().unwrap().iter().map(pascal_case).collect();
        !form.iter().any(|(name, value)| names.contains(name) && !value.is_empty())
    });
    lacking.map(|group| format!("one of {group} must be given")).collect()
}

fn pascal_case(name: &Value) -> String {
    let words = name.as_str().unwrap().split('_');
    words.map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

fn account(wire: &Wire, changed: &Value) -> Account {
    let mut fields = json!({"account_sid": sandbox::TWILIO_ACCOUNT_SID});
    let changed = changed.as_object().unwrap().clone();
    fields.as_object_mut().unwrap().extend(changed);
    Account::new("twilio", &wire.url(), NOW_MS, &fields)
}

#[tokio::test]
async fn every_action_of_twilio_is_as_its_document_says() {
    let Some(mut bench) = Bench::start("every_action_of_twilio_is_as_its_document_says").await else {
        return;
    };
    let incoming = NewSms {
        body: "hello {n}".to_owned(),
        count: 120,
        media: 1,
        sent_ms: Some(NOW_MS - 90_000),
        ..NewSms::default()
    };
    let sids = bench.sandbox.control().add_sms(&incoming);
    let from = sandbox::TWILIO_NUMBER;
    let service = "MG5a9db0c5000000000000000000000001";
    for inputs in [
        json!({"to": "+41791234567", "from": from, "body": "grüezi & 100 % 👋"}),
        json!({"to": ["+41791234567", "+41791234568"], "from": "Tidegate", "body": "to both"}),
        json!({"to": "whatsapp:+41791234567", "from": "whatsapp:+14155550100", "body": "elsewhere"}),
        json!({
            "to": "+41791234567", "messaging_service": service, "body": "x".repeat(1600),
            "media_urls": ["https://example.org/a.png", "https://example.org/b.png?c=d&e"],
            "status_callback": "https://example.org/told?by=twilio",
        }),
    ] {
        bench.call("send_sms", inputs).await.unwrap();
    }
    let all = bench.call("list_messages", json!({"limit": 10_000, "page_size": 50})).await.unwrap();
    assert_eq!(all.as_array().unwrap().len(), 125);
    let filters = json!({"receiver": from, "sender": "+41790000000", "sent_after": "2026-11-20", "sent_before": "2026-11-20", "limit": 1000});
    assert_eq!(bench.call("list_messages", filters).await.unwrap().as_array().unwrap().len(), 120);
    assert_eq!(bench.call("list_messages", json!({"sender": "+4179"})).await.unwrap(), json!([]));
    let media = bench.call("list_media", json!({"sid": sids[0]})).await.unwrap();
    let to = "+41791234567";
    let verify = sandbox::TWILIO_VERIFY_SERVICE;
    let later = json!({"to": to, "messaging_service": service, "body": "later", "send_at": "2026-11-21T12:00:00Z"});
    let later = bench.call("send_sms", later).await.unwrap()["results"][0]["output"]["sid"].clone();
    for (action, inputs) in [
        ("fetch_message", json!({"sid": sids[0]})),
        (
            "send_sms",
            json!({
                "to": to, "from": from, "content_sid": sandbox::TWILIO_CONTENT_SID, "content_variables": {"1": "Ann"},
            }),
        ),
        ("cancel_message", json!({"sid": later})),
        ("redact_message", json!({"sid": sids[1]})),
        ("send_feedback", json!({"sid": sids[1]})),
        ("delete_media", json!({"sid": sids[0], "media_sid": media[0]["sid"]})),
        ("delete_message", json!({"sid": sids[2]})),
        ("fetch_account", json!({})),
        ("list_subaccounts", json!({"status": "active"})),
        ("list_numbers", json!({"number": "+1555*"})),
        ("list_messaging_services", json!({})),
        ("list_content_templates", json!({})),
        ("lookup_number", json!({"number": "079 123 45 67", "country": "CH", "fields": ["line_type_intelligence"]})),
        ("lookup_number", json!({"number": "+4179"})),
        ("start_verification", json!({"service": verify, "to": to, "locale": "de"})),
        ("fetch_verification", json!({"service": verify, "verification": to})),
        ("check_verification", json!({"service": verify, "to": to, "code": "000000"})),
        ("check_verification", json!({"service": verify, "to": to, "code": sandbox::TWILIO_VERIFY_CODE})),
        ("start_call", json!({"to": to, "from": from, "say": "Water & wind"})),
        ("list_calls", json!({"receiver": to})),
        ("list_recordings", json!({})),
    ] {
        let output = bench.call(action, inputs).await.unwrap_or_else(|failure| panic!("{action}: {failure:?}"));
        assert!(!output.to_string().contains(sandbox::TWILIO_AUTH_TOKEN), "{action} tells the account's secret");
    }
    let key = json!({"api_key_sid": sandbox::TWILIO_API_KEY, "api_key_secret": sandbox::TWILIO_API_KEY_SECRET});
    bench.account = account(&bench.wire, &key);
    bench.call("check_key", json!({})).await.unwrap();

    // Its bytes come from another host, which no document describes; tests/app has it.
    bench.asked.insert("get_media".to_owned());
    let all = bench
        .account
        .actions()
        // A request to any path has no operation of its own.
        .filter(|action| action.builtin.is_none() && !action.is_composite && !action.name.starts_with("request_"))
        .map(|action| action.name.clone());
    assert_eq!(bench.asked, all.collect(), "an action that nothing here asks");
    settle(&bench.wrong);
}

#[tokio::test]
async fn refusals_of_the_twilio_sandbox_have_their_form() {
    let Some(mut bench) = Bench::start("refusals_of_the_twilio_sandbox_have_their_form").await else {
        return;
    };
    let from = "+15005550006";
    for (to, code) in [
        ("+15005550001", "21211"),
        ("+15005550002", "21612"),
        ("+15005550003", "21408"),
        ("+15005550004", "21610"),
        ("+15005550009", "21614"),
    ] {
        let inputs = json!({"to": to, "from": from, "body": "hello"});
        let refused = bench.refused("send_sms", inputs, 400).await;
        assert_eq!(refused, (Some(code.to_owned()), Verdict::Fail), "{to}");
    }
    let missing = json!({"sid": format!("SM{:032}", 7)});
    assert_eq!(bench.refused("fetch_message", missing, 404).await.0.as_deref(), Some("20404"));
    for (status, code) in [(429, "20429"), (500, "20500"), (503, "20503")] {
        let fault = Fault { service: Some(Service::Twilio), status: Some(status), ..Fault::default() };
        bench.sandbox.control().inject(fault).unwrap();
        bench.account = account(&bench.wire, &json!({"auth_token": sandbox::TWILIO_AUTH_TOKEN}));
        assert_eq!(bench.refused("list_messages", json!({}), status).await.0.as_deref(), Some(code));
    }

    bench.account = account(&bench.wire, &json!({"auth_token": "a-wrong-token"}));
    let refused = bench.refused("fetch_account", json!({}), 401).await;
    assert_eq!(refused, (Some("20003".to_owned()), Verdict::Reauth));
    let test = json!({"account_sid": sandbox::TWILIO_TEST_ACCOUNT_SID, "auth_token": sandbox::TWILIO_TEST_AUTH_TOKEN});
    bench.account = account(&bench.wire, &test);
    let refused = bench.refused("list_messages", json!({}), 403).await;
    assert_eq!(refused, (Some("20008".to_owned()), Verdict::Fail));
    let key = json!({"api_key_sid": sandbox::TWILIO_API_KEY, "api_key_secret": sandbox::TWILIO_API_KEY_SECRET});
    bench.account = account(&bench.wire, &key);
    bench.call("list_messages", json!({"limit": 1})).await.unwrap();
    settle(&bench.wrong);
}

#[tokio::test]
async fn a_stale_page_of_twilio_is_refused_in_its_form() {
    let Some(mut bench) = Bench::start("a_stale_page_of_twilio_is_refused_in_its_form").await else {
        return;
    };
    let incoming = NewSms { body: "hello {n}".to_owned(), count: 3, ..NewSms::default() };
    let sids = bench.sandbox.control().add_sms(&incoming);
    let inputs = json!({"page_size": 1, "limit": 3});
    let first = bench.account.send(bench.account.call_of("list_messages", inputs.clone())).await.unwrap().unwrap();
    bench.examine("list_messages", 200);
    for sid in sids {
        bench.sandbox.control().remove_sms(&sid);
    }
    let failure = bench.account.follow("list_messages", inputs, &first.next.unwrap()).await.unwrap_err();
    bench.examine("list_messages", 400);
    assert_eq!((failure.service_code.as_deref(), failure.verdict), (Some("21481"), Verdict::CursorExpired));
    settle(&bench.wrong);
}
