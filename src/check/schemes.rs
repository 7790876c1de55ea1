//! The auth schemes whose token has to be had first: where they ask, and what they cannot do without.

use super::findings::{Findings, below};
use super::selectors::selector;
use super::{actions, connector::known_names};
use crate::manifest::Connector;
use crate::manifest::connector::Auth;
use crate::manifest::connector::auth::{GrantType, Oauth2, Session};

/// One scheme; its templates are checked by the caller.
pub fn scheme(findings: &mut Findings<'_>, connector: &Connector, pointer: &str, scheme: &Auth) {
    for (member, endpoint) in scheme.endpoints() {
        let place = format!("{pointer}{member}");
        match endpoint.host() {
            Some(host) => {
                let names = [host.to_owned()];
                known_names(findings, ("unknown_host", "host"), &below(&place, "host"), &names, &connector.hosts);
            }
            None if connector.defaults.host.is_none() => actions::default_host(findings, connector, &place),
            None => {}
        }
        if !endpoint.path().starts_with('/') {
            findings.error(
                "path_invalid",
                &place,
                "a path begins with `/`",
                "write what comes after the host, as `/oauth/token` or `{host: site, path: /authorize}`",
            );
        }
    }
    match scheme {
        Auth::Oauth2(scheme) => oauth2(findings, pointer, scheme),
        Auth::Session(scheme) => session(findings, pointer, scheme),
        _ => {}
    }
}

fn oauth2(findings: &mut Findings<'_>, pointer: &str, scheme: &Oauth2) {
    match scheme.grant {
        GrantType::AuthorizationCode if scheme.authorize.is_none() => findings.error(
            "authorize_missing",
            &below(pointer, "grant"),
            "it is not said where a user signs in",
            "write `authorize: /path`, or `authorize: {host: ..., path: ...}`",
        ),
        GrantType::ClientCredentials if scheme.authorize.is_some() => findings.error(
            "setting_without_effect",
            &below(pointer, "authorize"),
            "nobody signs in for `client_credentials`",
            "leave `authorize` out, or write `grant: authorization_code`",
        ),
        GrantType::ClientCredentials if scheme.client_secret.is_none() => findings.error(
            "client_secret_missing",
            &below(pointer, "grant"),
            "without a secret a client has no credentials of its own",
            "write `client_secret`",
        ),
        _ => {}
    }
}

fn session(findings: &mut Findings<'_>, pointer: &str, scheme: &Session) {
    let given =
        [&scheme.token, &scheme.token_header, &scheme.token_cookie].iter().filter(|from| from.is_some()).count();
    if given != 1 {
        findings.error(
            "session_token",
            pointer,
            "it is not said, or said twice, where the answer to the log-in holds the token",
            "write one of `token` (JMESPath on the body), `token_header` and `token_cookie`",
        );
    }
    if let Some(path) = &scheme.token {
        selector(findings, &below(pointer, "token"), path);
    }
    if let Some(path) = &scheme.expires_in {
        selector(findings, &below(pointer, "expires_in"), path);
    }
    if scheme.login.json.is_some() && scheme.login.form.is_some() {
        findings.error(
            "several_bodies",
            &below(pointer, "login"),
            "this request has several bodies: json, form",
            "write one of `json` and `form`",
        );
    }
}
