//! A client with a small receive buffer that reads at a set rate, or not at all.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{join_all, select, Either};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot, watch, Mutex};
use tokio::time::{interval, MissedTickBehavior};

use crate::content::{Ask, Begun, End, Got};
use crate::judge::{Clock, Seen};
use crate::process::{Step, Steps};
use crate::round::Proto;

const RECEIVE_BUFFER: u32 = 8 * 1024;
const SIP: usize = 1024;
const TICK: Duration = Duration::from_millis(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// As fast as it comes, a KiB at a time.
    Sips,
    Stopped,
    /// So many bytes each [`TICK`].
    Ticks(usize),
}

impl Pace {
    /// All of it in about this time.
    pub(crate) fn all_in(bytes: usize, time: Duration) -> Self {
        let ticks = time.as_millis() / TICK.as_millis();
        Self::Ticks(bytes.div_ceil(ticks as usize).max(1))
    }
}

/// Connects; what arrives is handed on at the pace. hyper holds the other end.
pub(crate) async fn connect(addr: SocketAddr, pace: watch::Receiver<Pace>) -> DuplexStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .set_recv_buffer_size(RECEIVE_BUFFER)
        .expect("a small buffer");
    let tcp = socket.connect(addr).await.expect("the server listens");
    let (near, far) = tokio::io::duplex(SIP);
    tokio::spawn(hand_on(tcp, far, pace));
    near
}

/// Until one side has ended.
async fn hand_on(tcp: TcpStream, hyper: DuplexStream, mut pace: watch::Receiver<Pace>) {
    let (mut tcp_read, mut tcp_write) = tcp.into_split();
    let (mut hyper_read, mut hyper_write) = tokio::io::split(hyper);
    let down = async {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut piece = vec![0; 64 * 1024];
        loop {
            let is_on = |pace: &Pace| *pace != Pace::Stopped;
            let now = pace.wait_for(is_on).await.map_or(Pace::Sips, |pace| *pace);
            let most = match now {
                Pace::Ticks(bytes) => {
                    ticks.tick().await;
                    bytes
                }
                _ => SIP,
            };
            let most = most.min(piece.len());
            match tcp_read.read(&mut piece[..most]).await {
                Ok(0) | Err(_) => break,
                Ok(got) if hyper_write.write_all(&piece[..got]).await.is_err() => break,
                Ok(_) => {}
            }
        }
        let _ = hyper_write.shutdown().await;
    };
    let up = tokio::io::copy(&mut hyper_read, &mut tcp_write);
    let (down, up) = (pin!(down), pin!(up));
    // hyper has yet to see what it was handed last, and closes by itself.
    if let Either::Left(((), up)) = select(down, up).await {
        let _ = up.await;
    }
}

enum Client {
    Http1(http1::SendRequest<Empty<Bytes>>),
    Http2(http2::SendRequest<Empty<Bytes>>),
}

impl Client {
    async fn shake(proto: Proto, io: DuplexStream) -> Self {
        let io = TokioIo::new(io);
        match proto {
            Proto::Http1 => {
                let (client, connection) = http1::handshake(io).await.expect("an open socket");
                tokio::spawn(connection);
                Self::Http1(client)
            }
            Proto::Http2 => {
                let shaking = http2::handshake(TokioExecutor::new(), io);
                let (client, connection) = shaking.await.expect("an open socket");
                tokio::spawn(connection);
                Self::Http2(client)
            }
        }
    }

    async fn send(&mut self, ask: &Ask, addr: SocketAddr) -> hyper::Result<Response<Incoming>> {
        let uri = match self {
            Self::Http1(_) => ask.target(),
            Self::Http2(_) => format!("http://{addr}{}", ask.target()),
        };
        let request = Request::get(uri)
            .header("host", addr.to_string())
            .body(Empty::new())
            .expect("a request");
        match self {
            Self::Http1(client) => client.send_request(request).await,
            Self::Http2(client) => client.clone().send_request(request).await,
        }
    }
}

/// Sends the requests of one connection, reads their first bytes, and goes on after the stop: at a pace, or for a peer
/// that has given up when the server has left.
pub(crate) async fn play(
    addr: SocketAddr,
    proto: Proto,
    asks: Vec<Ask>,
    pace_after: Option<Pace>,
    steps: Steps,
    ready: mpsc::Sender<()>,
) -> Vec<Seen> {
    let (pace, paced) = watch::channel(Pace::Sips);
    let io = connect(addr, paced).await;
    let client = Client::shake(proto, io).await;
    let client = &Mutex::new(client);
    let (clock, clocks) = watch::channel(None);
    let mut begun = Vec::new();
    let answers = asks.into_iter().map(|ask| {
        let (begins, begin) = oneshot::channel();
        if ask.begun != Begun::LameDuck {
            begun.push(begin);
        }
        let (steps, mut clocks) = (steps.clone(), clocks.clone());
        async move {
            let end = answer(client, ask, addr, &steps, begins).await;
            let clock = clocks.wait_for(Option::is_some).await;
            let in_time = matches!(clock.as_deref(), Ok(Some(clock)) if Clock::is_in_time(clock));
            Seen { ask, end, in_time }
        }
    });
    let answers = join_all(answers);
    let conduct = async {
        for begin in begun {
            let _ = begin.await;
        }
        let _ = pace.send(Pace::Stopped);
        drop(ready);
        let started = Clock::start(&steps).await;
        let _ = clock.send(Some(started));
        if pace_after.is_none() {
            steps.reached(Step::Left).await;
        }
        let _ = pace.send(pace_after.unwrap_or(Pace::Sips));
    };
    tokio::join!(answers, conduct).0
}

async fn answer(
    client: &Mutex<Client>,
    ask: Ask,
    addr: SocketAddr,
    steps: &Steps,
    begins: oneshot::Sender<()>,
) -> End {
    if ask.begun == Begun::LameDuck {
        steps.reached(Step::LameDuck).await;
    }
    let sent = async {
        // One connection of HTTP/1 has one request.
        let mut client = client.lock().await;
        match &mut *client {
            Client::Http1(_) => client.send(&ask, addr).await,
            Client::Http2(http2) => {
                let mut http2 = Client::Http2(http2.clone());
                drop(client);
                http2.send(&ask, addr).await
            }
        }
    };
    let (mut early, late) = match ask.begun {
        Begun::Late => (None, Some(begins)),
        Begun::Before | Begun::LameDuck => (Some(begins), None),
    };
    let admitted = async move {
        if late.is_some() {
            steps.admitted(ask.id).await;
        }
        drop(late);
    };
    let (answered, ()) = tokio::join!(sent, admitted);
    let mut got = Got::new(ask);
    let mut response = match answered {
        Ok(response) if response.status() == 503 => return End::Rejected,
        Ok(response) => response.into_body(),
        Err(error) => return got.broken(format_args!("no answer: {error}")),
    };
    loop {
        match response.frame().await {
            None => return got.end(),
            Some(Err(error)) => return got.broken(error),
            Some(Ok(frame)) => got.take(frame.data_ref().map_or(&[], |data| data)),
        }
        drop(early.take());
    }
}
