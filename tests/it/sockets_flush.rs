//! The gap between "drained" and "sent": the count is over when the server has the last frame, not when the peer has it.

use axum::body::Body;
use axum::routing::get;
use axum::Router;
use tokio::net::TcpSocket;
use tower_drain::DrainLayer;

use crate::sockets_raw::Raw;
use crate::sockets_support::{drained, serve_on, within};

const BODY: usize = 4 << 20;
/// More than both sockets' buffers hold: Linux doubles what is asked for, and has room for what is on its way.
const IN_BUFFERS: usize = 128 << 10;

#[tokio::test]
async fn the_drain_ends_before_a_slow_peer_has_the_body_and_the_server_returns_after_it() {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let huge = || async { Body::from(vec![b'x'; BODY]) };
    let app = Router::new().route("/", get(huge)).layer(layer);
    let socket = TcpSocket::new_v4().unwrap();
    // Inherited by what is accepted.
    socket.set_send_buffer_size(16 << 10).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let addr = listener.local_addr().unwrap();
    let mut server = serve_on(listener, addr, app);

    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    let mut client = Raw::over(within(socket.connect(addr)).await.unwrap());
    client.ask("GET", "/").await;
    let head = client.until("\r\n\r\n").await.unwrap();
    assert!(head.contains(&format!("content-length: {BODY}\r\n")));

    let report = drained(&handle).await;
    assert!(report.in_flight_at_start <= 1);
    server.stop();
    let mut missing = BODY;
    while missing > IN_BUFFERS {
        assert!(!server.has_returned(), "{missing} bytes are not sent yet");
        missing -= client.exactly(64 << 10).await.unwrap().len();
    }
    assert_eq!(client.rest().await.len(), missing);
    server.returned().await;
}
