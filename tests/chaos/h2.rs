//! A client of HTTP/2: many streams at once, some of which it resets, and connections that it loses.

use std::time::Duration;

use axum::body::Body;
use futures_util::future::join_all;
use futures_util::{stream, StreamExt};
use http::Request;
use http_body_util::BodyExt;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::time::sleep;
use tower_drain::BoxError;

use crate::content::{Ask, Want};
use crate::round::Round;
use crate::seen::{Answer, End};
use crate::sockets_support::{within, H2};

/// Fewer than 20 resets at a time, which servers take for an attack.
const STREAMS: usize = 8;

/// How a client treats a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Patient,
    ResetsUnanswered,
    ResetsMidBody,
    /// Does not read for a while.
    Stalls,
    /// Gives up sending.
    FailsToUpload,
    /// Its connection is lost.
    Doomed,
}

pub(crate) async fn client(round: Round, mut random: fastrand::Rng, batches: usize) {
    for _ in 0..batches {
        let Ok(stream) = within(TcpStream::connect(round.addr)).await else {
            return round.refused();
        };
        let _ = stream.set_nodelay(true);
        let is_doomed = random.u8(..5) == 0;
        if is_doomed && random.bool() {
            let _ = stream.set_zero_linger();
        }
        let shaking = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let Ok((client, connection)) = within(shaking).await else {
            continue;
        };
        let connection = tokio::spawn(connection);
        let asks = (0..STREAMS).map(|_| {
            let manner = match random.u8(..10) {
                _ if is_doomed => Manner::Doomed,
                0 => Manner::ResetsUnanswered,
                1 => Manner::ResetsMidBody,
                2 => Manner::Stalls,
                3 => Manner::FailsToUpload,
                _ => Manner::Patient,
            };
            ask(&round, client.clone(), manner, random.fork())
        });
        let asks = join_all(asks);
        match is_doomed {
            true => {
                let lost = sleep(Duration::from_millis(random.u64(..15)));
                tokio::select! {
                    _ = asks => {}
                    () = lost => round.seen.note("connections lost"),
                }
                connection.abort();
            }
            false => {
                asks.await;
                drop(client);
                let _ = within(connection).await;
            }
        }
    }
}

async fn ask(round: &Round, mut client: H2, manner: Manner, mut random: fastrand::Rng) {
    let ask = match manner {
        Manner::FailsToUpload => Ask::of(Want::Echo, &mut random),
        _ => Ask::random(&mut random),
    };
    let sent = client.send_request(request(&ask, manner));
    let is_patient = matches!(manner, Manner::Patient | Manner::Stalls);
    if manner == Manner::ResetsUnanswered {
        let patience = sleep(Duration::from_millis(random.u64(..4)));
        tokio::select! {
            _ = sent => {}
            () = patience => round.seen.note("streams reset"),
        }
        return;
    }
    let response = match within(sent).await {
        Ok(response) => response,
        Err(error) => {
            if is_patient && ask.is_good() && !round.is_ending() {
                round.seen.lost(&ask, &format!("no answer: {error:?}"));
            }
            return;
        }
    };
    if manner == Manner::Stalls {
        sleep(Duration::from_millis(random.u64(..30))).await;
    }
    let enough = match (manner, ask.want) {
        (Manner::ResetsMidBody, _) => random.usize(..ask.len + 1),
        (_, Want::Endless) => ask.len,
        _ => usize::MAX,
    };
    let status = response.status().as_u16();
    let mut incoming = response.into_body();
    let mut body = Vec::new();
    let end = loop {
        if body.len() >= enough {
            round.seen.note("streams reset");
            break End::Left;
        }
        match within(incoming.frame()).await {
            None => break End::Complete,
            Some(Err(_)) => break End::Broken,
            Some(Ok(frame)) => body.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
        }
    };
    let closes = false;
    let answer = Answer {
        status,
        closes,
        body,
        end,
    };
    // An answer to half an upload cannot be whole.
    if manner == Manner::FailsToUpload && status == 200 {
        return assert_ne!(end, End::Complete, "{ask:?}: an answer to half an upload");
    }
    round.seen.judge(&ask, &answer, is_patient);
}

fn request(ask: &Ask, manner: Manner) -> Request<Body> {
    let upload = ask.upload();
    let body = match manner {
        Manner::FailsToUpload => {
            let half = upload.slice(..upload.len() / 2);
            let parts: [Result<_, BoxError>; 2] = [Ok(half), Err("no more".into())];
            // The pause lets the first half be sent.
            Body::from_stream(stream::iter(parts).then(|part| async {
                tokio::task::yield_now().await;
                part
            }))
        }
        _ => Body::from(upload),
    };
    let method = if ask.is_upload() { "POST" } else { "GET" };
    Request::builder()
        .method(method)
        .uri(format!("http://x{}", ask.path()))
        .body(body)
        .unwrap()
}
