//! What is told to stop without a request in flight.

use tokio::io::AsyncWriteExt;

use super::support::*;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[tokio::test]
async fn a_connection_that_was_never_used_is_dropped() {
    let (mut server, addr) = Server::over_tcp(hello()).await;
    let mut peer = connect(addr).await;
    server.has_connections(2).await;

    server.close_and_stop();
    assert_eq!(server.returned().await, 0);
    is_dropped(&mut peer).await;
}

#[tokio::test]
async fn a_connection_that_is_idle_after_a_request_is_closed() {
    let (mut server, addr) = Server::over_tcp(hello()).await;
    let mut peer = connect(addr).await;
    send(&mut peer, GET).await;
    read_until(&mut peer, "hello").await;

    server.close_and_stop();
    assert_eq!(server.returned().await, 0);
    assert_eq!(read_to_end(&mut peer).await, "");
}

#[tokio::test]
async fn half_a_request_line_holds_nothing() {
    let (mut server, addr) = Server::over_tcp(hello()).await;
    let mut peer = connect(addr).await;
    send(&mut peer, b"GET / HT").await;
    server.has_connections(2).await;

    server.close_and_stop();
    assert_eq!(server.returned().await, 0);
    is_dropped(&mut peer).await;
}

#[tokio::test]
async fn half_a_request_after_another_holds_nothing() {
    let (mut server, addr) = Server::over_tcp(hello()).await;
    let mut peer = connect(addr).await;
    send(&mut peer, GET).await;
    read_until(&mut peer, "hello").await;
    send(&mut peer, b"GET / HTTP/1.1\r\nhost").await;

    server.close_and_stop();
    assert_eq!(server.returned().await, 0);
    is_dropped(&mut peer).await;
}

#[tokio::test]
async fn half_a_preface_of_http2_holds_nothing() {
    let (mut server, addr) = Server::over_tcp(hello()).await;
    let mut peer = connect(addr).await;
    send(&mut peer, &PREFACE[..10]).await;
    server.has_connections(2).await;

    server.close_and_stop();
    assert_eq!(server.returned().await, 0);
    is_dropped(&mut peer).await;
}

#[tokio::test]
async fn http2_that_stops_before_its_settings_holds_nothing() {
    let (mut server, addr) = Server::over_tcp(hello()).await;
    let mut peer = connect(addr).await;
    send(&mut peer, PREFACE).await;
    server.has_connections(2).await;

    server.close_and_stop();
    assert_eq!(server.returned().await, 0);
}

#[tokio::test]
async fn http2_that_does_not_answer_the_ping_holds_nothing() {
    let (mut server, addr) = Server::over_tcp(hello()).await;
    let mut peer = connect(addr).await;
    send(&mut peer, PREFACE).await;
    // Empty settings, and the acknowledgement of the server's.
    send(&mut peer, &[0, 0, 0, 4, 0, 0, 0, 0, 0]).await;
    send(&mut peer, &[0, 0, 0, 4, 1, 0, 0, 0, 0]).await;
    server.has_connections(2).await;

    server.close_and_stop();
    assert_eq!(server.returned().await, 0);
}

#[tokio::test]
async fn without_connections_the_server_returns_upon_the_stop() {
    let (mut server, addr) = Server::over_tcp(hello()).await;
    server.close_socket();
    server.has_connections(0).await;
    assert!(!server.serving.is_finished());
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());

    server.stop();
    assert_eq!(server.returned().await, 0);
}

#[tokio::test]
async fn connections_are_served_between_the_close_and_the_stop() {
    let (mut server, addr) = Server::over_tcp(hello()).await;
    let mut peer = connect(addr).await;
    send(&mut peer, GET).await;
    read_until(&mut peer, "hello").await;
    server.close_socket();
    server.has_connections(1).await;
    send(&mut peer, GET).await;
    read_until(&mut peer, "hello").await;

    server.stop();
    assert_eq!(server.returned().await, 0);
}

#[tokio::test]
async fn a_request_that_had_arrived_before_the_stop_is_answered() {
    let (mut server, addr) = Server::over_tcp(hello()).await;
    let mut peer = connect(addr).await;
    send(&mut peer, GET).await;
    read_until(&mut peer, "hello").await;

    // Nothing else runs on this thread between the bytes and the stop.
    let std = peer.into_std().unwrap();
    std::io::Write::write_all(&mut &std, GET).unwrap();
    server.close_and_stop();
    let mut peer = tokio::net::TcpStream::from_std(std).unwrap();
    assert!(read_to_end(&mut peer).await.ends_with("hello"));
    assert_eq!(server.returned().await, 0);
}

#[tokio::test]
async fn a_socket_that_stays_open_after_the_stop_is_served_until_it_closes() {
    let (mut server, addr) = Server::over_tcp(hello()).await;
    let mut before = connect(addr).await;
    send(&mut before, GET).await;
    read_until(&mut before, "hello").await;
    server.stop();
    assert_eq!(read_to_end(&mut before).await, "");

    let mut after = connect(addr).await;
    send(&mut after, GET).await;
    read_until(&mut after, "hello").await;
    server.close_socket();
    assert_eq!(read_to_end(&mut after).await, "");
    assert_eq!(server.returned().await, 0);
}

#[tokio::test]
async fn a_peer_that_has_gone_holds_nothing() {
    let (mut server, addr) = Server::over_tcp(hello()).await;
    let mut peer = connect(addr).await;
    send(&mut peer, GET).await;
    read_until(&mut peer, "hello").await;
    peer.shutdown().await.unwrap();
    server.has_connections(1).await;

    server.close_and_stop();
    assert_eq!(server.returned().await, 0);
}
