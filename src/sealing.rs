//! Sealing of secrets at rest: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha) under one key of 32 bytes, with what
//! a value belongs to as associated data. Pure but for the system's random numbers: where the key comes from is
//! `secrets`' to know, where sealed values are kept the store's. Refuses whatever was altered or moved.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// A key's length, in bytes.
pub const KEY_BYTES: usize = 32;

const NONCE_BYTES: usize = 24;

/// What seals and opens. It is wiped from memory when it is dropped.
pub struct Key {
    bytes: Zeroizing<[u8; KEY_BYTES]>,
    id: String,
}

/// What a sealed value belongs to: it opens nowhere else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The connection.
    pub connection: String,
    /// The field of it.
    pub field: String,
    /// Where the value may be sent: whoever changes that has to give the value again.
    pub audience: String,
}

/// A sealed value beside what it belongs to.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// What it belongs to.
    pub identity: Identity,
    /// The id of the key that opens it.
    pub key: String,
    /// A nonce and what it made of the value.
    pub body: Vec<u8>,
}

/// Why something could not be sealed or opened. Never holds a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is no key.
    #[error("it is not 32 bytes, written as 64 hexadecimal digits or as base64")]
    NoKey,
    /// A key of nothing but one byte is a placeholder.
    #[error("it is one byte 32 times: a placeholder, not a key")]
    Placeholder,
    /// The system gave no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
    /// The value was sealed under another key.
    #[error("it is sealed under the key {wanted}, and this is the key {given}")]
    OtherKey {
        /// The id of the key that would open it.
        wanted: String,
        /// The id of the key that was tried.
        given: String,
    },
    /// The value, or what it belongs to, was changed.
    #[error("the sealed value, or what it belongs to, was altered")]
    Altered,
}

impl Key {
    /// A new key.
    ///
    /// # Errors
    /// [`Error::Random`].
    pub fn generate() -> Result<Key, Error> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(bytes.as_mut_slice()).map_err(|error| Error::Random(error.to_string()))?;
        Ok(Key::of(bytes))
    }

    /// A key as it is written: 64 hexadecimal digits, or base64 of either alphabet, padded or not.
    ///
    /// # Errors
    /// [`Error::NoKey`], [`Error::Placeholder`].
    pub fn read(text: &str) -> Result<Key, Error> {
        let text = text.trim();
        let decoded = match hex(text) {
            Some(bytes) => bytes,
            None => {
                let plain = Zeroizing::new(text.replace('-', "+").replace('_', "/"));
                let bytes = STANDARD_NO_PAD.decode(plain.trim_end_matches('=')).map_err(|_| Error::NoKey)?;
                Zeroizing::new(bytes)
            }
        };
        let bytes: [u8; KEY_BYTES] = decoded.as_slice().try_into().map_err(|_| Error::NoKey)?;
        let bytes = Zeroizing::new(bytes);
        if bytes.iter().all(|byte| Some(byte) == bytes.first()) {
            return Err(Error::Placeholder);
        }
        Ok(Key::of(bytes))
    }

    /// The key as base64: what its file holds.
    pub fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(self.bytes.as_slice()))
    }

    /// Tells keys apart, and gives nothing of them away.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Seals a text for what it belongs to; the same text never looks the same twice.
    ///
    /// # Errors
    /// [`Error::Random`].
    pub fn seal(&self, identity: Identity, text: &str) -> Result<Sealed, Error> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|error| Error::Random(error.to_string()))?;
        let associated = identity.associated();
        let payload = Payload { msg: text.as_bytes(), aad: associated.as_bytes() };
        // Texts beyond 256 GiB alone are refused.
        let sealed = self.cipher().encrypt(&XNonce::from(nonce), payload).map_err(|_| Error::Altered)?;
        Ok(Sealed { identity, key: self.id.clone(), body: [nonce.as_slice(), &sealed].concat() })
    }

    /// Opens a value.
    ///
    /// # Errors
    /// [`Error::OtherKey`], [`Error::Altered`].
    pub fn open(&self, sealed: &Sealed) -> Result<Zeroizing<String>, Error> {
        if sealed.key != self.id {
            return Err(Error::OtherKey { wanted: sealed.key.clone(), given: self.id.clone() });
        }
        let (nonce, body) = sealed.body.split_first_chunk::<NONCE_BYTES>().ok_or(Error::Altered)?;
        let associated = sealed.identity.associated();
        let payload = Payload { msg: body, aad: associated.as_bytes() };
        let bytes = self.cipher().decrypt(&XNonce::from(*nonce), payload).map_err(|_| Error::Altered)?;
        String::from_utf8(bytes).map(Zeroizing::new).map_err(|error| {
            drop(Zeroizing::new(error.into_bytes()));
            Error::Altered
        })
    }

    fn of(bytes: Zeroizing<[u8; KEY_BYTES]>) -> Key {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104)")]
        let mut mac = Hmac::<Sha256>::new_from_slice(bytes.as_slice()).expect("any length");
        mac.update(b"tidegate key id");
        let id = mac.finalize().into_bytes().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Key { bytes, id }
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&(*self.bytes).into())
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Key({})", self.id)
    }
}

impl Identity {
    // A JSON list: no two identities have the same text.
    fn associated(&self) -> String {
        serde_json::json!(["tidegate", 1, self.connection, self.field, self.audience]).to_string()
    }
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Sealed({}.{}, key {})", self.identity.connection, self.identity.field, self.key)
    }
}

fn hex(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    if text.len() != KEY_BYTES * 2 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let pairs = (0..KEY_BYTES).map(|at| u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok());
    pairs.collect::<Option<Vec<u8>>>().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    fn identity() -> Identity {
        Identity { connection: "brand-x".to_owned(), field: "token".to_owned(), audience: "x".to_owned() }
    }

    #[test]
    fn a_value_comes_back_and_never_looks_the_same() {
        let key = Key::read(HEX).unwrap();
        let one = key.seal(identity(), "s3cret").unwrap();
        let two = key.seal(identity(), "s3cret").unwrap();
        assert_eq!(*key.open(&one).unwrap(), "s3cret");
        assert_ne!(one.body, two.body);
        assert!(!one.body.windows(6).any(|window| window == b"s3cret"));
        assert!(!format!("{key:?} {one:?}").contains("s3cret"));
    }

    #[test]
    fn what_was_altered_or_moved_does_not_open() {
        let key = Key::read(HEX).unwrap();
        let sealed = key.seal(identity(), "s3cret").unwrap();
        let others = [
            Identity { connection: "other".to_owned(), ..identity() },
            Identity { field: "other".to_owned(), ..identity() },
            Identity { audience: "x\napi=http://elsewhere".to_owned(), ..identity() },
            // The same letters, parted elsewhere.
            Identity { connection: "brand-xt".to_owned(), field: "oken".to_owned(), ..identity() },
        ];
        for other in others {
            assert_eq!(key.open(&Sealed { identity: other, ..sealed.clone() }), Err(Error::Altered));
        }
        for at in 0..sealed.body.len() {
            let mut altered = sealed.clone();
            altered.body[at] ^= 1;
            assert_eq!(key.open(&altered), Err(Error::Altered), "byte {at}");
        }
        assert_eq!(key.open(&Sealed { body: vec![1, 2, 3], ..sealed.clone() }), Err(Error::Altered));
        let other = Key::generate().unwrap();
        assert!(matches!(other.open(&sealed), Err(Error::OtherKey { .. })));
        // Not even where the row says that it is the right one.
        assert_eq!(other.open(&Sealed { key: other.id().to_owned(), ..sealed }), Err(Error::Altered));
    }

    #[test]
    fn keys_are_read_as_people_write_them() {
        let key = Key::read(HEX).unwrap();
        let base64 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
        for text in [HEX.to_uppercase(), format!(" {HEX}\n"), base64.to_owned(), format!("{base64}=\n")] {
            assert_eq!(Key::read(&text).unwrap().id(), key.id(), "{text}");
        }
        assert_eq!(Key::read(&key.text()).unwrap().id(), key.id());
        let bytes = [0xfb_u8; 31].into_iter().chain([0xff]).collect::<Vec<_>>();
        for text in [STANDARD.encode(&bytes), STANDARD.encode(&bytes).replace('+', "-").replace('/', "_")] {
            assert!(Key::read(&text).is_ok(), "{text}");
        }
        for text in ["", "secret", &HEX[2..], &base64[2..], "ZZ"] {
            assert_eq!(Key::read(text).err(), Some(Error::NoKey), "{text}");
        }
        assert_eq!(Key::read(&"00".repeat(32)).err(), Some(Error::Placeholder));
    }

    // The associated data and the layout are what rows on disk depend on: a value that was sealed by an earlier
    // program must open.
    #[test]
    fn the_layout_stays_as_it_is() {
        let key = Key::read(HEX).unwrap();
        let nonce = [7_u8; NONCE_BYTES];
        let payload = Payload { msg: b"kept", aad: br#"["tidegate",1,"brand-x","token","x"]"# };
        let body = key.cipher().encrypt(&XNonce::from(nonce), payload).unwrap();
        let sealed =
            Sealed { identity: identity(), key: key.id().to_owned(), body: [nonce.as_slice(), &body].concat() };
        assert_eq!(*key.open(&sealed).unwrap(), "kept");
        assert_eq!(key.id(), "e96b0fd90f48787e");
    }
}
