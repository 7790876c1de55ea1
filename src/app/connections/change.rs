//! What can be done with a stored connection: switch it on and off, forget it, seal everything under another
//! key. Those of `tidegate.yaml` are changed there.

use serde::Serialize;

use super::{flows_with, unknown};
use crate::app::{Error, Exit, Place, Result, View, open, stored};
use crate::manifest::{Catalog, Flow};
use crate::sealing::Key;
use crate::secrets::key::{self, KeyPlace};
use crate::settings::Connection;
use crate::store::Store;

/// What was changed.
#[derive(Clone, Debug, Serialize)]
pub struct Changed {
    /// The connection.
    pub name: String,
    /// What is true of it now, in words.
    pub state: String,
    /// The flows that use it.
    pub flows: Vec<String>,
}

/// What a rotation did.
#[derive(Clone, Debug, Serialize)]
pub struct Rekeyed {
    /// The new key's id.
    pub key: String,
    /// How many values are sealed under it.
    pub sealed: usize,
    /// Where the new key is.
    pub place: String,
    /// What a person has to do now.
    pub advice: Option<String>,
}

/// Switches a connection on or off; a host takes that up at once.
///
/// # Errors
/// `connection_unknown`, `connection_configured`.
pub async fn activate(place: &Place, name: &str, active: bool) -> Result<Changed> {
    let (view, connection) =
        find(place, name, if active { "write `active: true` there" } else { "write `active: false` there" }).await?;
    let flows = flows_with(&view.project.catalog, name, &connection.connector);
    let changed = Connection { active, ..connection };
    // Its secrets stay where they are: the body never holds them.
    let body = stored::body(&changed)?;
    view.store()?.set_account_body(name.to_owned(), body, view.clock.now_ms()).await?;
    let state = if active { "active" } else { "inactive" };
    Ok(Changed { name: name.to_owned(), state: state.to_owned(), flows })
}

/// Forgets a connection with its secrets and tokens.
///
/// # Errors
/// `connection_unknown`, `connection_configured`; `connection_used` while a flow uses it, unless forced.
pub async fn remove(place: &Place, name: &str, forced: bool) -> Result<Changed> {
    let (view, connection) = find(place, name, "remove it there").await?;
    let flows = users(&view.project.catalog, name, &connection.connector);
    if let (false, false) = (flows.is_empty(), forced) {
        let told = flows.join(", ");
        return Err(Error::problem("connection_used", format!("the connection `{name}` is used by {told}"))
            .with_help("let those use another, or remove it with --force: they stop then"));
    }
    view.store()?.remove_account(name.to_owned()).await?;
    Ok(Changed { name: name.to_owned(), state: "removed".to_owned(), flows })
}

/// Seals everything under a new key: made now, or from a file. All or nothing, and whatever interrupts it, one
/// of the two keys opens the store and is where it is looked for.
///
/// # Errors
/// `nothing_sealed`, `key_needed`, the key's and the store's.
pub async fn rekey(place: &Place, from_file: Option<&std::path::Path>) -> Result<Rekeyed> {
    let view = open::view(place).await?;
    let settings = &view.project.catalog.settings.value;
    let store = view.store()?;
    let keys = open::keys(place, settings, store)?;
    let Some(old) = keys.existing().await? else {
        return Err(Error::problem("nothing_sealed", "the store holds nothing that is sealed")
            .with_help("`tidegate connect` makes a connection, and the first key with it"));
    };
    let new = match (from_file, keys.place()) {
        (Some(path), _) => key::read(path).map_err(crate::worker::KeyError::from)?.ok_or_else(|| {
            Error::new(Exit::Host, "key_missing", format!("the key file {} is not there", path.display()))
        })?,
        (None, KeyPlace::Environment(_)) => {
            let message = "the present key comes from the environment, so a new one cannot be put in its place";
            return Err(Error::usage("key_needed", message)
                .with_help("write a new key to a file (`openssl rand -base64 32`) and give it with --new-key-file"));
        }
        (None, _) => Key::generate().map_err(|error| Error::new(Exit::Host, "key_unreadable", error.to_string()))?,
    };
    let id = new.id().to_owned();
    if id == old.id() {
        return Err(Error::problem("key_same", "this is the key that everything is sealed under already"));
    }
    let rotation = keys.place().prepare(&new).map_err(crate::worker::KeyError::from)?;
    let copy = Key::read(&old.text()).map_err(|error| Error::new(Exit::Host, "key_invalid", error.to_string()))?;
    let sealed = store.rekey(copy, new, view.clock.now_ms()).await;
    match (&sealed, rotation) {
        (Ok(_), Some(rotation)) => rotation.finish().map_err(crate::worker::KeyError::from)?,
        // Only where it is certain that nothing was sealed under it is the new key taken back.
        (Err(_), Some(rotation)) if is_still(store, old.id()).await => {
            rotation.abandon().map_err(crate::worker::KeyError::from)?;
        }
        _ => {}
    }
    let is_environment = matches!(keys.place(), KeyPlace::Environment(_));
    Ok(Rekeyed {
        key: id,
        sealed: sealed?,
        place: keys.place().to_string(),
        advice: is_environment
            .then(|| format!("set {} to the new key wherever Tidegate runs, and restart the host", key::KEY_VARIABLE)),
    })
}

async fn is_still(store: &Store, id: &str) -> bool {
    store.key_id().await.is_ok_and(|known| known.as_deref() == Some(id))
}

async fn find(place: &Place, name: &str, advice: &str) -> Result<(View, Connection)> {
    let view = open::view(place).await?;
    let found = view.project.catalog.settings.value.connections.get(name).cloned();
    match found {
        None => Err(unknown(name, &view.project.catalog.settings.value)),
        Some(connection) if !connection.is_stored => {
            let message = format!("the connection `{name}` stands in tidegate.yaml");
            Err(Error::problem("connection_configured", message).with_help(advice))
        }
        Some(connection) => Ok((view, connection)),
    }
}

// Also flows that name it where another would be chosen, and those that sign requests with it.
fn users(catalog: &Catalog, name: &str, connector: &str) -> Vec<String> {
    let mut flows = flows_with(catalog, name, connector);
    let names_it = |flow: &str, written: &Flow| {
        let settings = catalog.settings.value.flows.get(flow);
        let by_settings = settings.is_some_and(|flow| flow.connections.values().any(|chosen| chosen == name));
        by_settings
            || written.connections.values().any(|chosen| chosen == name)
            || crate::app::deploy::accounts_of(written).contains(name)
    };
    let naming = catalog.flows.iter().filter(|(flow, loaded)| names_it(flow, &loaded.value));
    flows.extend(naming.map(|(flow, _)| flow.clone()));
    flows.sort();
    flows.dedup();
    flows
}
