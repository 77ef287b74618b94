//! The clients: many that read streams, each over a connection of its own, and a few whose requests are timed.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{handshake, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

const TIMED: usize = 4;
const BETWEEN_TIMED: Duration = Duration::from_millis(20);
const BETWEEN_EVENTS: Duration = Duration::from_millis(500);
/// Who is rejected comes back after about this.
const COMES_BACK: Duration = Duration::from_secs(1);
const QUIET_WITHIN: Duration = Duration::from_secs(30);

/// What the clients saw.
#[derive(Default)]
pub(crate) struct Board {
    pub(crate) enough: AtomicBool,
    pub(crate) is_draining: AtomicBool,
    /// A drain of these moments cuts, so that a stream may break.
    pub(crate) is_cutting: AtomicBool,
    /// Streams open, streams read to their last chunk, those that their client left, those that a cut broke.
    pub(crate) open: AtomicUsize,
    pub(crate) whole: AtomicU64,
    pub(crate) left: AtomicU64,
    pub(crate) cut: AtomicU64,
    pub(crate) rejected: AtomicU64,
    /// Microseconds of the requests since the last look.
    pub(crate) latencies: Mutex<Vec<u64>>,
    /// What must not be.
    pub(crate) lost: Mutex<Vec<String>>,
    clients: AtomicUsize,
}

impl Board {
    /// Waits until every client has ended what it was at.
    pub(crate) async fn is_quiet(&self) -> Result<(), String> {
        let begin = Instant::now();
        while self.clients.load(Ordering::Relaxed) > 0 {
            if begin.elapsed() > QUIET_WITHIN {
                return Err(format!("clients hang {QUIET_WITHIN:?} after the end"));
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    fn lost(&self, what: String) {
        self.lost.lock().expect("no client panics").push(what);
    }

    fn goes_on(&self) -> bool {
        !self.enough.load(Ordering::Relaxed)
    }
}

/// Clients that go on until there is enough.
pub(crate) fn start(
    addr: SocketAddr,
    streams: usize,
    longest: Duration,
    board: &Arc<Board>,
) -> JoinSet<()> {
    let mut clients = JoinSet::new();
    board.clients.store(streams + TIMED, Ordering::Relaxed);
    for _ in 0..streams {
        let board = board.clone();
        clients.spawn(async move {
            // Not all in the same moment.
            sleep(longest.mul_f64(fastrand::f64())).await;
            while board.goes_on() {
                if let Err(error) = stream(addr, longest, &board).await {
                    match board.is_cutting.load(Ordering::Relaxed) {
                        true => drop(board.cut.fetch_add(1, Ordering::Relaxed)),
                        false => board.lost(format!("a stream: {error}")),
                    }
                }
            }
            board.clients.fetch_sub(1, Ordering::Relaxed);
        });
    }
    for _ in 0..TIMED {
        let board = board.clone();
        clients.spawn(async move {
            let mut connection = None;
            while board.goes_on() {
                if let Err(error) = timed(addr, &mut connection, &board).await {
                    board.lost(format!("a request: {error}"));
                }
                sleep(BETWEEN_TIMED.mul_f64(0.5 + fastrand::f64())).await;
            }
            board.clients.fetch_sub(1, Ordering::Relaxed);
        });
    }
    clients
}

type Failed = Box<dyn std::error::Error + Send + Sync>;
type Connection = SendRequest<Empty<Bytes>>;

/// One stream: a third that end by themselves, a third that the client leaves, a third that would go on, and are left
/// late, or ended by a drain.
async fn stream(addr: SocketAddr, longest: Duration, board: &Board) -> Result<(), Failed> {
    let lives = longest.mul_f64(fastrand::f64());
    let events = (lives.as_secs_f64() / BETWEEN_EVENTS.as_secs_f64()) as u64;
    let every = BETWEEN_EVENTS.as_millis();
    let (path, leaves) = match fastrand::u8(..3) {
        0 => (format!("/events?n={events}&every={every}"), None),
        1 => (
            format!("/events?n={}&every={every}", events + 4),
            Some(lives),
        ),
        _ => (format!("/events?every={every}"), Some(longest)),
    };
    let mut connection = connect(addr).await?;
    let answer = ask(&mut connection, Method::GET, &path).await?;
    if answer.status() != StatusCode::OK {
        board.rejected.fetch_add(1, Ordering::Relaxed);
        drop(answer.into_body().collect().await?);
        sleep(COMES_BACK.mul_f64(0.5 + fastrand::f64())).await;
        return Ok(());
    }
    board.open.fetch_add(1, Ordering::Relaxed);
    let mut body = answer.into_body();
    let read = async {
        while let Some(frame) = body.frame().await {
            drop(frame?);
        }
        Ok::<_, hyper::Error>(())
    };
    let read = timeout(leaves.unwrap_or(Duration::MAX), read).await;
    board.open.fetch_sub(1, Ordering::Relaxed);
    match read {
        Ok(end) => {
            end?;
            board.whole.fetch_add(1, Ordering::Relaxed);
        }
        Err(_) => drop(board.left.fetch_add(1, Ordering::Relaxed)),
    }
    Ok(())
}

/// One request over a kept-alive connection. The time is that from the request to the end of its answer, and does not
/// have the connecting in it.
async fn timed(
    addr: SocketAddr,
    kept: &mut Option<Connection>,
    board: &Board,
) -> Result<(), Failed> {
    let mut open = kept.take();
    if let Some(connection) = &mut open {
        if connection.ready().await.is_err() {
            open = None;
        }
    }
    let mut connection = match open {
        Some(open) => open,
        None => connect(addr).await?,
    };
    let begin = Instant::now();
    let answer = ask(&mut connection, Method::GET, "/").await?;
    let status = answer.status();
    answer.into_body().collect().await?;
    let took = u64::try_from(begin.elapsed().as_micros())?;
    match status {
        StatusCode::OK => board.latencies.lock().expect("no panic").push(took),
        StatusCode::SERVICE_UNAVAILABLE => drop(board.rejected.fetch_add(1, Ordering::Relaxed)),
        _ if board.is_cutting.load(Ordering::Relaxed) => {}
        status => return Err(format!("status {status}").into()),
    }
    *kept = Some(connection);
    Ok(())
}

pub(crate) async fn connect(addr: SocketAddr) -> Result<Connection, Failed> {
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let (connection, driver) = handshake(TokioIo::new(stream)).await?;
    // What ends it is told to its request.
    tokio::spawn(driver);
    Ok(connection)
}

pub(crate) async fn ask(
    connection: &mut Connection,
    method: Method,
    path: &str,
) -> Result<Response<Incoming>, Failed> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "soak")
        .body(Empty::new())?;
    Ok(connection.send_request(request).await?)
}
