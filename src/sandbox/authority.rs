//! A certificate authority in memory, so that the simulation speaks real TLS with nothing on the disk.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::SandboxError;

/// The names every server certificate carries, before the ones asked for.
const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A certificate authority of its own (ECDSA P-256). Its key is made with it and never leaves the process, so
/// trusting [`Authority::ca_pem`] trusts this run of the simulation and nothing else.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    ca_pem: String,
}

impl Authority {
    /// Makes a new key and a self-signed certificate; [`SandboxError::Certificate`] when that fails.
    pub fn new() -> Result<Self, SandboxError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(SandboxError::Certificate)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name("bc-secrets-sync simulation");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, key).map_err(SandboxError::Certificate)?;
        let ca_pem = issuer.pem();
        Ok(Self { issuer, ca_pem })
    }

    /// The authority's certificate in PEM, for clients to trust.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// A new key and a certificate for `localhost`, `127.0.0.1`, `::1` and every DNS name or IP address in `names`,
    /// valid for so long; without limits, for a lifetime and more.
    ///
    /// Fails with [`SandboxError::Certificate`] when a name is neither.
    pub fn certify(
        &self,
        names: &[&str],
        valid: Option<Range<SystemTime>>,
    ) -> Result<ShownCertificate, SandboxError> {
        let (certificate, key) = self.sign(names, valid)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let key = CertifiedKey::from_der(vec![certificate.der().clone()], key, &ring::default_provider())
            .map_err(SandboxError::Tls)?;
        Ok(ShownCertificate(Arc::new(Mutex::new(Arc::new(key)))))
    }

    /// The same in PEM, for a server that reads files: the certificate, then its key.
    pub fn issue(
        &self,
        names: &[&str],
        valid: Option<Range<SystemTime>>,
    ) -> Result<(String, String), SandboxError> {
        let (certificate, key) = self.sign(names, valid)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }

    fn sign(
        &self,
        names: &[&str],
        valid: Option<Range<SystemTime>>,
    ) -> Result<(Certificate, KeyPair), SandboxError> {
        let mut subjects: Vec<String> =
            LOCAL_NAMES.iter().chain(names).map(|name| (*name).to_owned()).collect();
        subjects.sort();
        subjects.dedup();

        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(SandboxError::Certificate)?;
        let mut params = CertificateParams::new(subjects).map_err(SandboxError::Certificate)?;
        params.distinguished_name = common_name("bc-secrets-sync simulated store");
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        if let Some(Range { start, end }) = valid {
            let at = |time: SystemTime| {
                date_time_ymd(1970, 1, 1) + time.duration_since(UNIX_EPOCH).unwrap_or_default()
            };
            (params.not_before, params.not_after) = (at(start), at(end));
        }
        let certificate = params.signed_by(&key, &self.issuer).map_err(SandboxError::Certificate)?;
        Ok((certificate, key))
    }
}

/// A certificate and its key, as a server shows them. Clones are the same one.
#[derive(Clone)]
pub struct ShownCertificate(Arc<Mutex<Arc<CertifiedKey>>>);

impl ShownCertificate {
    /// A TLS server configuration (HTTP/1.1, no client certificates, the ring provider) that shows it.
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, SandboxError> {
        // The provider is named, so that the simulation does not depend on one being installed.
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(SandboxError::Tls)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(self.clone()));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Puts another one in its place, for everybody who shows it: new connections see that one.
    pub fn replace(&self, by: &Self) {
        let new = by.current();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = new;
    }

    fn current(&self) -> Arc<CertifiedKey> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesServerCert for ShownCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

/// Says nothing of the key.
impl fmt::Debug for ShownCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShownCertificate").finish_non_exhaustive()
    }
}

/// Says nothing of the key.
impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_shows_its_certificate_and_not_its_key() {
        let authority = Authority::new().unwrap();
        assert!(authority.ca_pem().starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(!authority.ca_pem().contains("PRIVATE"));
        assert_eq!(format!("{authority:?}"), "Authority { .. }");
        let shown = authority.certify(&[], None).unwrap();
        assert_eq!(format!("{shown:?}"), "ShownCertificate { .. }");
    }

    #[test]
    fn each_authority_is_its_own() {
        assert_ne!(Authority::new().unwrap().ca_pem(), Authority::new().unwrap().ca_pem());
    }

    #[test]
    fn a_certificate_is_made_for_other_names_too() {
        let authority = Authority::new().unwrap();
        authority.certify(&["shop.example.com", "10.0.0.1", "localhost"], None).unwrap();
    }

    #[test]
    fn a_name_that_is_neither_dns_nor_ip_is_refused() {
        let refused = Authority::new().unwrap().certify(&["büchse"], None);
        assert!(matches!(refused, Err(SandboxError::Certificate(_))));
    }
}
