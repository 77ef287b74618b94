//! The servers, each stopped in the way that its own documentation shows.

mod accept_loops;
mod ready_made;
mod tower_drain;

use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{signal, SignalKind};

/// How long a stop may take, where there is such a limit: 10 s, as in the examples of hyper-util and tokio-graceful.
const LIMIT: Duration = Duration::from_secs(10);

/// A way to stop a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Axum,
    AxumServer,
    HyperUtil,
    Drain,
    TokioGraceful,
    TowerDrain,
}

impl Peer {
    pub const ALL: [Self; 6] = [
        Self::Axum,
        Self::AxumServer,
        Self::HyperUtil,
        Self::Drain,
        Self::TokioGraceful,
        Self::TowerDrain,
    ];

    /// The name of its package.
    pub fn name(self) -> &'static str {
        match self {
            Self::Axum => "axum",
            Self::AxumServer => "axum-server",
            Self::HyperUtil => "hyper-util",
            Self::Drain => "drain",
            Self::TokioGraceful => "tokio-graceful",
            Self::TowerDrain => "tower-drain",
        }
    }

    /// # Errors
    ///
    /// A sentence with the names that there are.
    pub fn from_name(name: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|peer| peer.name() == name);
        known.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("no peer called `{name}`: there are {names}")
        })
    }

    /// How long a rolling restart grants it: its longest stop with answers of 1.5 s, and a bit.
    pub(crate) fn stops_within(self) -> Duration {
        match self {
            Self::TowerDrain => Duration::from_millis(5000 + 2 * 500 + 1500 + 1000),
            _ => LIMIT + Duration::from_secs(1),
        }
    }
}

/// Listens on `ADDR`, or a free port, says where, and serves until SIGTERM.
pub(crate) async fn serve(peer: Peer) -> ExitCode {
    let addr = std::env::var("ADDR").unwrap_or_else(|_| "127.0.0.1:0".into());
    let listener = TcpListener::bind(&addr)
        .await
        .unwrap_or_else(|error| panic!("ADDR: cannot listen on `{addr}`: {error}"));
    // Before anybody knows the address: a SIGTERM that comes before its handler kills the process.
    let mut signals = signal(SignalKind::terminate()).expect("SIGTERM can be caught");
    let sigterm = async move {
        signals.recv().await;
    };
    let addr = listener.local_addr().expect("it is bound");
    let listens = || println!("{addr}");
    if peer != Peer::TowerDrain {
        listens();
    }
    match peer {
        Peer::Axum => ready_made::axum(listener, sigterm).await,
        Peer::AxumServer => ready_made::axum_server(listener, sigterm).await,
        Peer::HyperUtil => accept_loops::hyper_util(listener, sigterm).await,
        Peer::Drain => accept_loops::drain(listener, sigterm).await,
        Peer::TokioGraceful => accept_loops::tokio_graceful(listener, sigterm).await,
        // It has handlers of its own.
        Peer::TowerDrain => tower_drain::serve(listener, listens).await,
    }
}

/// Resolves at SIGTERM.
trait Sigterm: Future<Output = ()> + Send + 'static {}

impl<F: Future<Output = ()> + Send + 'static> Sigterm for F {}
