//! A simulated BigCommerce store, a small Vault and a small API server of Kubernetes, for `demo` and for fast tests.
//!
//! All listen on loopback only, keep everything in memory, and can be told to misbehave on purpose:
//!
//! - [`authority`]: a certificate authority that lives as long as the process.
//! - [`store`]: many stores behind one HTTPS address, with accounts whose tokens can be regenerated.
//! - [`kubernetes`]: an API server that takes Events, and refuses what a real one refuses.
//! - [`vault`]: the part of Vault's HTTP API that the daemon uses, in the shape OpenBao answers it.
//! - [`http`]: the small server all run on.
//!
//! It is a simulation: tokens are compared in plain time, and secrets stay readable in memory. Nothing here
//! imports another room, so nothing here can make a test agree with the daemon's own mistakes.

use std::net::SocketAddr;

pub mod authority;
pub mod http;
pub mod kubernetes;
mod random;
pub mod store;
#[cfg(test)]
mod testing;
pub mod vault;

/// Why a part of the simulation could not start. Once started, nothing in it fails.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The simulation serves invented and test credentials without any protection, so it is kept off the network.
    #[error("the simulation listens on loopback addresses only, not on {0}: use 127.0.0.1 or ::1")]
    NotLoopback(SocketAddr),
    /// The operating system refused the address.
    #[error("cannot listen on {address}: choose another port, or 0 for a free one")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// A key or a certificate could not be made, most likely because a name is not a DNS name or an IP address.
    #[error("cannot make a certificate for the simulation")]
    Certificate(#[source] rcgen::Error),
    /// The TLS library does not accept the certificate that was made.
    #[error("cannot use the certificate made for the simulation")]
    Tls(#[source] rustls::Error),
    /// The operating system gave no random bytes.
    #[error("cannot read random bytes from the operating system")]
    Randomness,
}
