//! The layer over a bare tower service, on hyper-util's connection builder: `cargo run --example hyper`.
//!
//! Two ends belong together. tower-drain counts requests and says when the last is gone; hyper-util's
//! `GracefulShutdown` closes connections, idle ones too, and returns when their last bytes are written.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tower::ServiceBuilder;
use tower_drain::{BoxError, DrainLayer};

const LIMIT: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel();
    let server = tokio::spawn(serve(listener, layer, stopped));
    println!("serving    hyper on {address}");

    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let stream = client.get(uri(address)?).await?;
    println!(
        "serving    a stream of ten chunks is open, {} in flight",
        handle.in_flight()
    );

    handle.begin_shutdown();
    let newcomer = client.get(uri(address)?).await?;
    println!(
        "{:<10} a newcomer gets {}",
        handle.phase(),
        newcomer.status()
    );
    let (whole, report) = tokio::join!(stream.into_body().collect(), handle.wait_for_drain(LIMIT));
    println!(
        "{:<10} the stream ended after {} bytes",
        handle.phase(),
        whole?.to_bytes().len()
    );

    stop.send(()).unwrap_or_default();
    server.await??;
    println!("{:<10} hyper closed every connection", handle.phase());
    println!("{}", report?);
    Ok(())
}

fn uri(address: SocketAddr) -> Result<hyper::Uri, BoxError> {
    Ok(format!("http://{address}/").parse()?)
}

/// Accepts until it is told to stop, then lets the connections close.
async fn serve(
    listener: TcpListener,
    layer: DrainLayer,
    mut stopped: oneshot::Receiver<()>,
) -> Result<(), BoxError> {
    let service = ServiceBuilder::new().layer(layer).service_fn(ten_chunks);
    let builder = auto::Builder::new(TokioExecutor::new());
    let connections = GracefulShutdown::new();
    loop {
        let (socket, _) = tokio::select! {
            accepted = listener.accept() => accepted?,
            _ = &mut stopped => break,
        };
        let service = TowerToHyperService::new(service.clone());
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(socket), service);
        let connection = connections.watch(connection.into_owned());
        tokio::spawn(async {
            if let Err(error) = connection.await {
                eprintln!("connection: {error}");
            }
        });
    }
    tokio::time::timeout(LIMIT, connections.shutdown()).await?;
    Ok(())
}

async fn ten_chunks(
    _: Request<Incoming>,
) -> Result<Response<StreamBody<impl Stream<Item = Result<Frame<Bytes>, Infallible>>>>, Infallible>
{
    let chunks = stream::iter(0..10).then(|i| async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(Frame::data(Bytes::from(format!("chunk {i}\n"))))
    });
    Ok(Response::new(StreamBody::new(chunks)))
}
