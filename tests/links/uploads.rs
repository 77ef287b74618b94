//! Clients that are still sending a body when they are rejected.

use std::net::SocketAddr;
use std::process::Stdio;

use bytes::Bytes;
use futures_util::future::{join_all, BoxFuture, FutureExt};
use futures_util::stream;
use http::{Request, Response, StatusCode};
use http_body_util::StreamBody;
use hyper::body::{Frame, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::app::AFTER_DRAIN;
use crate::judge::Tally;
use crate::process::{within, Recipe, Server};
use crate::round::Proto;
use crate::skip::find;
use crate::steps::Step;
use crate::tools::curl;

const PIECE: usize = 64 * 1024;
const PIECES: usize = 64;
const EACH: usize = 10;

/// When the client is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// In a drain that does not end the process.
    Maintenance,
    /// After the signal and before the stop.
    AfterDrain,
    /// After the stop, on a connection that had just been let in.
    AfterTheStop,
}

type Uploading = hyper::Result<Response<Incoming>>;

/// Connects; sends the request when it is polled.
async fn upload(addr: SocketAddr, proto: Proto) -> BoxFuture<'static, Uploading> {
    let tcp = TcpStream::connect(addr).await.expect("it listens");
    let io = TokioIo::new(tcp);
    let pieces =
        (0..PIECES).map(|_| Ok::<_, hyper::Error>(Frame::data(Bytes::from(vec![0; PIECE]))));
    let request = Request::post(format!("http://{addr}/upload?id=0"))
        .header("host", "links")
        .header("content-length", PIECE * PIECES)
        .body(StreamBody::new(stream::iter(pieces)))
        .expect("a request");
    match proto {
        Proto::Http1 => {
            let (mut client, connection) = http1::handshake(io).await.expect("an open socket");
            tokio::spawn(connection);
            async move { client.send_request(request).await }.boxed()
        }
        Proto::Http2 => {
            let shaking = http2::handshake(TokioExecutor::new(), io);
            let (mut client, connection) = shaking.await.expect("an open socket");
            tokio::spawn(connection);
            async move { client.send_request(request).await }.boxed()
        }
    }
}

/// Whether curl sees the 503.
async fn curl_upload(addr: SocketAddr) -> Result<(), String> {
    let mut child = curl(Command::new("curl"), Proto::Http1)
        .args(["--no-fail", "--output", "/dev/null", "--write-out"])
        .args(["%{http_code}", "--header", "expect:", "--data-binary", "@-"])
        .arg(format!("http://{addr}/upload?id=0"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("curl starts");
    let mut stdin = child.stdin.take().expect("piped");
    let body = vec![0; PIECE * PIECES];
    stdin.write_all(&body).await.expect("curl reads it first");
    drop(stdin);
    let output = child.wait_with_output().await.expect("a child of ours");
    match (output.status.success(), &*output.stdout) {
        (true, b"503") => Ok(()),
        _ => Err(format!("curl: {output:?}")),
    }
}

/// Of each kind a few at once. What is not a 503 has a reason.
async fn uploads(addr: SocketAddr, proto: Proto) -> Vec<Result<(), String>> {
    let by_hyper = (0..EACH).map(|_| async move { is_rejected(upload(addr, proto).await.await) });
    let mut all: Vec<_> = by_hyper.map(FutureExt::boxed).collect();
    // Over HTTP/2 curl 7.88 shows no response that comes before the end of its upload, whatever the server.
    if proto == Proto::Http1 && find("curl").is_some() {
        all.extend((0..EACH / 5).map(|_| curl_upload(addr).boxed()));
    }
    within("every upload ends", join_all(all)).await
}

fn is_rejected(uploaded: Uploading) -> Result<(), String> {
    match uploaded {
        Ok(response) if response.status() == StatusCode::SERVICE_UNAVAILABLE => Ok(()),
        other => Err(format!("hyper: {other:?}")),
    }
}

impl When {
    pub(crate) async fn stop(self, proto: Proto, by: &str) -> (Tally, String) {
        let recipe = match self {
            Self::Maintenance => Recipe::new(by),
            Self::AfterDrain => Recipe::new(by).with(AFTER_DRAIN, "1"),
            Self::AfterTheStop => Recipe::new(by)
                .with("GRACEFUL_SHUTDOWN_LAME_DUCK", "0")
                .with("GRACEFUL_SHUTDOWN_SETTLE", "0"),
        };
        let server = Server::start(&recipe).await;
        let addr = server.addr;
        let begin = match self {
            Self::Maintenance => Signal::SIGUSR1,
            _ => Signal::SIGTERM,
        };
        if self == Self::AfterTheStop {
            let uploads = join_all((0..EACH).map(|_| upload(addr, proto))).await;
            server.signal(begin);
            server.steps.reached(Step::Draining).await;
            let seen = within("every upload ends", join_all(uploads)).await;
            let seen: Vec<_> = seen.into_iter().map(is_rejected).collect();
            let ended = server.end().await;
            // What was closed before its request was read is not among them.
            let rejected = ended.report.rejected as usize;
            return verdict(rejected, &seen, &ended);
        }
        let held = hold(addr).await;
        server.signal(begin);
        server.steps.reached(Step::Draining).await;
        let seen = uploads(addr, proto).await;
        if self == Self::Maintenance {
            server.signal(Signal::SIGTERM);
        }
        let rest = async {
            let mut held = held;
            held.read_to_end(&mut Vec::new()).await
        };
        let (_, ended) = tokio::join!(rest, server.end());
        verdict(seen.len(), &seen, &ended)
    }
}

fn verdict(
    rejected: usize,
    seen: &[Result<(), String>],
    ended: &crate::process::Ended,
) -> (Tally, String) {
    let answered = seen.iter().filter(|seen| seen.is_ok()).count();
    let story = format!("{seen:#?}\n  {:?}\n{}", ended.report, ended.log);
    (Tally::of_counts(rejected, answered, ended), story)
}

/// A request that is in flight until the rest of it is read.
async fn hold(addr: SocketAddr) -> TcpStream {
    let mut held = TcpStream::connect(addr).await.expect("it listens");
    let head = b"GET /stream/20000000?id=1 HTTP/1.1\r\nhost: links\r\nconnection: close\r\n\r\n";
    held.write_all(head).await.expect("there is room");
    held.read_u8().await.expect("the response begins");
    held
}
