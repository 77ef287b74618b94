//! The agent's calls. Each says which instance makes it, and none takes longer than it may.

use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyDataStream, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use tower_drain::{BoxError, DrainReason};
use uuid::Uuid;

pub(crate) const INSTANCE: &str = "x-instance-id";
const LIMIT: Duration = Duration::from_secs(2);

/// Something to do that takes a known time.
#[derive(Clone, Copy)]
pub(crate) struct Operation {
    pub(crate) number: u32,
    pub(crate) takes: Duration,
}

impl TryFrom<sse_stream::Sse> for Operation {
    type Error = BoxError;

    fn try_from(event: sse_stream::Sse) -> Result<Self, BoxError> {
        let number = event.id.ok_or("an operation without a number")?.parse()?;
        let millis = event.data.ok_or("an operation without data")?.parse()?;
        let takes = Duration::from_millis(millis);
        Ok(Self { number, takes })
    }
}

#[derive(Clone)]
pub(crate) struct Client {
    http: HttpClient<HttpConnector, Full<Bytes>>,
    address: SocketAddr,
    instance: Uuid,
}

impl Client {
    pub(crate) fn new(address: SocketAddr, instance: Uuid) -> Self {
        Self {
            http: HttpClient::builder(TokioExecutor::new()).build_http(),
            address,
            instance,
        }
    }

    pub(crate) async fn operations(&self, last: u32) -> Result<BodyDataStream<Incoming>, BoxError> {
        let request = self
            .request(Method::GET, "operations")
            .header("last-event-id", last)
            .body(Full::default())?;
        let response = self.send(request, LIMIT).await?;
        Ok(BodyDataStream::new(response.into_body()))
    }

    pub(crate) async fn heartbeat(&self, in_hand: usize, room: usize) -> Result<(), BoxError> {
        let text = format!("{in_hand} in hand, room for {room}");
        self.post("heartbeat", text, LIMIT).await
    }

    pub(crate) async fn done(&self, number: u32) -> Result<(), BoxError> {
        self.post("done", number, LIMIT).await
    }

    pub(crate) async fn hand_back(&self, numbers: &str) -> Result<(), BoxError> {
        self.post("handed-back", numbers, LIMIT).await
    }

    /// For as long as the hook that calls it may take.
    pub(crate) async fn leaving(&self, reason: &DrainReason) -> Result<(), BoxError> {
        self.post("leaving", reason, Duration::MAX).await
    }

    async fn post(&self, path: &str, text: impl Display, limit: Duration) -> Result<(), BoxError> {
        let text = Bytes::from(text.to_string());
        let request = self.request(Method::POST, path).body(Full::new(text))?;
        self.send(request, limit).await.map(drop)
    }

    fn request(&self, method: Method, path: &str) -> hyper::http::request::Builder {
        Request::builder()
            .method(method)
            .uri(format!("http://{}/{path}", self.address))
            .header(INSTANCE, self.instance.to_string())
    }

    async fn send(
        &self,
        request: Request<Full<Bytes>>,
        limit: Duration,
    ) -> Result<Response<Incoming>, BoxError> {
        let path = request.uri().path().to_owned();
        let answer = tokio::time::timeout(limit, self.http.request(request)).await;
        let answer = answer.map_err(|_| format!("{path}: no answer within {limit:?}"))??;
        match answer.status().is_success() {
            true => Ok(answer),
            false => Err(format!("{path}: {}", answer.status()).into()),
        }
    }
}
