//! TLS that a server in development mode cannot show: client certificates, and a system without authorities.

use std::env;
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

/// A certificate that nobody signed but itself, and its key.
struct Identity {
    key: KeyPair,
    certificate: rcgen::Certificate,
}

impl Identity {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.into()]).unwrap().self_signed(&key).unwrap();
        Self { key, certificate }
    }

    fn files(&self, directory: &Path, name: &str) -> (PathBuf, PathBuf) {
        let certificate = directory.join(format!("{name}.pem"));
        let key = directory.join(format!("{name}.key"));
        std::fs::write(&certificate, self.certificate.pem()).unwrap();
        std::fs::write(&key, self.key.serialize_pem()).unwrap();
        (certificate, key)
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        roots
    }
}

/// Answers a lookup to whoever shows this client certificate, and returns the port and the Host headers seen.
async fn serve(server: &Identity, client: &Identity) -> (u16, Arc<Mutex<Vec<String>>>) {
    crate::system::crypto::choose();
    let verifier = WebPkiClientVerifier::builder(Arc::new(client.roots())).build().unwrap();
    let key = PrivateKeyDer::try_from(server.key.serialize_der()).unwrap();
    let chain: Vec<CertificateDer<'static>> = vec![server.certificate.der().clone()];
    let config =
        ServerConfig::builder().with_client_cert_verifier(verifier).with_single_cert(chain, key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let hosts = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&hosts);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            match acceptor.accept(stream).into_fallible().await {
                Ok(mut stream) => {
                    let mut request = vec![0; 4096];
                    let length = stream.read(&mut request).await.unwrap();
                    let request = String::from_utf8(request[..length].to_vec()).unwrap();
                    let host = request.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
                    seen.lock().unwrap().push(host.to_owned());
                    let Reply::Bytes(reply) = Reply::new("200 OK", LOOKED_UP) else {
                        unreachable!();
                    };
                    stream.write_all(&reply).await.unwrap();
                    stream.shutdown().await.unwrap();
                }
                // What the client still sends is taken, or else a reset could overtake the alert.
                Err((_, mut stream)) => {
                    let _read = stream.read_to_end(&mut Vec::new()).await;
                }
            }
        }
    });
    (port, hosts)
}

#[tokio::test]
async fn a_client_certificate_is_shown_and_missed() {
    let directory = tempfile::tempdir().unwrap();
    let (server, client, stranger) =
        (Identity::new("vault.test"), Identity::new("client.test"), Identity::new("stranger.test"));
    let (ca_file, _) = server.files(directory.path(), "server");
    let (port, hosts) = serve(&server, &client).await;
    let build = |identity: Option<(PathBuf, PathBuf)>| {
        let mut config = config(&format!("https://127.0.0.1:{port}"), given());
        config.tls.ca_file = Some(ca_file.clone());
        config.tls.server_name = Some("vault.test".into());
        config.tls.client = identity;
        Vault::new(&config)
    };

    let own = client.files(directory.path(), "client");
    build(Some(own.clone())).unwrap().log_in().await.unwrap();
    assert_eq!(*hosts.lock().unwrap(), [format!("127.0.0.1:{port}")], "the name is for TLS only");

    let words = build(None).unwrap().log_in().await.unwrap_err().to_string();
    assert!(words.contains("does it want a client certificate?"), "{words}");
    let others = stranger.files(directory.path(), "stranger");
    let words = build(Some(others.clone())).unwrap().log_in().await.unwrap_err().to_string();
    assert!(words.contains("TLS: the server broke off with the alert"), "{words}");
    let mixed = build(Some((own.0, others.1))).unwrap_err();
    assert!(matches!(mixed, BuildError::Tls(_)), "{mixed:?}");
}

#[test]
fn without_authorities_in_the_system_only_an_address_that_needs_them_is_refused() {
    const NOWHERE: &str = "/nowhere/authorities-of-the-tests";
    if env::var_os("SSL_CERT_FILE").is_none_or(|file| file != NOWHERE) {
        // The variable must be set before the process starts, so the test runs itself again.
        let name = format!("{}::{}", module_path!(), "without_authorities_in_the_system");
        let (_, name) = name.split_once("::").unwrap();
        let output = Command::new(env::current_exe().unwrap())
            .arg(name)
            .env("SSL_CERT_FILE", NOWHERE)
            .env("SSL_CERT_DIR", NOWHERE)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    let error = Vault::new(&config("https://vault.example", given())).unwrap_err();
    assert!(matches!(error, BuildError::NoSystemAuthorities(_)), "{error:?}");
    assert!(error.to_string().contains("vault.tls.ca_file"), "{error}");
    Vault::new(&config("http://127.0.0.1:8200", given())).unwrap();
    let mut unverified = config("https://vault.example", given());
    unverified.tls.skip_verify = true;
    Vault::new(&unverified).unwrap();
}

#[tokio::test]
async fn a_server_that_shows_an_authoritys_certificate_is_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".into()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let server = Identity { certificate: params.self_signed(&key).unwrap(), key };
    let client = Identity::new("client");
    let (port, _hosts) = serve(&server, &client).await;
    let mut config = config(&format!("https://localhost:{port}"), given());
    config.tls.ca_file = Some(server.files(directory.path(), "server").0);
    config.tls.client = Some(client.files(directory.path(), "client"));
    let Err(SourceFault::Unreachable(words)) = Vault::new(&config).unwrap().log_in().await else {
        panic!("another fault");
    };
    let expected = "TLS: the server's certificate is an authority's own certificate (CA:TRUE)";
    assert!(words.starts_with(expected) && words.contains("CA:FALSE"), "{words}");
}
