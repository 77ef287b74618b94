//! What a server is at when it gets its SIGTERM.

mod events;
mod half_line;
mod post;
mod upload;
mod websocket;

use std::path::Path;

use futures_util::future::try_join_all;

use crate::child::{Child, Exit};
use crate::peer::Peer;
use crate::result::Outcome;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    Events,
    Finite,
    Upload,
    Websocket,
    Post,
    HalfLine,
}

impl Scenario {
    pub const ALL: [Self; 6] = [
        Self::Events,
        Self::Finite,
        Self::Upload,
        Self::Websocket,
        Self::Post,
        Self::HalfLine,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Finite => "finite",
            Self::Upload => "upload",
            Self::Websocket => "websocket",
            Self::Post => "post",
            Self::HalfLine => "half-line",
        }
    }

    /// # Errors
    ///
    /// A sentence with the names that there are.
    pub(crate) fn from_name(name: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|it| it.name() == name);
        known.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("no scenario called `{name}`: there are {names}, haproxy, nginx")
        })
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Events => "8 event streams without end",
            Self::Finite => "8 event streams that end by themselves 8 s after the signal",
            Self::Upload => "4 uploads with 8 s to go",
            Self::Websocket => "4 open WebSockets",
            Self::Post => "32 kept-alive clients that go on with POSTs, in 5 stops",
            Self::HalfLine => "4 connections with half a request line",
        }
    }

    /// Each peer once, beside one another where that changes nothing.
    pub(crate) async fn run_all(
        self,
        program: &Path,
        peers: &[Peer],
    ) -> Result<Vec<(Peer, Outcome)>, String> {
        let each = peers.iter().map(|&peer| async move {
            let outcome = self.run(program, peer).await;
            outcome.map(|outcome| (peer, outcome))
        });
        if self != Self::Post {
            return try_join_all(each).await;
        }
        let mut outcomes = Vec::new();
        for one in each {
            outcomes.push(one.await?);
        }
        Ok(outcomes)
    }

    /// Starts a server of `program`, stops it, and says what its clients saw.
    ///
    /// # Errors
    ///
    /// If it does not come as far as the signal.
    pub async fn run(self, program: &Path, peer: Peer) -> Result<Outcome, String> {
        let told = |error| format!("{}, {}: {error}", self.name(), peer.name());
        if self == Self::Post {
            return post::run(program, peer).await.map_err(told);
        }
        let child = Child::start(program, peer).await?;
        let ran = match self {
            Self::Events => events::endless(child).await,
            Self::Finite => events::finite(child).await,
            Self::Upload => upload::run(child).await,
            Self::Websocket => websocket::run(child).await,
            Self::Post | Self::HalfLine => half_line::run(child).await,
        };
        ran.map_err(told)
    }
}

fn requests(exit: Exit, lost: crate::Lost) -> Outcome {
    Outcome {
        exits: vec![exit],
        requests: Some(lost),
        streams: None,
    }
}

fn streams(exit: Exit, lost: crate::Lost) -> Outcome {
    Outcome {
        exits: vec![exit],
        requests: None,
        streams: Some(lost),
    }
}
