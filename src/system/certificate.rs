//! How long a certificate is valid, as the library says that verifies it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};

/// When a server's certificate begins and ceases to be valid; `None` where it cannot be read.
///
/// The verifier is asked whether the certificate is valid at the two ends of time. It says no, and which limit
/// is in the way. So the certificate is read by what verifies it in handshakes, and by nothing else.
#[must_use]
pub fn validity(der: &[u8]) -> Option<(SystemTime, SystemTime)> {
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
            system_time(not_before)?
        }
        // Valid since the beginning of time.
        Some(_) | None => UNIX_EPOCH,
    };
    Some((from, system_time(not_after)?))
}

fn system_time(time: UnixTime) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_secs(time.as_secs()))
}
