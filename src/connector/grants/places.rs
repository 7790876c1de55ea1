//! Where the schemes of one bound connection ask: endpoints joined with its hosts.

use std::collections::BTreeMap;

use url::Url;

use crate::connector::message::HostSet;
use crate::engine::Failure;
use crate::manifest::connector::auth::Endpoint;

/// The hosts of a bound connection.
#[derive(Clone, Debug, Default)]
pub struct Places {
    hosts: BTreeMap<String, Url>,
    default_host: Option<String>,
}

/// A token endpoint.
pub type Place = Url;

impl Places {
    /// Of these hosts; `default_host` is the connector's.
    pub fn new(hosts: BTreeMap<String, Url>, default_host: Option<String>) -> Self {
        Places { hosts, default_host }
    }

    /// The URL of an endpoint.
    ///
    /// # Errors
    /// `no_host`.
    pub fn url(&self, endpoint: &Endpoint) -> Result<Url, Failure> {
        let only = || self.hosts.keys().next().filter(|_| self.hosts.len() == 1).map(String::as_str);
        let name = endpoint.host().or(self.default_host.as_deref()).or_else(only);
        let base = name.and_then(|name| self.hosts.get(name)).ok_or_else(|| {
            let message = format!("the connection has no host for `{}`", endpoint.path());
            Failure::not_sent("no_host", message)
        })?;
        let mut url = base.clone();
        let joined = format!("{}{}", base.path().trim_end_matches('/'), endpoint.path());
        url.set_path(&joined);
        Ok(url)
    }

    /// Where credentials may go.
    pub fn allowed(&self) -> HostSet {
        HostSet::new(self.hosts.values().cloned())
    }

    /// All of them as a text: a grant that was had for other hosts is not sent to these.
    pub fn fingerprint(&self) -> String {
        let origins = self.hosts.iter().map(|(name, url)| format!("{name}={}", url.origin().ascii_serialization()));
        origins.collect::<Vec<_>>().join(" ")
    }
}
