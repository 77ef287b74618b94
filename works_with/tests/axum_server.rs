use axum::body::Body;
use axum::routing::get;
use axum::Router;
use axum_server::Handle;
use tower_drain::DrainLayer;
use tower_drain_works_with::{drains, shutdown, source};

#[tokio::test]
async fn axum_server_drains() {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let (feed, body) = source();
    let app = Router::new()
        .route("/", get("hello"))
        .route(
            "/stream",
            get(|| async move { Body::from_stream(body.stream()) }),
        )
        .layer(layer);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let addr = listener.local_addr().unwrap();
    let serving = shutdown(&handle).run(move |stop| async move {
        let server = Handle::new();
        tokio::spawn({
            let server = server.clone();
            async move {
                stop.await;
                server.graceful_shutdown(None);
            }
        });
        let bound = axum_server::from_tcp(listener)?.handle(server);
        bound.serve(app.into_make_service()).await
    });
    drains(addr, handle, feed, serving).await;
}
