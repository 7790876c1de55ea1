//! Which of an account's schemes can sign what, and which of them a person can sign in for.

use std::sync::Arc;

use super::{Connection, Ways};
use crate::connector::action::Action;
use crate::connector::auth::Credentials;
use crate::connector::grants::Source;
use crate::engine::Failure;

impl Connection {
    /// The credentials of the schemes that an action accepts and that this account has the fields for, best
    /// first.
    ///
    /// # Errors
    /// `auth_missing`, with what each scheme lacks.
    pub fn credentials(&self, action: &Action) -> Result<Vec<Arc<Credentials>>, Failure> {
        self.usable(&action.schemes, action)
    }

    /// The credentials for requests that no action describes: the connector's default schemes, or else any.
    pub(in crate::connector) fn best_credentials(&self) -> Result<Ways, Failure> {
        self.usable(&self.connector.default_schemes, &"an http step")
    }

    /// Where the token of a scheme comes from, where it has to be had; why not otherwise.
    ///
    /// # Errors
    /// `sign_in_unknown`, `sign_in_given`, `auth_missing`.
    pub fn source(&self, scheme: &str) -> Result<&Arc<Source>, Failure> {
        match self.credentials.get(scheme) {
            Some(Ok(credentials)) => match credentials.as_ref() {
                Credentials::Had(source) => Ok(source),
                _ => Err(Failure::not_sent(
                    "sign_in_given",
                    format!("the tokens of `{scheme}` are given among the fields of connection `{}`", self.name),
                )
                .with_help("take them out there first, if a sign-in is to give them")),
            },
            Some(Err(why)) => Err(Failure::not_sent(
                "auth_missing",
                format!("the scheme `{scheme}` of connection `{}` {why}", self.name),
            )
            .with_help("give these fields first")),
            None => Err(Failure::not_sent("sign_in_unknown", format!("there is no scheme `{scheme}`"))),
        }
    }

    /// Reads the tokens of sign-ins again when they are next needed.
    pub fn forget_tokens(&self) {
        for credentials in self.credentials.values().flatten() {
            if let Credentials::Had(source) = credentials.as_ref() {
                source.forget();
            }
        }
    }

    /// The schemes that a user can sign in for, those of the connector's `defaults.auth` first.
    pub fn sign_ins(&self) -> Vec<&str> {
        let mut schemes: Vec<&str> = self.connector.schemes.with_sign_in().collect();
        let rank = |name: &str| self.connector.default_schemes.iter().position(|scheme| scheme == name);
        schemes.sort_by_key(|name| rank(name).unwrap_or(usize::MAX));
        schemes
    }

    fn usable(&self, schemes: &[String], what: &dyn std::fmt::Display) -> Result<Ways, Failure> {
        let known = schemes.iter().filter_map(|scheme| Some((scheme, self.credentials.get(scheme)?)));
        let (mut ways, mut lacking) = (Vec::with_capacity(1), Vec::new());
        for (scheme, credentials) in known {
            match credentials {
                Ok(credentials) => {
                    ways.push(Arc::clone(credentials));
                    if !matches!(credentials.as_ref(), Credentials::Had(_)) {
                        break;
                    }
                }
                Err(why) => lacking.push(format!("`{scheme}` {why}")),
            }
        }
        if !ways.is_empty() || schemes.is_empty() {
            return Ok(ways);
        }
        Err(Failure::not_sent(
            "auth_missing",
            format!("the connection `{}` has no credentials that {what} accepts: {}", self.name, lacking.join("; ")),
        )
        .with_help("give the fields of one of them"))
    }

    /// The scheme that requests of an action are signed with, as far as that is known before a token is had.
    pub(super) fn scheme<'a>(&self, action: &'a Action) -> Option<&'a str> {
        let is_at_hand = |scheme: &&String| match self.credentials.get(*scheme) {
            Some(Ok(credentials)) => match credentials.as_ref() {
                Credentials::Had(source) => source.is_had(),
                _ => true,
            },
            _ => false,
        };
        let can_be_had = |scheme: &&String| matches!(self.credentials.get(*scheme), Some(Ok(_)));
        let schemes = || action.schemes.iter();
        schemes().find(is_at_hand).or_else(|| schemes().find(can_be_had)).map(String::as_str)
    }
}
