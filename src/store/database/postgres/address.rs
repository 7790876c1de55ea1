//! Where a PostgreSQL store is, from the text of `store`: `postgres://user:password@host:port/database` with
//! the options of libpq. Reads `sslmode` and `sslrootcert` itself, and hands the rest to the driver. What is
//! shown of it never holds the user or the password.

use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use super::super::error::{Error, Result, code};

/// An address that was understood.
#[derive(Clone)]
pub(super) struct Address {
    pub(super) config: Config,
    pub(super) trust: Trust,
    name: String,
}

/// Which server is believed to be the right one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// No TLS.
    Plain,
    /// TLS against listeners, with whoever answers.
    Anybody,
    /// TLS with a server whose certificate names the host, signed by one of the roots: those of the file,
    /// or the public ones.
    Named { roots: Option<PathBuf> },
}

const HELP: &str = "Write it as `postgres://user:password@host:5432/database?sslmode=verify-full`";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const KEEPALIVE: Duration = Duration::from_secs(10);

impl Address {
    /// # Errors
    /// `store_address`, which repeats names of options and nothing else.
    pub(super) fn parse(text: &str) -> Result<Address> {
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let mut mode = None;
        let mut roots = None;
        let mut passed = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "sslmode" => mode = Some(value),
                "sslrootcert" => roots = Some(decoded(value)?),
                _ => passed.push(pair),
            }
        }
        let text = if passed.is_empty() { base.to_owned() } else { format!("{base}?{}", passed.join("&")) };
        let mut config: Config = text.parse().map_err(|error: tokio_postgres::Error| {
            // The cause names an option, or says what is missing; the text itself stays out.
            let why = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            wrong(format!("the address of the store cannot be read: {why}"))
        })?;
        let trust = trust(&mut config, mode, roots)?;
        if config.get_hosts().is_empty() {
            config.host("localhost");
        }
        if config.get_application_name().is_none() {
            config.application_name("tidegate");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        // A server that is gone without a word is noticed in half a minute.
        config.keepalives_idle(KEEPALIVE).keepalives_interval(KEEPALIVE).keepalives_retries(2);
        config.tcp_user_timeout(KEEPALIVE * 3);
        let name = shown(&config);
        Ok(Address { config, trust, name })
    }

    /// As it is shown: `database at host:port`.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

fn trust(config: &mut Config, mode: Option<&str>, roots: Option<String>) -> Result<Trust> {
    let (mode, trust) = match mode {
        Some("disable") => (SslMode::Disable, Trust::Plain),
        None | Some("prefer") => (SslMode::Prefer, Trust::Anybody),
        Some("require") => (SslMode::Require, Trust::Anybody),
        Some("verify-full") => (
            SslMode::Require,
            Trust::Named { roots: roots.as_deref().filter(|roots| *roots != "system").map(Into::into) },
        ),
        Some(_) => {
            return Err(wrong("`sslmode` of the store's address is not one of disable, prefer, require, verify-full"));
        }
    };
    if roots.is_some() && !matches!(trust, Trust::Named { .. }) {
        return Err(wrong("`sslrootcert` of the store's address has no effect without sslmode=verify-full"));
    }
    config.ssl_mode(mode);
    Ok(trust)
}

fn shown(config: &Config) -> String {
    let ports = config.get_ports();
    let hosts = config.get_hosts().iter().enumerate().map(|(at, host)| {
        let port = ports.get(at).or(ports.first()).copied().unwrap_or(5432);
        match host {
            Host::Tcp(host) => format!("{host}:{port}"),
            #[cfg(unix)]
            Host::Unix(folder) => format!("{}:{port}", folder.display()),
        }
    });
    let hosts: Vec<String> = hosts.collect();
    format!("{} at {}", config.get_dbname().unwrap_or("the default database"), hosts.join(","))
}

fn decoded(value: &str) -> Result<String> {
    let decoded = percent_encoding::percent_decode_str(value).decode_utf8();
    decoded.map(|text| text.into_owned()).map_err(|_| wrong("`sslrootcert` of the store's address is not text"))
}

fn wrong(message: impl Into<String>) -> Error {
    Error::new(code::ADDRESS, message, HELP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_holds_no_secret() {
        for (text, name) in [
            ("postgres://ada:hidden@db.example.org/gate", "gate at db.example.org:5432"),
            ("postgresql://ada:hidden@db:6000,other:6001/gate?sslmode=require", "gate at db:6000,other:6001"),
            ("postgres://ada:hidden@%2Fvar%2Frun:5433/gate", "gate at /var/run:5433"),
            ("postgres://ada:hidden@db", "the default database at db:5432"),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!(address.name(), name);
        }
        for text in
            ["postgres://ada:hidden@db:port/gate", "postgres://ada:hidden@db?nonsense=hidden", "postgres://[hidden"]
        {
            let error = Address::parse(text).err().unwrap();
            assert_eq!(error.code, code::ADDRESS, "{error}");
            assert!(!error.to_string().contains("hidden"), "{error}");
        }
    }

    #[test]
    fn modes_say_whom_to_trust() {
        let trust = |query: &str| Address::parse(&format!("postgres://db/gate?{query}")).map(|address| address.trust);
        let named = |roots: Option<&str>| Trust::Named { roots: roots.map(Into::into) };
        assert_eq!(trust(""), Ok(Trust::Anybody));
        assert_eq!(trust("sslmode=disable"), Ok(Trust::Plain));
        assert_eq!(trust("sslmode=require&connect_timeout=3"), Ok(Trust::Anybody));
        assert_eq!(trust("sslmode=verify-full"), Ok(named(None)));
        assert_eq!(trust("sslrootcert=%2Fetc%2Froots.pem&sslmode=verify-full"), Ok(named(Some("/etc/roots.pem"))));
        for refused in ["sslmode=verify-ca", "sslmode=allow", "sslrootcert=/roots.pem", "sslmode=require&sslrootcert=a"]
        {
            assert_eq!(trust(refused).unwrap_err().code, code::ADDRESS, "{refused}");
        }
        let mode = |query: &str| Address::parse(&format!("postgres://db/gate?{query}")).unwrap().config.get_ssl_mode();
        assert_eq!(mode("sslmode=prefer"), SslMode::Prefer);
        assert_eq!(mode("sslmode=verify-full"), SslMode::Require);
    }
}
