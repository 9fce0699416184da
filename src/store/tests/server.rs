//! A small HTTPS server on threads, with certificates of its own authority.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::NamedTempFile;

/// A certificate authority, with its certificate in a file.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: NamedTempFile,
}

/// A server's certificate and key.
pub(super) struct Identity(CertificateDer<'static>, PrivateKeyDer<'static>);

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        // Each authority has a name of its own, or one would be taken for another with a bad signature.
        let name = params.key_identifier(&key).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, key).unwrap();
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(issuer.pem().as_bytes()).unwrap();
        Self { issuer, file }
    }

    pub(super) fn file(&self) -> PathBuf {
        self.file.path().to_owned()
    }

    pub(super) fn certify(&self, name: &str) -> Identity {
        self.sign(name, |_| {})
    }

    pub(super) fn certify_until(&self, name: &str, year: i32) -> Identity {
        self.sign(name, |params| params.not_after = date_time_ymd(year, 1, 1))
    }

    pub(super) fn certify_between(&self, name: &str, from: i32, until: i32) -> Identity {
        self.sign(name, |params| {
            params.not_before = date_time_ymd(from, 1, 1);
            params.not_after = date_time_ymd(until, 1, 1);
        })
    }

    pub(super) fn certify_from(&self, name: &str, year: i32) -> Identity {
        self.sign(name, |params| params.not_before = date_time_ymd(year, 1, 1))
    }

    fn sign(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        Identity(certificate.der().clone(), key.into())
    }
}

impl Identity {
    /// The certificate as it is sent.
    pub(super) fn certificate(&self) -> &[u8] {
        &self.0
    }

    fn into_key(self) -> Arc<CertifiedKey> {
        let Self(certificate, key) = self;
        let provider = rustls::crypto::ring::default_provider();
        Arc::new(CertifiedKey::from_der(vec![certificate], key, &provider).unwrap())
    }
}

/// The identity that is shown to those who connect now.
#[derive(Debug)]
struct Presented(Mutex<Arc<CertifiedKey>>);

impl ResolvesServerCert for Presented {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.lock().unwrap().clone())
    }
}

/// One connection, in TLS. Closed politely when it is dropped.
pub(super) struct Stream(StreamOwned<ServerConnection, TcpStream>);

impl Stream {
    /// Waits until the other side has gone.
    pub(super) fn wait_for_end(&mut self) {
        let _ = self.0.flush();
        let _ = io::copy(&mut self.0, &mut io::sink());
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.conn.send_close_notify();
        let _ = self.0.flush();
    }
}

/// Handles one connection after the other until it is dropped.
pub(super) struct Server {
    port: u16,
    presented: Arc<Presented>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(super) fn start(identity: Identity, handle: impl Fn(Stream) + Send + Sync + 'static) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let presented = Arc::new(Presented(Mutex::new(identity.into_key())));
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(presented.clone());
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let thread = thread::spawn(move || {
            loop {
                let (stream, _) = listener.accept().unwrap();
                // A connection on which nothing is sent is the sign to end.
                if stream.peek(&mut [0]).unwrap_or(0) == 0 {
                    return;
                }
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                handle(Stream(StreamOwned::new(connection, stream)));
            }
        });
        Self { port, presented, thread: Some(thread) }
    }

    /// Shows another identity from the next connection on. Sessions of earlier ones may be resumed.
    pub(super) fn present(&self, identity: Identity) {
        *self.presented.0.lock().unwrap() = identity.into_key();
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "the server panicked");
        }
    }
}

/// Reads the head of a request; what has come so far when the connection ends before that.
pub(super) fn read_request(stream: &mut Stream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// Sends a whole answer.
pub(super) fn respond(stream: &mut Stream, status: &str, headers: &str, body: &str) {
    let length = body.len();
    let answer = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
    let _ = stream.write_all(answer.as_bytes());
    let _ = stream.flush();
}
