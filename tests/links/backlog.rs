//! Requests that the operating system has, and the server has not read.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use futures_util::future::join_all;
use nix::sys::signal::Signal;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tower_drain::{
    BoxError, DrainHandle, DrainLayer, DrainReason, Shutdown, ShutdownReport, Timeouts,
};

use crate::app::FILES;
use crate::content::{Ask, Begun, End, Piece};
use crate::judge::Tally;
use crate::process::{within, Recipe, Server};
use crate::raw;

/// Stops of a server, and kept-alive connections in each.
const ROUNDS: usize = 20;
const PEERS: usize = 100;

fn ask(id: u64) -> Ask {
    Ask {
        id,
        piece: Piece::One,
        begun: Begun::Before,
        bytes: 1000,
        connection: id as usize,
    }
}

/// 60 idle clients have all the files that the server may open; ten with a request wait behind them.
pub(crate) async fn without_a_file_left(by: &str) -> (Tally, String) {
    let server = Server::start(&Recipe::new(by).with(FILES, "40")).await;
    let mut idle = Vec::new();
    for _ in 0..60 {
        let peer = TcpStream::connect(server.addr).await;
        idle.push(peer.expect("let in by the system"));
    }
    let mut peers = Vec::new();
    for id in 0..10 {
        let mut peer = TcpStream::connect(server.addr)
            .await
            .expect("let in by the system");
        raw::get(&mut peer, &ask(id)).await;
        peers.push((peer, ask(id)));
    }
    stop(server, peers).await
}

/// The bytes of each request are in the server's socket when the stop begins, on connections that have had one. A signal
/// takes too long for that, so this server is a task.
pub(crate) async fn at_the_stop(by: &str) -> (Tally, String) {
    let mut tally = Tally::default();
    let mut story = String::new();
    for _ in 0..ROUNDS {
        let (handle, addr, server) = serve(by).await;
        let mut peers = Vec::new();
        for _ in 0..PEERS {
            let mut peer = TcpStream::connect(addr).await.expect("it listens");
            raw::get(&mut peer, &ask(0)).await;
            let first = within("the first response", raw::response(&mut peer)).await;
            assert_eq!(first.map(|(status, _)| status), Some(200));
            peers.push(peer);
        }
        for peer in &mut peers {
            raw::get(peer, &ask(0)).await;
        }
        handle.request_exit(DrainReason::Requested);
        let answers = join_all(peers.iter_mut().map(raw::response));
        let answers = within("every peer ends", answers).await;
        let answered = answers.iter().flatten().count();
        let report = within("the server ends", server).await;
        let report = report.expect("no panic").expect("no error");
        let lost = PEERS - answered;
        let said = report.cut + report.still_held.len() + report.unflushed;
        tally += Tally {
            stops: 0,
            admitted: PEERS,
            whole: answered,
            reported: lost.min(said),
            unreported: lost.saturating_sub(said),
            false_alarms: if lost == 0 { said } else { 0 },
        };
        story += &format!("  {lost} of {PEERS} without an answer; {report}\n");
    }
    tally.stops = 1;
    (tally, story)
}

type Serving = JoinHandle<Result<ShutdownReport, BoxError>>;

async fn serve(by: &str) -> (DrainHandle, SocketAddr, Serving) {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let none = Duration::ZERO;
    let timeouts = Timeouts::default().lame_duck(none).settle(none);
    let shutdown = Shutdown::new(handle.clone()).timeouts(timeouts);
    let app = Router::new().fallback(|| async { "answered" }).layer(layer);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("it has one");
    let server = match by {
        "axum" => tokio::spawn(
            shutdown.run(|stop| axum::serve(listener, app).with_graceful_shutdown(stop)),
        ),
        _ => tokio::spawn(shutdown.serve(listener, app)),
    };
    (handle, addr, server)
}

/// Each request is to be answered, be it by a rejection.
async fn stop(server: Server, peers: Vec<(TcpStream, Ask)>) -> (Tally, String) {
    server.signal(Signal::SIGTERM);
    let ends = async {
        let mut ends = Vec::new();
        for (mut peer, ask) in peers {
            ends.push(raw::end(&mut peer, ask).await);
        }
        ends
    };
    let (ends, ended) = tokio::join!(within("every peer ends", ends), server.end());
    let is_answered = |end: &&End| matches!(end, End::Whole | End::Rejected);
    let answered = ends.iter().filter(is_answered).count();
    let tally = Tally::of_counts(ends.len(), answered, &ended);
    let story = format!("{ends:?}\n  {:?}\n{}", ended.report, ended.log);
    (tally, story)
}
