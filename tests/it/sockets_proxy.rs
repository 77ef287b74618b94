//! A reverse proxy: its handler's body is hyper's own, as it comes from upstream.

use std::net::SocketAddr;

use axum::body::Body;
use axum::routing::post;
use axum::Router;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::{service_fn, Layer};
use tower_drain::{BoxError, DrainHandle, DrainLayer};

use crate::sockets_support::{
    drained, feed, h2, h2_request, once, piped, serve, serve_hyper, within, Chunks, Server,
};

async fn forward(
    request: Request<Incoming>,
    upstream: SocketAddr,
) -> Result<Response<Incoming>, BoxError> {
    let stream = TcpStream::connect(upstream).await?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let (mut head, body) = request.into_parts();
    head.uri = head.uri.path().parse()?;
    head.version = http::Version::HTTP_11;
    head.headers.insert("host", "upstream".parse()?);
    Ok(sender.send_request(Request::from_parts(head, body)).await?)
}

struct Proxy {
    addr: SocketAddr,
    handle: DrainHandle,
    /// Of what upstream answers with.
    chunks: Chunks,
    _upstream: Server,
}

async fn proxy() -> Proxy {
    let (chunks, body) = piped();
    let app = Router::new()
        .route("/stream", once(body))
        .route("/echo", post(|body: Body| async { body }));
    let upstream = serve(app).await;
    let layer = DrainLayer::new();
    let to = upstream.addr;
    let forwarding = service_fn(move |request| forward(request, to));
    Proxy {
        addr: serve_hyper(layer.layer(forwarding)).await,
        handle: layer.handle(),
        chunks,
        _upstream: upstream,
    }
}

async fn text(mut body: Incoming) -> Result<String, hyper::Error> {
    let mut text = Vec::new();
    while let Some(frame) = within(body.frame()).await {
        text.extend_from_slice(&frame?.into_data().unwrap_or_default());
    }
    Ok(String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn a_proxied_stream_holds_the_drain_until_upstream_has_ended_it() {
    let proxy = proxy().await;
    let (mut client, _connection) = h2(proxy.addr).await;
    let answer = within(client.send_request(h2_request("GET", "/stream")));
    let answer = answer.await.unwrap();
    feed(&proxy.chunks, "first ");
    proxy.handle.begin_shutdown();
    assert_eq!(proxy.handle.in_flight(), 1);

    let rejected = within(client.send_request(h2_request("GET", "/stream")));
    assert_eq!(rejected.await.unwrap().status(), 503);
    feed(&proxy.chunks, "last");
    drop(proxy.chunks);
    assert_eq!(text(answer.into_body()).await.unwrap(), "first last");
    drained(&proxy.handle).await;
}

#[tokio::test]
async fn a_cut_of_a_proxied_stream_is_an_error_to_the_client_and_lets_go_of_upstream() {
    let proxy = proxy().await;
    let (mut client, _connection) = h2(proxy.addr).await;
    let answer = within(client.send_request(h2_request("GET", "/stream")));
    let mut body = answer.await.unwrap().into_body();
    feed(&proxy.chunks, "first");
    let first = within(body.frame()).await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), "first");

    proxy.handle.begin_shutdown();
    assert_eq!(proxy.handle.cut(), 1);
    assert!(text(body).await.is_err());
    within(proxy.chunks.closed()).await;
    drained(&proxy.handle).await;
}

#[tokio::test]
async fn an_upload_passes_through_a_proxy_and_back_while_it_drains() {
    let proxy = proxy().await;
    let (mut client, _connection) = h2(proxy.addr).await;
    let (upload, body) = piped();
    let request = Request::post("http://x/echo").body(body).unwrap();
    let answer = within(client.send_request(request)).await.unwrap();
    proxy.handle.begin_shutdown();
    feed(&upload, "there ");
    feed(&upload, "and back");
    drop(upload);
    assert_eq!(text(answer.into_body()).await.unwrap(), "there and back");
    drained(&proxy.handle).await;
}
