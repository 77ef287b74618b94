use http_body_util::BodyExt;
use salvo::conn::{Acceptor, TcpListener};
use salvo::http::ResBody;
use salvo::prelude::*;
use tower::layer::util::Stack;
use tower_drain::{DrainLayer, ResponseBody};
use tower_drain_works_with::{drains, shutdown, source, Source};
use tower_http::map_response_body::MapResponseBodyLayer;

struct Streams(Source);

#[async_trait]
impl Handler for Streams {
    async fn handle(&self, _: &mut Request, _: &mut Depot, res: &mut Response, _: &mut FlowCtrl) {
        res.stream(self.0.stream());
    }
}

#[handler]
async fn hello() -> &'static str {
    "hello"
}

/// Salvo's adapter wants an error that is one; this crate's is boxed.
fn unboxed(
    body: ResponseBody<ResBody>,
) -> impl salvo::http::Body<Data = salvo::hyper::body::Bytes, Error = std::io::Error> {
    body.map_err(std::io::Error::other)
}

#[tokio::test]
async fn salvo_drains() {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let (feed, body) = source();
    let drain = Stack::new(layer, MapResponseBodyLayer::new(unboxed)).compat();
    let router = Router::new()
        .hoop(drain)
        .get(hello)
        .push(Router::with_path("stream").get(Streams(body)));
    let acceptor = TcpListener::new("127.0.0.1:0").bind().await;
    let addr = acceptor.holdings()[0]
        .local_addr
        .clone()
        .into_std()
        .unwrap();
    let serving = shutdown(&handle).run(move |stop| async move {
        let server = Server::new(acceptor);
        let server_handle = server.handle();
        tokio::spawn(async move {
            stop.await;
            server_handle.stop_graceful(None);
        });
        server.try_serve(router).await
    });
    drains(addr, handle, feed, serving).await;
}
