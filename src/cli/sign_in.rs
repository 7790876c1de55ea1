//! `tidegate connections sign-in`: shows the address, and waits for the browser or for what is typed in.

use std::io::{self, BufRead, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::exit::{Result, ended};
use super::{Context, output};
use crate::app::sign_in::Told;
use crate::app::sign_in::{self, Ready, SignedIn, Started, Wanted};
use crate::app::{self, Error, Exit};
use crate::web;
use crate::web::sign_in::CALLBACK;

/// How long a person gets to sign in: as long as X's request tokens live.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// The words of `sign-in`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tidegate connections sign-in brand-x                   prints an address to open in a browser here
  tidegate connections sign-in brand-x --scheme user2    by that scheme of the connector
  tidegate connections sign-in brand-x --pin             for a machine without a browser

The callback http://127.0.0.1:7402/sign-in/callback has to be registered at the service, unless --pin is given and
the service shows a PIN. What is granted is kept in the store, sealed. Exits with 4 if nobody signed in.")]
pub struct SignIn {
    /// The account's name
    connection: String,
    /// Which of the connector's schemes; the first that the account has the fields for unless given
    #[arg(long, value_name = "NAME")]
    scheme: Option<String>,
    #[command(flatten)]
    way: Way,
}

/// How the user comes back.
#[derive(Args, Debug)]
pub struct Way {
    /// Open the address on another machine, and type in the PIN that the service shows (or the address that the
    /// browser ends at)
    #[arg(long)]
    pin: bool,
    /// The port on 127.0.0.1 that the browser comes back to
    #[arg(long, value_name = "PORT", default_value_t = 7402, conflicts_with = "pin")]
    port: u16,
    /// Make a link to the public pages of the host that works here, for whoever is to sign in, and wait for it
    #[arg(long, conflicts_with_all = ["pin", "port"])]
    link: bool,
}

impl SignIn {
    pub async fn perform(self, context: Context) -> Result {
        self.way.sign_in(context, Wanted { connection: self.connection, scheme: self.scheme }).await
    }
}

impl Way {
    /// Signs a connection in, tests it, and shows both.
    pub async fn sign_in(self, context: Context, wanted: Wanted) -> Result {
        if self.link {
            let link = sign_in::link::offer(&context.place, &wanted).await?;
            tell(&link.url, "anywhere within 15 minutes")?;
            return show(&context, &link.wait().await?);
        }
        let ready = sign_in::prepare(&context.place, &wanted).await?;
        let (started, mut signed_in) = if self.pin { self.typed(ready).await? } else { self.here(ready).await? };
        signed_in.test = started.test().await?;
        show(&context, &signed_in)
    }

    async fn typed(self, ready: Ready) -> app::Result<(Started, SignedIn)> {
        let callback = format!("http://127.0.0.1:{}{CALLBACK}", self.port);
        let redirect_uri = (!ready.takes_pin()).then_some(callback.as_str());
        let asks = match redirect_uri {
            None => "Type in the PIN that it shows: ",
            Some(_) => "Type in the address that the browser ends at, though nothing is shown there: ",
        };
        let started = ready.start(redirect_uri).await?;
        tell(started.url(), "on any machine")?;
        let typed = typed(asks)?;
        let signed_in = started.finish(Told::Typed(typed)).await?;
        Ok((started, signed_in))
    }

    async fn here(self, ready: Ready) -> app::Result<(Started, SignedIn)> {
        let Some(listener) = web::bind(&format!("127.0.0.1:{}", self.port), "--port").await? else {
            return Err(Error::usage("listen_invalid", "there is no port to come back to"));
        };
        let callback = format!("http://{}{CALLBACK}", listener.address());
        let started = ready.start(Some(&callback)).await?;
        tell(started.url(), "on this machine")?;
        let signed_in = web::sign_in::wait(listener, &started, PATIENCE).await?;
        Ok((started, signed_in))
    }
}

fn show(context: &Context, signed_in: &SignedIn) -> Result {
    context.output.one(signed_in, |signed_in, _| text(signed_in))?;
    let works = signed_in.test.as_ref().is_none_or(|test| test.works);
    Ok(if works { ExitCode::SUCCESS } else { ended(Exit::Connection) })
}

fn tell(url: &str, whereabouts: &str) -> app::Result<()> {
    output::note(&format!("Open this address in a browser {whereabouts}, and agree:\n\n  {url}\n"))
        .map_err(|error| Error::new(Exit::Problem, "output_failed", format!("the address could not be shown: {error}")))
}

fn typed(asks: &str) -> app::Result<String> {
    let failed =
        |error: io::Error| Error::new(Exit::Connection, "sign_in_incomplete", format!("nothing was typed in: {error}"));
    if io::stdin().is_terminal() {
        output::note(asks).map_err(failed)?;
    }
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(failed)?;
    match line.trim() {
        "" => Err(Error::new(Exit::Connection, "sign_in_incomplete", "nothing was typed in").with_help("begin again")),
        typed => Ok(typed.to_owned()),
    }
}

fn text(signed_in: &SignedIn) -> String {
    let who = signed_in.account.as_ref().map_or(String::new(), |account| format!(" as {account}"));
    let mut text = format!("{} has signed in{who}", signed_in.connection);
    if let (Some(end), false) = (&signed_in.expires_at, signed_in.is_renewed) {
        text.push_str(&format!("; until {end}: it cannot be renewed without a person"));
    }
    if let Some(test) = &signed_in.test {
        text.push_str(&format!("; {}: {}", if test.works { "it works" } else { "it does not work" }, test.message));
    }
    text.push('\n');
    text
}
