//! How long a certificate is valid and what is wrong with it, as the library says that verifies it.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enum is foreign, long and growing; what has no words of its own gets the general ones"
)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, OtherError, RootCertStore};

/// When a server's certificate begins and ceases to be valid; `None` where it cannot be read.
///
/// The verifier is asked whether the certificate is valid at the two ends of time. It says no, and which limit
/// is in the way. So the certificate is read by what verifies it in handshakes, and by nothing else.
#[must_use]
pub fn validity(der: &[u8]) -> Option<(SystemTime, SystemTime)> {
    let CertificateError::ExpiredContext { not_after, .. } = refused_at(der, u64::MAX)? else {
        return None;
    };
    let from = match refused_at(der, 0) {
        Some(CertificateError::NotValidYetContext { not_before, .. }) => system_time(not_before)?,
        // Valid since the beginning of time.
        Some(_) | None => UNIX_EPOCH,
    };
    Some((from, system_time(not_after)?))
}

/// Whether a certificate is an authority's own, which many clients take for none of a server's.
#[must_use]
pub fn is_of_an_authority(der: &[u8]) -> bool {
    let within = validity(der).and_then(|(from, _)| from.duration_since(UNIX_EPOCH).ok());
    let refused = within.and_then(|within| refused_at(der, within.as_secs()));
    refused.is_some_and(|reason| is_authority_as_server(&reason))
}

/// What is wrong with a server's certificate in itself, in words that say what to do: whatever is trusted, and whatever
/// the name and the time are.
#[must_use]
pub fn flaw(reason: &CertificateError) -> &'static str {
    match reason {
        reason if is_authority_as_server(reason) => {
            "is an authority's own certificate (CA:TRUE), as `openssl req -x509` makes it, and none for a server; make \
             one with basicConstraints=CA:FALSE (-addext basicConstraints=critical,CA:FALSE)"
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "is not made for servers; make one whose extendedKeyUsage has serverAuth"
        }
        CertificateError::Revoked => "was revoked",
        _ => "cannot be accepted; look at it with `openssl x509 -noout -text`, and make another one",
    }
}

fn is_authority_as_server(reason: &CertificateError) -> bool {
    let CertificateError::Other(OtherError(error)) = reason else { return false };
    error.downcast_ref() == Some(&webpki::Error::CaUsedAsEndEntity)
}

/// Why a certificate is refused at this time, in seconds of the Unix epoch.
fn refused_at(der: &[u8], seconds: u64) -> Option<CertificateError> {
    let der = CertificateDer::from(der);
    let certificate = ParsedCertificate::try_from(&der).ok()?;
    let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    // Nobody is trusted here; the limits are looked at first, and then what it is for.
    let roots = RootCertStore::empty();
    match verify_server_cert_signed_by_trust_anchor(&certificate, &roots, &[], time, &[]) {
        Err(Error::InvalidCertificate(reason)) => Some(reason),
        Err(_) | Ok(()) => None,
    }
}

fn system_time(time: UnixTime) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_secs(time.as_secs()))
}

#[cfg(test)]
#[cfg(feature = "demo")]
mod tests {
    use std::sync::Arc;

    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

    use super::*;

    fn certificate(is_ca: IsCa) -> Vec<u8> {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.is_ca = is_ca;
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn an_authoritys_certificate_is_told_from_a_servers() {
        assert!(is_of_an_authority(&certificate(IsCa::Ca(BasicConstraints::Unconstrained))));
        assert!(!is_of_an_authority(&certificate(IsCa::ExplicitNoCa)));
        assert!(!is_of_an_authority(&certificate(IsCa::NoCa)));
        assert!(!is_of_an_authority(b"no certificate"));
    }

    #[test]
    fn what_is_wrong_is_said_in_words_and_not_in_those_of_the_library() {
        let authority = webpki::Error::CaUsedAsEndEntity;
        let other = webpki::Error::EmptyEkuExtension;
        for (reason, part) in [
            (CertificateError::Other(OtherError(Arc::new(authority))), "with basicConstraints=CA:FALSE"),
            (CertificateError::InvalidPurpose, "extendedKeyUsage has serverAuth"),
            (CertificateError::Other(OtherError(Arc::new(other))), "look at it with `openssl x509"),
            (CertificateError::BadEncoding, "look at it with `openssl x509"),
        ] {
            assert!(flaw(&reason).contains(part), "{reason:?}: {}", flaw(&reason));
        }
    }
}
