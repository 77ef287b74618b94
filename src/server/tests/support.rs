use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Future, Pending};
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tower::{service_fn, Service};

use crate::latch::Latch;
use crate::server::serve::serve_connections;
use crate::server::Accept;
use crate::shutdown::stages::{Served, ServerStages};
use crate::{BoxError, DrainHandle, Stop};

/// Generous: what takes as long has failed. Beside a paused clock it is longer than all that is waited for.
const FAILED: Duration = Duration::from_secs(20);

pub(super) async fn within<F: Future>(what: &str, future: F) -> F::Output {
    match timeout(FAILED, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited in vain: {what}"),
    }
}

/// The runtime looks at its sockets before connections are told to stop.
pub(super) const LOOK: Duration = Duration::from_millis(2);

pub(super) struct Server {
    pub(super) handle: DrainHandle,
    pub(super) connections: watch::Receiver<usize>,
    pub(super) serving: JoinHandle<Result<Served, BoxError>>,
    addr: Option<SocketAddr>,
    stop: Latch,
    _overdue: Latch,
    abandon: Latch,
}

impl Server {
    pub(super) fn on<L, S, B>(listener: L, app: S) -> Self
    where
        L: Accept,
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<BoxError>,
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let (stop, overdue, abandon) = (Latch::new(), Latch::new(), Latch::new());
        let (count, connections) = watch::channel(1);
        let handle = DrainHandle::new();
        let stages = ServerStages {
            accept_closed: handle.accept_closed(),
            stop: Stop::new(&stop),
            overdue: overdue.fired(),
            abandon: abandon.fired(),
            connections: count,
        };
        let serving = tokio::spawn(serve_connections(listener, app, handle.clone(), stages));
        Self {
            handle,
            connections,
            serving,
            addr: None,
            stop,
            _overdue: overdue,
            abandon,
        }
    }

    pub(super) async fn over_tcp<S, B>(app: S) -> (Self, SocketAddr)
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<BoxError>,
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mut server = Self::on(listener, app);
        server.addr = Some(addr);
        (server, addr)
    }

    pub(super) fn close_socket(&self) {
        self.handle.exit().close_accept();
    }

    pub(super) fn stop(&self) {
        self.stop.fire();
    }

    pub(super) fn close_and_stop(&self) {
        self.close_socket();
        self.stop();
    }

    /// Closes the socket and stops, and returns when the connections have heard of it.
    pub(super) async fn stop_and_be_heard(&mut self) {
        let tcp = self.addr.expect("a server over TCP");
        let mut idle = connect(tcp).await;
        send(&mut idle, GET).await;
        read_until(&mut idle, "\r\n\r\n").await;
        self.close_and_stop();
        let mut rest = Vec::new();
        within("the idle one to hear", idle.read_to_end(&mut rest))
            .await
            .unwrap();
    }

    pub(super) fn abandon(&self) {
        self.abandon.fire();
    }

    /// The listening socket is one.
    pub(super) async fn has_connections(&mut self, count: usize) {
        let counted = self.connections.wait_for(|now| *now == count);
        within("the count of connections", counted).await.unwrap();
    }

    /// The same where it takes a while on a paused clock.
    pub(super) async fn has_connections_in_time(&mut self, count: usize) {
        let counted = self.connections.wait_for(|now| *now == count);
        counted.await.unwrap();
    }

    pub(super) async fn returned(&mut self) -> usize {
        let served = within("the server to return", &mut self.serving).await;
        served.unwrap().unwrap().unflushed
    }
}

/// Answers `hello` to everything.
pub(super) fn hello() -> impl Service<
    Request<Incoming>,
    Response = Response<Full<Bytes>>,
    Error = Infallible,
    Future = impl Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send,
> + Clone
       + Send
       + 'static {
    service_fn(|_| async { Ok(Response::new(Full::from("hello"))) })
}

pub(super) fn text(text: impl Into<Bytes>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(text.into())))
}

pub(super) const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

pub(super) async fn connect(addr: SocketAddr) -> TcpStream {
    within("a connection", TcpStream::connect(addr))
        .await
        .unwrap()
}

pub(super) async fn send<T: AsyncWrite + Unpin>(peer: &mut T, bytes: &[u8]) {
    within("bytes to go out", peer.write_all(bytes))
        .await
        .unwrap();
}

/// Up to and with `end`.
pub(super) async fn read_until<T: AsyncRead + Unpin>(peer: &mut T, end: &str) -> String {
    let mut seen = Vec::new();
    while !seen.ends_with(end.as_bytes()) {
        match within(end, peer.read_u8()).await {
            Ok(byte) => seen.push(byte),
            Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&seen)),
        }
    }
    String::from_utf8(seen).unwrap()
}

/// What comes until the end, which is not a reset.
pub(super) async fn read_to_end<T: AsyncRead + Unpin>(peer: &mut T) -> String {
    let mut seen = Vec::new();
    let read = within("the end", peer.read_to_end(&mut seen)).await;
    read.unwrap_or_else(|error| panic!("{error} after {} bytes", seen.len()));
    String::from_utf8(seen).unwrap()
}

/// The connection ends, in order or with a reset, without another byte.
pub(super) async fn is_dropped<T: AsyncRead + Unpin>(peer: &mut T) {
    let mut byte = [0];
    match within("the connection to end", peer.read(&mut byte)).await {
        Ok(0) => {}
        Ok(_) => panic!("a byte: {byte:?}"),
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
    }
}

/// Connections out of memory, and errors, in the order they were sent.
pub(super) struct Pipes {
    comes: mpsc::UnboundedReceiver<io::Result<DuplexStream>>,
    pub(super) backlog: VecDeque<io::Result<DuplexStream>>,
}

pub(super) type PipeSender = mpsc::UnboundedSender<io::Result<DuplexStream>>;

impl Pipes {
    pub(super) fn new() -> (PipeSender, Self) {
        let (sender, comes) = mpsc::unbounded_channel();
        let backlog = VecDeque::new();
        (sender, Self { comes, backlog })
    }
}

pub(super) fn pipe(pipes: &PipeSender) -> DuplexStream {
    let (client, server) = tokio::io::duplex(4096);
    pipes.send(Ok(server)).unwrap();
    client
}

type Piped = (
    std::future::Ready<Result<DuplexStream, BoxError>>,
    &'static str,
);

fn piped(pipe: DuplexStream) -> Piped {
    (std::future::ready(Ok(pipe)), "a pipe")
}

impl Accept for Pipes {
    type Io = DuplexStream;
    type Addr = &'static str;
    type Handshake = std::future::Ready<Result<DuplexStream, BoxError>>;
    type Backlog = PipesBacklog;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Piped>> {
        match self.comes.poll_recv(cx) {
            Poll::Ready(Some(pipe)) => Poll::Ready(pipe.map(piped)),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    fn close(self) -> PipesBacklog {
        PipesBacklog(self.backlog)
    }
}

pub(super) struct PipesBacklog(VecDeque<io::Result<DuplexStream>>);

impl Iterator for PipesBacklog {
    type Item = io::Result<Piped>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.0.pop_front()?.map(piped))
    }
}

pub(super) fn never<T>() -> Pending<T> {
    std::future::pending()
}
