//! Where in an axum application the layer may stand, and which handle counts what.

use axum::body::Body;
use axum::routing::get;
use axum::Router;
use http::Method;
use tower_drain::{DrainHandle, DrainLayer};
use tower_http::cors::{Any, CorsLayer};
use tower_http::trace::TraceLayer;

use crate::sockets_raw::Raw;
use crate::sockets_support::{drained, serve, Server, Step};

async fn status(server: &Server, path: &str) -> String {
    let mut client = Raw::connect(server.addr).await;
    client.get(path).await.status().to_owned()
}

/// A route that tells what is in flight while it runs.
fn counting(handle: &DrainHandle) -> axum::routing::MethodRouter {
    let handle = handle.clone();
    get(move || async move { handle.in_flight().to_string() })
}

async fn body(server: &Server, path: &str) -> String {
    let mut client = Raw::connect(server.addr).await;
    client.get(path).await.body
}

#[tokio::test]
async fn cors_and_trace_outside_the_layer_see_rejections_and_answer_preflights_themselves() {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET]);
    let app = Router::new()
        .route("/", counting(&handle))
        .layer(layer)
        .layer(TraceLayer::new_for_http())
        .layer(cors);
    let server = serve(app).await;
    assert_eq!(body(&server, "/").await, "1");
    handle.begin_shutdown();

    let mut client = Raw::connect(server.addr).await;
    client
        .send("GET / HTTP/1.1\r\nhost: x\r\norigin: http://y\r\n\r\n")
        .await;
    let rejected = client.answer("GET").await;
    assert_eq!(rejected.status(), "503");
    assert_eq!(rejected.header("access-control-allow-origin"), ["*"]);
    assert_eq!(rejected.header("retry-after"), ["1"]);
    client.assert_end().await;

    let mut client = Raw::connect(server.addr).await;
    client
        .send(
            "OPTIONS / HTTP/1.1\r\nhost: x\r\norigin: http://y\r\n\
             access-control-request-method: GET\r\n\r\n",
        )
        .await;
    let preflight = client.answer("OPTIONS").await;
    assert_eq!(preflight.status(), "200");
    assert_eq!(preflight.header("access-control-allow-methods"), ["GET"]);
    assert_eq!(drained(&handle).await.rejected, 1);
}

#[tokio::test]
async fn on_a_router_the_layer_covers_routes_nests_merges_and_the_fallback() {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let counted = handle.clone();
    let inner = Router::new().route("/inner", counting(&handle));
    let merged = Router::new().route("/merged", counting(&handle));
    let app = Router::new()
        .route("/", counting(&handle))
        .nest("/nest", inner)
        .merge(merged)
        .fallback(
            move || async move { (http::StatusCode::NOT_FOUND, counted.in_flight().to_string()) },
        )
        .layer(layer)
        // After the layer, hence outside of it.
        .route("/livez", counting(&handle));
    let server = serve(app).await;
    let covered = ["/", "/nest/inner", "/merged", "/none"];
    for path in covered {
        assert_eq!(body(&server, path).await, "1", "{path}");
    }
    assert_eq!(body(&server, "/livez").await, "0");
    assert_eq!(status(&server, "/none").await, "404");
    handle.begin_shutdown();
    for path in covered {
        assert_eq!(status(&server, path).await, "503", "{path}");
    }
    assert_eq!(status(&server, "/livez").await, "200");
    assert_eq!(drained(&handle).await.rejected, 4);
}

#[tokio::test]
async fn on_a_method_router_or_a_nested_router_the_layer_covers_nothing_else() {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let nested = Router::new()
        .route("/inner", counting(&handle))
        .layer(layer.clone());
    let app = Router::new()
        .route("/", counting(&handle).layer(layer))
        .nest("/nest", nested)
        .route("/beside", counting(&handle));
    let server = serve(app).await;
    assert_eq!(body(&server, "/").await, "1");
    assert_eq!(body(&server, "/nest/inner").await, "1");
    assert_eq!(body(&server, "/beside").await, "0");
    handle.begin_shutdown();
    assert_eq!(status(&server, "/").await, "503");
    assert_eq!(status(&server, "/nest/inner").await, "503");
    assert_eq!(status(&server, "/beside").await, "200");
    assert_eq!(status(&server, "/none").await, "404");
}

/// A server whose `/held` waits for ever and tells that it was entered.
async fn holding(layer: DrainLayer, entered: &Step) -> Server {
    let entered = entered.clone();
    let held = || async move {
        entered.pass();
        std::future::pending::<Body>().await
    };
    serve(Router::new().route("/held", get(held)).layer(layer)).await
}

async fn held(server: &Server, entered: &Step) -> Raw {
    let mut client = Raw::connect(server.addr).await;
    client.ask("GET", "/held").await;
    entered.passed().await;
    client
}

#[tokio::test]
async fn one_handle_over_two_servers_counts_and_rejects_for_both() {
    let entered = Step::new();
    let handle = DrainHandle::new();
    let one = holding(DrainLayer::from_handle(handle.clone()), &entered).await;
    let two = holding(DrainLayer::from_handle(handle.clone()), &entered).await;
    let _one = held(&one, &entered).await;
    let _two = held(&two, &entered).await;
    assert_eq!(handle.in_flight(), 2);
    handle.begin_shutdown();
    assert_eq!(status(&one, "/held").await, "503");
    assert_eq!(status(&two, "/held").await, "503");
    assert_eq!(handle.cut(), 2);
    let report = drained(&handle).await;
    assert_eq!((report.in_flight_at_start, report.rejected), (2, 2));
}

#[tokio::test]
async fn two_handles_in_one_process_know_nothing_of_each_other() {
    let entered = Step::new();
    let (first, second) = (DrainLayer::new(), DrainLayer::new());
    let handles = [first.handle(), second.handle()];
    let one = holding(first, &entered).await;
    let two = holding(second, &entered).await;
    let _one = held(&one, &entered).await;
    assert_eq!([handles[0].in_flight(), handles[1].in_flight()], [1, 0]);
    drained(&handles[1]).await;
    assert_eq!(status(&two, "/held").await, "503");
    let _again = held(&one, &entered).await;
    assert_eq!(handles[0].in_flight(), 2);
    assert_eq!(handles[1].cut(), 0);
    assert_eq!(handles[0].cut(), 2);
    drained(&handles[0]).await;
}
