//! What can be known about a vault without asking it: its address, how it is asked, and how secrets are named. What
//! is in it, `check` says that it did not look at.

use url::Url;

use super::findings::Findings;
use crate::settings::{self, Reference, Settings, Source};

/// The section `vault`.
pub fn section(findings: &mut Findings<'_>, settings: &Settings) {
    let Some(vault) = &settings.vault else { return };
    if let Some(address) = &vault.address {
        self::address(findings, address);
    }
    let role = vault.approle.as_ref();
    if role.is_some() && vault.token.is_some() {
        findings.key_error(
            "vault_entry_twice",
            "/vault/token",
            "the vault is asked by a token or by a role, not by both",
            "leave one out",
        );
    }
    for (place, source) in [
        ("/vault/token", vault.token.as_ref()),
        ("/vault/approle/role_id", role.map(|role| &role.role_id)),
        ("/vault/approle/secret_id", role.map(|role| &role.secret_id)),
    ] {
        if matches!(source, Some(Source::Vault { .. })) {
            findings.error(
                "vault_circular",
                place,
                "what the vault is asked with cannot be read from the vault",
                "write `{file: PATH}` or `{env: NAME}`",
            );
        }
    }
}

/// One `{vault: PATH#KEY}`.
pub fn reference(findings: &mut Findings<'_>, pointer: &str, text: &str) {
    match Reference::parse(text) {
        Err(wrong) => {
            findings.error("vault_path_invalid", pointer, wrong, "write for example `secret/data/twilio#auth_token`")
        }
        Ok(Reference { path, key }) => findings.note(
            "vault_not_read",
            pointer,
            format!("whether `{path}` in the vault has a value `{key}` is not known here"),
            "`tidegate connections test` reads it".to_owned(),
        ),
    }
}

fn address(findings: &mut Findings<'_>, text: &str) {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let wrong = match url {
        None => "this is no address of a vault",
        Some(url) if url.scheme() == "http" && !settings::is_loopback(&url) => "secrets would travel in the clear",
        Some(_) => return,
    };
    findings.error(
        "vault_address_invalid",
        "/vault/address",
        wrong,
        "write for example https://vault.example.org:8200",
    );
}
