//! A socket with a small receive buffer, read at a pace.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{select, Either};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::{interval, MissedTickBehavior};

const RECEIVE_BUFFER: u32 = 8 * 1024;
const SIP: usize = 1024;
const TICK: Duration = Duration::from_millis(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// As fast as it comes, a KiB at a time.
    Sips,
    Stopped,
    /// So many bytes each [`TICK`].
    Ticks(usize),
}

impl Pace {
    /// All of it in about this time.
    pub(crate) fn all_in(bytes: usize, time: Duration) -> Self {
        let ticks = time.as_millis() / TICK.as_millis();
        Self::Ticks(bytes.div_ceil(ticks as usize).max(1))
    }
}

/// Connects; what arrives is handed on at the pace. hyper holds the other end.
pub(crate) async fn connect(addr: SocketAddr, pace: watch::Receiver<Pace>) -> DuplexStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .set_recv_buffer_size(RECEIVE_BUFFER)
        .expect("a small buffer");
    let tcp = socket.connect(addr).await.expect("the server listens");
    let (near, far) = tokio::io::duplex(SIP);
    tokio::spawn(hand_on(tcp, far, pace));
    near
}

/// Until one side has ended.
async fn hand_on(tcp: TcpStream, hyper: DuplexStream, mut pace: watch::Receiver<Pace>) {
    let (mut tcp_read, mut tcp_write) = tcp.into_split();
    let (mut hyper_read, mut hyper_write) = tokio::io::split(hyper);
    let down = async {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut piece = vec![0; 64 * 1024];
        loop {
            let is_on = |pace: &Pace| *pace != Pace::Stopped;
            let now = pace.wait_for(is_on).await.map_or(Pace::Sips, |pace| *pace);
            let most = match now {
                Pace::Ticks(bytes) => {
                    ticks.tick().await;
                    bytes
                }
                _ => SIP,
            };
            let most = most.min(piece.len());
            match tcp_read.read(&mut piece[..most]).await {
                Ok(0) | Err(_) => break,
                Ok(got) if hyper_write.write_all(&piece[..got]).await.is_err() => break,
                Ok(_) => {}
            }
        }
        let _ = hyper_write.shutdown().await;
    };
    let up = tokio::io::copy(&mut hyper_read, &mut tcp_write);
    let (down, up) = (pin!(down), pin!(up));
    // hyper has yet to see what it was handed last, and closes by itself.
    if let Either::Left(((), up)) = select(down, up).await {
        let _ = up.await;
    }
}
