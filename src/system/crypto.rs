//! The cryptography of all TLS connections of this process: *ring*, chosen once.

use rustls::CipherSuite;
use rustls::crypto::ring;

/// Makes *ring* the cryptography of all TLS connections of this process. To be called before a client is built;
/// calling it again changes nothing.
pub fn choose() {
    let mut provider = ring::default_provider();
    // AES-128 comes first: it is as good, and today's processors have instructions for the hash that goes with it,
    // which takes most of what a handshake costs beside the key exchange. The server still has its say.
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
    // The error says only that a provider has been chosen before.
    let _chosen = provider.install_default();
}
