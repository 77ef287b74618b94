//! One stop of a server, with all the requests of one kind of peer.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::content::Ask;
use crate::judge::{story, Seen, Tally};
use crate::kind::Kind;
use crate::pings;
use crate::process::{within, Recipe, Server};
use crate::reader;
use crate::slow::Pace;
use crate::tools::{self, Tool};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proto {
    Http1,
    Http2,
}

impl Proto {
    pub(crate) const ALL: [Self; 2] = [Self::Http1, Self::Http2];
}

impl fmt::Display for Proto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Http1 => "h1",
            Self::Http2 => "h2",
        })
    }
}

/// How long a slow reader takes from the drain on.
const TAKES: Duration = Duration::from_millis(1500);

pub(crate) struct Round {
    server: Server,
    proto: Proto,
    peers: JoinSet<Vec<Seen>>,
    /// Dropped by each peer that is ready for the signal.
    ready: mpsc::Sender<()>,
    begun: mpsc::Receiver<()>,
}

impl Round {
    pub(crate) async fn start(recipe: Recipe, proto: Proto) -> Self {
        let (ready, begun) = mpsc::channel(1);
        Self {
            server: Server::start(&recipe).await,
            proto,
            peers: JoinSet::new(),
            ready,
            begun,
        }
    }

    /// A process for each request.
    pub(crate) fn programs(&mut self, tool: &Tool, asks: Vec<Ask>) {
        for ask in asks {
            let (tool, addr, proto) = (tool.clone(), self.server.addr, self.proto);
            let (steps, ready) = (self.server.steps.clone(), self.ready.clone());
            let play = async move { vec![tools::play(tool, addr, proto, ask, steps, ready).await] };
            self.peers.spawn(play);
        }
    }

    pub(crate) fn readers(&mut self, kind: Kind, asks: Vec<Ask>) {
        let mut connections = BTreeMap::<_, Vec<_>>::new();
        for ask in asks {
            connections.entry(ask.connection).or_default().push(ask);
        }
        for asks in connections.into_values() {
            let bytes = asks.iter().map(|ask| ask.bytes).sum();
            let pace = match kind {
                Kind::GivenUp => None,
                Kind::SlowerThanClose => Some(Pace::all_in(bytes, 2 * TAKES)),
                // The link has a pace.
                Kind::PacedReader => Some(Pace::all_in(bytes, TAKES / 10)),
                _ => Some(Pace::all_in(bytes, TAKES)),
            };
            let (steps, ready) = (self.server.steps.clone(), self.ready.clone());
            let play = reader::play(self.server.addr, self.proto, asks, pace, steps, ready);
            self.peers.spawn(play);
        }
    }

    pub(crate) fn without_ping_idle(&mut self) {
        let addr = self.server.addr;
        self.peers.spawn(pings::idle(addr, self.ready.clone()));
        self.peers.spawn(pings::unused(addr, self.ready.clone()));
    }

    pub(crate) fn without_ping_busy(&mut self) {
        let (steps, ready) = (self.server.steps.clone(), self.ready.clone());
        self.peers
            .spawn(pings::busy(self.server.addr, steps, ready));
    }

    /// SIGTERM, once every peer is ready; `gone` when the process is.
    pub(crate) async fn stop(self, gone: impl FnOnce()) -> (Tally, String) {
        let Self {
            mut server,
            mut peers,
            ready,
            mut begun,
            ..
        } = self;
        drop(ready);
        within("every peer is ready", begun.recv()).await;
        server.signal(Signal::SIGTERM);
        let seen = async {
            let mut seen = Vec::new();
            while let Some(peer) = peers.join_next().await {
                seen.extend(peer.expect("a peer's assertion"));
            }
            seen.sort_by_key(|seen| seen.ask.id);
            seen
        };
        let end = async {
            server.exits().await;
            gone();
            server.end().await
        };
        let (seen, ended) = tokio::join!(within("every peer ends", seen), end);
        (Tally::of(&seen, &ended), story(&seen, &ended))
    }
}
