//! What every server goes through: a stream that is open when the drain begins, a request that comes too late, the end
//! of the stream, and the server's return.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use futures_util::{stream, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{unbounded_channel, UnboundedReceiver, UnboundedSender};
use tower_drain::{BoxError, DrainHandle, DrainReason, Phase, Shutdown, Timeouts};

/// Far longer than anything here takes.
const LONG: Duration = Duration::from_secs(30);

async fn within<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(LONG, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: not within {LONG:?}"),
    }
}

/// A body for one request, and the end that feeds it.
#[derive(Clone)]
pub struct Source(Arc<Mutex<Option<UnboundedReceiver<Bytes>>>>);

pub fn source() -> (UnboundedSender<Bytes>, Source) {
    let (feed, fed) = unbounded_channel();
    (feed, Source(Arc::new(Mutex::new(Some(fed)))))
}

impl Source {
    /// # Panics
    ///
    /// The second time.
    pub fn stream(&self) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Send {
        let fed = self.0.lock().unwrap().take().expect("asked for once");
        stream::unfold(
            fed,
            |mut fed| async move { Some((Ok(fed.recv().await?), fed)) },
        )
    }
}

/// The sequence of a process without its waits.
pub fn shutdown(handle: &DrainHandle) -> Shutdown {
    let timeouts = Timeouts::default()
        .lame_duck(Duration::ZERO)
        .settle(Duration::ZERO);
    Shutdown::new(handle.clone()).timeouts(timeouts)
}

async fn ask(addr: SocketAddr, path: &str) -> TcpStream {
    let mut stream = within("connect", TcpStream::connect(addr)).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    while !String::from_utf8_lossy(&text).ends_with(end) {
        let read = within(end, stream.read_buf(&mut text)).await.unwrap();
        let text = String::from_utf8_lossy(&text);
        assert_ne!(read, 0, "no {end:?} at the end of {text:?}");
    }
    String::from_utf8(text).unwrap()
}

/// Goes through it with a server at `addr`, of which `/stream` answers with the source's body and `/` with anything.
///
/// # Panics
///
/// If something is not as it should be.
pub async fn drains(
    addr: SocketAddr,
    handle: DrainHandle,
    feed: UnboundedSender<Bytes>,
    serving: impl Future<Output = Result<tower_drain::ShutdownReport, BoxError>> + Send + 'static,
) {
    let serving = tokio::spawn(serving);
    let mut open = ask(addr, "/stream").await;
    feed.send("first".into()).unwrap();
    read_until(&mut open, "first\r\n").await;
    assert_eq!(handle.in_flight(), 1);

    // Maintenance: the socket stays open, so that there is somebody to be rejected.
    let nonce = handle
        .begin_shutdown_because(DrainReason::Requested)
        .unwrap();
    let mut late = ask(addr, "/").await;
    let mut rejection = String::new();
    let read = late.read_to_string(&mut rejection);
    within("the rejection", read).await.unwrap();
    let rejection = rejection.to_lowercase();
    assert!(rejection.starts_with("http/1.1 503"), "{rejection}");
    assert!(rejection.contains("\r\nconnection: close"), "{rejection}");
    assert!(rejection.contains("\r\nretry-after: 1"), "{rejection}");
    assert_eq!((handle.in_flight(), handle.phase()), (1, Phase::Draining));
    handle.resume(nonce).unwrap();

    handle.request_exit(DrainReason::Requested);
    within("the drain", handle.draining()).await;
    assert_eq!(handle.in_flight(), 1);
    feed.send("last".into()).unwrap();
    drop(feed);
    read_until(&mut open, "last\r\n0\r\n\r\n").await;
    drop(open);
    let report = within("the server's return", serving).await;
    let report = report.unwrap().unwrap();
    assert_eq!((report.cut, report.unflushed), (0, 0));
    assert_eq!((handle.in_flight(), handle.phase()), (0, Phase::Drained));
}
