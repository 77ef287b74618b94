//! The clients, over real connections: what they ask for, and what they got in the end.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::{Response, StatusCode};
use hyper_util::client::legacy::{connect::HttpConnector, Client};
use hyper_util::rt::TokioExecutor;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tower_drain::BoxError;

use crate::server::DONE;

pub(crate) const FINITE: usize = 38;
pub(crate) const ENDLESS: usize = 12;
pub(crate) const SLOW: usize = 4;

const NEWCOMER_EVERY: Duration = Duration::from_millis(20);

pub(crate) struct Clients {
    http: Http,
    tasks: JoinSet<()>,
    newcomers: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    seen: Arc<Mutex<Seen>>,
}

/// What became of the requests, as their clients saw it.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    whole: usize,
    broken: usize,
    answered: usize,
    served: usize,
    rejected: usize,
    otherwise: usize,
}

#[derive(Clone)]
struct Http {
    client: Client<HttpConnector, Empty<Bytes>>,
    server: SocketAddr,
}

impl Http {
    async fn get(&self, path: &str) -> Result<Response<Incoming>, BoxError> {
        let uri = format!("http://{}{path}", self.server).parse()?;
        Ok(self.client.get(uri).await?)
    }
}

async fn text(response: Response<Incoming>) -> Result<String, BoxError> {
    let body = response.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8_lossy(&body).into_owned())
}

impl Clients {
    pub(crate) fn new(server: SocketAddr) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self {
            http: Http { client, server },
            tasks: JoinSet::new(),
            newcomers: None,
            seen: Arc::default(),
        }
    }

    /// Returns when every stream has begun.
    pub(crate) async fn connect(&mut self) -> Result<(), BoxError> {
        for i in 0..SLOW {
            self.ask_for_report(2500 + 400 * i);
        }
        for i in 0..FINITE {
            self.open(format!("/chat?tokens={}", 25 + 3 * i / 2))
                .await?;
        }
        for i in 0..ENDLESS {
            let path = if i % 3 == 0 { "/mcp" } else { "/prices" };
            self.open(path.to_owned()).await?;
        }
        self.send_newcomers();
        Ok(())
    }

    fn ask_for_report(&mut self, ms: usize) {
        let (http, note) = (self.http.clone(), self.note());
        self.tasks.spawn(async move {
            let answer = async { text(http.get(&format!("/report?ms={ms}")).await?).await };
            match answer.await.as_deref() {
                Ok("a report\n") => note(|seen| &mut seen.answered),
                Ok(_) | Err(_) => note(|seen| &mut seen.otherwise),
            }
        });
    }

    async fn open(&mut self, path: String) -> Result<(), BoxError> {
        let (response, note) = (self.http.get(&path).await?, self.note());
        self.tasks.spawn(async move {
            match text(response).await {
                Ok(text) if text.trim_end().ends_with(DONE) => note(|seen| &mut seen.whole),
                Ok(_) => note(|seen| &mut seen.otherwise),
                Err(_) => note(|seen| &mut seen.broken),
            }
        });
        Ok(())
    }

    fn send_newcomers(&mut self) {
        let (http, note) = (self.http.clone(), self.note());
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            while stopped.try_recv().is_err() {
                match http.get("/").await.map(|response| response.status()) {
                    Ok(StatusCode::OK) => note(|seen| &mut seen.served),
                    Ok(StatusCode::SERVICE_UNAVAILABLE) => note(|seen| &mut seen.rejected),
                    Ok(_) | Err(_) => note(|seen| &mut seen.otherwise),
                }
                tokio::time::sleep(NEWCOMER_EVERY).await;
            }
        });
        self.newcomers = Some((stop, task));
    }

    pub(crate) async fn stop_newcomers(&mut self) -> Result<(), BoxError> {
        if let Some((stop, task)) = self.newcomers.take() {
            stop.send(()).unwrap_or_default();
            task.await?;
        }
        Ok(())
    }

    /// Waits for every client.
    pub(crate) async fn seen(mut self) -> Seen {
        while self.tasks.join_next().await.is_some() {}
        lock(&self.seen).clone()
    }

    fn note(&self) -> impl Fn(fn(&mut Seen) -> &mut usize) + Send + 'static {
        let seen = self.seen.clone();
        move |which| *which(&mut lock(&seen)) += 1
    }
}

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Seen {
    /// Whether the drain kept its word to all of them.
    pub(crate) fn is_as_promised(&self) -> bool {
        let admitted = (self.whole, self.broken, self.answered);
        admitted == (FINITE, ENDLESS, SLOW) && self.rejected > 0 && self.otherwise == 0
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |count, of: usize, what| match of {
            0 => writeln!(f, "  {count:>5}        {what}"),
            of => writeln!(f, "  {count:>5} of {of:<3}  {what}"),
        };
        row(self.whole, FINITE, "finite streams came whole")?;
        row(self.answered, SLOW, "slow requests were answered")?;
        row(self.broken, ENDLESS, "endless streams were cut")?;
        row(
            self.served,
            0,
            "newcomers were served before and in the lame duck",
        )?;
        row(self.rejected, 0, "newcomers got a 503")?;
        row(self.otherwise, 0, "saw anything else")
    }
}
