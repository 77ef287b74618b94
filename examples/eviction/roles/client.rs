//! Calls with JSON, each with a limit.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;
use serde::Serialize;
use tower_drain::BoxError;

pub(crate) const LIMIT: Duration = Duration::from_secs(2);

#[derive(Clone)]
pub(crate) struct Client(HttpClient<HttpConnector, Full<Bytes>>);

impl Client {
    pub(crate) fn new() -> Self {
        Self(HttpClient::builder(TokioExecutor::new()).build_http())
    }

    pub(crate) async fn get<A: DeserializeOwned>(
        &self,
        at: SocketAddr,
        path: &str,
    ) -> Result<A, BoxError> {
        let request = Request::get(format!("http://{at}/{path}")).body(Full::default())?;
        self.send(request, LIMIT).await
    }

    pub(crate) async fn tell(
        &self,
        at: SocketAddr,
        path: &str,
        body: &impl Serialize,
        limit: Duration,
    ) -> Result<(), BoxError> {
        self.ask(at, path, body, limit).await
    }

    pub(crate) async fn ask<A: DeserializeOwned>(
        &self,
        at: SocketAddr,
        path: &str,
        body: &impl Serialize,
        limit: Duration,
    ) -> Result<A, BoxError> {
        let body = Full::from(serde_json::to_vec(body)?);
        let request = Request::post(format!("http://{at}/{path}"))
            .header("content-type", "application/json")
            .body(body)?;
        self.send(request, limit).await
    }

    async fn send<A: DeserializeOwned>(
        &self,
        request: Request<Full<Bytes>>,
        limit: Duration,
    ) -> Result<A, BoxError> {
        let path = request.uri().path().to_owned();
        let answer = async {
            let answer = self.0.request(request).await?;
            let (head, body) = answer.into_parts();
            Ok::<_, BoxError>((head.status, body.collect().await?.to_bytes()))
        };
        let answer = tokio::time::timeout(limit, answer).await;
        let (status, body) =
            answer.map_err(|_| format!("{path}: no answer within {limit:?}"))??;
        match status.is_success() {
            true => Ok(serde_json::from_slice(&body)?),
            false => {
                let why = String::from_utf8_lossy(&body);
                Err(format!("{path}: {}: {}", status.as_u16(), why.trim()).into())
            }
        }
    }
}
