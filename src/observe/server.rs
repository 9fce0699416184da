//! The listeners themselves: bounded connections, each with a limit of time, none able to end the others.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinError;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::server::TlsStream;

use super::access::Refused;
use super::connections::Connections;
use super::origin::Visitor;
use super::page::Hold;
use super::room::{Peer, UnderWay};
use super::routes::{Caller, Pages};
use super::socket::SocketFile;
use super::tls::{NoTls, Tls};

/// How long a client may take to shake hands, and then to send the head of a request; and a kept connection may be idle.
pub const HEADER_LIMIT: Duration = Duration::from_secs(5);

/// How long a whole request may take, from its head to the last byte of the answer.
pub const REQUEST_LIMIT: Duration = Duration::from_secs(20);

/// The most that is buffered of a connection's requests, in bytes; a longer head is answered with 431.
const BUFFER: usize = 16 * 1024;

/// How long answers under way may take once the listener was told to stop.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// The pause after a connection could not be accepted; most often the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// Why the listener cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// Something listens there already.
    #[error(
        "cannot listen on {address}: another process listens there; \
         stop it, or set `listen` in [http] to a free address"
    )]
    AddressInUse {
        /// The address.
        address: SocketAddr,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The address belongs to another machine, or to nobody.
    #[error(
        "cannot listen on {address}: it is not an address of this machine; \
         set `listen` in [http] to one that is, or to 0.0.0.0 or [::] for all"
    )]
    AddressNotHere {
        /// The address.
        address: SocketAddr,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The process may not listen there.
    #[error(
        "cannot listen on {address}: not permitted; \
         set `listen` in [http] to a port from 1024 on, or grant CAP_NET_BIND_SERVICE"
    )]
    NotPermitted {
        /// The address.
        address: SocketAddr,
        /// The operating system's reason.
        source: io::Error,
    },
    /// Any other reason.
    #[error("cannot listen on {address}; check `listen` in [http]")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The operating system's reason.
        source: io::Error,
    },
}

/// A listener that is open, and does not answer yet.
#[derive(Debug)]
pub struct Listener(Kind);

#[derive(Debug)]
enum Kind {
    /// Reachable from elsewhere: read-only, but for reports that bear a token.
    Network { socket: TcpListener, address: SocketAddr },
    /// The control socket: whoever may open the file may do everything.
    Local { socket: UnixListener, file: SocketFile },
}

/// A connection that was accepted.
enum Accepted {
    Network(TcpStream, Visitor),
    Local(UnixStream),
}

impl Listener {
    pub(super) const fn local(socket: UnixListener, file: SocketFile) -> Self {
        Self(Kind::Local { socket, file })
    }

    async fn accept(&self) -> io::Result<Accepted> {
        match &self.0 {
            Kind::Network { socket, .. } => {
                let (stream, from) = socket.accept().await?;
                // Only costs latency when it cannot be set.
                let _ = stream.set_nodelay(true);
                let visitor = Visitor::new(from, stream.local_addr()?);
                Ok(Accepted::Network(stream, visitor))
            }
            Kind::Local { socket, .. } => Ok(Accepted::Local(socket.accept().await?.0)),
        }
    }
}

/// What it listens on: an address, with the port that the system chose if 0 was asked for, or a path.
impl fmt::Display for Listener {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Network { address, .. } => write!(formatter, "{address}"),
            Kind::Local { file, .. } => write!(formatter, "{}", file.path().display()),
        }
    }
}

/// Opens the listener.
///
/// # Errors
/// When the address cannot be listened on; the message says what to do.
pub async fn bind(address: SocketAddr) -> Result<Listener, ObserveError> {
    let opened = async {
        let socket = TcpListener::bind(address).await?;
        let address = socket.local_addr()?;
        Ok(Listener(Kind::Network { socket, address }))
    };
    opened.await.map_err(|source: io::Error| {
        let kind = source.kind();
        if kind == io::ErrorKind::AddrInUse {
            ObserveError::AddressInUse { address, source }
        } else if kind == io::ErrorKind::AddrNotAvailable {
            ObserveError::AddressNotHere { address, source }
        } else if kind == io::ErrorKind::PermissionDenied {
            ObserveError::NotPermitted { address, source }
        } else {
            ObserveError::Listen { address, source }
        }
    })
}

/// Answers requests until `stop` completes; then answers under way get two seconds to finish.
///
/// Never returns before `stop` completes: no error of a connection ends it.
pub async fn serve(listener: Listener, pages: Pages, stop: impl Future<Output = ()>) {
    let pages = Arc::new(pages);
    let (stopping, stopped) = watch::channel(false);
    let mut connections = Connections::default();
    let mut accepting = Accepting::default();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(ended) = connections.ended() => report(ended),
            accepted = accepting.next(&listener), if connections.has_room() => {
                if connections.make_room() {
                    tracing::debug!("connection ended in favour of another one: it had no answer under way");
                    pages.access.count(Refused::NoRoom);
                }
                let under_way = UnderWay::default();
                let serving = Serving {
                    pages: Arc::clone(&pages),
                    stopping: stopped.clone(),
                    under_way: under_way.clone(),
                };
                match accepted {
                    Accepted::Network(stream, visitor) => {
                        let peer = Peer::of(visitor.address);
                        connections.serve(peer, under_way, serving.welcome(stream, visitor));
                    }
                    Accepted::Local(stream) => {
                        let caller = Caller::local(&stream);
                        connections.serve(Peer::LOCAL, under_way, serving.converse(stream, caller));
                    }
                }
            }
        }
    }
    drop(listener);
    stopping.send_replace(true);
    let finished = async {
        while let Some(ended) = connections.ended().await {
            report(ended);
        }
    };
    if timeout(STOP_LIMIT, finished).await.is_err() {
        tracing::debug!("connections cut off: they did not end in time");
    }
}

/// What a connection is served with.
pub(super) struct Serving {
    pub(super) pages: Arc<Pages>,
    pub(super) stopping: watch::Receiver<bool>,
    pub(super) under_way: UnderWay,
}

impl Serving {
    /// Serves a connection from elsewhere, over TLS if there is a certificate.
    async fn welcome(self, stream: TcpStream, visitor: Visitor) {
        let Some(tls) = self.pages.access.tls() else {
            return self.converse(stream, Caller::Network(visitor)).await;
        };
        if let Some(stream) = self.shake_hands(&tls, stream).await {
            let visitor = Visitor { scheme: "https", ..visitor };
            self.converse(stream, Caller::Network(visitor)).await;
        }
    }

    async fn shake_hands(&self, tls: &Tls, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        match timeout(HEADER_LIMIT, tls.accept(stream)).await {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(NoTls::Gone)) => return None,
            Ok(Err(NoTls::Plain)) => tracing::debug!("a client does not speak TLS, and was told so"),
            Ok(Err(NoTls::Failed(error))) => {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(error, "a TLS handshake failed");
            }
            Err(_) => tracing::debug!("connection cut off: a TLS handshake took too long"),
        }
        self.pages.access.count(Refused::Handshake);
        None
    }

    /// Serves one connection, over several requests if the client keeps it.
    pub(super) async fn converse<S>(self, stream: S, caller: Caller)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Self { pages, mut stopping, under_way } = self;
        let (begun, mut last_begun) = watch::channel(Instant::now());
        let hold = Hold { begun, stopping: stopping.clone(), under_way };
        let service = service_fn(|mut request: hyper::Request<Incoming>| {
            hold.begun.send_replace(Instant::now());
            hold.under_way.asked();
            request.extensions_mut().insert(hold.clone());
            let pages = Arc::clone(&pages);
            async move { Ok::<_, Infallible>(pages.answer(request, caller).await) }
        });
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_LIMIT)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(stream), service);
        let mut serving = pin!(serving);
        let mut closing = false;
        loop {
            // A client that reads slowly, or not at all, holds its place no longer than this.
            let deadline = *last_begun.borrow_and_update() + REQUEST_LIMIT;
            tokio::select! {
                ended = serving.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(error = &error as &dyn std::error::Error, "connection ended with an error");
                    }
                    return;
                }
                () = sleep_until(deadline) => {
                    tracing::debug!("connection cut off: a request took too long");
                    return;
                }
                _ = last_begun.changed() => {}
                _ = stopping.wait_for(|stopping| *stopping), if !closing => {
                    closing = true;
                    serving.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

/// Accepts connections; survives errors, and logs the first of a row.
#[derive(Default)]
struct Accepting {
    failing: bool,
}

impl Accepting {
    async fn next(&mut self, listener: &Listener) -> Accepted {
        loop {
            match listener.accept().await {
                Ok(accepted) => {
                    self.failing = false;
                    return accepted;
                }
                Err(error) => {
                    if !std::mem::replace(&mut self.failing, true) {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(error, %listener, "cannot accept connections; trying on");
                    }
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

fn report(ended: Result<(), JoinError>) {
    // One that is cancelled has made room for another.
    if let Err(error) = ended
        && !error.is_cancelled()
    {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "answering an HTTP request failed; please report this"
        );
    }
}
