//! How long a certificate is valid, as the library says that verified it.

use std::time::Duration;

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};

use crate::domain::time::Timestamp;
use crate::domain::verdict::Validity;

/// Reads a server's certificate; `None` where it cannot be read.
///
/// The verifier is asked whether the certificate is valid at the two ends of time. It says no, and which limit
/// is in the way. So the certificate is read by what has verified it in the handshake, and by nothing else.
pub(super) fn validity(der: &[u8]) -> Option<Validity> {
    let der = CertificateDer::from(der);
    let certificate = ParsedCertificate::try_from(&der).ok()?;
    let refused_at = |seconds| {
        let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        // Nobody is trusted here; the limits are looked at first.
        let roots = RootCertStore::empty();
        verify_server_cert_signed_by_trust_anchor(&certificate, &roots, &[], time, &[]).err()
    };
    let Some(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) =
        refused_at(u64::MAX)
    else {
        return None;
    };
    let from = match refused_at(0) {
        Some(Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. })) => {
            timestamp(not_before)
        }
        // Valid since the beginning of time.
        Some(_) | None => Timestamp::default(),
    };
    Some(Validity { from, until: timestamp(not_after) })
}

fn timestamp(time: UnixTime) -> Timestamp {
    Timestamp::from_millis(time.as_secs().saturating_mul(1000))
}
