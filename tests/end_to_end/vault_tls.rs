//! Certificates of Vault that change, end, or were issued by an authority that has ended: said as what it is, and
//! healed by new files, on either side, without a restart.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, date_time_ymd,
};

use crate::support::files::listing;
use crate::support::openbao::OpenBao;
use crate::support::openbao::raft::ServerCertificate;
use crate::support::wait::{wait_until, wait_within};
use crate::support::world::World;

const DAY: Duration = Duration::from_secs(24 * 3600);

type Authority = CertifiedIssuer<'static, KeyPair>;

/// How long something is valid.
#[derive(Clone, Copy)]
enum Valid {
    Now,
    /// It has ended a day ago.
    Before,
}

fn params(name: &str, valid: Valid) -> CertificateParams {
    let mut params = CertificateParams::new([]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    let at = |time: SystemTime| date_time_ymd(1970, 1, 1) + time.duration_since(UNIX_EPOCH).unwrap();
    let end = match valid {
        Valid::Now => SystemTime::now() + DAY,
        Valid::Before => SystemTime::now() - DAY,
    };
    (params.not_before, params.not_after) = (at(end - 30 * DAY), at(end));
    params
}

fn authority_params(name: &str, valid: Valid) -> CertificateParams {
    let mut params = params(name, valid);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

/// An authority with a name and a key of its own.
fn root(name: &str, valid: Valid) -> Authority {
    let key = KeyPair::generate().unwrap();
    CertifiedIssuer::self_signed(authority_params(name, valid), key).unwrap()
}

/// A server's certificate by an authority; `chain` follows it.
fn issue(issuer: &Issuer<'_, KeyPair>, valid: Valid, chain: &str) -> ServerCertificate {
    let mut params = params("vault", valid);
    params.subject_alt_names = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().subject_alt_names;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    ServerCertificate { chain: certificate.pem() + chain, key: key.serialize_pem() }
}

#[tokio::test]
async fn certificates_that_change_and_end_are_told_and_new_ones_are_taken_without_a_restart() {
    let (first, second, old) =
        (root("first", Valid::Now), root("second", Valid::Now), root("old", Valid::Before));
    let intermediate = |valid| {
        let key = KeyPair::generate().unwrap();
        CertifiedIssuer::signed_by(authority_params("between", valid), key, &second).unwrap()
    };
    let (ended, living) = (intermediate(Valid::Before), intermediate(Valid::Now));
    let server = OpenBao::start_with_raft(Some(&issue(&first, Valid::Now, ""))).await;
    let mut world = World::around(server).await;
    let ca_file = world.configuration.home().join("vault-ca.pem");
    std::fs::write(&ca_file, first.pem()).unwrap();
    let tls = format!("[vault.tls]\nca_file = \"{}\"\n\n[vault.auth.approle]", ca_file.display());
    world.configuration.edit("[vault.auth.approle]", &tls);
    world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    let before = listing(&world.configuration.output);
    let works = async || {
        wait_within(Duration::from_secs(40), "the source works", async || {
            (daemon.metric("source_up").await == Some(1.0)).then_some(())
        })
        .await;
    };
    let fails = async |words: &str| {
        wait_until(&format!("it is said: {words}"), async || {
            let error = daemon.status().await["source"]["error"].clone();
            error.as_str().is_some_and(|error| error.contains(words))
        })
        .await;
    };

    // Another one of the same authority needs nobody; the restart ends the connections.
    let again = [
        (issue(&first, Valid::Now, ""), None),
        // The authority was replaced, and the file here follows.
        (issue(&second, Valid::Now, ""), Some(("unknown issuer", Some(second.pem())))),
        (issue(&second, Valid::Before, ""), Some(("has expired", None))),
        // The authority in between has ended: the one that the server needs is not the one that is trusted here.
        (issue(&ended, Valid::Now, &ended.pem()), Some(("has expired", None))),
        (issue(&living, Valid::Now, &living.pem()), None),
        // The authority that is named is trusted for as long as it is named: its own end is no reason to stop.
        (issue(&old, Valid::Now, ""), Some(("unknown issuer", Some(old.pem())))),
    ];
    for (certificate, trouble) in again {
        world.bao.show(&certificate);
        world.bao.start_again().await;
        world.bao.unseal().await;
        world.bao.wait_active().await;
        match trouble {
            None => {}
            Some((words, Some(authority))) => {
                fails(words).await;
                let aside = world.configuration.home().join("aside");
                std::fs::write(&aside, authority).unwrap();
                std::fs::rename(&aside, &ca_file).unwrap();
            }
            // The server gets another one, and tells nobody.
            Some((words, None)) => {
                fails(words).await;
                world.bao.show(&issue(&second, Valid::Now, ""));
            }
        }
        works().await;
        assert_eq!(listing(&world.configuration.output), before);
    }
    assert_eq!(daemon.metric("source_logins_total").await, Some(1.0), "the token is as good as before");
    daemon.stop().await;
}
