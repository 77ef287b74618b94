//! Waiting for requests on real connections: what holds a drain, what does not, and when the wait ends.

use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Path;
use axum::routing::get;
use axum::Router;
use futures_util::poll;
use http::{Request, Response};
use hyper::body::Incoming;
use tower::{Layer, Service};
use tower_drain::{BoxError, DrainError, DrainHandle, DrainLayer, Phase};

use crate::sockets_raw::Raw;
use crate::sockets_support::{drained, h2, h2_request, serve, serve_hyper, within, Server, Step};

struct Fixture {
    server: Server,
    handle: DrainHandle,
    entered: Step,
    gates: [Step; 3],
}

/// `/{n}` answers with 100 000 bytes once gate `n` was passed; `/livez` is exempt and tells what is in flight.
async fn fixture() -> Fixture {
    let layer = DrainLayer::new().exempt(|head| head.uri().path() == "/livez");
    let handle = layer.handle();
    let seen = handle.clone();
    let entered = Step::new();
    let gates = [Step::new(), Step::new(), Step::new()];
    let held = {
        let (entered, gates) = (entered.clone(), gates.clone());
        move |Path(gate): Path<usize>| async move {
            entered.pass();
            gates[gate].passed().await;
            Body::from("x".repeat(100_000))
        }
    };
    let app = Router::new()
        .route("/{gate}", get(held))
        .route(
            "/livez",
            get(move || async move { seen.in_flight().to_string() }),
        )
        .layer(layer);
    Fixture {
        server: serve(app).await,
        handle,
        entered,
        gates,
    }
}

impl Fixture {
    /// A connection with a request that is held at `gate`.
    async fn held(&self, gate: usize) -> Raw {
        let mut client = Raw::connect(self.server.addr).await;
        client.ask("GET", &format!("/{gate}")).await;
        self.entered.passed().await;
        client
    }
}

#[tokio::test]
async fn a_request_in_flight_holds_the_drain_and_the_server_and_completes_with_its_full_body() {
    let mut f = fixture().await;
    let mut client = f.held(0).await;
    f.handle.begin_shutdown();
    f.server.stop();
    let mut waiting = std::pin::pin!(f.handle.wait_for_drain(Duration::MAX));
    assert!(poll!(&mut waiting).is_pending());
    assert!(!f.server.has_returned());
    assert_eq!(f.handle.in_flight(), 1);

    f.gates[0].pass();
    let answer = client.answer("GET").await;
    assert_eq!((answer.status(), answer.body.len()), ("200", 100_000));
    let report = within(waiting).await.unwrap();
    assert_eq!((report.in_flight_at_start, report.cut), (1, 0));
    f.server.returned().await;
}

#[tokio::test]
async fn a_connection_that_is_idle_before_or_after_a_request_holds_nothing() {
    let f = fixture().await;
    let mut before = Raw::connect(f.server.addr).await;
    let mut after = f.held(0).await;
    f.gates[0].pass();
    assert_eq!(after.answer("GET").await.status(), "200");
    let report = drained(&f.handle).await;
    assert_eq!(report.in_flight_at_start, 0);
    f.server.returned().await;
    before.assert_end().await;
    after.assert_end().await;
}

#[tokio::test]
async fn each_of_several_connections_is_told_to_close_exactly_once() {
    let mut f = fixture().await;
    let mut clients = [f.held(0).await, f.held(1).await, f.held(2).await];
    let beginners = [(); 3].map(|()| f.handle.begin_shutdown());
    assert_eq!(beginners, [true, false, false]);
    // hyper says it as well, once its own shutdown has begun.
    f.server.stop();
    for (gate, client) in clients.iter_mut().enumerate() {
        f.gates[gate].pass();
        let answer = client.answer("GET").await;
        assert_eq!(answer.header("connection"), ["close"]);
        client.assert_end().await;
    }
    assert_eq!(drained(&f.handle).await.in_flight_at_start, 3);
}

#[tokio::test]
async fn the_wait_ends_with_the_last_request_and_not_with_its_limit() {
    let f = fixture().await;
    let mut clients = [f.held(0).await, f.held(1).await];
    f.handle.begin_shutdown();
    let an_hour = Duration::from_secs(3600);
    let mut waiting = std::pin::pin!(f.handle.wait_for_drain(an_hour));
    f.gates[0].pass();
    assert_eq!(clients[0].answer("GET").await.status(), "200");
    assert!(poll!(&mut waiting).is_pending(), "one of two is left");
    f.gates[1].pass();
    assert_eq!(clients[1].answer("GET").await.status(), "200");
    let report = within(waiting).await.unwrap();
    assert!(report.waited < an_hour);
    assert_eq!(f.handle.phase(), Phase::Drained);
}

#[tokio::test]
async fn after_the_limit_the_fast_one_is_whole_and_a_cut_ends_the_slow_one() {
    let f = fixture().await;
    let (mut fast, mut slow) = (f.held(0).await, f.held(1).await);
    f.handle.begin_shutdown();
    f.gates[0].pass();
    let answer = fast.answer("GET").await;
    assert_eq!((answer.status(), answer.body.len()), ("200", 100_000));
    let waiting = f.handle.wait_for_drain(Duration::from_millis(50));
    let error = within(waiting).await.unwrap_err();
    let DrainError::TimedOut {
        in_flight, waited, ..
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!(in_flight, 1);
    assert!(waited >= Duration::from_millis(50));
    assert_eq!(f.handle.in_flight(), 1, "the limit alone ends nobody");

    assert_eq!(f.handle.cut(), 1);
    assert_eq!(slow.answer("GET").await.status(), "500");
    assert_eq!(drained(&f.handle).await.cut, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_probe_in_a_loop_is_always_200_and_does_not_hold_the_drain() {
    let f = fixture().await;
    let mut held = f.held(0).await;
    let addr = f.server.addr;
    let (probed, stop) = (Step::new(), tokio_util::sync::CancellationToken::new());
    let probe = {
        let (probed, stop) = (probed.clone(), stop.clone());
        tokio::spawn(async move {
            while !stop.is_cancelled() {
                let mut client = Raw::connect(addr).await;
                let answer = client.get("/livez").await;
                assert_eq!((answer.status(), &*answer.body), ("200", "1"));
                probed.pass();
            }
        })
    };
    probed.passed().await;
    f.handle.begin_lame_duck();
    for _ in 0..20 {
        probed.passed().await;
    }
    f.handle.begin_shutdown();
    for _ in 0..20 {
        probed.passed().await;
    }
    stop.cancel();
    within(probe).await.unwrap();

    f.gates[0].pass();
    assert_eq!(held.answer("GET").await.status(), "200");
    assert_eq!(drained(&f.handle).await.rejected, 0);
    let mut client = Raw::connect(addr).await;
    let answer = client.get("/livez").await;
    assert_eq!((answer.status(), &*answer.body), ("200", "0"));
}

/// Never ready, and tells when somebody waits for it.
#[derive(Clone)]
struct Full(Step);

impl Service<Request<Incoming>> for Full {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = std::future::Pending<Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.pass();
        Poll::Pending
    }

    fn call(&mut self, _: Request<Incoming>) -> Self::Future {
        panic!("it was never ready")
    }
}

#[tokio::test]
async fn a_request_that_waits_for_a_full_service_is_rejected_when_the_drain_begins() {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let waits = Step::new();
    let addr = serve_hyper(layer.layer(Full(waits.clone()))).await;
    let mut client = Raw::connect(addr).await;
    client.ask("GET", "/").await;
    let (mut other, _connection) = h2(addr).await;
    let asking = tokio::spawn(other.send_request(h2_request("GET", "/")));
    waits.passed().await;
    waits.passed().await;
    assert_eq!(handle.in_flight(), 0, "what waits is not admitted");
    handle.begin_shutdown();
    assert_eq!(client.answer("GET").await.status(), "503");
    assert_eq!(within(asking).await.unwrap().unwrap().status(), 503);
    assert_eq!(drained(&handle).await.rejected, 2);
}
