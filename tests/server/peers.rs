//! Peers and signals that nobody wishes for.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::connect_async;

use super::common::within;
use super::Server;

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

async fn connect(server: &Server) -> TcpStream {
    within("a connection", TcpStream::connect(&server.address))
        .await
        .expect("let in")
}

async fn rest(peer: &mut TcpStream) -> String {
    let mut rest = String::new();
    within("the end", peer.read_to_string(&mut rest))
        .await
        .expect("closed in order");
    rest
}

/// As a container is by its freezer, and a machine by its hypervisor.
#[tokio::test]
async fn what_comes_while_the_process_is_frozen_is_answered() {
    let mut server = Server::start(&[("GRACEFUL_SHUTDOWN_LAME_DUCK", "2")]).await;
    let mut known = connect(&server).await;
    known.write_all(GET).await.expect("open");
    let mut answer = vec![0; 1024];
    let length = within("an answer", known.read(&mut answer)).await;
    assert!(answer[..length.expect("open")].ends_with(b"hello"));

    server.signal(Signal::SIGTERM);
    server.logs("phase=lame duck").await;
    server.signal(Signal::SIGSTOP);
    let mut newcomer = connect(&server).await;
    newcomer.write_all(GET).await.expect("room");
    known.write_all(GET).await.expect("room");
    // Until the lame duck is over for everybody else.
    tokio::time::sleep(Duration::from_millis(2200)).await;
    server.signal(Signal::SIGCONT);
    for peer in [&mut known, &mut newcomer] {
        let answer = rest(peer).await;
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"),
            "{answer}"
        );
    }
    assert_eq!(server.exits().await.code(), Some(0));
}

#[tokio::test]
async fn a_websocket_that_answers_no_close_is_let_go_of_by_name() {
    let mut server = Server::start(&[("GRACEFUL_SHUTDOWN_TIMEOUT", "0.2")]).await;
    let connected = connect_async(format!("ws://{}/ws", server.address)).await;
    // The answer to a close is sent by who reads it.
    let _silent = connected.expect("it upgrades");
    server.signal(Signal::SIGTERM);
    let told = server.logs("WARN").await;
    assert!(told.contains("cut: GET /ws, guard"), "{told}");
    server.logs("shutdown complete").await;
    assert_eq!(server.exits().await.code(), Some(0));
}

#[tokio::test]
async fn three_signals_in_one_moment_cut_and_the_last_line_is_there() {
    let mut server = Server::start(&[("GRACEFUL_SHUTDOWN_LAME_DUCK", "10")]).await;
    let _stream = server.get("/held").await;
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGTERM] {
        server.signal(signal);
    }
    let last = server.logs("shutdown incomplete").await;
    assert!(last.contains("cut=1"), "{last}");
    assert_eq!(server.exits().await.code(), Some(1));
}

#[tokio::test]
async fn a_peer_that_floods_and_never_reads_holds_the_end_for_no_longer_than_a_moment() {
    let mut server = Server::start(&[]).await;
    let mut peer = connect(&server).await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    peer.write_all(preface).await.expect("room");
    // Each of these settings is to be acknowledged.
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0].repeat(1000);
    // Until nobody reads any longer: their answers have no room.
    let second = Duration::from_secs(1);
    while let Ok(sent) = tokio::time::timeout(second, peer.write_all(&settings)).await {
        sent.expect("still open");
    }
    server.signal(Signal::SIGTERM);
    server.logs("step=\"close\"").await;
    let began = Instant::now();
    let last = server.logs("shutdown ").await;
    assert!(began.elapsed() < Duration::from_secs(10), "{last}");
    server.exits().await;
}
