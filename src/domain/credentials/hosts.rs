//! Where a token may be sent: the hosts that an API Path may name, and the addresses that may be connected to.

// The address types alone, from `core`: what opens sockets is in `std::net`, which has no place here.
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use url::Host;

use super::ApiPathError;

/// Which hosts an API Path may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPolicy {
    /// The addresses that they may have.
    pub addresses: AddressPolicy,
    /// Their names; none: any.
    pub names: Option<Arc<[HostPattern]>>,
}

impl From<AddressPolicy> for HostPolicy {
    /// Any host with such an address.
    fn from(addresses: AddressPolicy) -> Self {
        Self { addresses, names: None }
    }
}

impl HostPolicy {
    /// Whether the configuration lists this host, if it lists any.
    #[must_use]
    pub fn lists(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        self.names.as_ref().is_none_or(|names| names.iter().any(|pattern| pattern.matches(host)))
    }

    pub(super) fn check(&self, host: &Host<&str>) -> Result<(), ApiPathError> {
        match (host, self.addresses) {
            (Host::Domain(name), addresses) => check_name(name, addresses)?,
            (Host::Ipv4(_) | Host::Ipv6(_), AddressPolicy::PublicOnly) => {
                return Err(ApiPathError::IpLiteral);
            }
            (Host::Ipv4(_) | Host::Ipv6(_), AddressPolicy::AllowPrivate) => {}
        }
        if self.lists(&host.to_string()) { Ok(()) } else { Err(ApiPathError::NotAllowed) }
    }
}

/// Which addresses a host may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressPolicy {
    /// Host names of the public internet only: what a merchant's store has.
    PublicOnly,
    /// Also IP literals, private, loopback and link-local addresses: for tests and simulations.
    AllowPrivate,
}

impl AddressPolicy {
    /// Whether a connection to this address may be made.
    #[must_use]
    pub fn allows(self, address: IpAddr) -> bool {
        match self {
            Self::AllowPrivate => true,
            Self::PublicOnly => is_public(address),
        }
    }
}

/// A host name, or all names below a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    name: Box<str>,
    below: bool,
}

impl HostPattern {
    /// Takes a name as a URL has it, or `*.` and the domain that names are below.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, HostPatternError> {
        let (name, below) = match text.strip_prefix("*.") {
            Some(domain) => (domain, true),
            None => (text, false),
        };
        if name.contains('*') {
            return Err(HostPatternError::Wildcard);
        }
        if !name.is_ascii() {
            return Err(HostPatternError::NotAscii);
        }
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(HostPatternError::UpperCase);
        }
        let last = name.rsplit('.').next().unwrap_or_default();
        let is_number = last.bytes().all(|byte| byte.is_ascii_digit());
        let is_address = || !below && name.parse::<Ipv4Addr>().is_ok();
        if name.len() > 253 || !name.split('.').all(is_label) || (is_number && !is_address()) {
            return Err(HostPatternError::NotAName);
        }
        if below && !name.contains('.') {
            return Err(HostPatternError::TooWide);
        }
        Ok(Self { name: name.into(), below })
    }

    fn matches(&self, host: &str) -> bool {
        if !self.below {
            return *host == *self.name;
        }
        let front = host.strip_suffix(&*self.name).and_then(|front| front.strip_suffix('.'));
        front.is_some_and(|front| !front.is_empty())
    }
}

/// Why a text is no pattern of hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostPatternError {
    /// A `*` elsewhere than before the first dot, or with something beside it.
    #[error("has a * in the wrong place; \"*.mybigcommerce.com\" stands for all names below that domain")]
    Wildcard,
    /// All hosts of a top-level domain: anybody can have one of those.
    #[error(
        "stands for all hosts of a top-level domain; write the domain too, such as \"*.mybigcommerce.com\""
    )]
    TooWide,
    /// Hosts in URLs are in lower case.
    #[error("has capital letters; write it in lower case")]
    UpperCase,
    /// Hosts in URLs are in ASCII.
    #[error("has letters that DNS does not have; write it as DNS does, with xn-- in front")]
    NotAscii,
    /// It is something else, such as a URL.
    #[error(
        "is no host name; write it without scheme, port and path, such as \"store-abc123.mybigcommerce.com\" or \
         \"*.mybigcommerce.com\""
    )]
    NotAName,
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn check_name(name: &str, policy: AddressPolicy) -> Result<(), ApiPathError> {
    let name = name.trim_end_matches('.');
    if name.eq_ignore_ascii_case("api.bigcommerce.com") {
        return Err(ApiPathError::NewApi);
    }
    let last = name.rsplit('.').next().unwrap_or_default();
    let local = !name.contains('.')
        || ["localhost", "local", "internal", "localdomain", "home", "lan", "corp"]
            .iter()
            .any(|suffix| last.eq_ignore_ascii_case(suffix));
    if local && policy == AddressPolicy::PublicOnly {
        return Err(ApiPathError::PrivateHost);
    }
    Ok(())
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped().or_else(|| translated(v6)) {
            Some(v4) => is_public_v4(v4),
            None => is_public_v6(v6),
        },
    }
}

/// The IPv4 address that a NAT64 with the well-known prefix (RFC 6052) connects to: what names without an IPv6 address
/// resolve to in a network that has nothing else.
fn translated(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            Some(Ipv4Addr::new(a, b, c, d))
        }
        _ => None,
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let shared = first == 100 && (64..128).contains(&second); // RFC 6598, carrier-grade NAT
    let protocol = (first, second, third) == (192, 0, 0); // RFC 6890
    let relay = (first, second, third) == (192, 88, 99); // RFC 7526, of 6to4
    let benchmark = first == 198 && (second == 18 || second == 19); // RFC 2544
    !(first == 0
        || first >= 240
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_multicast()
        || shared
        || protocol
        || relay
        || benchmark)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    // RFC 4291. All else is unique-local, link-local, site-local, multicast, for one purpose, or nobody's; among it is
    // 64:ff9b:1::/48 (RFC 8215), whose IPv4 addresses may be those of the network itself.
    let global = first & 0xe000 == 0x2000;
    let protocol = first == 0x2001 && second < 0x200; // RFC 2928; Teredo is in it, which hides an IPv4 address
    let tunnelled = first == 0x2002; // 6to4: likewise
    let documentation = (first, second) == (0x2001, 0xdb8) || (first == 0x3fff && second < 0x1000); // RFC 9637
    global && !(protocol || tunnelled || documentation)
}
