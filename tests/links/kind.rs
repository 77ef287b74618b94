//! The kinds of peers, and the links to them.

use crate::content::{Ask, Begun, Piece};
use crate::judge::Tally;
use crate::netns::Link;
use crate::process::Recipe;
use crate::round::{Proto, Round};
use crate::tools::Tool;
use crate::uploads::When;
use crate::{backlog, cut, skip};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    SlowReader,
    SlowShared,
    SlowerThanClose,
    PacedReader,
    GivenUp,
    CurlLimited,
    CurlPaced,
    NodePaced,
    FetchPaced,
    NoPingIdle,
    NoPingBusy,
    LinkTakenAway,
    NoFiles,
    AtTheStop,
    CutHttp10,
    Upload(When),
}

/// What a link, or curl with a limit, lets through in a second.
const RATE: usize = 2_000_000;
/// It does not fit into the buffers of the operating system.
const LARGE: usize = 900_000;
/// It does.
const SMALL: usize = 40_000;

impl Kind {
    pub(crate) const ALL: [Self; 18] = [
        Self::SlowReader,
        Self::SlowShared,
        Self::SlowerThanClose,
        Self::PacedReader,
        Self::GivenUp,
        Self::CurlLimited,
        Self::CurlPaced,
        Self::NodePaced,
        Self::FetchPaced,
        Self::NoPingIdle,
        Self::NoPingBusy,
        Self::LinkTakenAway,
        Self::NoFiles,
        Self::AtTheStop,
        Self::CutHttp10,
        Self::Upload(When::Maintenance),
        Self::Upload(When::AfterDrain),
        Self::Upload(When::AfterTheStop),
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SlowReader => "slow reader",
            Self::SlowShared => "slow reader, shared connection",
            Self::SlowerThanClose => "slow reader, more than `close`",
            Self::PacedReader => "paced link, hyper",
            Self::GivenUp => "reader that has given up",
            Self::CurlLimited => "curl --limit-rate",
            Self::CurlPaced => "paced link, curl",
            Self::NodePaced => "paced link, Node",
            Self::FetchPaced => "paced link, Node's fetch",
            Self::NoPingIdle => "no PING is acknowledged, idle",
            Self::NoPingBusy => "no PING is acknowledged, streams",
            Self::LinkTakenAway => "link goes with the process, curl",
            Self::NoFiles => "backlog without a file left",
            Self::AtTheStop => "request in the socket at the stop",
            Self::CutHttp10 => "HTTP/1.0, cut",
            Self::Upload(When::Maintenance) => "upload, rejected in maintenance",
            Self::Upload(When::AfterDrain) => "upload, rejected before the stop",
            Self::Upload(When::AfterTheStop) => "upload, rejected after the stop",
        }
    }

    pub(crate) fn speaks(self, proto: Proto) -> bool {
        match self {
            Self::SlowShared | Self::NoPingIdle | Self::NoPingBusy => proto == Proto::Http2,
            Self::FetchPaced | Self::NoFiles | Self::AtTheStop | Self::CutHttp10 => {
                proto == Proto::Http1
            }
            // HTTP/2 lets no request in after the GOAWAY of a client that follows it.
            Self::Upload(When::AfterTheStop) => proto == Proto::Http1,
            _ => true,
        }
    }

    /// The programs without which it cannot be.
    pub(crate) fn needs(self) -> &'static [&'static str] {
        match self {
            Self::PacedReader => &["python3"],
            Self::CurlLimited => &["curl"],
            Self::CurlPaced => &["curl", "python3"],
            Self::NodePaced | Self::FetchPaced => &["node", "python3"],
            Self::LinkTakenAway => &["curl", "ip", "tc"],
            _ => &[],
        }
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

    fn recipe(self, by: &str) -> Recipe {
        let recipe = Recipe::new(by);
        match self {
            Self::GivenUp => recipe
                .with("GRACEFUL_SHUTDOWN_TIMEOUT", "1")
                .with("GRACEFUL_SHUTDOWN_CLOSE_TIMEOUT", "1"),
            Self::SlowerThanClose => recipe.with("GRACEFUL_SHUTDOWN_CLOSE_TIMEOUT", "1"),
            Self::PacedReader => recipe.paced(LARGE as u64 * 2 / 3),
            Self::CurlPaced | Self::NodePaced | Self::FetchPaced => {
                recipe.with_time_to_start().paced(RATE as u64)
            }
            Self::CurlLimited | Self::LinkTakenAway => recipe.with_time_to_start(),
            _ => recipe,
        }
    }

    fn asks(self) -> Vec<Ask> {
        use Piece::{One, Stream};
        let mut asks = Ask::all(&[(One, SMALL), (One, LARGE), (Stream, LARGE)]);
        match self {
            Self::SlowShared => {
                // Three on each connection.
                asks.retain(|ask| ask.bytes == LARGE);
                for ask in &mut asks {
                    ask.connection = usize::from(ask.piece == Stream);
                    ask.bytes /= 3;
                }
            }
            // The lame duck is too short for its first bytes.
            Self::GivenUp => asks.retain(|ask| ask.begun != Begun::LameDuck),
            Self::LinkTakenAway => asks = Ask::all(&[(One, SMALL), (Stream, SMALL)]),
            // A program does not stop reading for the signal.
            _ if self.tool().is_some() => {
                for ask in asks.iter_mut().filter(|ask| ask.bytes == LARGE) {
                    let seconds = if ask.begun == Begun::Late { 2 } else { 4 };
                    ask.bytes = seconds * RATE;
                }
            }
            _ => {}
        }
        asks
    }

    /// Stops one server, and sees what becomes of the requests; `None` where that cannot be done.
    pub(crate) async fn stop(self, proto: Proto, by: &str) -> Option<(Tally, String)> {
        if skip::lacks(self.name(), self.needs()) {
            return None;
        }
        let played = match self {
            Self::NoFiles => backlog::without_a_file_left(by).await,
            Self::CutHttp10 => cut::over_http10(by).await,
            Self::AtTheStop => backlog::at_the_stop(by).await,
            Self::Upload(when) => when.stop(proto, by).await,
            Self::LinkTakenAway => {
                let link = match Link::new() {
                    Ok(link) => link,
                    Err(why) => {
                        let is_root = skip::is_root();
                        (if is_root { skip::skip } else { skip::say })(self.name(), &why);
                        return None;
                    }
                };
                let mut round = Round::start(link.serves(self.recipe(by)), proto).await;
                round.programs(&Tool::CurlIn(link.client()), self.asks());
                round.stop(|| link.take_away()).await
            }
            _ => {
                let mut round = Round::start(self.recipe(by), proto).await;
                match (self, self.tool()) {
                    (_, Some(tool)) => round.programs(&tool, self.asks()),
                    (Self::NoPingIdle, _) => round.without_ping_idle(),
                    (Self::NoPingBusy, _) => round.without_ping_busy(),
                    _ => round.readers(self, self.asks()),
                }
                round.stop(|| ()).await
            }
        };
        Some(played)
    }
}
