//! One stop of a server, with all the requests of one kind of peer.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::content::{Ask, Begun, Piece};
use crate::judge::{story, Seen, Tally};
use crate::process::{within, Ended, Recipe, Server};
use crate::reader::{self, Pace};
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

/// A kind of peer, and the link to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    SlowReader,
    /// Three requests on one connection.
    SlowShared,
    PacedReader,
    CurlLimited,
    CurlPaced,
    NodePaced,
    FetchPaced,
    Abandoned,
}

/// What the link or the reader lets through in a second. Each response takes 1.5 s.
const RATE: usize = 600_000;
const TAKES: Duration = Duration::from_millis(1500);
const LARGE: usize = RATE / 2 * 3;
/// It fits into the buffers of the operating system.
const SMALL: usize = 40_000;

impl Kind {
    pub(crate) const ALL: [Self; 8] = [
        Self::SlowReader,
        Self::SlowShared,
        Self::PacedReader,
        Self::CurlLimited,
        Self::CurlPaced,
        Self::NodePaced,
        Self::FetchPaced,
        Self::Abandoned,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SlowReader => "slow reader",
            Self::SlowShared => "slow reader, shared connection",
            Self::PacedReader => "paced link, hyper",
            Self::CurlLimited => "curl --limit-rate",
            Self::CurlPaced => "paced link, curl",
            Self::NodePaced => "paced link, Node",
            Self::FetchPaced => "paced link, Node's fetch",
            Self::Abandoned => "reader that has given up",
        }
    }

    pub(crate) fn speaks(self, proto: Proto) -> bool {
        match self {
            Self::SlowShared => proto == Proto::Http2,
            Self::FetchPaced => proto == Proto::Http1,
            _ => true,
        }
    }

    /// The programs without which it cannot be.
    pub(crate) fn needs(self) -> Vec<&'static str> {
        let mut needs = Vec::new();
        needs.extend(self.tool().map(|tool| tool.program()));
        needs.extend(self.is_paced().then_some("python3"));
        needs
    }

    fn tool(self) -> Option<Tool> {
        match self {
            Self::CurlLimited => Some(Tool::Curl { rate: Some(RATE) }),
            Self::CurlPaced => Some(Tool::Curl { rate: None }),
            Self::NodePaced => Some(Tool::Node),
            Self::FetchPaced => Some(Tool::Fetch),
            _ => None,
        }
    }

    fn is_paced(self) -> bool {
        use Kind::{CurlPaced, FetchPaced, NodePaced, PacedReader};
        matches!(self, CurlPaced | FetchPaced | NodePaced | PacedReader)
    }

    fn recipe(self, by: &str) -> Recipe {
        let recipe = Recipe::new(by);
        match self {
            Self::Abandoned => recipe
                .with("GRACEFUL_SHUTDOWN_TIMEOUT", "1")
                .with("GRACEFUL_SHUTDOWN_CLOSE_TIMEOUT", "1"),
            _ => {
                // Programs take a while to start.
                let lame_duck = self.tool().map_or("0.4", |_| "1");
                let recipe = recipe.with("GRACEFUL_SHUTDOWN_LAME_DUCK", lame_duck);
                match self.is_paced() {
                    true => recipe.paced(RATE as u64),
                    false => recipe,
                }
            }
        }
    }

    fn asks(self) -> Vec<Ask> {
        use Piece::{One, Stream};
        let mut asks = Ask::all(&[(One, SMALL), (One, LARGE), (Stream, LARGE)]);
        match self {
            Self::SlowShared => {
                // One of each begin, and both pieces.
                asks.retain(|ask| ask.bytes == LARGE);
                for ask in &mut asks {
                    ask.connection = usize::from(ask.piece == Stream);
                    ask.bytes /= 3;
                }
            }
            // The lame duck is too short for its first bytes.
            Self::Abandoned => asks.retain(|ask| ask.begun != Begun::LameDuck),
            _ => {}
        }
        asks
    }

    /// Stops one server, and sees what becomes of the requests.
    pub(crate) async fn stop(self, proto: Proto, by: &str) -> (Tally, String) {
        let server = Server::start(&self.recipe(by)).await;
        let (addr, steps) = (server.addr, &server.steps);
        let mut peers = JoinSet::new();
        let (ready, begun) = mpsc::channel(1);
        if let Some(tool) = self.tool() {
            for ask in self.asks() {
                let (tool, steps, ready) = (tool.clone(), steps.clone(), ready.clone());
                peers.spawn(async move {
                    vec![tools::play(tool, addr, proto, ask, steps, ready).await]
                });
            }
        } else {
            let mut connections = BTreeMap::<_, Vec<_>>::new();
            for ask in self.asks() {
                connections.entry(ask.connection).or_default().push(ask);
            }
            for asks in connections.into_values() {
                let bytes = asks.iter().map(|ask| ask.bytes).sum();
                let pace = match self {
                    Self::Abandoned => None,
                    // The link has a pace.
                    Self::PacedReader => Some(Pace::all_in(bytes, TAKES / 10)),
                    _ => Some(Pace::all_in(bytes, TAKES)),
                };
                let (steps, ready) = (steps.clone(), ready.clone());
                peers.spawn(reader::play(addr, proto, asks, pace, steps, ready));
            }
        }
        drop(ready);
        let (seen, ended) = stop(server, begun, peers).await;
        (Tally::of(&seen, &ended), story(&seen, &ended))
    }
}

/// SIGTERM, once every peer is ready.
pub(crate) async fn stop(
    server: Server,
    mut begun: mpsc::Receiver<()>,
    mut peers: JoinSet<Vec<Seen>>,
) -> (Vec<Seen>, Ended) {
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
    tokio::join!(within("every peer ends", seen), server.end())
}
