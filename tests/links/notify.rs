//! A service manager that reads nothing of what it is told.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::content::{Ask, Begun, End, Piece};
use crate::process::{Recipe, Server};
use crate::raw;

/// A server that blocks does so for good.
const HANGS: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_notify_socket_stops_neither_the_service_nor_its_end() {
    let path = std::env::temp_dir().join(format!("links-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let _full = UnixDatagram::bind(&path).unwrap();
    // What a sender has under way is limited as well, so each datagram has its own.
    let senders = std::iter::from_fn(|| {
        let sender = UnixDatagram::unbound().unwrap();
        sender.set_nonblocking(true).unwrap();
        match sender.send_to(b"X=1", &path) {
            Ok(_) => Some(sender),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    });
    let _senders: Vec<_> = senders.collect();

    let recipe = Recipe::new("serve").with("NOTIFY_SOCKET", path.to_str().unwrap());
    let server = Server::start(&recipe).await;
    let ask = Ask {
        id: 0,
        piece: Piece::One,
        begun: Begun::Before,
        bytes: 1000,
        connection: 0,
    };
    let mut peer = TcpStream::connect(server.addr).await.unwrap();
    raw::get(&mut peer, &ask).await;
    let answered = timeout(HANGS, raw::end(&mut peer, ask)).await;
    assert_eq!(answered, Ok(End::Whole), "no answer");

    server.signal(Signal::SIGTERM);
    let ended = timeout(HANGS, server.end()).await;
    std::fs::remove_file(&path).unwrap();
    assert_eq!(ended.expect("SIGTERM was not heard").code, 0);
}
