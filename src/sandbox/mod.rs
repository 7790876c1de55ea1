//! Faithful local servers on loopback: X, Twilio and a plain JSON service, with a control API to make
//! things arrive and to inject faults, and a ledger of every write they received. `tidegate demo`, the
//! tests and the benches use them. Knows nothing of the rest of Tidegate but the clock: what it verifies
//! (signatures, cursors, paging) it verifies with code of its own.

mod auth;
mod connection;
mod control;
mod control_routes;
mod exchange;
mod faults;
mod json;
mod ledger;
mod limits;
mod multipart;
mod server;
#[cfg(test)]
mod tests;
mod twilio;
mod x;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::clock::Clock;

pub use control::{Control, NewCall, NewItems, NewMessage, NewSms, NewTweet};
pub use exchange::Service;
pub use faults::{Fault, UnknownOperation};
pub use ledger::{Count, Receipt, ReceiptFilter};
pub use limits::RateLimits;
pub use twilio::DateGranularity;

/// OAuth 1.0a consumer key of the sandbox's X app.
pub const X_CONSUMER_KEY: &str = "sandboxConsumerKey";
/// OAuth 1.0a consumer secret of the sandbox's X app.
pub const X_CONSUMER_SECRET: &str = "sandbox-consumer-secret-not-a-secret";
/// OAuth 1.0a access token of the sandbox's X account.
pub const X_ACCESS_TOKEN: &str = "2900000000000000001-sandboxAccessToken";
/// OAuth 1.0a access token secret of the sandbox's X account.
pub const X_ACCESS_TOKEN_SECRET: &str = "sandbox-access-token-secret-not-a-secret";
/// App-only bearer token of the sandbox's X app.
pub const X_BEARER_TOKEN: &str = "sandbox-app-bearer-token";
/// OAuth 2.0 user access token of the sandbox's X account (all scopes).
pub const X_USER_TOKEN: &str = "sandbox-user-bearer-token";
/// OAuth 2.0 client id of the sandbox's X app.
pub const X_CLIENT_ID: &str = "sandboxClientId";
/// OAuth 2.0 client secret of the sandbox's X app.
pub const X_CLIENT_SECRET: &str = "sandbox-client-secret-not-a-secret";
/// Id of the X account that the user credentials belong to.
pub const X_USER_ID: &str = "2900000000000000001";
/// Username of the X account that the user credentials belong to.
pub const X_USERNAME: &str = "tidegate_demo";

/// Account SID of the sandbox's Twilio account.
pub const TWILIO_ACCOUNT_SID: &str = "AC5a9db0c5000000000000000000000001";
/// Auth token of the sandbox's Twilio account.
pub const TWILIO_AUTH_TOKEN: &str = "5a9db0c5aa7000000000000000000001";
/// A standard API key of that account: reaches everything except the account itself.
pub const TWILIO_API_KEY: &str = "SK5a9db0c5000000000000000000000001";
/// Secret of [`TWILIO_API_KEY`].
pub const TWILIO_API_KEY_SECRET: &str = "sandbox-api-key-secret-not-a-secret";
/// Account SID of the test credentials: only `POST Messages.json` works with them.
pub const TWILIO_TEST_ACCOUNT_SID: &str = "AC5a9db0c57e5700000000000000000001";
/// Auth token of the test credentials.
pub const TWILIO_TEST_AUTH_TOKEN: &str = "5a9db0c57e5700000000000000000002";
/// A subaccount of it, which its credentials reach too.
pub const TWILIO_SUBACCOUNT_SID: &str = "AC5a9db0c55b0000000000000000000001";
/// A messaging service of that account.
pub const TWILIO_MESSAGING_SERVICE: &str = "MG5a9db0c5000000000000000000000001";
/// A content template of that account: `Hello {{1}}, {{2}}`.
pub const TWILIO_CONTENT_SID: &str = "HX5a9db0c5000000000000000000000001";
/// A Verify service of that account.
pub const TWILIO_VERIFY_SERVICE: &str = "VA5a9db0c5000000000000000000000001";
/// The code that it sends, unless the request brings one.
pub const TWILIO_VERIFY_CODE: &str = "314159";
/// A number that the sandbox's Twilio account owns.
pub const TWILIO_NUMBER: &str = "+15550100100";

/// How the sandbox behaves. [`Options::default`] listens on free loopback ports with the documented limits.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the X server listens.
    pub x_listen: SocketAddr,
    /// Where the Twilio server listens.
    pub twilio_listen: SocketAddr,
    /// Where the generic JSON server listens; the control API is below `/control` there.
    pub json_listen: SocketAddr,
    /// The time that ids, dates, windows and `Date` headers are made from.
    pub clock: Clock,
    /// Receives one JSON line per received write, appended and synced in groups.
    pub ledger_file: Option<PathBuf>,
    /// X's request windows.
    pub rate_limits: RateLimits,
    /// How long the same text of the same X user is refused as a duplicate, in ms.
    pub duplicate_window_ms: i64,
    /// How long an OAuth 2 access token of X lasts, in ms.
    pub token_lifetime_ms: i64,
    /// How long after its creation a tweet becomes searchable, in ms. Really some seconds; 0 by default.
    pub index_lag_ms: i64,
    /// Longest X query in characters: 512 (the documented default), 1,024 or 4,096 by plan.
    pub query_length: usize,
    /// Whether recent search returns retweets; it stopped doing so on 2026-05-04.
    pub search_retweets: bool,
    /// Whether Twilio's `DateSent` filters look at the day or at the time; reports disagree.
    pub date_granularity: DateGranularity,
    /// How long an outgoing message stays queued, and then sent, before it is delivered, in ms each.
    pub delivery_ms: i64,
    /// Concurrent requests that Twilio takes before it answers 429; not published, so unlimited by default.
    pub twilio_concurrent: Option<usize>,
    /// When set, the JSON server wants this bearer token.
    pub json_token: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        let free_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Options {
            x_listen: free_port,
            twilio_listen: free_port,
            json_listen: free_port,
            clock: Clock::System,
            ledger_file: None,
            rate_limits: RateLimits::Documented,
            duplicate_window_ms: 15 * 60_000,
            token_lifetime_ms: 7_200_000,
            index_lag_ms: 0,
            query_length: 512,
            search_retweets: false,
            date_granularity: DateGranularity::Day,
            delivery_ms: 1_000,
            twilio_concurrent: None,
            json_token: None,
        }
    }
}

/// The running servers. Dropping it stops them without waiting; [`Sandbox::stop`] waits.
pub struct Sandbox {
    x_address: SocketAddr,
    twilio_address: SocketAddr,
    json_address: SocketAddr,
    control: Control,
    stop: watch::Sender<bool>,
    servers: Vec<JoinHandle<io::Result<()>>>,
}

impl Sandbox {
    /// Binds the three listeners and starts serving. Fails when an address is taken or the ledger file
    /// cannot be opened.
    pub async fn start(options: Options) -> io::Result<Sandbox> {
        let x_listener = bind("X", options.x_listen).await?;
        let twilio_listener = bind("Twilio", options.twilio_listen).await?;
        let json_listener = bind("JSON", options.json_listen).await?;
        let (x_address, twilio_address, json_address) =
            (x_listener.local_addr()?, twilio_listener.local_addr()?, json_listener.local_addr()?);

        // Media are at another place than the API, as Twilio's are.
        let media_listener = bind("media", SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let media_url = format!("http://{}", media_listener.local_addr()?);

        let shared = Arc::new(server::Shared::new(&options)?);
        let control = Control::new(shared.clone(), &options, &media_url);
        let (stop, stopped) = watch::channel(false);
        let routers = [
            (x_listener, server::router(shared.clone(), control.x.clone())),
            (twilio_listener, server::router(shared.clone(), control.twilio.clone())),
            (media_listener, twilio::media_router()),
            (
                json_listener,
                server::router(shared.clone(), control.json.clone())
                    .nest("/control", control_routes::router(control.clone())),
            ),
        ];
        let servers = routers
            .into_iter()
            .map(|(listener, router)| tokio::spawn(server::run(listener, router, stopped.clone())))
            .collect();
        Ok(Sandbox { x_address, twilio_address, json_address, control, stop, servers })
    }

    /// `http://127.0.0.1:PORT`, the place of `https://api.x.com`.
    pub fn x_url(&self) -> String {
        format!("http://{}", self.x_address)
    }

    /// `http://127.0.0.1:PORT`, the place of `https://api.twilio.com`.
    pub fn twilio_url(&self) -> String {
        format!("http://{}", self.twilio_address)
    }

    /// `http://127.0.0.1:PORT` of the generic JSON service.
    pub fn json_url(&self) -> String {
        format!("http://{}", self.json_address)
    }

    /// Where [`Control`]'s functions are reachable from another process.
    pub fn control_url(&self) -> String {
        format!("http://{}/control", self.json_address)
    }

    /// Makes things arrive, injects faults, and reads the ledger, in process.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Stops listening, lets answers under way finish for a moment, and syncs the ledger file.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        for mut server in std::mem::take(&mut self.servers) {
            match tokio::time::timeout(std::time::Duration::from_millis(300), &mut server).await {
                Ok(Ok(Ok(()))) => {}
                Ok(Ok(Err(error))) => tracing::error!(%error, "a sandbox server failed"),
                Ok(Err(error)) => tracing::error!(%error, "a sandbox server broke"),
                Err(_) => server.abort(),
            }
        }
        self.control.shared.ledger.close();
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        for server in &self.servers {
            server.abort();
        }
    }
}

async fn bind(name: &str, address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        io::Error::new(error.kind(), format!("the sandbox's {name} server cannot listen on {address}: {error}"))
    })
}
