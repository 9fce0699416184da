//! Says in our own words why no answer came, so that neither an address nor a body gets into the text.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enums are foreign, long and growing; what has no words of its own gets the general ones"
)]

use std::io::{self, ErrorKind};

use rustls::CertificateError;

use crate::system::certificate;
use crate::system::errors::find;

/// The address's host has no address. Made by our resolver, found again here.
#[derive(Debug, thiserror::Error)]
#[error("the name could not be resolved")]
pub(super) struct NotResolved(#[source] pub(super) io::Error);

/// Why a request failed.
pub(super) fn words(error: &reqwest::Error) -> String {
    if let Some(error) = find::<rustls::Error>(error) {
        return tls(error);
    }
    if find::<NotResolved>(error).is_some() {
        return "the name of its host could not be resolved".into();
    }
    let words = if error.is_timeout() && error.is_connect() {
        "timed out while connecting"
    } else if error.is_timeout() {
        "timed out while waiting for the answer"
    } else if let Some(words) = find::<io::Error>(error).and_then(io) {
        words
    } else if find::<hyper::Error>(error).is_some_and(hyper::Error::is_parse) {
        "it does not speak HTTP (is the address's scheme right?)"
    } else if error.is_connect() {
        "could not connect"
    } else {
        "the connection broke off"
    };
    words.into()
}

fn io(error: &io::Error) -> Option<&'static str> {
    let words = match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused: nothing listens there",
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => "no route to its host",
        ErrorKind::PermissionDenied => {
            "connecting is not permitted (a firewall, a sandbox, or a socket's mode)"
        }
        ErrorKind::NotFound => "the socket does not exist",
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof => "the connection broke off",
        _ => return None,
    };
    Some(words)
}

fn tls(error: &rustls::Error) -> String {
    let words = match error {
        rustls::Error::InvalidCertificate(reason) => return of_certificate(reason),
        rustls::Error::AlertReceived(alert) => {
            return format!(
                "TLS: the server broke off with the alert {alert:?} (does it want a client certificate?)"
            );
        }
        rustls::Error::InvalidMessage(_) => {
            "TLS: the server does not speak TLS (is the address's scheme right?)"
        }
        rustls::Error::PeerIncompatible(_) => "TLS: the server offers no version or cipher that we accept",
        _ => "TLS: the handshake failed",
    };
    words.into()
}

fn of_certificate(reason: &CertificateError) -> String {
    let words = match reason {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet (is the clock right?)"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "is for another name (vault.tls.server_name can say which)"
        }
        CertificateError::UnknownIssuer => {
            "is of an unknown issuer (vault.tls.ca_file can name the authority)"
        }
        // An authority of the same name with another key: what a renewed authority looks like.
        CertificateError::BadSignature => {
            "is not signed by the authority that vault.tls.ca_file names (was the authority renewed?)"
        }
        _ => certificate::flaw(reason),
    };
    format!("TLS: the server's certificate {words}")
}
