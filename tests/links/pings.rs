//! HTTP/2 peers that never acknowledge a PING, so that the server cannot learn from it what they have read.

use std::net::SocketAddr;

use tokio::sync::mpsc;

use crate::content::{Ask, Begun, End, Got, Piece};
use crate::judge::{Clock, Seen};
use crate::raw::{Http2, GOAWAY};
use crate::steps::Steps;

fn ask(id: u64, begun: Begun) -> Ask {
    Ask {
        id,
        piece: Piece::Stream,
        begun,
        bytes: 20_000,
        connection: id as usize,
    }
}

/// Has a response, and is idle from then on until the server closes.
pub(crate) async fn idle(addr: SocketAddr, ready: mpsc::Sender<()>) -> Vec<Seen> {
    let ask = ask(0, Begun::Before);
    let mut http2 = Http2::connect(addr).await;
    http2.get(1, &ask).await;
    let mut got = Got::new(ask);
    let end = loop {
        match http2.frame().await {
            None => break got.broken("the connection ends"),
            Some(frame) => {
                if let Some(end) = frame.ends(&mut got) {
                    break end;
                }
            }
        }
    };
    drop(ready);
    while http2.frame().await.is_some() {}
    vec![Seen {
        ask,
        end,
        in_time: true,
    }]
}

/// Has nothing but the preface.
pub(crate) async fn unused(addr: SocketAddr, ready: mpsc::Sender<()>) -> Vec<Seen> {
    let mut http2 = Http2::connect(addr).await;
    let settings = http2.frame().await;
    assert!(settings.is_some(), "the server has its preface");
    drop(ready);
    while http2.frame().await.is_some() {}
    Vec::new()
}

/// Has an open stream at the stop, and opens another behind the GOAWAY, which it is free to do: the server says first
/// that it takes streams of any number (RFC 9113, section 6.8).
pub(crate) async fn busy(addr: SocketAddr, steps: Steps, ready: mpsc::Sender<()>) -> Vec<Seen> {
    let asks = [ask(1, Begun::Late), ask(2, Begun::LameDuck)];
    let mut gots = asks.map(Got::new);
    let mut ends: [Option<End>; 2] = [None, None];
    let mut http2 = Http2::connect(addr).await;
    http2.get(1, &asks[0]).await;
    steps.admitted(asks[0].id).await;
    drop(ready);
    let mut has_asked_again = false;
    while let Some(frame) = http2.frame().await {
        if frame.kind == GOAWAY && !has_asked_again {
            has_asked_again = true;
            http2.get(3, &asks[1]).await;
        }
        let index = match frame.stream {
            1 => 0,
            3 => 1,
            _ => continue,
        };
        if let Some(end) = frame.ends(&mut gots[index]) {
            ends[index] = Some(end);
        }
    }
    let in_time = Clock::start(&steps).await.is_in_time();
    let seen = |index: usize| Seen {
        ask: asks[index],
        end: ends[index]
            .clone()
            .unwrap_or_else(|| gots[index].broken("the connection ends")),
        in_time,
    };
    vec![seen(0), seen(1)]
}
