//! Why no answer came: found in the chain of the client's error.

use std::error::Error;
use std::io;
use std::iter::successors;

use rustls::CertificateError;

use super::resolve::ResolveError;
use crate::domain::verdict::ProbeFault;

/// The fault behind an error of the client. What is most precise counts: a certificate that expired is also
/// a connection that could not be made.
pub(super) fn of(error: &reqwest::Error) -> ProbeFault {
    for cause in chain(error) {
        if let Some(error) = cause.downcast_ref::<ResolveError>() {
            return match error {
                ResolveError::NotAllowed => ProbeFault::PrivateAddress,
                ResolveError::Lookup(_) | ResolveError::NoAddress => ProbeFault::Dns,
            };
        }
        if let Some(error) = cause.downcast_ref::<rustls::Error>() {
            return of_tls(error);
        }
    }
    if error.is_timeout() {
        ProbeFault::Timeout
    } else if error.is_dns() {
        ProbeFault::Dns
    } else if error.is_connect() {
        ProbeFault::Connect
    } else {
        ProbeFault::Broken
    }
}

/// An error and its causes, from the outermost. What an [`io::Error`] wraps is among them: its own `source`
/// leaves that out.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        let error = *error;
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        match wrapped {
            Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "both enums may grow; what is not one of these is another failure of TLS"
)]
fn of_tls(error: &rustls::Error) -> ProbeFault {
    let rustls::Error::InvalidCertificate(error) = error else {
        return ProbeFault::Tls;
    };
    match error {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => ProbeFault::CertificateExpired,
        CertificateError::UnknownIssuer => ProbeFault::CertificateIssuer,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            ProbeFault::CertificateHost
        }
        _ => ProbeFault::Tls,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_says_what_is_wrong_with_it() {
        use rustls::Error::InvalidCertificate;
        for (error, fault) in [
            (CertificateError::Expired, ProbeFault::CertificateExpired),
            (CertificateError::NotValidYet, ProbeFault::CertificateExpired),
            (CertificateError::UnknownIssuer, ProbeFault::CertificateIssuer),
            (CertificateError::NotValidForName, ProbeFault::CertificateHost),
            (CertificateError::Revoked, ProbeFault::Tls),
        ] {
            assert_eq!(of_tls(&InvalidCertificate(error)), fault);
        }
        assert_eq!(of_tls(&rustls::Error::DecryptError), ProbeFault::Tls);
    }

    #[test]
    fn the_chain_looks_into_io_errors() {
        let inner = io::Error::other(rustls::Error::DecryptError);
        let outer = io::Error::new(io::ErrorKind::InvalidData, inner);
        let found = chain(&outer).filter(|error| error.is::<rustls::Error>()).count();
        assert_eq!(found, 1);
        assert_eq!(chain(&io::Error::from(io::ErrorKind::TimedOut)).count(), 1);
    }
}
