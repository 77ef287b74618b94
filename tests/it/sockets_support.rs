//! Servers on free ports, an HTTP/2 client, and waiting that ends in a failure instead of a hang.

use std::future::Future;
use std::net::SocketAddr;
use std::panic::Location;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::routing::{get, MethodRouter};
use axum::Router;
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, Semaphore};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tower::Service;
use tower_drain::{BoxError, DrainHandle, DrainReport, Phase};

/// Far longer than anything here takes: only a failure waits that long.
pub(crate) const LONG: Duration = Duration::from_secs(30);

#[track_caller]
pub(crate) fn within<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let place = Location::caller();
    async move {
        let from = Instant::now();
        match tokio::time::timeout(LONG, future).await {
            // What only the clock's wake found ready was never woken by itself.
            Ok(output) if from.elapsed() < LONG => output,
            _ => panic!("nothing came within {LONG:?} at {place}"),
        }
    }
}

/// Begins, waits for the end, and looks at the count after it.
#[track_caller]
pub(crate) fn drained(handle: &DrainHandle) -> impl Future<Output = DrainReport> {
    let place = Location::caller();
    handle.begin_shutdown();
    let (handle, waiting) = (handle.clone(), handle.wait_for_drain(Duration::MAX));
    async move {
        let from = Instant::now();
        let waited = tokio::time::timeout(LONG, waiting).await;
        let report = match waited {
            Ok(Ok(report)) if from.elapsed() < LONG => report,
            _ => panic!(
                "{waited:?} at {place}: {:?}, {:?}",
                handle.status(),
                handle.stragglers()
            ),
        };
        assert_eq!((handle.in_flight(), handle.phase()), (0, Phase::Drained));
        assert!(handle.stragglers().is_empty());
        report
    }
}

/// Something that happens a number of times and can be waited for: a handler was entered, a gate was opened.
#[derive(Clone, Debug)]
pub(crate) struct Step(Arc<Semaphore>);

impl Step {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    pub(crate) fn pass(&self) {
        self.0.add_permits(1);
    }

    /// Waits for one pass, and uses it up.
    pub(crate) async fn passed(&self) {
        within(self.0.acquire()).await.unwrap().forget();
    }
}

pub(crate) type Chunks = mpsc::UnboundedSender<Result<Bytes, BoxError>>;

/// A body without a known length, and the end it is fed from.
pub(crate) fn piped() -> (Chunks, Body) {
    let (chunks, received) = mpsc::unbounded_channel();
    (
        chunks,
        Body::from_stream(UnboundedReceiverStream::new(received)),
    )
}

pub(crate) fn feed(chunks: &Chunks, chunk: &'static str) {
    chunks.send(Ok(Bytes::from(chunk))).unwrap();
}

/// A route that answers its first request with `body`.
pub(crate) fn once(body: Body) -> MethodRouter {
    let body = Arc::new(Mutex::new(Some(body)));
    get(move || async move {
        let mut body = body.lock().unwrap();
        body.take().expect("asked for once")
    })
}

pub(crate) async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// `axum::serve` with a graceful shutdown.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

pub(crate) async fn serve(app: Router) -> Server {
    let (listener, addr) = listener().await;
    serve_on(listener, addr, app)
}

pub(crate) fn serve_on(listener: TcpListener, addr: SocketAddr, app: Router) -> Server {
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = axum::serve(listener, app).with_graceful_shutdown(async move {
        let _ = stopped.await;
    });
    Server {
        addr,
        stop: Some(stop),
        task: tokio::spawn(async move { serving.await.unwrap() }),
    }
}

impl Server {
    pub(crate) fn stop(&mut self) {
        self.stop.take();
    }

    pub(crate) fn has_returned(&self) -> bool {
        self.task.is_finished()
    }

    pub(crate) async fn returned(mut self) {
        self.stop();
        within(self.task).await.unwrap();
    }
}

/// hyper's own connections, both protocols, over any tower service.
pub(crate) async fn serve_hyper<S, B>(service: S) -> SocketAddr
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (listener, addr) = listener().await;
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                continue;
            };
            let _ = stream.set_nodelay(true);
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(async move {
                let io = TokioIo::new(stream);
                let builder = auto::Builder::new(TokioExecutor::new());
                // Its error is the client's to see.
                let _ = builder.serve_connection_with_upgrades(io, service).await;
            });
        }
    });
    addr
}

pub(crate) async fn connect(addr: SocketAddr) -> TcpStream {
    let stream = within(TcpStream::connect(addr)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

pub(crate) type H2 = http2::SendRequest<Body>;

/// An HTTP/2 connection; aborting the task loses it.
pub(crate) async fn h2(addr: SocketAddr) -> (H2, JoinHandle<()>) {
    let stream = connect(addr).await;
    let shaking = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = within(shaking).await.unwrap();
    let task = tokio::spawn(async move {
        let _ = connection.await;
    });
    (sender, task)
}

pub(crate) fn h2_request(method: &str, path: &str) -> Request<Body> {
    let request = Request::builder().method(method);
    request
        .uri(format!("http://x{path}"))
        .body(Body::empty())
        .unwrap()
}
