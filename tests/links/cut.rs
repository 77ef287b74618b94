//! A response whose end is the end of its connection, as HTTP/1.0 has it, and that is cut.

use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::judge::Tally;
use crate::process::{within, Recipe, Server};

const BYTES: usize = 10_000;

/// A clean end would say that all of it is there.
pub(crate) async fn over_http10(by: &str) -> (Tally, String) {
    let recipe = Recipe::new(by).with("GRACEFUL_SHUTDOWN_TIMEOUT", "0.5");
    let server = Server::start(&recipe).await;
    let mut peer = TcpStream::connect(server.addr).await.expect("it listens");
    let head = format!("GET /stalled/{BYTES}?id=0 HTTP/1.0\r\nhost: links\r\n\r\n");
    peer.write_all(head.as_bytes())
        .await
        .expect("there is room");
    let mut got = Vec::new();
    while got.len() < BYTES {
        let read = within("its begin", peer.read_buf(&mut got)).await;
        assert_ne!(read.expect("it goes on"), 0);
    }
    server.signal(Signal::SIGTERM);
    let rest = within("its end", peer.read_to_end(&mut got));
    let (end, ended) = tokio::join!(rest, server.end());
    let mut tally = Tally {
        stops: 1,
        admitted: 1,
        ..Tally::default()
    };
    match end.is_err() && ended.report.cut == 1 {
        true => tally.reported = 1,
        false => tally.unreported = 1,
    }
    let story = format!("  its end: {end:?}\n  {:?}\n{}", ended.report, ended.log);
    (tally, story)
}
