//! How public pages look: a heading, a few lines, perhaps a form. Every text is escaped as it is put in, and the
//! style is in the page itself, permitted by its hash.

use std::sync::LazyLock;

use axum::http::{HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

const STYLE: &str = "\
:root{color-scheme:light dark;font:17px/1.5 system-ui,sans-serif}\
body{margin:0;display:grid;min-height:100vh;place-items:center}\
main{box-sizing:border-box;width:min(34rem,100%);padding:1.5rem}\
h1{font-size:1.4rem;line-height:1.25;margin:0 0 1rem;overflow-wrap:anywhere}\
p{margin:.5rem 0;overflow-wrap:anywhere;white-space:pre-line}\
form{margin-top:1.25rem;display:flex;flex-wrap:wrap;gap:.75rem}\
label{width:100%}\
textarea{box-sizing:border-box;width:100%;min-height:6rem;font:inherit;padding:.5rem;margin-top:.25rem}\
button{font:inherit;padding:.6rem 1.2rem;border:1px solid currentColor;border-radius:.4rem;background:none;color:inherit;cursor:pointer}\
.note{opacity:.7;font-size:.9rem}";

static POLICY: LazyLock<Option<HeaderValue>> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).ok()
});

/// One page.
pub struct Page {
    title: String,
    body: Vec<Markup>,
}

impl Page {
    /// A page with a heading, which is its title as well.
    pub fn new(title: impl Into<String>) -> Page {
        Page { title: title.into(), body: Vec::new() }
    }

    /// A paragraph more.
    #[must_use]
    pub fn line(self, text: &str) -> Page {
        self.with(html! { p { (text) } })
    }

    /// A paragraph more, less in view.
    #[must_use]
    pub fn note(self, text: &str) -> Page {
        self.with(html! { p.note { (text) } })
    }

    /// Anything more, a form for example.
    #[must_use]
    pub fn with(mut self, markup: Markup) -> Page {
        self.body.push(markup);
        self
    }

    /// The answer to a request.
    pub fn answer(self, status: StatusCode) -> Response {
        let markup = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="robots" content="noindex";
                    title { (self.title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    main {
                        h1 { (self.title) }
                        @for part in &self.body { (part) }
                    }
                }
            }
        };
        (status, Html(markup.into_string())).into_response()
    }
}

/// The content security policy of every page: its own style, its own forms, and nothing else.
pub fn policy() -> HeaderValue {
    POLICY.clone().unwrap_or(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_page_says_is_never_markup() {
        let response = Page::new("<b>").line("<script>alert(1)</script>").note("a & b").answer(StatusCode::OK);
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(!text.contains("<script") && text.contains("&lt;script&gt;"), "{text}");
        assert!(text.contains("<title>&lt;b&gt;</title>") && text.contains("a &amp; b"), "{text}");
        assert!(text.contains(STYLE), "the hash is of the style as it stands in the page");
    }
}
