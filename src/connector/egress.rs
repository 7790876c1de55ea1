//! Which addresses connections may reach. Addresses are judged after resolution and only those that passed
//! are connected to, so that a name can not change its mind in between. Addresses that are not public are
//! refused unless `egress.allow` names them. The requester asks on every hop, redirects included.

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// The addresses that are permitted although they are not public. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Egress {
    rules: Arc<[Rule]>,
}

/// One entry of `egress.allow`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    target: Target,
    /// None for `*`.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    /// An address, or a network of them: the leading bits that must match.
    Network(IpAddr, u8),
    /// A host's name in lower case, whatever it resolves to.
    Name(String),
}

/// Why a connection was not opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The host as it was asked for.
    pub host: String,
    /// The address that is not permitted.
    pub address: IpAddr,
    /// The port of the request.
    pub port: u16,
}

/// A name that no address was found for, with the system's words.
#[derive(Debug)]
pub struct NameNotFound(pub std::io::Error);

impl Egress {
    /// From `egress.allow`. Fails with the position and the reason of every entry that can not be read.
    pub fn new(allow: &[String]) -> Result<Self, Vec<(usize, String)>> {
        let mut rules = Vec::with_capacity(allow.len());
        let mut wrong = Vec::new();
        for (position, entry) in allow.iter().enumerate() {
            match entry.parse() {
                Ok(rule) => rules.push(rule),
                Err(reason) => wrong.push((position, reason)),
            }
        }
        if wrong.is_empty() { Ok(Egress { rules: rules.into() }) } else { Err(wrong) }
    }

    /// Whether a connection to `address` may be opened for `host` (in lower case, as `Url` has it).
    pub fn permits(&self, host: &str, address: IpAddr, port: u16) -> bool {
        let address = plain(address);
        is_public(address)
            || self.rules.iter().any(|rule| {
                rule.port.is_none_or(|permitted| permitted == port)
                    && rule.target.covers(host.trim_end_matches('.'), address)
            })
    }

    /// Judges a URL whose host is an address: nothing resolves those, so no resolver sees them.
    pub fn check_literal(&self, url: &Url) -> Result<(), Refused> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            _ => return Ok(()),
        };
        let port = url.port_or_known_default().unwrap_or_default();
        let host = url.host_str().unwrap_or_default();
        if self.permits(host, address, port) { Ok(()) } else { Err(Refused { host: host.to_owned(), address, port }) }
    }

    /// The permitted addresses of a name, or of an address as text.
    ///
    /// # Errors
    /// [`NameNotFound`]; [`Refused`] where none of them is permitted.
    pub async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Box<dyn Error + Send + Sync>> {
        let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await.map_err(NameNotFound)?.collect();
        let (permitted, refused): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|address| self.permits(host, address.ip(), port));
        match refused.first() {
            Some(address) if permitted.is_empty() => {
                Err(Box::new(Refused { host: host.to_owned(), address: address.ip(), port }))
            }
            _ => Ok(permitted),
        }
    }

    /// What resolves names for connections to `port`: a resolver is not told the port, so each has its own.
    pub fn resolver(&self, port: u16) -> impl Resolve + use<> {
        Resolver { egress: self.clone(), port }
    }
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(entry: &str) -> Result<Self, String> {
        let wrong = |reason: &str| {
            format!(
                "`{entry}` {reason}; write an address, a network or a name, then a port or `*`: \
                 127.0.0.1:*, 10.0.0.0/8:443, [::1]:8080, api.internal:443"
            )
        };
        let (target, port) = entry
            .rsplit_once(':')
            .filter(|(target, _)| !target.contains(':') || target.starts_with('['))
            .ok_or_else(|| wrong("names no port"))?;
        let port = match port {
            "*" => None,
            number => Some(number.parse().map_err(|_| wrong("has no port that exists"))?),
        };
        let (base, bits) = match target.rsplit_once('/') {
            Some((base, bits)) => (base, Some(bits.trim_end_matches(']'))),
            None => (target, None),
        };
        let base = base.trim_start_matches('[').trim_end_matches(']');
        let target = match base.parse::<IpAddr>() {
            Ok(address) => {
                let longest = if address.is_ipv4() { 32 } else { 128 };
                let bits = match bits {
                    None => longest,
                    Some(bits) => bits
                        .parse()
                        .ok()
                        .filter(|bits| *bits <= longest)
                        .ok_or_else(|| wrong("has a network of too many bits"))?,
                };
                Target::Network(address, bits)
            }
            Err(_) if bits.is_some() || base.is_empty() || base.contains([':', '*', '@']) => {
                return Err(wrong("is neither an address nor a name"));
            }
            Err(_) => Target::Name(base.trim_end_matches('.').to_ascii_lowercase()),
        };
        Ok(Rule { target, port })
    }
}

impl Target {
    fn covers(&self, host: &str, address: IpAddr) -> bool {
        match self {
            Target::Name(name) => name == host,
            Target::Network(base, bits) => match (plain(*base), address) {
                (IpAddr::V4(base), IpAddr::V4(address)) => {
                    let shift = 32_u32.saturating_sub(u32::from(*bits));
                    (base.to_bits() ^ address.to_bits()).checked_shr(shift).unwrap_or(0) == 0
                }
                (IpAddr::V6(base), IpAddr::V6(address)) => {
                    let shift = 128_u32.saturating_sub(u32::from(*bits));
                    (base.to_bits() ^ address.to_bits()).checked_shr(shift).unwrap_or(0) == 0
                }
                _ => false,
            },
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refused { host, address, .. } = self;
        if host.trim_matches(['[', ']']) == address.to_string() {
            write!(formatter, "the address {address} is not public")
        } else {
            write!(formatter, "{host} has the address {address}, which is not public")
        }
    }
}

impl Error for Refused {}

impl Refused {
    /// The entry of `egress.allow` that would permit it.
    pub fn rule(&self) -> String {
        SocketAddr::new(plain(self.address), self.port).to_string()
    }
}

impl fmt::Display for NameNotFound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl Error for NameNotFound {}

/// Resolves with the system, then leaves out what is not permitted.
struct Resolver {
    egress: Egress,
    port: u16,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let egress = self.egress.clone();
        let port = self.port;
        Box::pin(async move {
            let permitted = egress.addresses(name.as_str(), port).await?;
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}

/// An IPv4 address in IPv6 clothes (`::ffff:127.0.0.1`) is judged as what it is.
fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) => address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

/// Whether an address can belong to a service on the internet, by the IANA registries of special addresses.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(a == 0
        || address.is_private()
        || address.is_loopback()
        // Cloud metadata services live among the link-local ones.
        || address.is_link_local()
        || address.is_documentation()
        // Shared by carriers, RFC 6598.
        || (a == 100 && (b & 0b1100_0000) == 64)
        // Protocol assignments, RFC 6890.
        || (a == 192 && b == 0 && c == 0)
        // Benchmarks, RFC 2544.
        || (a == 198 && (b & 0b1111_1110) == 18)
        // Multicast, reserved, broadcast.
        || a >= 224)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let embedded = |high: u16, low: u16| {
        let [one, two] = high.to_be_bytes();
        let [three, four] = low.to_be_bytes();
        is_public_v4(Ipv4Addr::new(one, two, three, four))
    };
    match (a, b) {
        // NAT64 (RFC 6052) and 6to4 (RFC 3056) lead to the IPv4 address inside.
        (0x64, 0xff9b) if [c, d, e, f] == [0; 4] => embedded(g, h),
        (0x2002, high) => embedded(high, c),
        // Teredo, ORCHID, documentation and the other special ones below 2001::/23 and 2001:db8::/32.
        (0x2001, 0..=0x1ff | 0xdb8) => false,
        // Of all the rest only global unicast is handed out; 3fff::/20 is documentation.
        (0x3fff, 0..=0xfff) => false,
        _ => (a & 0xe000) == 0x2000,
    }
}

#[cfg(test)]
mod tests;
