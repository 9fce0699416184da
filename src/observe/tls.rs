//! TLS of the listener: the certificate that it shows, read anew when its files have changed.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{InconsistentKeys, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex as Turn;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::{Config, ConfigError, Place, Problem, ServerTls};
use crate::domain::snapshot::CertificateStatus;
use crate::domain::time::Timestamp;
use crate::system::files::{Stamp, stamp};
use crate::system::{certificate, crypto, errors, short_file};

/// The largest file with certificates or a key, in bytes.
const LIMIT: usize = 1024 * 1024;
/// How long a disk may take; then the certificate in use serves.
const LOOK_LIMIT: Duration = Duration::from_secs(1);
/// So often the files are read until they have not changed meanwhile.
const TRIES: usize = 3;
/// The first byte of a client that speaks TLS (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 0x16;
/// What others hear.
const NO_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 54\r\nConnection: close\r\n\r\nthis listener speaks TLS: ask with https:// in front\r\n";
/// How much of what they say is listened to, so that they hear it.
const HEARD: u64 = 64 * 1024;

/// Why a certificate cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}; check [http.tls]", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no certificate where it should be.
    #[error(
        "{} holds no certificate in PEM: it must begin with the server's, and those of its authorities follow",
        .0.display()
    )]
    NoCertificate(PathBuf),
    /// There is no key where it should be.
    #[error(
        "{} holds no private key in PEM (PKCS #8, PKCS #1 or SEC 1); one behind a password cannot be used",
        .0.display()
    )]
    NoKey(PathBuf),
    /// They belong to different pairs.
    #[error(
        "the key in {} does not belong to the first certificate in {}: name the two that were made together",
        key.display(),
        certificate.display()
    )]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The library refuses them.
    #[error("the certificate and key of [http.tls] cannot be used")]
    Unusable(#[source] rustls::Error),
}

/// The certificate that the listener shows.
pub(super) struct Tls {
    files: ServerTls,
    current: Mutex<Current>,
    /// Held by the look at the files that is under way, for as long as it takes: a flood of connections, or a disk that
    /// hangs, takes one thread.
    looking: Arc<Turn<()>>,
}

struct Current {
    stamps: Stamps,
    config: Arc<ServerConfig>,
    validity: Option<Validity>,
    /// Why the files as they are now are not in use.
    error: Option<String>,
}

type Stamps = [Option<Stamp>; 2];

impl Tls {
    /// Reads the files. Blocks on the disk.
    pub(super) fn load(files: &ServerTls) -> Result<Self, TlsError> {
        let (stamps, loaded) = settled(files);
        let Loaded { config, validity, doubt } = loaded?;
        warn_if_over(validity);
        if let Some(doubt) = doubt {
            tracing::warn!("{doubt}");
        }
        let current = Mutex::new(Current { stamps, config, validity, error: None });
        Ok(Self { files: files.clone(), current, looking: Arc::default() })
    }

    pub(super) fn status(&self) -> CertificateStatus {
        let current = self.current();
        CertificateStatus {
            valid_from: current.validity.map(|(from, _)| Timestamp::from(from)),
            expires_at: current.validity.map(|(_, until)| Timestamp::from(until)),
            error: current.error.clone(),
        }
    }

    /// Shakes hands with a client; none: it does not speak TLS, or not so that we understand it.
    pub(super) async fn accept(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, NoTls> {
        let mut first = [0];
        match stream.peek(&mut first).await {
            // Looking whether somebody listens is nothing to refuse.
            Ok(0) | Err(_) => return Err(NoTls::Gone),
            Ok(_) if first != [HANDSHAKE] => {
                say_so(stream).await;
                return Err(NoTls::Plain);
            }
            Ok(_) => {}
        }
        let config = self.newest().await;
        TlsAcceptor::from(config).accept(stream).await.map_err(NoTls::Failed)
    }

    /// What to show, after a look whether the files have changed; without one while another client's look is under way.
    async fn newest(&self) -> Arc<ServerConfig> {
        if let Ok(turn) = self.looking.clone().try_lock_owned() {
            let (files, known) = (self.files.clone(), self.current().stamps);
            let looking = spawn_blocking(move || {
                let found = (stamps(&files) != known).then(|| settled(&files));
                (found, turn)
            });
            if let Ok(Ok((Some((stamps, loaded)), _turn))) = timeout(LOOK_LIMIT, looking).await {
                self.take(stamps, loaded);
            }
        }
        self.current().config.clone()
    }

    fn take(&self, stamps: Stamps, loaded: Result<Loaded, TlsError>) {
        let mut current = self.current();
        // Also where the files are of no use: that is said once for each change.
        current.stamps = stamps;
        match loaded {
            Ok(Loaded { config, validity, doubt }) => {
                (current.config, current.validity, current.error) = (config, validity, None);
                tracing::info!("the files of [http.tls] have changed, and are used from now on");
                warn_if_over(validity);
                if let Some(doubt) = doubt {
                    tracing::warn!("{doubt}");
                }
            }
            Err(error) => {
                let error = errors::chain(&error);
                tracing::error!(
                    "the files of [http.tls] have changed and cannot be used; the former ones stay in use: {error}"
                );
                current.error = Some(error);
            }
        }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        // The lock is held for assignments and clones: a poisoned one still holds whole values.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says nothing of the key.
impl std::fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

/// Why there is no TLS with a client.
#[derive(Debug)]
pub(super) enum NoTls {
    /// It said nothing.
    Gone,
    /// It said something else.
    Plain,
    /// The handshake failed.
    Failed(io::Error),
}

/// Whether the certificate and the key that a configuration names can be used, and still can today. Returns what is to
/// be said of them all the same.
///
/// # Errors
/// They cannot; the message says what to do.
pub fn check_certificate(config: &Config) -> Result<Option<String>, ConfigError> {
    let Some(files) = &config.http.tls else { return Ok(None) };
    let message = match load(files) {
        Err(error) => errors::chain(&error),
        Ok(Loaded { validity: Some((_, end)), .. }) if end < SystemTime::now() => {
            format!("the certificate in {} has expired: renew it", files.certificate_file.display())
        }
        Ok(Loaded { doubt, .. }) => return Ok(doubt),
    };
    let problem = Problem { place: Place::Host, key: "http.tls".to_owned(), message };
    ConfigError::unless_empty(vec![problem]).map(|()| None)
}

/// What the files hold.
struct Loaded {
    config: Arc<ServerConfig>,
    validity: Option<Validity>,
    /// Why some clients may not accept it.
    doubt: Option<String>,
}

/// From when on and until when a certificate is valid.
type Validity = (SystemTime, SystemTime);

/// What the files hold, once they are not being replaced; and what tells when they change.
fn settled(files: &ServerTls) -> (Stamps, Result<Loaded, TlsError>) {
    let mut before = stamps(files);
    for _ in 1..TRIES {
        let loaded = load(files);
        let after = stamps(files);
        if before == after {
            return (after, loaded);
        }
        before = after;
    }
    (before, load(files))
}

fn stamps(files: &ServerTls) -> Stamps {
    [stamp(&files.certificate_file), stamp(&files.key_file)]
}

fn load(files: &ServerTls) -> Result<Loaded, TlsError> {
    let ServerTls { certificate_file, key_file } = files;
    let read = |path: &Path| {
        short_file::bytes(path, LIMIT).map_err(|source| TlsError::File { path: path.to_owned(), source })
    };
    let no_certificate = || TlsError::NoCertificate(certificate_file.clone());
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(certificate_file)?).collect();
    let chain = chain.map_err(|_| no_certificate())?;
    let first = chain.first().ok_or_else(no_certificate)?;
    let validity = certificate::validity(first);
    let doubt = certificate::is_of_an_authority(first).then(|| {
        format!(
            "the certificate in {} is an authority's own (CA:TRUE), as `openssl req -x509` makes it: `status --url` \
             and other clients will not accept it as a server's; make one with basicConstraints=CA:FALSE \
             (-addext basicConstraints=critical,CA:FALSE)",
            certificate_file.display()
        )
    });
    let key =
        PrivateKeyDer::from_pem_slice(&read(key_file)?).map_err(|_| TlsError::NoKey(key_file.clone()))?;
    crypto::choose();
    let Some(provider) = CryptoProvider::get_default() else {
        return Err(TlsError::Unusable(rustls::Error::General("there is no cryptography".to_owned())));
    };
    let pair = CertifiedKey::from_der(chain, key, provider).map_err(|error| {
        if error == rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) {
            TlsError::Mismatch { certificate: certificate_file.clone(), key: key_file.clone() }
        } else {
            TlsError::Unusable(error)
        }
    })?;
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Unusable)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(pair)));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Clients come once in a while, and each should see the certificate that is shown now.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Loaded { config: Arc::new(config), validity, doubt })
}

fn warn_if_over(validity: Option<Validity>) {
    if let Some((_, end)) = validity.filter(|(_, end)| *end < SystemTime::now()) {
        let expired_at = Timestamp::from(end).to_string();
        tracing::warn!(expired_at, "the certificate of [http.tls] has expired: clients will not accept it");
    }
}

/// Tells a client that does not speak TLS that it should.
async fn say_so(mut stream: TcpStream) {
    let said: Result<(), io::Error> = async {
        stream.write_all(NO_TLS).await?;
        stream.shutdown().await?;
        // What was not read when the connection is closed would take the answer with it.
        let mut heard = stream.take(HEARD);
        let mut piece = [0; 1024];
        while heard.read(&mut piece).await? > 0 {}
        Ok(())
    }
    .await;
    if let Err(error) = said {
        tracing::debug!(error = &error as &dyn Error, "a client that does not speak TLS was not told so");
    }
}

#[cfg(all(test, feature = "demo"))]
mod tests {
    use super::*;
    use crate::sandbox::authority::Authority;

    #[tokio::test]
    async fn nobody_waits_for_a_look_at_the_files_that_hangs() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let authority = Authority::new().unwrap();
        let (certificate, key) = authority.issue(&[], None).unwrap();
        let files = ServerTls { certificate_file: file("crt", &certificate), key_file: file("key", &key) };
        let tls = Tls::load(&files).unwrap();
        let hangs = tls.looking.clone().lock_owned().await;
        let before = tls.newest().await;
        let (certificate, key) = authority.issue(&[], None).unwrap();
        let (_, _) = (file("crt", &certificate), file("key", &key));
        assert!(Arc::ptr_eq(&tls.newest().await, &before), "what is in use serves");
        drop(hangs);
        assert!(!Arc::ptr_eq(&tls.newest().await, &before));
    }
}
