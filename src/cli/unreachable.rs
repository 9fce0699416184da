//! Why no daemon answers, in words that say what to do.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enums are foreign, long and growing; what has no words of its own speaks for itself"
)]

use std::error::Error;
use std::io;

use rustls::CertificateError;

use crate::system::certificate;
use crate::system::errors::find;

/// Why a request was not answered.
pub(super) fn words(error: reqwest::Error) -> String {
    let error = error.without_url();
    if let Some(error) = find::<rustls::Error>(&error) {
        return tls(error);
    }
    if let Some(error) = find::<io::Error>(&error) {
        return io(error);
    }
    let mut innermost: &(dyn Error + 'static) = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// Why a file or a connection cannot be used.
pub(super) fn io(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "there is no such socket; start the daemon with `bc-secrets-sync run`, or say with --config or --socket \
             where it is"
                .to_owned()
        }
        io::ErrorKind::ConnectionRefused => {
            "nobody listens there; start the daemon with `bc-secrets-sync run`".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "permission denied; run this as the daemon's user, or as root".to_owned()
        }
        _ => error.to_string(),
    }
}

fn tls(error: &rustls::Error) -> String {
    let words = match error {
        rustls::Error::InvalidCertificate(reason) => return of_certificate(reason),
        rustls::Error::InvalidMessage(_) => {
            "it does not speak TLS; write the address with http:// if it has no certificate"
        }
        rustls::Error::AlertReceived(_) => {
            "it broke off the TLS handshake; its log may say why, with level debug"
        }
        rustls::Error::PeerIncompatible(_) => "it offers no version or cipher of TLS that is accepted here",
        _ => "the TLS handshake failed; the daemon's log may say why, with level debug",
    };
    words.to_owned()
}

fn of_certificate(reason: &CertificateError) -> String {
    let words = match reason {
        CertificateError::UnknownIssuer => {
            "is of an authority that is not trusted here; name the authority's certificate with --ca-file"
        }
        CertificateError::BadSignature => {
            "is not signed by the authority that --ca-file names; was the authority renewed?"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "is for another name; write one that it has in --url"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "has expired; it is the one in http.tls.certificate_file"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet; is the clock right?"
        }
        _ => certificate::flaw(reason),
    };
    format!("its certificate {words}")
}
