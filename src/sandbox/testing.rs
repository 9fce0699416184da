//! What the room's own tests share: clients, and a loopback address with a free port.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// `127.0.0.1` with a port the system chooses.
pub(super) const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// An HTTP client that trusts the given authorities and nothing else, follows no redirects and uses no proxy.
pub(super) fn client(ca_pem: Option<&str>) -> reqwest::Client {
    // Another test may have installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let authorities = ca_pem.map(|pem| reqwest::Certificate::from_pem(pem.as_bytes()).unwrap());
    reqwest::Client::builder()
        .tls_certs_only(authorities)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap()
}
