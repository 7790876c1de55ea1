//! The HTTP clients and their pools: one per port, scheme and proxy, made when first needed. The port is
//! part of the key because a resolver is told names only, and `egress.allow` speaks of ports too.

use std::net::SocketAddr;
use std::time::Duration;

use parking_lot::RwLock;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Proxy, redirect, retry};
use rustls::ClientConfig;
use url::Url;

use super::egress::{Egress, NameNotFound};
use super::tls;
use crate::engine::Failure;

/// A host that does not accept within this time is not reached; whatever the request's own timeout is.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Below what servers commonly keep idle connections for (Node and Apache 5 s, nginx 75 s): a connection
/// that a server closes under a request leaves open whether a write was done, so we close it first.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// More than run at once by default: no connection is thrown away under load.
const POOL_IDLE_PER_HOST: usize = 128;

/// More clients than this mean that ports are made up on the way; the oldest goes, its pool with it.
const MAX_CLIENTS: usize = 32;

/// Every client of the process.
pub struct Clients {
    egress: Egress,
    user_agent: String,
    // Instead of what browsers trust.
    trust: Option<ClientConfig>,
    made: RwLock<Vec<Made>>,
}

struct Made {
    secure: bool,
    port: u16,
    proxy: Option<String>,
    client: Client,
}

impl Clients {
    /// None yet.
    pub fn new(egress: Egress, user_agent: String, trust: Option<ClientConfig>) -> Self {
        Clients { egress, user_agent, trust, made: RwLock::default() }
    }

    /// The client for a URL, from the pool of those made before. `proxy` is `http://[user:password@]host:port`.
    pub fn client_for(&self, url: &Url, proxy: Option<&str>) -> Result<Client, Failure> {
        let secure = url.scheme() == "https";
        let port = url.port_or_known_default().unwrap_or_default();
        let fits = |made: &&Made| made.port == port && made.secure == secure && made.proxy.as_deref() == proxy;
        if let Some(made) = self.made.read().iter().find(fits) {
            return Ok(made.client.clone());
        }
        let mut all = self.made.write();
        if let Some(made) = all.iter().find(fits) {
            return Ok(made.client.clone());
        }
        let client = self.make(secure, port, proxy)?;
        if all.len() >= MAX_CLIENTS {
            all.remove(0);
        }
        all.push(Made { secure, port, proxy: proxy.map(str::to_owned), client: client.clone() });
        Ok(client)
    }

    fn make(&self, secure: bool, port: u16, proxy: Option<&str>) -> Result<Client, Failure> {
        let tls = if secure || proxy.is_some_and(|proxy| proxy.starts_with("https:")) {
            self.trust.clone().map_or_else(tls::verified, Ok)?
        } else {
            tls::unused()?
        };
        let builder = Client::builder()
            .tls_backend_preconfigured(tls)
            // With HTTP/1.1 it is certain whether a body left (see `delivery`); HTTP/2 would send ahead.
            .http1_only()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .user_agent(self.user_agent.as_str())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .pool_max_idle_per_host(POOL_IDLE_PER_HOST)
            .tcp_nodelay(true)
            .no_proxy();
        let builder = match proxy {
            None => builder.dns_resolver(self.egress.resolver(port)),
            Some(address) => {
                builder.proxy(Proxy::all(address).map_err(|_| proxy_invalid())?).dns_resolver(ProxyResolver)
            }
        };
        builder
            .build()
            .map_err(|error| Failure::not_sent("client_failed", format!("the HTTP client can not be set up: {error}")))
    }
}

fn proxy_invalid() -> Failure {
    // The address may hold a password: it is not repeated.
    Failure::not_sent("proxy_invalid", "the connection's proxy is not a URL")
        .with_help("write `proxy: http://host:port` in tidegate.yaml")
}

/// Finds the proxy itself. Whoever writes the settings chose it, so any address will do; names behind it
/// are the proxy's to resolve, and only addresses written into URLs are judged here.
struct ProxyResolver;

impl Resolve for ProxyResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await.map_err(NameNotFound)?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
