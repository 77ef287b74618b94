//! A client of HTTP/1 that does what clients do, and what they should not.

use std::time::Duration;

use tokio::time::sleep;

use crate::content::{Ask, Want};
use crate::round::Round;
use crate::seen::End;
use crate::wire::Wire;

const ALL: usize = usize::MAX;

pub(crate) async fn client(round: Round, mut random: fastrand::Rng, acts: usize) {
    for _ in 0..acts {
        let Some(wire) = Wire::connect(round.addr).await else {
            // Right only at the end; then nobody will listen again.
            return round.refused();
        };
        match random.u8(..10) {
            0..=3 => kept_alive(&round, wire, &mut random).await,
            4 => pipelined(&round, wire, &mut random).await,
            5 => left(&round, wire, &mut random).await,
            6 => half_closed(&round, wire, &mut random).await,
            7 => stalled(&round, wire, &mut random).await,
            8 => fragment(&round, wire, &mut random).await,
            _ => trickled(&round, wire, &mut random).await,
        }
    }
}

/// Up to four requests, one after the other, each with all the patience there is.
async fn kept_alive(round: &Round, mut wire: Wire, random: &mut fastrand::Rng) {
    for _ in 0..random.u8(1..=4) {
        let ask = Ask::random(random);
        wire.write(&Wire::request(&ask)).await;
        if !patient(round, &mut wire, &ask).await {
            return;
        }
    }
}

/// How much of the answer there is to read at least.
fn enough(ask: &Ask) -> usize {
    match ask.want {
        Want::Endless => ask.len,
        _ => ALL,
    }
}

/// Whether the connection can go on.
async fn patient(round: &Round, wire: &mut Wire, ask: &Ask) -> bool {
    match wire.answer(enough(ask)).await {
        Some(answer) => {
            round.seen.judge(ask, &answer, true);
            answer.end == End::Complete && !answer.closes
        }
        None => {
            // A server on its way out may close a connection as its next request arrives.
            if ask.is_good() && !ask.is_upload() && !round.is_ending() {
                round.seen.lost(ask, "no answer");
            }
            false
        }
    }
}

/// Several requests at once. The answers come in order until one closes the connection.
async fn pipelined(round: &Round, mut wire: Wire, random: &mut fastrand::Rng) {
    let short = |mut ask: Ask| {
        // All of it is to fit the socket, for nobody reads meanwhile.
        if ask.is_upload() {
            ask.len %= 4096;
        }
        ask
    };
    let asks = (0..random.u8(2..=5)).map(|_| short(Ask::good(random)));
    let asks: Vec<_> = asks.collect();
    let requests: Vec<_> = asks.iter().flat_map(Wire::request).collect();
    wire.write(&requests).await;
    for ask in &asks {
        let Some(answer) = wire.answer(ALL).await else {
            return;
        };
        // A server that closes behind one resets the connection because of the others, unless it lingers.
        round.seen.judge(ask, &answer, round.lingers());
        round.seen.note("pipelined");
        if answer.end != End::Complete || answer.closes {
            return;
        }
    }
}

/// Leaves at once, or in the middle of the answer; by FIN or by RST.
async fn left(round: &Round, mut wire: Wire, random: &mut fastrand::Rng) {
    let ask = Ask::random(random);
    wire.write(&Wire::request(&ask)).await;
    pause(random).await;
    if random.bool() {
        let some = 1 + random.usize(..16 * 1024);
        if let Some(answer) = wire.answer(some.min(enough(&ask))).await {
            round.seen.judge(&ask, &answer, false);
        }
    }
    leave(round, wire, random);
}

/// Says that it will send no more, and reads on.
async fn half_closed(round: &Round, mut wire: Wire, random: &mut fastrand::Rng) {
    let ask = Ask::random(random);
    wire.write(&Wire::request(&ask)).await;
    if random.bool() {
        pause(random).await;
    }
    wire.half_close().await;
    round.seen.note("half-closed");
    if let Some(answer) = wire.answer(enough(&ask)).await {
        round.seen.judge(&ask, &answer, false);
    }
}

/// Does not read for a while, so that the server cannot write; then reads all of it, or leaves.
async fn stalled(round: &Round, mut wire: Wire, random: &mut fastrand::Rng) {
    let mut ask = Ask::of(Want::Stream, random);
    ask.len = random.usize(1..=8) * 1024 * 1024;
    wire.write(&Wire::request(&ask)).await;
    sleep(Duration::from_millis(random.u64(10..60))).await;
    round.seen.note("stalled");
    match random.bool() {
        true => drop(patient(round, &mut wire, &ask).await),
        false => leave(round, wire, random),
    }
}

/// Not a whole request: nothing, half a head, or half an upload.
async fn fragment(round: &Round, mut wire: Wire, random: &mut fastrand::Rng) {
    let mut ask = Ask::of(Want::Echo, random);
    ask.len += 1;
    let request = Wire::request(&ask);
    let part = random.usize(..request.len());
    wire.write(&request[..part]).await;
    pause(random).await;
    round.seen.note("fragments");
    leave(round, wire, random);
}

/// An upload in pieces with pauses between them.
async fn trickled(round: &Round, mut wire: Wire, random: &mut fastrand::Rng) {
    let want = *random.choice(&[Want::Echo, Want::Collect]).unwrap();
    let ask = Ask::of(want, random);
    let request = Wire::request(&ask);
    for piece in request.chunks(request.len() / 4 + 1) {
        wire.write(piece).await;
        pause(random).await;
    }
    round.seen.note("trickled");
    patient(round, &mut wire, &ask).await;
}

async fn pause(random: &mut fastrand::Rng) {
    match random.u64(..8) {
        0..=3 => tokio::task::yield_now().await,
        millis => sleep(Duration::from_millis(millis)).await,
    }
}

fn leave(round: &Round, wire: Wire, random: &mut fastrand::Rng) {
    match random.bool() {
        true => {
            round.seen.note("reset");
            wire.reset();
        }
        false => round.seen.note("left"),
    }
}
