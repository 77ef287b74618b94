//! What the workflow depends on, its troubles, and the client.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::Router;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use tokio::runtime::Runtime;
use tower_drain::BoxError;

use crate::say::Say;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Every step takes longer than a probe may.
    Slow,
    /// Every other probe fails.
    Hiccup,
    /// It is gone after the first step, and its port closed.
    Gone,
    /// It accepts after the first step, but does not answer.
    Hangs,
    /// It refuses the second step.
    Fails,
}

impl Trouble {
    pub(crate) const ALL: [Self; 5] = [
        Self::Slow,
        Self::Hiccup,
        Self::Gone,
        Self::Hangs,
        Self::Fails,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Hiccup => "hiccup",
            Self::Gone => "gone",
            Self::Hangs => "hangs",
            Self::Fails => "fails",
        }
    }
}

/// A server on a runtime of its own, which takes its connections with it.
pub(crate) struct Backend {
    address: SocketAddr,
    runtime: Option<Runtime>,
    state: Arc<State>,
}

struct State {
    trouble: Trouble,
    probes: AtomicUsize,
    steps_done: AtomicUsize,
    say: Say,
}

impl Backend {
    pub(crate) fn start(trouble: Trouble, say: Say) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            trouble,
            probes: AtomicUsize::new(0),
            steps_done: AtomicUsize::new(0),
            say,
        });
        let (probed, asked) = (state.clone(), state.clone());
        let app = Router::new()
            .route("/health", get(move || async move { probed.health().await }))
            .route("/{step}", post(move || async move { asked.step().await }));
        let runtime = Runtime::new()?;
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            axum::serve(listener, app).await
        });
        Ok(Self {
            address,
            runtime: Some(runtime),
            state,
        })
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn step_is_done(&mut self) {
        let before = self.state.steps_done.fetch_add(1, Ordering::Relaxed);
        if self.state.trouble == Trouble::Gone && before == 0 {
            self.state.say.line("backend", "is gone");
            self.stop();
        }
        if self.state.hangs() && before == 0 {
            self.state.say.line("backend", "hangs");
        }
    }

    fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.stop();
    }
}

impl State {
    fn hangs(&self) -> bool {
        self.trouble == Trouble::Hangs && self.steps_done.load(Ordering::Relaxed) > 0
    }

    async fn health(&self) -> StatusCode {
        if self.hangs() {
            std::future::pending::<()>().await;
        }
        let before = self.probes.fetch_add(1, Ordering::Relaxed);
        match self.trouble {
            Trouble::Hiccup if before % 2 == 0 => {
                self.say.line("backend", "fails a probe");
                StatusCode::SERVICE_UNAVAILABLE
            }
            _ => StatusCode::OK,
        }
    }

    async fn step(&self) -> StatusCode {
        if self.hangs() {
            std::future::pending::<()>().await;
        }
        let takes = match self.trouble {
            Trouble::Slow => 1200,
            Trouble::Hiccup => 800,
            _ => 400,
        };
        tokio::time::sleep(Duration::from_millis(takes)).await;
        match self.trouble {
            Trouble::Fails if self.steps_done.load(Ordering::Relaxed) == 1 => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            _ => StatusCode::OK,
        }
    }
}

/// What became of a request for a step.
pub(crate) enum Answer {
    Done,
    No(String),
    /// The backend could not be reached, or broke off.
    None,
}

#[derive(Clone)]
pub(crate) struct Client {
    http: HttpClient<HttpConnector, Full<Bytes>>,
    address: SocketAddr,
    probes: Probes,
}

/// How many probes there were, and how many at once.
#[derive(Clone, Default)]
pub(crate) struct Probes(Arc<(AtomicUsize, AtomicUsize, AtomicUsize)>);

struct Probing(Probes);

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            http: HttpClient::builder(TokioExecutor::new()).build_http(),
            address,
            probes: Probes::default(),
        }
    }

    pub(crate) fn probes(&self) -> Probes {
        self.probes.clone()
    }

    pub(crate) async fn probe(self) -> Result<(), BoxError> {
        let _probing = self.probes.begin();
        let request = Request::get(format!("http://{}/health", self.address));
        let answer = self.http.request(request.body(Full::default())?).await?;
        match answer.status().is_success() {
            true => Ok(()),
            false => Err(answer.status().to_string().into()),
        }
    }

    pub(crate) async fn step(&self, step: &str) -> Answer {
        let request = Request::post(format!("http://{}/{step}", self.address));
        let request = request.body(Full::default()).expect("a valid request");
        match self.http.request(request).await {
            Ok(answer) if answer.status().is_success() => Answer::Done,
            Ok(answer) => Answer::No(answer.status().to_string()),
            Err(_) => Answer::None,
        }
    }
}

impl Probes {
    fn begin(&self) -> Probing {
        let (all, on, most) = &*self.0;
        all.fetch_add(1, Ordering::Relaxed);
        most.fetch_max(on.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        Probing(self.clone())
    }
}

impl Drop for Probing {
    fn drop(&mut self) {
        self.0 .0 .1.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Display for Probes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, _, most) = &*self.0;
        let (all, most) = (all.load(Ordering::Relaxed), most.load(Ordering::Relaxed));
        write!(f, "{all}, at most {most} at once")
    }
}
