//! What the settings name in a vault, read before connections are bound: at the start, when something is taken up,
//! and again while the host works (`up/follow.rs`). A vault that fails keeps nobody from starting: the connections
//! that need it say why they cannot be used.

use std::collections::BTreeSet;

use crate::clock::Clock;
use crate::connector::vault::Vault;
use crate::secrets::{Secrets, Vaulted};
use crate::settings::{Connection, Settings, Source};

use super::open::USER_AGENT;

/// Reads what these connections name. What cannot be read now and was known `before` stays as it was.
pub(super) async fn read<'a>(
    settings: &Settings,
    connections: impl IntoIterator<Item = &'a Connection>,
    secrets: &Secrets,
    clock: &Clock,
    before: &Vaulted,
) -> Vaulted {
    let references: BTreeSet<String> = connections
        .into_iter()
        .filter(|connection| connection.active)
        .flat_map(|connection| connection.fields.values())
        .filter_map(|source| match source {
            Source::Vault { vault } => Some(vault.clone()),
            _ => None,
        })
        .collect();
    if references.is_empty() {
        return Vaulted::new();
    }
    let named = settings.vault.clone().unwrap_or_default();
    let mut read = match Vault::of(&named, secrets, clock, USER_AGENT) {
        Ok(vault) => vault.read(&references).await,
        Err(told) => references.into_iter().map(|text| (text, Err(told.clone()))).collect(),
    };
    for (text, value) in &mut read {
        if let (Err(told), Some(Ok(known))) = (&*value, before.get(text)) {
            tracing::warn!("a secret stays as it was read before: {told}");
            *value = Ok(known.clone());
        }
    }
    read
}
