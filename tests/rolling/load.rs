//! The clients that go on while servers are restarted.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::board::{Board, Kind};
use crate::exchange::{Client, Lost};

/// What the clients ask for. `None` where a server has no such path.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    pub(crate) get: String,
    /// Answers with the body of the request.
    pub(crate) echo: Option<String>,
    /// Answers a POST with anything, if there is no `echo`.
    pub(crate) post: Option<String>,
    /// Server-sent events with ids from 0, and how many.
    pub(crate) events: Option<(String, u64)>,
    /// Longer than any answer takes, streams included.
    pub(crate) answered_within: Duration,
}

impl Default for Paths {
    /// Those of the server under test. A stream takes 1.5 s.
    fn default() -> Self {
        Self {
            get: "/".to_owned(),
            echo: Some("/echo".to_owned()),
            post: None,
            events: Some(("/events?n=10&every_ms=150".to_owned(), 10)),
            answered_within: Duration::from_secs(10),
        }
    }
}

/// Clients at work.
#[derive(Debug)]
pub(crate) struct Load {
    clients: JoinSet<()>,
    enough: CancellationToken,
}

impl Load {
    /// Half of the clients GET, a third POST, the rest read streams. `pause` is the mean between two requests of one.
    pub(crate) fn start(
        proxy: SocketAddr,
        paths: &Paths,
        clients: usize,
        pause: Duration,
        board: &Board,
    ) -> Self {
        let enough = CancellationToken::new();
        let mut set = JoinSet::new();
        for number in 0..clients {
            let kind = match number % 6 {
                1 | 3 if paths.echo.is_some() || paths.post.is_some() => Kind::Post,
                5 if paths.events.is_some() => Kind::Events,
                _ => Kind::Get,
            };
            let client = Client::new(proxy, board.clone());
            let (paths, enough, board) = (paths.clone(), enough.clone(), board.clone());
            set.spawn(async move {
                go_on(client, kind, &paths, pause, &board, &enough).await;
            });
        }
        Self {
            clients: set,
            enough,
        }
    }

    /// Lets each client end what it is at.
    pub(crate) async fn stop(self) {
        self.enough.cancel();
        self.clients.join_all().await;
    }
}

async fn go_on(
    mut client: Client,
    kind: Kind,
    paths: &Paths,
    pause: Duration,
    board: &Board,
    enough: &CancellationToken,
) {
    let limit = paths.answered_within;
    while !enough.is_cancelled() {
        let asked = timeout(limit, ask(&mut client, kind, paths)).await;
        match asked {
            Ok(Ok(())) => board.answered(kind),
            Ok(Err(lost)) => board.failed(kind, lost.what, lost.missing),
            Err(_) => {
                client = client.anew();
                let events = paths.events.as_ref().map_or(0, |(_, n)| *n);
                let missing = if kind == Kind::Events { events } else { 0 };
                board.failed(kind, format!("no end after {limit:?}"), missing);
            }
        }
        sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
    }
}

async fn ask(client: &mut Client, kind: Kind, paths: &Paths) -> Result<(), Lost> {
    match (kind, &paths.echo, &paths.post, &paths.events) {
        (Kind::Post, Some(path), ..) => client.echo(path, unique_body()).await,
        (Kind::Post, None, Some(path), _) => client.post(path, unique_body()).await,
        (Kind::Events, .., Some((path, n))) => client.events(path, *n).await,
        _ => client.get(&paths.get).await,
    }
}

/// Between 8 bytes and 8 KiB, unlike any other request's.
fn unique_body() -> Bytes {
    let mark = fastrand::u64(..).to_le_bytes();
    mark.repeat(fastrand::usize(1..=1024)).into()
}
