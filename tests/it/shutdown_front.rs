//! What a report says of a front that was told of the stop, and of one that was not.

use std::time::Duration;

use axum::routing::get;
use axum::Router;
use http::Request;
use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tokio::time::{interval, Instant};
use tower::Service;
use tower_drain::{DrainHandle, DrainLayer, Shutdown, ShutdownReport, Timeouts};

type Uri = http::Uri;

/// A client that opens a connection for each request and goes on until it is refused, and how often it was answered.
async fn goes_on(uri: Uri, every: Duration, until: Instant) -> usize {
    let client = Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .build_http::<Empty<bytes::Bytes>>();
    let mut ticks = interval(every);
    let mut answered = 0;
    while Instant::now() < until {
        ticks.tick().await;
        let request = Request::get(uri.clone()).body(Empty::new()).unwrap();
        match client.request(request).await {
            Ok(_) => answered += 1,
            Err(_) => break,
        }
    }
    answered
}

/// A stop under a client of `path`, which ends `early` before the lame duck does.
async fn stopped_under(path: &str, early: Duration) -> (ShutdownReport, usize) {
    stopped(DrainHandle::new(), path, early).await
}

async fn stopped(handle: DrainHandle, path: &str, early: Duration) -> (ShutdownReport, usize) {
    let lame_duck = Duration::from_millis(1500);
    let layer = DrainLayer::from_handle(handle.clone());
    let app = Router::new()
        .route("/", get(|| async { "hello" }))
        .layer(layer)
        .route_service("/readyz", handle.readiness());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}{path}", listener.local_addr().unwrap());
    let timeouts = Timeouts::default().lame_duck(lame_duck);
    let shutdown = Shutdown::new(handle.clone()).timeouts(timeouts);
    let until = Instant::now() + lame_duck - early;
    handle.request_exit("the test");
    let client = goes_on(uri.parse().unwrap(), Duration::from_millis(20), until);
    let (report, answered) = tokio::join!(shutdown.serve(listener, app), client);
    (report.unwrap(), answered)
}

#[tokio::test]
async fn a_front_that_goes_on_is_in_the_report() {
    let (report, answered) = stopped_under("/", Duration::ZERO).await;
    let front = report.front.expect("there was a lame duck");
    assert!(front.still_sends(), "{report}");
    assert_eq!(front.readiness_asked, Some(0));
    let late = front.late_requests.unwrap();
    assert!(late > 0 && late <= answered as u64, "{late} of {answered}");
    assert!(front.late_connections.unwrap() > 0);
    assert!(report.to_string().contains("readiness asked 0 times"));
}

#[tokio::test]
async fn a_front_that_has_stopped_is_not_blamed() {
    let (report, answered) = stopped_under("/", Duration::from_millis(1100)).await;
    assert!(answered > 0);
    assert!(!report.front.unwrap().still_sends(), "{report}");
}

#[tokio::test]
async fn probes_are_no_traffic() {
    let (report, answered) = stopped_under("/readyz", Duration::ZERO).await;
    let front = report.front.unwrap();
    assert!(!front.still_sends(), "{report}");
    let asked = front.readiness_asked.unwrap();
    assert!(
        asked > 0 && asked <= answered as u64 + 1,
        "{asked} of {answered}"
    );
}

/// Where the advice is to have them: on a server of their own. They say nothing of what comes to this one.
#[tokio::test]
async fn probes_elsewhere_do_not_hide_what_still_comes() {
    let handle = DrainHandle::new();
    let probed = handle.clone();
    let probes = tokio::spawn(async move {
        let mut readiness = probed.readiness();
        let mut ticks = interval(Duration::from_millis(1));
        loop {
            ticks.tick().await;
            readiness.call(Request::new(())).await.unwrap();
        }
    });
    let (report, _) = stopped(handle, "/", Duration::ZERO).await;
    probes.abort();
    assert!(report.front.unwrap().still_sends(), "{report}");
}
