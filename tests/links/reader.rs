//! A client with a small receive buffer that reads at a set rate, or not at all.

use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::DuplexStream;
use tokio::sync::{mpsc, oneshot, watch, Mutex};

use crate::content::{Ask, Begun, End, Got};
use crate::judge::{Clock, Seen};
use crate::round::Proto;
use crate::slow::{connect, Pace};
use crate::steps::{Step, Steps};

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
