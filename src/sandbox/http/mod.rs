//! The small HTTP/1 server the simulation runs on: bounded, over TCP or TLS, ended by dropping its handle.

mod body;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::error::Error as _;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use self::body::Payload;
use super::SandboxError;

/// The longest request body that is read, in bytes; a longer one is answered 413.
pub const MAX_REQUEST_BODY: usize = 64 * 1024;
/// Connections served at once; more wait in the listener's queue. Below the usual limit of 1024 open files.
pub const MAX_CONNECTIONS: usize = 512;

/// How long a client may take for its TLS handshake, for its headers (idle time counts) and for its body.
const CLIENT_PATIENCE: Duration = Duration::from_secs(30);
/// The pause after the system refused to accept, for example because no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Turns a request into an answer. A future that never completes leaves the client hanging until it gives up.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request, whose body has been read whole (at most [`MAX_REQUEST_BODY`] bytes).
    fn handle(&self, request: Request<Bytes>) -> impl Future<Output = Answer> + Send;
}

/// What a handler wants to be sent.
pub enum Answer {
    /// The response as it is.
    Whole(Response<Bytes>),
    /// The head (which promises the whole body) and the first half of the body; then the connection is closed.
    CutShort(Response<Bytes>),
    /// The head and the body; then white space until the client closes the connection.
    Endless(Response<Bytes>),
}

/// A running server. Clones share it: it ends, with all its connections, at [`Server::shutdown`] or when the last
/// clone is dropped.
#[derive(Clone)]
pub struct Server {
    address: SocketAddr,
    running: Arc<Running>,
}

struct Running {
    accepting: AbortHandle,
    /// Its sender is dropped after everything else of the accepting task.
    ended: watch::Receiver<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Server {
    /// Listens on a loopback address (port 0 takes a free one) and answers with `handler`; over TLS when `tls` is
    /// given. Must be called inside a tokio runtime with I/O and time.
    ///
    /// Fails with [`SandboxError::NotLoopback`] or [`SandboxError::Listen`].
    pub async fn start<H: Handler>(
        listen: SocketAddr,
        tls: Option<Arc<ServerConfig>>,
        handler: Arc<H>,
    ) -> Result<Self, SandboxError> {
        Self::start_with_room(MAX_CONNECTIONS, listen, tls, handler).await
    }

    async fn start_with_room<H: Handler>(
        connections: usize,
        listen: SocketAddr,
        tls: Option<Arc<ServerConfig>>,
        handler: Arc<H>,
    ) -> Result<Self, SandboxError> {
        if !listen.ip().is_loopback() {
            return Err(SandboxError::NotLoopback(listen));
        }
        let refused = |source| SandboxError::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let (running, ended) = watch::channel(());
        let room = Arc::new(Semaphore::new(connections));
        let accepting =
            tokio::spawn(accept(running, room, listener, tls.map(TlsAcceptor::from), handler)).abort_handle();
        Ok(Self { address, running: Arc::new(Running { accepting, ended }) })
    }

    /// The address listened on, with the port that was taken.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends the server for every clone of this handle, and returns when the address is free again. Connections are
    /// cut, whatever they are doing.
    pub async fn shutdown(&self) {
        self.running.accepting.abort();
        let mut ended = self.running.ended.clone();
        // An error means that the sender is gone, which is what is waited for; nothing is ever sent.
        while ended.changed().await.is_ok() {}
    }
}

/// The headers and the body are left out: they may hold a secret.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, response) = match self {
            Self::Whole(response) => ("Whole", response),
            Self::CutShort(response) => ("CutShort", response),
            Self::Endless(response) => ("Endless", response),
        };
        f.debug_struct(name).field("status", &response.status()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Accepts until aborted. `_running` comes first, so it is dropped last: after the listener and the connections.
async fn accept<H: Handler>(
    _running: watch::Sender<()>,
    room: Arc<Semaphore>,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    handler: Arc<H>,
) {
    let mut connections = JoinSet::new();
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "the simulation cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        while let Some(ended) = connections.try_join_next() {
            if let Err(error) = ended {
                tracing::error!(%error, "a connection of the simulation ended badly");
            }
        }
        connections.spawn(connection(permit, stream, tls.clone(), Arc::clone(&handler)));
    }
}

async fn connection<H: Handler>(
    _permit: OwnedSemaphorePermit,
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    handler: Arc<H>,
) {
    // Without it small answers may wait for the client's acknowledgement; slower, and nothing worse.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else {
        return serve(stream, handler).await;
    };
    match tokio::time::timeout(CLIENT_PATIENCE, tls.accept(stream)).await {
        Ok(Ok(stream)) => serve(stream, handler).await,
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake with the simulation failed"),
        Err(_) => tracing::debug!("a TLS handshake with the simulation took too long"),
    }
}

async fn serve<H: Handler>(stream: impl AsyncRead + AsyncWrite + Unpin + Send, handler: Arc<H>) {
    let service =
        service_fn(|request| async { Ok::<_, Infallible>(respond(handler.as_ref(), request).await) });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(CLIENT_PATIENCE)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        // Clients that go away and answers that are cut short on purpose both end here.
        tracing::debug!(%error, cause = error.source().map(tracing::field::display), "a connection was cut");
    }
}

async fn respond<H: Handler>(handler: &H, request: Request<Incoming>) -> Response<Payload> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MAX_REQUEST_BODY).collect();
    let refusal = match tokio::time::timeout(CLIENT_PATIENCE, body).await {
        Ok(Ok(body)) => {
            return handler.handle(Request::from_parts(head, body.to_bytes())).await.into();
        }
        Ok(Err(error)) if error.is::<LengthLimitError>() => StatusCode::PAYLOAD_TOO_LARGE,
        Ok(Err(_)) => StatusCode::BAD_REQUEST,
        Err(_) => StatusCode::REQUEST_TIMEOUT,
    };
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = refusal;
    Answer::Whole(response).into()
}
