//! The links that approvers get: an address and a token, made when a message is sent and never stored. A token is
//! an HMAC over what the link names, under a key of the store's own that is kept sealed; so whoever reads the
//! store, its journal or a backup cannot make one.

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use super::keys::{self, Keys};
use super::send::Sent;
use crate::engine::approval::{self, Asking, LINK_ALPHABET, OTHER_PLACEHOLDER};
use crate::engine::{Call, Failure, LookUp};
use crate::sealing::{Identity, Key};
use crate::store::tokens::{Asked, Lease};
use crate::store::{Store, id};

// Stands where a connection's name does; no connection can be called so.
const OWNER: &str = "(approvals)";
const FIELD: &str = "links";
const LEASE_MS: i64 = 30_000;
// 100 bits: nobody guesses one in the time that an approval is open.
const TOKEN_LETTERS: usize = 20;

// Of what a link names and its token; what is longer is no link.
const LONGEST_LETTERS: usize = 40;

/// Makes links, and knows them again.
pub struct Links {
    keys: Keys,
    store: Store,
    base: Option<String>,
    key: OnceCell<Zeroizing<String>>,
}

/// What stands for a link where things are written down, and the link itself: lives while one request is made.
pub struct Veil {
    placeholder: String,
    url: String,
    token: String,
}

impl Links {
    /// Links that begin with `base`, the settings' `public.url`.
    pub fn new(keys: Keys, store: Store, base: Option<&str>) -> Links {
        let base = base.map(|base| base.trim_end_matches('/').to_owned());
        Links { keys, store, base, key: OnceCell::new() }
    }

    /// The link of an approver, for a request whose texts hold its placeholder. `None` where none does.
    ///
    /// # Errors
    /// `public_url_missing`; the key's.
    pub async fn veil(&self, asking: &Asking, texts: &[&Value], now_ms: i64) -> Result<Option<Veil>, Failure> {
        let link = approval::link_id(&asking.approval, asking.position);
        let placeholder = approval::placeholder(&link);
        if !holds_link(asking, texts) {
            return Ok(None);
        }
        let Some(base) = &self.base else { return Err(no_public_url()) };
        let token = self.token(&link, now_ms).await?;
        Ok(Some(Veil { placeholder, url: format!("{base}/a/{link}{token}"), token }))
    }

    /// What the end of a link's address names; none where the token was altered.
    ///
    /// # Errors
    /// The key's.
    pub async fn named(&self, written: &str, now_ms: i64) -> Result<Option<String>, Failure> {
        let written = written.to_ascii_lowercase();
        let length = written.len().saturating_sub(TOKEN_LETTERS);
        let Some((link, token)) = written.split_at_checked(length) else { return Ok(None) };
        let wanted = self.token(link, now_ms).await?;
        // In a time that tells nothing of how much of it is right.
        let differs = wanted.bytes().zip(token.bytes()).fold(0, |seen, (one, other)| seen | (one ^ other));
        Ok((differs == 0 && token.len() == wanted.len()).then(|| link.to_owned()))
    }

    /// A recorded text without the tokens of links in it: a service that lists what was sent lists them, too.
    pub fn cover(&self, text: String) -> String {
        let Some(base) = &self.base else { return text };
        let plain = format!("{base}/a/");
        let escaped = plain.replace('/', "\\/");
        let mut covered = text;
        for beginning in [plain, escaped] {
            let mut from = 0;
            while let Some(at) = covered.get(from..).and_then(|rest| rest.find(&beginning)) {
                from += at + beginning.len();
                let letters = covered.bytes().skip(from).take_while(|byte| LINK_ALPHABET.contains(byte)).count();
                if let Some(start) = letters.checked_sub(TOKEN_LETTERS).filter(|_| letters <= LONGEST_LETTERS) {
                    covered.replace_range(from + start..from + letters, "•••");
                }
            }
        }
        covered
    }

    async fn token(&self, link: &str, now_ms: i64) -> Result<String, Failure> {
        let key = self.key.get_or_try_init(|| self.read_or_make(now_ms)).await?;
        let refused = |_| Failure::not_sent("key_invalid", "the key of approval links cannot be used");
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key.as_bytes()).map_err(refused)?;
        mac.update(b"approval link ");
        mac.update(link.as_bytes());
        let letter = |byte: &u8| LINK_ALPHABET.get(usize::from(byte % 32)).copied().map(char::from);
        Ok(mac.finalize().into_bytes().iter().take(TOKEN_LETTERS).filter_map(letter).collect())
    }

    // Made at first need, by one process: whoever comes second uses the first one's.
    async fn read_or_make(&self, now_ms: i64) -> Result<Zeroizing<String>, Failure> {
        let sealing = self.keys.key(now_ms).await?;
        let holder = id::new(now_ms);
        let asked = || Asked {
            connection: OWNER.to_owned(),
            scheme: FIELD.to_owned(),
            seen: 0,
            holder: holder.clone(),
            lease_ms: LEASE_MS,
        };
        let token = match self.store.lease_token(asked(), now_ms).await.map_err(refused)? {
            Lease::Newer(token) => token,
            Lease::Held { .. } => {
                return Err(Failure {
                    verdict: crate::engine::Verdict::Retry { after_ms: Some(1_000) },
                    ..Failure::not_sent("key_busy", "another process is making the key of approval links")
                });
            }
            Lease::Granted { .. } => {
                let made = Key::generate().map_err(|error| Failure::not_sent("key_invalid", error.to_string()))?;
                let identity =
                    Identity { connection: OWNER.to_owned(), field: FIELD.to_owned(), audience: String::new() };
                let text = made.text();
                let sealed = sealing
                    .seal(identity, &text)
                    .map_err(|error| Failure::not_sent("key_invalid", error.to_string()))?;
                self.store.renew_token(sealed, holder.clone(), now_ms).await.map_err(refused)?;
                return Ok(text);
            }
        };
        sealing.open(&token.sealed).map_err(|error| {
            Failure::not_sent("seal_broken", format!("the key of approval links cannot be opened: {error}"))
        })
    }
}

impl Veil {
    /// The call with the link in it.
    pub fn lifted(&self, call: Call) -> Call {
        let inputs = Arc::new(self.lift(&call.inputs));
        let element = call.element.as_ref().map(|element| self.lift(element));
        Call { inputs, element, ..call }
    }

    /// The look-up with the link in what it looks for.
    pub fn lifted_look(&self, look: &LookUp) -> LookUp {
        let element = look.element.as_ref().map(|element| self.lift(element));
        LookUp { inputs: Arc::new(self.lift(&look.inputs)), element, ..look.clone() }
    }

    /// What came of it, without the link.
    pub fn covered(&self, sent: Sent) -> Sent {
        Sent {
            exchange: sent.exchange.map(|exchange| self.cover_text(&exchange)),
            result: match sent.result {
                Ok(output) => Ok(self.cover(&output)),
                Err(failure) => Err(self.cover_failure(failure)),
            },
        }
    }

    /// A request's value with the link in the place of what stands for it.
    pub fn lift(&self, value: &Value) -> Value {
        self.map(value, &|text| text.replace(&self.placeholder, &self.url).replace(OTHER_PLACEHOLDER, &self.url))
    }

    /// What came back, without the link.
    pub fn cover(&self, value: &Value) -> Value {
        self.map(value, &|text| self.cover_text(text))
    }

    /// A text without the link, also where its slashes are escaped or the address was rewritten.
    pub fn cover_text(&self, text: &str) -> String {
        text.replace(&self.url, &self.placeholder).replace(&self.token, "•••")
    }

    /// The same failure, without the link.
    pub fn cover_failure(&self, failure: Failure) -> Failure {
        Failure {
            message: self.cover_text(&failure.message),
            help: failure.help.map(|help| self.cover_text(&help)),
            ..failure
        }
    }

    fn map(&self, value: &Value, change: &dyn Fn(&str) -> String) -> Value {
        match value {
            Value::String(text) => Value::String(change(text)),
            Value::Array(elements) => elements.iter().map(|element| self.map(element, change)).collect(),
            Value::Object(members) => {
                members.iter().map(|(name, member)| (name.clone(), self.map(member, change))).collect()
            }
            other => other.clone(),
        }
    }
}

impl From<keys::Error> for Failure {
    fn from(error: keys::Error) -> Failure {
        Failure::not_sent(error.code, error.message).with_help(error.help)
    }
}

/// Whether a link is to go into one of these texts.
pub fn holds_link(asking: &Asking, texts: &[&Value]) -> bool {
    let placeholder = approval::placeholder(&approval::link_id(&asking.approval, asking.position));
    texts.iter().any(|text| holds(text, &placeholder) || holds(text, OTHER_PLACEHOLDER))
}

/// Why no link can be made.
pub fn no_public_url() -> Failure {
    Failure::not_sent(
        "public_url_missing",
        "a link was to be sent, and nothing says how the public listener is reached",
    )
    .with_help("write `public: {url: https://...}` in tidegate.yaml, or leave the link out")
}

fn refused(error: crate::store::Error) -> Failure {
    Failure::not_sent(error.code, error.message).with_help(error.help)
}

fn holds(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => text.contains(wanted),
        Value::Array(elements) => elements.iter().any(|element| holds(element, wanted)),
        Value::Object(members) => members.values().any(|member| holds(member, wanted)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::secrets::key::KeyPlace;
    use crate::store::database::{self, Options};
    use crate::store::schema::MIGRATIONS;

    const NOW: i64 = 1_790_000_000_000;

    fn links(folder: &std::path::Path) -> Links {
        let handle = database::open(&folder.join("t.db"), &Options::new(MIGRATIONS, NOW)).unwrap();
        let store = Store::new(handle);
        let keys = Keys::new(KeyPlace::Beside(folder.join("t.key")), store.clone());
        Links::new(keys, store, Some("https://gate.example.org/"))
    }

    #[tokio::test]
    async fn a_link_is_known_again_and_an_altered_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let asking = Asking { approval: "a".to_owned(), position: 1 };
        let link = approval::link_id("a", 1);
        let placed = json!({"body": format!("go to {} or {OTHER_PLACEHOLDER}", approval::placeholder(&link)), "n": 1});
        let veil = links(folder.path()).veil(&asking, &[&placed], NOW).await.unwrap().unwrap();
        let sent = veil.lift(&placed);
        let body = sent["body"].as_str().unwrap();
        let url = body.strip_prefix("go to ").unwrap().split(' ').next().unwrap();
        assert!(url.starts_with(&format!("https://gate.example.org/a/{link}")), "{url}");
        assert_eq!(body, format!("go to {url} or {url}"));
        let covered = veil.cover(&sent).to_string() + &veil.cover_text(&format!("http:\\/\\/x\\/{}", &url[27..]));
        assert!(!covered.contains(&url[40..]), "{covered}");
        // Another process with the same store knows it as well.
        let again = links(folder.path());
        let written = url.rsplit('/').next().unwrap();
        assert_eq!(again.named(written, NOW).await.unwrap().as_ref(), Some(&link));
        assert_eq!(again.named(&written.to_uppercase(), NOW).await.unwrap().as_ref(), Some(&link));
        for at in 0..written.len() {
            let mut altered = written.to_owned().into_bytes();
            altered[at] = if altered[at] == b'0' { b'1' } else { b'0' };
            assert_eq!(again.named(&String::from_utf8(altered).unwrap(), NOW).await.unwrap(), None, "{at}");
        }
        for short in ["", "a", "é", &written[1..], &written[..31], "ééééééééééééééééé"] {
            assert_eq!(again.named(short, NOW).await.unwrap(), None, "{short}");
        }
    }

    #[tokio::test]
    async fn what_a_service_lists_is_kept_without_tokens() {
        let folder = tempfile::tempdir().unwrap();
        let links = links(folder.path());
        let (id, token) = ("0123456789ab", "abcdefghjkmnpqrstvwx");
        let plain = format!("go to https://gate.example.org/a/{id}{token} now");
        assert_eq!(links.cover(plain.clone()), format!("go to https://gate.example.org/a/{id}••• now"));
        let escaped = plain.replace('/', "\\/");
        assert!(!links.cover(format!("{escaped} {plain}")).contains(token));
        for other in ["https://gate.example.org/a/", "https://other.example/a/0123456789ababcdefghjkmnpqrstvwx", ""] {
            assert_eq!(links.cover(other.to_owned()), other);
        }
    }

    #[tokio::test]
    async fn without_a_link_in_it_nothing_is_needed() {
        let folder = tempfile::tempdir().unwrap();
        let asking = Asking { approval: "a".to_owned(), position: 0 };
        let other = approval::placeholder(&approval::link_id("a", 1));
        let veil = links(folder.path()).veil(&asking, &[&json!({"body": other})], NOW).await.unwrap();
        assert!(veil.is_none(), "another approver's placeholder is only text");
    }
}
