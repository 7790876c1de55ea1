//! Where an answer sends us next. Pure: the requester follows, guards the address and decides what goes along.

use super::message::{Method, Url};

/// The most redirects that one request follows.
pub const MAX_HOPS: u8 = 5;

/// What an answer says about the next hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is the answer.
    Answer,
    /// Go on.
    Follow(Hop),
    /// It leads to where we do not go: the reason, in words.
    Refuse(String),
}

/// One hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Where.
    pub url: Url,
    /// `GET` where the answer turned a `POST` into one.
    pub method: Method,
    /// Whether the body goes along.
    pub keeps_body: bool,
}

/// The next hop after `status` with this `Location`, by RFC 9110 section 15.4 and the practice of browsers:
/// 307 and 308 keep method and body; 301 and 302 turn a `POST`, 303 anything but `HEAD`, into a `GET`.
pub fn next(status: u16, location: Option<&str>, method: &Method, url: &Url) -> Next {
    let becomes_get = match status {
        301 | 302 => method == Method::POST,
        303 => method != Method::HEAD,
        307 | 308 => false,
        _ => return Next::Answer,
    };
    // Without a `Location` there is nowhere to go: the status itself is the answer.
    let Some(location) = location else {
        return Next::Answer;
    };
    let Ok(mut target) = url.join(location) else {
        return Next::Refuse("its `Location` is not a URL".to_owned());
    };
    if !matches!(target.scheme(), "http" | "https") {
        return Next::Refuse(format!("it leads to `{}:`", target.scheme()));
    }
    if url.scheme() == "https" && target.scheme() == "http" {
        return Next::Refuse("it leads from https to http".to_owned());
    }
    if !target.username().is_empty() || target.password().is_some() {
        return Next::Refuse("its `Location` holds a user name or password".to_owned());
    }
    target.set_fragment(None);
    Next::Follow(Hop {
        url: target,
        method: if becomes_get { Method::GET } else { method.clone() },
        keeps_body: !becomes_get,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_and_bodies_go_along_as_the_status_says() {
        let url = Url::parse("https://a.test/x/y?z").unwrap();
        for (status, method, expected) in [
            (301, Method::POST, Some((Method::GET, false))),
            (302, Method::POST, Some((Method::GET, false))),
            (303, Method::POST, Some((Method::GET, false))),
            (303, Method::DELETE, Some((Method::GET, false))),
            (303, Method::HEAD, Some((Method::HEAD, true))),
            (302, Method::DELETE, Some((Method::DELETE, true))),
            (307, Method::POST, Some((Method::POST, true))),
            (308, Method::PUT, Some((Method::PUT, true))),
            (301, Method::GET, Some((Method::GET, true))),
            (304, Method::GET, None),
            (300, Method::GET, None),
            (200, Method::GET, None),
        ] {
            let found = match next(status, Some("../b"), &method, &url) {
                Next::Follow(hop) => {
                    assert_eq!(hop.url.as_str(), "https://a.test/b");
                    Some((hop.method, hop.keeps_body))
                }
                Next::Answer => None,
                Next::Refuse(reason) => panic!("{reason}"),
            };
            assert_eq!(found, expected, "{status} {method}");
        }
        assert_eq!(next(302, None, &Method::GET, &url), Next::Answer);
    }

    #[test]
    fn some_targets_are_refused() {
        let url = Url::parse("https://a.test/").unwrap();
        for location in
            ["http://a.test/", "ftp://a.test/", "file:///etc/passwd", "https://u:p@a.test/", "https://[oops/"]
        {
            let next = next(307, Some(location), &Method::GET, &url);
            assert!(matches!(next, Next::Refuse(_)), "{location}: {next:?}");
        }
    }
}
