//! What a host does when something changes while it works: the project's files, or the connections in its
//! store, or what is in the vault. Only a sound snapshot of all of them is deployed; else what worked before goes on.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;

use super::held::Seen;
use super::{Change, Live, deploy, read_vault};
use crate::app::watch::Watch;
use crate::app::{Error, Exit, Place, Project, Result, connections, project, publish};
use crate::secrets::{Secrets, Vaulted};
use crate::settings::{Settings, Source};
use crate::store::connections::Standing;
use crate::worker::Keys;

// How long a deployment waits that the store could not take.
const RETRY_AFTER: Duration = Duration::from_secs(5);

// How often the vault is read again, for secrets that were renewed; and where it could not be read.
const VAULT_EVERY: Duration = Duration::from_secs(300);
const VAULT_AGAIN_AFTER: Duration = Duration::from_secs(15);

/// What takes up changes: of the files, of the stored connections, and of the vault.
pub(super) struct Follow {
    pub live: Live,
    pub place: Place,
    pub secrets: Secrets,
    pub keys: Keys,
    pub changes: broadcast::Sender<Change>,
    /// What was read from the vault last.
    pub vaulted: Vaulted,
    /// What the host was started with.
    pub settings: Arc<Settings>,
}

impl Follow {
    /// Takes up what changes, for as long as it is awaited.
    pub async fn follow(mut self, mut watch: Option<Watch>) {
        let host = Arc::clone(&self.live.host);
        let started_with = Arc::clone(&self.settings);
        let mut seen = self.live.project.seen();
        let mut is_behind = false;
        loop {
            match is_behind {
                true => tokio::time::sleep(RETRY_AFTER).await,
                false => tokio::select! {
                    () = changed(&mut watch) => {}
                    () = host.touched_outside() => {}
                    () = due(&self.vaulted) => {
                        if let Err(error) = self.read_again().await {
                            tracing::error!(code = error.code, "renewed secrets could not be taken up: {error}");
                        }
                        continue;
                    }
                },
            }
            let project = match self.read(watch.is_none()).await {
                Ok(project) => project,
                Err(error) => {
                    is_behind = true;
                    tracing::error!(code = error.code, "what changed could not be read, which is tried again: {error}");
                    continue;
                }
            };
            // The same would be told a second time.
            let now = Seen::of(&project);
            if now == seen && !is_behind {
                continue;
            }
            seen = now;
            match self.take_up(project, &started_with).await {
                Ok(change) => {
                    is_behind = false;
                    // An error means that nobody wants to know.
                    let _ = self.changes.send(change);
                }
                Err(error) => {
                    is_behind = true;
                    tracing::error!(
                        code = error.code,
                        "what changed could not be deployed, which is tried again: {error}"
                    );
                }
            }
        }
    }

    async fn read(&self, is_published: bool) -> Result<Project> {
        if is_published {
            let newest = publish::newest(&self.live.host.store, &self.place).await?;
            // Nothing is published yet.
            return match newest {
                Some(project) => Ok(project),
                None => self.read_files().await,
            };
        }
        self.read_files().await
    }

    async fn read_files(&self) -> Result<Project> {
        let stored = self.live.host.store.accounts().await?;
        let place = self.place.clone();
        let read = tokio::task::spawn_blocking(move || project::load_with(&place, stored)).await;
        read.map_err(|error| Error::new(Exit::Host, "files_unreadable", error.to_string()))
    }

    /// Reads the vault, and where a secret is another one now, deploys what is deployed with it. Connections that
    /// were refused with the old one are tested, so that their polls go on.
    async fn read_again(&mut self) -> Result<()> {
        let project = self.live.project();
        let host = &self.live.host;
        let fresh = read_vault(&self.place.clock, &project, &self.secrets, &self.vaulted).await;
        let changed = |name: &str| fresh.get(name) != self.vaulted.get(name);
        let names: Vec<String> = project
            .catalog
            .settings
            .value
            .connections
            .iter()
            .filter(|(_, connection)| {
                let mut sources = connection.fields.values();
                sources.any(|source| matches!(source, Source::Vault { vault } if changed(vault)))
            })
            .map(|(name, _)| name.clone())
            .collect();
        self.vaulted = fresh;
        if names.is_empty() {
            return Ok(());
        }
        tracing::info!(connections = %names.join(", "), "secrets of the vault are taken up");
        let secrets = self.secrets.clone().with_key(self.keys.existing().await?).with_vaulted(self.vaulted.clone());
        deploy(host, &project, secrets).await?;
        for known in host.store.connection_states().await? {
            if known.state == Standing::Attention && names.contains(&known.name) {
                let deployment = host.deployment();
                let proof = connections::ask(&project, &host.executor, &deployment.accounts, &known.name).await;
                connections::record(&self.live.view(), &host.store, &known.name, &proof.result).await?;
            }
        }
        Ok(())
    }

    async fn take_up(&mut self, project: Project, started_with: &Settings) -> Result<Change> {
        if project.has_errors() {
            self.live.project.refuse(project.errors());
            return Ok(Change::Refused { diagnostics: project.diagnostics, files: project.catalog.files });
        }
        self.vaulted = read_vault(&self.place.clock, &project, &self.secrets, &self.vaulted).await;
        let secrets = self.secrets.clone().with_key(self.keys.existing().await?).with_vaulted(self.vaulted.clone());
        let change = deploy(&self.live.host, &project, secrets).await?;
        if needs_restart(&project.catalog.settings.value, started_with) {
            tracing::warn!(
                "`listen`, `public`, `store`, `key_file`, `egress`, `worker`, `retention` and `files` are taken up at the \
                 next start"
            );
        }
        self.live.project.put(project);
        Ok(change)
    }
}

// Where hosts read what is published, no file is watched.
async fn changed(watch: &mut Option<Watch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

// When the vault is to be read again; never where nothing names it.
async fn due(vaulted: &Vaulted) {
    match vaulted.values().any(|read| read.is_err()) {
        _ if vaulted.is_empty() => std::future::pending().await,
        true => tokio::time::sleep(VAULT_AGAIN_AFTER).await,
        false => tokio::time::sleep(VAULT_EVERY).await,
    }
}

// Connections and flows alone are taken up by a host that works.
fn needs_restart(now: &Settings, before: &Settings) -> bool {
    let fixed = |settings: &Settings| {
        let mut fixed = settings.clone();
        fixed.connections.clear();
        fixed.flows.clear();
        fixed.alerts.clear();
        fixed.vault = None;
        serde_json::to_value(fixed).ok()
    };
    fixed(now) != fixed(before)
}
