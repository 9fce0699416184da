//! How a store's certificate is checked, at each probe anew, and what is reported of it.

use std::sync::mpsc;

use proptest::prelude::*;

use super::super::Prober;
use super::super::certificate::validity;
use super::server::{Authority, Server, read_request, respond};
use super::{answer, check, credentials, failed, probe, run};
use crate::domain::time::Timestamp;
use crate::domain::verdict::{ProbeFault, Validity};

#[test]
fn a_certificate_is_checked() {
    let authority = Authority::new();
    let stranger = Authority::new();
    for (certificate, fault) in [
        (authority.certify_until("localhost", 2020), ProbeFault::CertificateExpired),
        (authority.certify_from("localhost", 4000), ProbeFault::CertificateExpired),
        (stranger.certify("localhost"), ProbeFault::CertificateIssuer),
        (authority.certify("other.example"), ProbeFault::CertificateHost),
    ] {
        let (sender, reached) = mpsc::channel();
        let server = Server::start(certificate, move |mut stream| {
            sender.send(read_request(&mut stream)).unwrap();
        });
        failed(probe(&check(&authority), &format!("localhost:{}", server.port())), fault);
        drop(server);
        let request = reached.try_recv().unwrap_or_default();
        assert_eq!(request, "", "{fault:?}: something was sent");
    }
}

/// The beginnings of years, in seconds.
const BEGIN_2020: u64 = 1_577_836_800;
const BEGIN_2199: u64 = 7_226_582_400;

fn between(from: u64, until: u64) -> Option<Validity> {
    let at = |seconds: u64| Timestamp::from_millis(seconds * 1000);
    Some(Validity { from: at(from), until: at(until) })
}

#[test]
fn each_answer_tells_how_long_the_certificate_is_valid() {
    let authority = Authority::new();
    for status in ["200 OK", "401 Unauthorized", "503 Service Unavailable"] {
        let server = Server::start(authority.certify_between("localhost", 2020, 2199), move |mut stream| {
            read_request(&mut stream);
            respond(&mut stream, status, "", r#"{"time":1}"#);
        });
        let answer = answer(probe(&check(&authority), &format!("localhost:{}", server.port())));
        assert_eq!(answer.certificate, between(BEGIN_2020, BEGIN_2199), "{status}");
    }
}

/// Also where the server offers to resume a session, which would spare both sides the certificate.
#[test]
fn each_probe_sees_and_checks_the_certificate_of_now() {
    let authority = Authority::new();
    let server = Server::start(authority.certify_between("localhost", 2020, 2199), |mut stream| {
        read_request(&mut stream);
        respond(&mut stream, "200 OK", "", r#"{"time":1}"#);
    });
    let prober = Prober::new(&check(&authority)).unwrap();
    let credentials = credentials(&format!("localhost:{}", server.port()));
    let probe = || run(prober.probe(&credentials, Timestamp::default()));
    assert_eq!(answer(probe()).certificate, between(BEGIN_2020, BEGIN_2199));
    server.present(authority.certify_between("localhost", 2020, 2100));
    assert_eq!(answer(probe()).certificate, between(BEGIN_2020, 4_102_444_800));
    server.present(authority.certify_until("localhost", 2021));
    failed(probe(), ProbeFault::CertificateExpired);
}

#[test]
fn the_limits_of_a_certificate_are_read_whatever_the_calendar_says() {
    let authority = Authority::new();
    // Two digits for the year until 2049, four afterwards; the last year stands for no end at all.
    for (from, until, expected) in [
        (2020, 2049, between(BEGIN_2020, 2_493_072_000)),
        (2020, 2199, between(BEGIN_2020, BEGIN_2199)),
        (2020, 9999, between(BEGIN_2020, 253_370_764_800)),
        (1970, 2020, between(0, BEGIN_2020)),
        (2199, 9999, between(BEGIN_2199, 253_370_764_800)),
    ] {
        let identity = authority.certify_between("localhost", from, until);
        assert_eq!(validity(identity.certificate()), expected, "{from} to {until}");
    }
}

proptest! {
    /// What a hostile store may send; only what was verified comes so far.
    #[test]
    fn any_bytes_can_be_read_as_a_certificate_or_not(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        validity(&bytes);
    }

    #[test]
    fn a_damaged_certificate_can_be_read_or_not(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        end in any::<prop::sample::Index>(),
    ) {
        let identity = Authority::new().certify_between("localhost", 2020, 2199);
        let mut der = identity.certificate().to_vec();
        for (at, byte) in damage {
            let at = at.index(der.len());
            der[at] = byte;
        }
        validity(&der);
        let end = end.index(der.len());
        prop_assert_eq!(validity(&der[..end]), None);
    }
}
