//! One round: a server of its own, its clients, its drains, and what must hold when all of them are gone.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tower_drain::{
    BoxError, DrainHandle, DrainLayer, DrainReason, Phase, Shutdown, ShutdownReport, Timeouts,
};

use crate::app::{app, Work};
use crate::content::{Ask, Want};
use crate::probe::Probes;
use crate::seen::{End, Seen};
use crate::sockets_support::{drained, serve_hyper, within};
use crate::steer::{all_woken, resume, steer};
use crate::wire::Wire;
use crate::{h1, h2};

const H1_CLIENTS: usize = 10;
const H1_ACTS: usize = 12;
const H2_CLIENTS: usize = 3;
const H2_BATCHES: usize = 5;

/// What everybody in a round shares.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) addr: SocketAddr,
    pub(crate) handle: DrainHandle,
    pub(crate) seen: Arc<Seen>,
    pub(crate) cuts: bool,
    serves: bool,
    ending: Arc<AtomicBool>,
}

impl Round {
    /// Whether the server is on its way out, so that a connection may be refused.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(SeqCst)
    }

    /// Whether the server reads what nobody wants before it closes.
    pub(crate) fn lingers(&self) -> bool {
        self.serves
    }

    /// # Panics
    ///
    /// Unless the server is on its way out.
    pub(crate) fn refused(&self) {
        assert!(self.is_ending(), "a connection was refused");
        self.seen.note("refused at the end");
    }
}

/// The lowest bit of a seed says which server, the next whether there are cuts.
pub(crate) async fn play(seed: u64, seen: Arc<Seen>) {
    let mut random = fastrand::Rng::with_seed(seed);
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let work = Work::default();
    let probes = Probes::new(&handle);
    let app = app(layer, &work, &probes);
    let (serves, cuts) = (seed & 1 == 1, seed & 2 == 2);
    let (addr, serving) = match serves {
        true => {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            let shutdown = Shutdown::new(handle.clone()).timeouts(timeouts());
            (addr, Some(tokio::spawn(shutdown.serve(listener, app))))
        }
        false => (serve_hyper(app).await, None),
    };
    let round = Round {
        addr,
        handle: handle.clone(),
        seen,
        cuts,
        serves,
        ending: Arc::default(),
    };
    let exits_after = Duration::from_millis(random.u64(100..900));
    let mut clients = JoinSet::new();
    for _ in 0..H1_CLIENTS {
        clients.spawn(h1::client(round.clone(), random.fork(), H1_ACTS));
    }
    for _ in 0..H2_CLIENTS {
        clients.spawn(h2::client(round.clone(), random.fork(), H2_BATCHES));
    }
    let steering = random.fork();
    let (waiters, was_cut) = match serving {
        None => {
            let waiters = steer(&round, steering, gone(&mut clients)).await;
            drained(&handle).await;
            (waiters, false)
        }
        Some(serving) => {
            let exits = tokio::time::sleep(exits_after);
            let waiters = steer(&round, steering, exits).await;
            round.ending.store(true, SeqCst);
            handle.request_exit(DrainReason::Requested);
            let report = within(serving).await.unwrap();
            let was_cut = judge(report);
            within(gone(&mut clients)).await;
            (waiters, was_cut)
        }
    };
    round.seen.note(if serves { "served" } else { "layered" });
    let lost = round.seen.take_lost();
    assert!(lost.is_empty() || cuts || was_cut, "lost: {lost:#?}");
    assert_eq!(handle.phase(), Phase::Drained);
    assert_eq!((handle.in_flight(), handle.stragglers().len()), (0, 0));
    for _ in 0..work.is_done() {
        round.seen.note("work after the answer");
    }
    for _ in 0..all_woken(waiters).await {
        round.seen.note("waiters");
    }
    if !serves {
        goes_on(&round, &mut random).await;
    }
    assert_eq!(probes.uncounted(), 0, "dropped after their count");
}

/// Short, and yet long enough for what a round has open: the longest that is right is the timeout outside the layer.
fn timeouts() -> Timeouts {
    let mut timeouts = Timeouts::default();
    timeouts.lame_duck = Duration::from_millis(30);
    timeouts.settle = Duration::from_millis(20);
    timeouts.drain = Duration::from_secs(5);
    timeouts.close = Duration::from_secs(5);
    timeouts
}

/// Whether something was lost by right.
fn judge(report: Result<ShutdownReport, BoxError>) -> bool {
    let report = report.unwrap();
    assert!(report.still_held.is_empty(), "{report:?}");
    report.cut > 0 || report.unflushed > 0
}

async fn gone(clients: &mut JoinSet<()>) {
    while let Some(client) = within(clients.join_next()).await {
        client.unwrap();
    }
}

/// After all of it the server serves as on its first day.
async fn goes_on(round: &Round, random: &mut fastrand::Rng) {
    resume(&round.handle);
    let ask = Ask::of(Want::Stream, random);
    let mut wire = Wire::connect(round.addr).await.unwrap();
    wire.write(&Wire::request(&ask)).await;
    let answer = wire.answer(usize::MAX).await.unwrap();
    assert_eq!((answer.status, answer.end), (200, End::Complete));
    round.seen.judge(&ask, &answer, true);
    drop(wire);
    drained(&round.handle).await;
}
