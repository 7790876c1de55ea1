use rstest::rstest;
use serde_json::json;

use super::*;
use crate::manifest::connector as written;

const NOW: i64 = 1_700_000_000_000;

fn errors(document: Value) -> Errors {
    let written: written::Errors = serde_json::from_value(document).unwrap();
    let limits: Vec<written::Limit> = serde_json::from_value(json!([
        {"headers": {"remaining": "x-rate-limit-remaining", "reset": "x-rate-limit-reset"}},
        {"headers": {"remaining": "x-user-limit-24hour-remaining", "reset": "x-user-limit-24hour-reset"}}
    ]))
    .unwrap();
    let mut problems = Vec::new();
    let errors = Errors::compile(&written, &limits, "/errors", &mut problems);
    assert_eq!(problems, Vec::new());
    errors
}

fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn judge(errors: &Errors, status: u16, headers: &[(String, String)], body: &str, after_uncertain: bool) -> Judgement {
    let json: Option<Value> = serde_json::from_str(body).ok();
    let answer = Answer {
        status,
        headers,
        bytes: body.as_bytes(),
        json: json.as_ref(),
        server_ms: Some(NOW + 600_000),
        now_ms: NOW,
        after_uncertain,
        accepted: false,
        host: "api.example.com",
    };
    let mut scope = Scope::new();
    scope.set("inputs", json!({"id": "7"}));
    errors.judge(answer, &mut scope, &Mask::default())
}

fn failure(judgement: Judgement) -> Failure {
    match judgement {
        Judgement::Failed(failure) => failure,
        other => panic!("{other:?} is no failure"),
    }
}

#[rstest]
#[case(400, Outcome::NotDone, Verdict::Fail)]
#[case(401, Outcome::NotDone, Verdict::Reauth)]
#[case(402, Outcome::NotDone, Verdict::Suspended)]
#[case(403, Outcome::NotDone, Verdict::Fail)]
#[case(404, Outcome::NotDone, Verdict::Fail)]
#[case(408, Outcome::NotDone, Verdict::Retry { after_ms: None })]
#[case(425, Outcome::NotDone, Verdict::Retry { after_ms: None })]
#[case(429, Outcome::NotDone, Verdict::RateLimited { until_ms: NOW + 60_000 })]
#[case(500, Outcome::Unknown, Verdict::Retry { after_ms: None })]
#[case(501, Outcome::Unknown, Verdict::Fail)]
#[case(503, Outcome::Unknown, Verdict::Retry { after_ms: None })]
#[case(302, Outcome::Unknown, Verdict::Fail)]
fn the_built_in_rules(#[case] status: u16, #[case] outcome: Outcome, #[case] verdict: Verdict) {
    for body in ["", "<html><b>Oh</b></html>", r#"{"message": "m"}"#, "[1"] {
        let failure = failure(judge(&Errors::default(), status, &[], body, false));
        assert_eq!((failure.outcome, failure.verdict), (outcome, verdict), "{body}");
        assert_eq!((failure.code, failure.status), (format!("http_{status}"), Some(status)));
    }
}

#[test]
fn an_answer_after_the_request_was_taken_tells_nothing_of_what_became_of_it() {
    for status in [303, 401, 404, 408, 429, 500] {
        let answer = Answer {
            status,
            headers: &[],
            bytes: b"",
            json: None,
            server_ms: None,
            now_ms: NOW,
            after_uncertain: false,
            accepted: true,
            host: "api.example.com",
        };
        let failure = failure(Errors::default().judge(answer, &mut Scope::new(), &Mask::default()));
        assert_eq!(failure.outcome, Outcome::Unknown, "{status}");
        assert_eq!(failure.message, format!("api.example.com answered {status} after it took the request"));
    }
}

// The server's clock is ten minutes ahead of ours: dates and epochs are measured on the server's.
#[rstest]
#[case(&[("retry-after", "120")], 120_000)]
#[case(&[("retry-after", "0")], 0)]
#[case(&[("retry-after", "Tue, 14 Nov 2023 22:24:20 GMT")], 60_000)]
#[case(&[("retry-after", "Tue, 14 Nov 2000 22:24:20 GMT")], 0)]
#[case(&[("retry-after", "soon")], 60_000)]
#[case(&[("retry-after", "99999999")], 25 * 3_600_000)]
#[case(&[("x-rate-limit-remaining", "0"), ("x-rate-limit-reset", "1700000900")], 300_000)]
#[case(&[("x-rate-limit-remaining", "3"), ("x-rate-limit-reset", "1700000900")], 60_000)]
#[case(&[("x-rate-limit-remaining", "0"), ("x-rate-limit-reset", "30")], 30_000)]
#[case(&[("x-rate-limit-remaining", "0"), ("x-rate-limit-reset", "1700000900"),
         ("x-user-limit-24hour-remaining", "0"), ("x-user-limit-24hour-reset", "1700004200")], 3_600_000)]
fn a_limit_waits_for_what_the_service_says(#[case] told: &[(&str, &str)], #[case] wait_ms: i64) {
    let failure = failure(judge(&errors(json!({})), 429, &headers(told), "", false));
    assert_eq!(failure.verdict, Verdict::RateLimited { until_ms: NOW + wait_ms });
}

#[test]
fn rules_come_first_and_the_first_that_matches_wins() {
    let errors = errors(json!({
        "message": "detail || errors[0].message", "code": "code",
        "rules": [
            {"status": 403, "text": "Duplicate Content", "after": "uncertain", "then": "reconcile"},
            {"status": [403, 409], "code": "187", "then": "ignore"},
            {"status": "4xx", "when": "eq response.body.kind 'slow'", "then": "rate_limited", "wait": "5s"},
            {"status": 404, "then": "fail", "message": "there is no tweet {{inputs.id}}"},
            {"status": 418, "then": "success"}
        ]
    }));
    let duplicate = r#"{"detail": "This is duplicate content."}"#;
    let reconciled = failure(judge(&errors, 403, &[], duplicate, true));
    assert_eq!((reconciled.verdict, reconciled.outcome), (Verdict::Reconcile, Outcome::NotDone));
    let refused = failure(judge(&errors, 403, &[], duplicate, false));
    assert_eq!((refused.verdict, refused.outcome), (Verdict::Fail, Outcome::NotDone));
    assert_eq!(refused.message, "api.example.com answered 403: This is duplicate content.");
    assert_eq!(judge(&errors, 409, &[], r#"{"code": 187}"#, false), Judgement::Ignored);
    assert_eq!(judge(&errors, 418, &[], "", false), Judgement::Success);
    let slow = failure(judge(&errors, 400, &[], r#"{"kind": "slow"}"#, false));
    assert_eq!(slow.verdict, Verdict::RateLimited { until_ms: NOW + 5_000 });
    let gone = failure(judge(&errors, 404, &[], r#"{"kind": "x", "code": 20404}"#, false));
    assert_eq!(gone.message, "api.example.com answered 404 (20404): there is no tweet 7");
    assert_eq!(gone.service_code.as_deref(), Some("20404"));
}

#[test]
fn a_success_is_judged_only_by_rules_that_name_its_status() {
    let loose = errors(json!({"rules": [{"text": "error", "then": "fail"}]}));
    assert_eq!(judge(&loose, 200, &[], r#"{"error": 1}"#, false), Judgement::Success);
    let named = errors(json!({"message": "error", "rules": [{"status": 200, "text": "error", "then": "fail"}]}));
    let refused = failure(judge(&named, 200, &[], r#"{"error": "gone"}"#, false));
    assert_eq!((refused.code.as_str(), refused.outcome), ("service_refused", Outcome::NotDone));
    assert_eq!(judge(&named, 200, &[], r#"{"data": 1}"#, false), Judgement::Success);
}

#[test]
fn unreadable_bodies_are_shown_by_their_beginning() {
    let body = format!("<html>\n  <h1>Bad   gateway</h1>{}</html>", "x".repeat(500));
    let failure = failure(judge(&Errors::default(), 502, &[], &body, false));
    assert!(failure.message.starts_with("api.example.com answered 502: <html> <h1>Bad gateway</h1>xx"));
    assert!(failure.message.chars().count() < 250, "{}", failure.message);
}
