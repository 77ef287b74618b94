//! Clients that go on over the stop, until they get no connection. What they had sent by then must be answered.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use crate::board::Board;
use crate::child::Child;
use crate::exchange::Client;
use crate::peer::Peer;
use crate::result::{Lost, Outcome};

const STOPS: usize = 5;
const CLIENTS: u32 = 32;
/// The answers after which a client counts as under way.
const WARM: usize = 20;
const PAUSE: Duration = Duration::from_millis(10);

pub(super) async fn run(program: &Path, peer: Peer) -> Result<Outcome, String> {
    let (mut exits, mut lost) = (Vec::new(), Lost::default());
    for _ in 0..STOPS {
        let child = Child::start(program, peer).await?;
        let addr = child.addr;
        let warm = Semaphore::new(0);
        let clients = join_all((0..CLIENTS).map(|_| go_on(addr, &warm)));
        let stopped = async {
            let _all = warm.acquire_many(CLIENTS).await;
            child.stop().await
        };
        let (exit, clients) = tokio::join!(stopped, clients);
        exits.push(exit?);
        clients.into_iter().for_each(|client| lost.add(client));
    }
    Ok(Outcome {
        exits,
        requests: Some(lost),
        streams: None,
    })
}

async fn go_on(addr: SocketAddr, warm: &Semaphore) -> Lost {
    let mut client = Client::new(addr, Board::new());
    let mut results = Vec::new();
    loop {
        let body = fastrand::u64(..).to_le_bytes();
        match client.echo("/echo", Bytes::from(body.repeat(16))).await {
            Err(lost) if lost.what.starts_with("no connection") => break,
            // hyper's word for a request of which nothing was sent, because the connection had just closed. Every
            // client may send it again.
            Err(lost) if lost.what.starts_with("operation was canceled") => continue,
            Ok(()) => results.push(Ok(())),
            Err(lost) => results.push(Err(lost.what)),
        }
        if results.len() == WARM {
            warm.add_permits(1);
        }
        sleep(PAUSE.mul_f64(fastrand::f64())).await;
    }
    Lost::count(results)
}
