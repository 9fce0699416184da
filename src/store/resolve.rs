//! Looking up a store's host: only addresses that the configuration allows are connected to.

use std::io;
use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::domain::credentials::AddressPolicy;
use crate::system::names::Names;

/// The most addresses of one name that are tried.
const MAX_ADDRESSES: usize = 16;

/// Asks the system's resolver and leaves out addresses that are not allowed, so that a name that somebody
/// points to a private address leads nowhere. The connection is made to the very addresses that were checked.
#[derive(Debug)]
pub(super) struct PolicyResolver {
    names: Names,
    addresses: AddressPolicy,
}

/// Why a name has no address to connect to. Found again in the chain of the client's error.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResolveError {
    /// The lookup failed.
    #[error("the lookup failed")]
    Lookup(#[source] io::Error),
    /// The lookup found no address.
    #[error("the name has no address")]
    NoAddress,
    /// There are addresses, and none is allowed.
    #[error("no address of the name is allowed")]
    NotAllowed,
}

impl PolicyResolver {
    pub(super) fn new(names: Names, addresses: AddressPolicy) -> Self {
        Self { names, addresses }
    }
}

impl Resolve for PolicyResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (names, policy) = (self.names.clone(), self.addresses);
        Box::pin(async move {
            // Port 0 stands for the port of the URL.
            let found = names.look_up(name.as_str().to_owned()).await.map_err(ResolveError::Lookup)?;
            let allowed = allowed(found.into_iter(), policy)?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

fn allowed(
    found: impl Iterator<Item = SocketAddr>,
    policy: AddressPolicy,
) -> Result<Vec<SocketAddr>, ResolveError> {
    let mut found = found.peekable();
    if found.peek().is_none() {
        return Err(ResolveError::NoAddress);
    }
    let allowed: Vec<_> = found.filter(|address| policy.allows(address.ip())).take(MAX_ADDRESSES).collect();
    if allowed.is_empty() {
        return Err(ResolveError::NotAllowed);
    }
    Ok(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|address| SocketAddr::new(address.parse().unwrap(), 0)).collect()
    }

    #[test]
    fn only_allowed_addresses_are_left() {
        let mixed = addresses(&["10.0.0.1", "93.184.215.14", "::1", "169.254.169.254", "2606:4700::1"]);
        let public = addresses(&["93.184.215.14", "2606:4700::1"]);
        let left = |policy| allowed(mixed.clone().into_iter(), policy).unwrap();
        assert_eq!(left(AddressPolicy::PublicOnly), public);
        assert_eq!(left(AddressPolicy::AllowPrivate), mixed);
    }

    #[tokio::test]
    async fn what_was_looked_up_is_held_against_the_policy() {
        let names = Names::by(1, |host| match host {
            "mixed.example" => Ok(addresses(&["10.0.0.1", "93.184.215.14"])),
            "private.example" => Ok(addresses(&["10.0.0.1"])),
            _ => Err(io::Error::other("no such name")),
        });
        let resolver = PolicyResolver::new(names, AddressPolicy::PublicOnly);
        let resolve = async |name: &str| match resolver.resolve(name.parse().unwrap()).await {
            Ok(found) => Ok(found.collect::<Vec<_>>()),
            Err(error) => Err(*error.downcast::<ResolveError>().unwrap()),
        };
        assert_eq!(resolve("mixed.example").await.unwrap(), addresses(&["93.184.215.14"]));
        assert!(matches!(resolve("private.example").await, Err(ResolveError::NotAllowed)));
        assert!(matches!(resolve("nowhere.example").await, Err(ResolveError::Lookup(_))));
    }

    #[test]
    fn a_name_without_an_allowed_address_is_told_from_one_without_any() {
        let of = |list: &[&str]| allowed(addresses(list).into_iter(), AddressPolicy::PublicOnly).unwrap_err();
        assert!(matches!(of(&["127.0.0.1", "::ffff:10.0.0.1"]), ResolveError::NotAllowed));
        assert!(matches!(of(&[]), ResolveError::NoAddress));
    }
}
