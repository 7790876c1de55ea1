//! A bound listener that does not serve yet: bound first and served later, so that a host which cannot be seen
//! does not begin to work.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;

use crate::app::{Error, Exit, Result};

/// A bound listener that does not serve yet.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    address: SocketAddr,
}

/// Binds `listen`: an address with a port, `localhost:PORT`, or `off` for none. `setting` is what a person writes
/// to choose another one.
///
/// # Errors
/// `listen_invalid`; `port_in_use`; `listen_failed` where the system refuses for another reason.
pub async fn bind(listen: &str, setting: &str) -> Result<Option<Listener>> {
    if listen == "off" {
        return Ok(None);
    }
    let wanted = parse(listen)?;
    let bound = async {
        let listener = TcpListener::bind(wanted).await?;
        let address = listener.local_addr()?;
        Ok::<_, io::Error>(Listener { listener, address })
    };
    bound.await.map(Some).map_err(|error| refused(wanted, setting, &error))
}

impl Listener {
    /// Where it listens; the port is the system's where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` resolves.
    ///
    /// # Errors
    /// When the system takes the listener away.
    pub async fn serve(self, router: Router, stop: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        axum::serve(self.listener, router).with_graceful_shutdown(stop).await
    }
}

fn parse(listen: &str) -> Result<SocketAddr> {
    let literal = match listen.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => listen.to_owned(),
    };
    literal.parse().map_err(|_| {
        Error::usage("listen_invalid", format!("`{listen}` is no address to listen on"))
            .with_help("write for example 127.0.0.1:7400 or [::1]:7400, or `off`")
    })
}

fn refused(address: SocketAddr, setting: &str, error: &io::Error) -> Error {
    let port = address.port();
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let other = SocketAddr::new(address.ip(), port.checked_add(1).unwrap_or(7400));
            let message = format!("port {port} on {} is in use by another program", address.ip());
            Error::new(Exit::Host, "port_in_use", message).with_help(format!(
                "end that program, or listen elsewhere: {setting} {other}, or not at all: {setting} off"
            ))
        }
        _ => Error::new(Exit::Host, "listen_failed", format!("listening on {address} failed: {error}"))
            .with_help(format!("choose another address with {setting}, or `{setting} off`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_named_with_a_way_out() {
        let taken = bind("127.0.0.1:0", "--listen").await.unwrap().unwrap();
        let error = bind(&taken.address().to_string(), "public.listen:").await.unwrap_err();
        assert_eq!((error.code.as_str(), error.exit), ("port_in_use", Exit::Host));
        assert!(error.message.contains(&taken.address().port().to_string()), "{}", error.message);
        assert!(error.help.unwrap().contains("public.listen: off"));
    }

    #[tokio::test]
    async fn off_listens_nowhere_and_nonsense_is_refused() {
        assert!(bind("off", "--listen").await.unwrap().is_none());
        assert!(bind("localhost:0", "--listen").await.unwrap().is_some());
        for nonsense in ["7400", "example.org:7400", "127.0.0.1", ""] {
            assert_eq!(bind(nonsense, "--listen").await.unwrap_err().code, "listen_invalid", "{nonsense}");
        }
    }
}
