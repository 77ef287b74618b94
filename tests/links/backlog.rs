//! Requests that the operating system has, and the server has not read.

use nix::sys::signal::Signal;
use tokio::net::TcpStream;

use crate::app::FILES;
use crate::content::{Ask, Begun, End, Piece};
use crate::judge::Tally;
use crate::process::{within, Recipe, Server};
use crate::raw;

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

/// The bytes of each request are in the server's socket when the signal is sent, on connections that have had one.
pub(crate) async fn at_the_stop(by: &str) -> (Tally, String) {
    let recipe = Recipe::new(by)
        .with("GRACEFUL_SHUTDOWN_LAME_DUCK", "0")
        .with("GRACEFUL_SHUTDOWN_SETTLE", "0");
    let server = Server::start(&recipe).await;
    let mut peers = Vec::new();
    for id in 0..100 {
        let mut peer = TcpStream::connect(server.addr).await.expect("it listens");
        raw::get(&mut peer, &ask(id)).await;
        let end = within("the first response", raw::end(&mut peer, ask(id))).await;
        assert_eq!(end, End::Whole);
        peers.push((peer, ask(id)));
    }
    for (peer, ask) in &mut peers {
        raw::get(peer, ask).await;
    }
    stop(server, peers).await
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
