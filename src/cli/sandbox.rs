//! `tidegate sandbox` (hidden): the local services in a process of their own, for tests and benches.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::exit::Result;
use super::{output, signals};
use crate::sandbox::{self, Options, RateLimits};

/// The words of `sandbox`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tidegate sandbox                                       on free ports
  tidegate sandbox --x 127.0.0.1:18080 --ledger received.jsonl

Prints one JSON line once it listens: {\"x\": URL, \"twilio\": URL, \"json\": URL, \"control\": URL}.")]
pub struct Sandbox {
    /// Where X listens
    #[arg(long, value_name = "ADDRESS", default_value_t = free_port())]
    x: SocketAddr,
    /// Where Twilio listens
    #[arg(long, value_name = "ADDRESS", default_value_t = free_port())]
    twilio: SocketAddr,
    /// Where the JSON service and the control API listen
    #[arg(long, value_name = "ADDRESS", default_value_t = free_port())]
    json: SocketAddr,
    /// Append a JSON line per write that is received to this file
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    /// Requests that each operation of X takes in 15 minutes, instead of the documented numbers
    #[arg(long, value_name = "NUMBER")]
    each_limit: Option<u32>,
}

impl Sandbox {
    pub async fn perform(self) -> Result {
        let options = Options {
            x_listen: self.x,
            twilio_listen: self.twilio,
            json_listen: self.json,
            ledger_file: self.ledger,
            rate_limits: self.each_limit.map_or(RateLimits::Documented, RateLimits::Each),
            ..Options::default()
        };
        // Before it says that it is ready: whoever reads that may end it at once.
        let stop = signals::stop()?;
        let sandbox = sandbox::Sandbox::start(options).await?;
        let urls = json!({
            "x": sandbox.x_url(),
            "twilio": sandbox.twilio_url(),
            "json": sandbox.json_url(),
            "control": sandbox.control_url(),
        });
        output::write(&format!("{urls}\n"))?;
        stop.await;
        sandbox.stop().await;
        Ok(ExitCode::SUCCESS)
    }
}

fn free_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}
