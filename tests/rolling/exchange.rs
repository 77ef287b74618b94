//! One request over a kept-alive connection, and whether its answer is whole and right.

use std::error::Error;
use std::net::SocketAddr;

use bytes::Bytes;
use http::header::HOST;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{handshake, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::board::Board;

/// Why an exchange is not complete and right.
#[derive(Debug)]
pub(crate) struct Lost {
    pub(crate) what: String,
    /// Events that were owed and did not come.
    pub(crate) missing: u64,
}

impl From<String> for Lost {
    fn from(what: String) -> Self {
        Self { what, missing: 0 }
    }
}

/// A client with one connection, which it uses until the proxy says that it closes it.
///
/// Nothing is ever tried again here: whatever goes wrong is what a user would have seen.
#[derive(Debug)]
pub(crate) struct Client {
    proxy: SocketAddr,
    board: Board,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    pub(crate) fn new(proxy: SocketAddr, board: Board) -> Self {
        Self {
            proxy,
            board,
            connection: None,
        }
    }

    /// The same client without its connection.
    pub(crate) fn anew(self) -> Self {
        Self::new(self.proxy, self.board)
    }

    /// A GET with any body, which must come to its regular end.
    pub(crate) async fn get(&mut self, path: &str) -> Result<(), Lost> {
        let answer = self.send(Method::GET, path, Bytes::new()).await?;
        whole(answer).await?;
        Ok(())
    }

    /// A POST with any answer, which must come to its regular end.
    pub(crate) async fn post(&mut self, path: &str, body: Bytes) -> Result<(), Lost> {
        let answer = self.send(Method::POST, path, body).await?;
        whole(answer).await?;
        Ok(())
    }

    /// A POST whose answer must be its body.
    pub(crate) async fn echo(&mut self, path: &str, body: Bytes) -> Result<(), Lost> {
        let answer = self.send(Method::POST, path, body.clone()).await?;
        let echoed = whole(answer).await?;
        if echoed == body {
            return Ok(());
        }
        Err("the echo is not what was sent".to_owned().into())
    }

    /// A stream that must have exactly the events 0 to `n` - 1, in order, and a regular end.
    pub(crate) async fn events(&mut self, path: &str, n: u64) -> Result<(), Lost> {
        let lost = |what, missing| Lost { what, missing };
        let none = |what| lost(what, n);
        let answer = self.send(Method::GET, path, Bytes::new()).await;
        let mut body = answer.map_err(|lost| none(lost.what))?.into_body();

        let mut text = Vec::new();
        let mut end = Ok(());
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => text.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
                Err(error) => {
                    end = Err(chain(&error));
                    break;
                }
            }
        }
        let ids = ids(&text);
        let missing = n.saturating_sub(ids.len() as u64);
        if let Err(error) = end {
            let came = ids.len();
            return Err(lost(
                format!("cut after {came} of {n} events: {error}"),
                missing,
            ));
        }
        if !ids.iter().copied().eq(0..n) {
            return Err(lost(
                format!("regular end, but events {ids:?} of {n}"),
                missing,
            ));
        }
        Ok(())
    }

    async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>, Lost> {
        let mut kept = self.connection.take();
        if let Some(open) = &mut kept {
            if open.ready().await.is_err() {
                kept = None;
            }
        }
        let mut connection = match kept {
            Some(open) => open,
            None => self.connect().await?,
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.proxy.to_string())
            .body(Full::new(body))
            .map_err(|error| chain(&error))?;
        let answer = connection
            .send_request(request)
            .await
            .map_err(|error| chain(&error))?;
        if !answer.status().is_success() {
            return Err(format!("status {}", answer.status().as_u16()).into());
        }
        if let Some(server) = answer.headers().get("x-served-by") {
            // Of several, the last is the one that answered; the others refused.
            let servers = server.to_str().unwrap_or_default();
            self.board
                .served_by(servers.rsplit(", ").next().unwrap_or_default());
        }
        self.connection = Some(connection);
        Ok(answer)
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Lost> {
        let failed = |what: String| Lost::from(format!("no connection to the proxy: {what}"));
        let stream = TcpStream::connect(self.proxy)
            .await
            .map_err(|error| failed(chain(&error)))?;
        stream
            .set_nodelay(true)
            .map_err(|error| failed(chain(&error)))?;
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(|error| failed(chain(&error)))?;
        // What ends the connection is told to the request that it carries.
        tokio::spawn(connection);
        Ok(sender)
    }
}

async fn whole(answer: Response<Incoming>) -> Result<Bytes, Lost> {
    match answer.into_body().collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) => Err(format!("the body was cut: {}", chain(&error)).into()),
    }
}

fn ids(text: &[u8]) -> Vec<u64> {
    String::from_utf8_lossy(text)
        .lines()
        .filter_map(|line| line.strip_prefix("id:")?.trim().parse().ok())
        .collect()
}

/// An error with its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
