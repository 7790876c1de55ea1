use proptest::prelude::*;
use serde_json::json;

use super::*;

fn path(source: &str) -> JmesPath {
    JmesPath::compile(source).unwrap()
}

fn paginator(form: Form) -> Paginator {
    Paginator { form, max_pages: 10 }
}

fn cursor() -> Paginator {
    paginator(Form::Cursor {
        token: TokenPlace::Body(path("meta.next_token")),
        into: Target::Query("pagination_token".into()),
    })
}

fn following(
    paginator: &Paginator,
    current: Option<&PageToken>,
    body: &Value,
    headers: &[(String, String)],
) -> Result<Following, Failure> {
    let url = Url::parse("https://api.example.com/v1/list?page=1").unwrap();
    let listed = body.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
    paginator.next(current, Answer { body, headers, url: &url, below: "", listed: &listed })
}

#[test]
fn an_empty_page_with_a_token_is_not_the_end() {
    let first = following(&cursor(), None, &json!({"meta": {"next_token": "a"}}), &[]).unwrap();
    let token = first.next.unwrap();
    assert_eq!((token.at.clone(), token.pages), (At::Token("a".into()), 1));
    let second = following(&cursor(), Some(&token), &json!({"meta": {"next_token": "b"}}), &[]).unwrap();
    assert_eq!(second.next.as_ref().map(|token| token.at.clone()), Some(At::Token("b".into())));
    for end in
        [json!({"meta": {}}), json!({}), json!({"meta": {"next_token": null}}), json!({"meta": {"next_token": ""}})]
    {
        assert_eq!(following(&cursor(), second.next.as_ref(), &end, &[]).unwrap(), Following::default());
    }
}

#[test]
fn a_repeated_token_and_a_repeated_page_end_with_a_word() {
    let body = |token: &str, id: u32| json!({"data": [{"id": id}], "meta": {"next_token": token}});
    let first = following(&cursor(), None, &body("a", 1), &[]).unwrap().next.unwrap();
    let again = following(&cursor(), Some(&first), &body("a", 2), &[]).unwrap();
    assert!(again.next.is_none());
    assert!(again.problem.unwrap().contains("next page again"));
    let same = following(&cursor(), Some(&first), &body("b", 1), &[]).unwrap();
    assert!(same.next.is_none());
    assert!(same.problem.unwrap().contains("same page again"));
}

#[test]
fn a_next_url_of_another_host_is_asked_of_the_same_host() {
    let paginator = paginator(Form::NextUrl { url: path("next"), same_host: true, below_host: false });
    for (written, expected) in [
        (
            "https://other.example.com/v1/list?Page=1&PageToken=PA%2B",
            "https://api.example.com/v1/list?Page=1&PageToken=PA%2B",
        ),
        ("http://api.example.com:8080/x#y", "https://api.example.com/x"),
        ("/v1/list?page=2", "https://api.example.com/v1/list?page=2"),
    ] {
        let next = following(&paginator, None, &json!({"next": written}), &[]).unwrap().next.unwrap();
        assert_eq!(next.at, At::Url(expected.into()), "{written}");
    }
}

#[test]
fn next_urls_are_joined_and_kept_on_their_origin() {
    let paginator = paginator(Form::NextUrl { url: path("next"), same_host: false, below_host: false });
    for (written, expected) in [
        ("/v1/list?page=2&x=%2B", Some("https://api.example.com/v1/list?page=2&x=%2B")),
        ("?page=2", Some("https://api.example.com/v1/list?page=2")),
        ("https://api.example.com:443/x", Some("https://api.example.com/x")),
        ("https://evil.example.com/v1/list", None),
        ("http://api.example.com/v1/list", None),
        ("https://api.example.com:8443/", None),
        ("//evil.example.com/", None),
    ] {
        let result = following(&paginator, None, &json!({"next": written}), &[]);
        match expected {
            Some(url) => assert_eq!(result.unwrap().next.unwrap().at, At::Url(url.into()), "{written}"),
            None => assert_eq!(result.unwrap_err().code, "next_page_refused", "{written}"),
        }
    }
    assert_eq!(following(&paginator, None, &json!({"next": null}), &[]).unwrap(), Following::default());
}

#[test]
fn a_next_url_without_a_host_stays_below_the_path_of_the_connections_host() {
    let url = Url::parse("https://proxy.example.com/shop/v1/list?page=1").unwrap();
    for (below_host, written, expected) in [
        (true, "/v1/list?page=2", "https://proxy.example.com/shop/v1/list?page=2"),
        // The proxy wrote it in already, or it only looks like it.
        (true, "/shop/v1/list?page=2", "https://proxy.example.com/shop/v1/list?page=2"),
        (true, "/shops/v1?page=2", "https://proxy.example.com/shop/shops/v1?page=2"),
        (true, "https://proxy.example.com/v1/list", "https://proxy.example.com/v1/list"),
        (true, "?page=2", "https://proxy.example.com/shop/v1/list?page=2"),
        (false, "/v1/list?page=2", "https://proxy.example.com/v1/list?page=2"),
    ] {
        let paginator = paginator(Form::NextUrl { url: path("next"), same_host: false, below_host });
        let body = json!({"next": written});
        let answer = Answer { body: &body, headers: &[], url: &url, below: "/shop", listed: &[] };
        let next = paginator.next(None, answer).unwrap().next.unwrap();
        assert_eq!(next.at, At::Url(expected.into()), "{written}");
    }
    let elsewhere = json!({"next": "//evil.example.com/v1/list"});
    let paginator = paginator(Form::NextUrl { url: path("next"), same_host: false, below_host: true });
    let answer = Answer { body: &elsewhere, headers: &[], url: &url, below: "/shop", listed: &[] };
    assert_eq!(paginator.next(None, answer).unwrap_err().code, "next_page_refused");
}

#[test]
fn link_headers_are_read_with_commas_and_several_relations() {
    let paginator = paginator(Form::LinkHeader);
    for (value, expected) in [
        (
            r#"<https://api.example.com/l?a=1,2>; rel="prev", </l?page=3>; title="a, b"; rel="last next""#,
            Some("https://api.example.com/l?page=3"),
        ),
        (r#"</l?page=2>; rel=next"#, Some("https://api.example.com/l?page=2")),
        (r#"</l?page=2>; rel="prev""#, None),
        ("nonsense", None),
    ] {
        let headers = vec![("link".to_owned(), value.to_owned())];
        let next = following(&paginator, None, &json!({}), &headers).unwrap().next;
        assert_eq!(next.map(|token| token.at), expected.map(|url| At::Url(url.into())), "{value}");
    }
}

#[test]
fn pages_and_offsets_count() {
    let pages = paginator(Form::Page {
        into: Target::Query("page".into()),
        start: 1,
        size: Some(2),
        total: Some(path("pages")),
    });
    let full = json!({"data": [1, 2]});
    let second = following(&pages, None, &full, &[]).unwrap().next.unwrap();
    assert_eq!(second.at, At::Number(2));
    assert!(following(&pages, Some(&second), &json!({"data": [3]}), &[]).unwrap().next.is_none());
    assert!(following(&pages, Some(&second), &json!({"data": [3, 4], "pages": 2}), &[]).unwrap().next.is_none());

    let offsets = paginator(Form::Offset { into: Target::Query("offset".into()), size: 2, total: Some(path("total")) });
    let next = following(&offsets, None, &json!({"data": [1, 2], "total": "3"}), &[]).unwrap().next.unwrap();
    assert_eq!(next.at, At::Number(2));
    assert!(following(&offsets, Some(&next), &json!({"data": [3], "total": 3}), &[]).unwrap().next.is_none());
    // a server that caps its pages below the asked size: the total counts, and no record is passed over
    let next = following(&offsets, None, &json!({"data": [1], "total": 3}), &[]).unwrap().next.unwrap();
    assert_eq!(next.at, At::Number(1));
}

#[test]
fn a_token_survives_the_store() {
    let token = PageToken { at: At::Url("https://x/".into()), pages: 3, previous: Some("ab".into()), anchor: None };
    let stored = serde_json::to_string(&token).unwrap();
    assert_eq!(serde_json::from_str::<PageToken>(&stored).unwrap(), token);
}

proptest! {
    /// A service whose tokens run into a cycle of any shape is left after finitely many pages.
    #[test]
    fn every_cycle_ends(lead in 0_u64..20, length in 1_u64..20) {
        let mut current: Option<PageToken> = None;
        let mut place = 0;
        for _ in 0..400 {
            place = if place + 1 >= lead + length { lead } else { place + 1 };
            let body = json!({"meta": {"next_token": format!("t{place}")}});
            match following(&cursor(), current.as_ref(), &body, &[]).unwrap().next {
                Some(token) => current = Some(token),
                None => return Ok(()),
            }
        }
        prop_assert!(false, "400 pages of a cycle were read");
    }
}
