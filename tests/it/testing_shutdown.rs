//! What `tower_drain::testing` says of a whole shutdown, of right services and of wrong ones.

use std::time::Duration;

use axum::routing::get;
use axum::Router;
use tower_drain::testing::{DrainTest, End};
use tower_drain::{
    DrainHandle, DrainLayer, DrainReason, HookOutcome, Phase, Shutdown, StragglerPhase, Timeouts,
};

use crate::testing_support::{endless, events, failure, limited, SECOND};

fn routes() -> Router {
    Router::new()
        .route("/events", get(|| async { events(&["data: 1\n\n"; 8]) }))
        .route("/prices", get(|| async { endless() }))
}

/// The routes, with the layer around them.
fn right() -> (DrainHandle, DrainTest<Router>) {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let test = DrainTest::new(routes().layer(layer), handle.clone());
    (handle, limited(test))
}

/// The routes, without the layer.
fn wrong() -> (DrainHandle, DrainTest<Router>) {
    let handle = DrainHandle::new();
    let test = DrainTest::new(routes(), handle.clone());
    (handle, limited(test))
}

fn quick() -> Timeouts {
    Timeouts::default().drain(20 * SECOND).close(2 * SECOND)
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_takes_all_its_steps_around_the_requests_of_the_test() {
    let (handle, test) = right();
    let open = test.open("/events").await;
    let shutdown = Shutdown::new(handle.clone())
        .timeouts(quick())
        .on_begin("tell", SECOND, |_| async { Ok(()) })
        .on_drained("close", SECOND, |_| async {
            Err("the pool is gone".into())
        });
    let shutdown = test.begin(shutdown).await;
    assert_eq!(handle.phase(), Phase::LameDuck);
    test.assert_serves("/events").await;
    test.until(Phase::Draining).await;
    test.assert_rejects("/events").await;
    assert!(open.is_open().await);
    assert_eq!(open.ended().await, End::Complete);

    let report = shutdown.report().await;
    assert!(report.is_complete(), "{report}");
    assert_eq!(report.reason, DrainReason::from("a test"));
    assert_eq!(
        (report.in_flight, report.rejected, report.unflushed),
        (1, 1, 0)
    );
    let outcomes: Vec<_> = report.hooks.iter().map(|hook| &hook.outcome).collect();
    let failed = HookOutcome::Failed("the pool is gone".into());
    assert_eq!(outcomes, [&HookOutcome::Done, &failed]);
    let phases = &report.phases;
    assert_eq!(
        (phases.lame_duck.as_secs(), phases.settle.as_secs()),
        (5, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn what_outlasts_the_drain_is_cut_and_in_the_report() {
    let (handle, test) = right();
    let open = test.open("/prices").await;
    let guard = handle.try_guard_as("a socket").unwrap();
    let shutdown = test.begin(Shutdown::new(handle).timeouts(quick())).await;
    assert_eq!(open.ended().await, End::Cut);
    let report = shutdown.report().await;
    assert_eq!((report.in_flight, report.cut), (2, 1));
    let [held] = &report.still_held[..] else {
        panic!("{report}");
    };
    assert_eq!(
        (held.label.as_deref(), held.phase),
        (Some("a socket"), StragglerPhase::Guard)
    );
    drop(guard);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_that_only_runs_waits_for_its_own_trigger() {
    let (handle, test) = right();
    let trigger = async {
        tokio::time::sleep(3 * SECOND).await;
        DrainReason::Goodbye
    };
    let shutdown = Shutdown::new(handle.clone()).timeouts(quick());
    let shutdown = test.run(shutdown.trigger(trigger)).await;
    assert_eq!(handle.phase(), Phase::Serving);
    test.until(Phase::LameDuck).await;
    assert_eq!(shutdown.report().await.reason, DrainReason::Goodbye);
}

#[tokio::test(start_paused = true)]
async fn a_stopped_server_waits_for_requests_that_the_layer_does_not_count() {
    let (handle, test) = wrong();
    let open = test.open("/prices").await;
    let shutdown = test.begin(Shutdown::new(handle).timeouts(quick())).await;
    let report = shutdown.report().await;
    assert_eq!((report.in_flight, report.cut, report.unflushed), (0, 0, 1));
    assert!(!report.is_complete() && open.is_open().await);
}

#[tokio::test(start_paused = true)]
async fn a_rejection_that_is_missing_fails_and_says_what_came_instead() {
    let (handle, test) = wrong();
    handle.begin_shutdown();
    let said = failure(async move { test.assert_rejects("/prices").await }).await;
    let caller = format!("{}:{}:", file!(), line!() - 1);
    assert!(said.starts_with(&caller), "{said}");
    let expected =
        "GET /prices: its body is open, with status 200 and 0 bytes; expected it to be rejected";
    assert!(said.ends_with(expected), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_rejection_that_comes_too_early_fails() {
    let (handle, test) = right();
    handle.begin_shutdown();
    let said = failure(async move { test.assert_serves("/events").await }).await;
    let expected =
        "GET /events: it is rejected, with status 503 and 29 bytes; expected it to be served";
    assert!(said.ends_with(expected), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_phase_that_never_comes_fails_and_names_both() {
    let (handle, test) = right();
    let _held = test.open("/prices").await;
    handle.begin_shutdown();
    let said = failure(async move { test.until(Phase::Drained).await }).await;
    let expected = "the phase is Draining after 60 s more; expected Drained";
    assert!(said.ends_with(expected), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_report_that_never_comes_fails_and_says_who_is_waited_for() {
    let (handle, test) = right();
    let timeouts = Timeouts::default().drain(Duration::from_secs(200));
    let held = test.open("/prices").await;
    let shutdown = test.begin(Shutdown::new(handle).timeouts(timeouts)).await;
    let said = failure(shutdown.report()).await;
    let expected = "the shutdown is not over after 60 s more, in phase Draining with 1 in flight";
    assert!(
        said.contains(expected) && said.contains("/prices"),
        "{said}"
    );
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn a_configuration_that_does_not_hold_fails_with_its_error() {
    let (handle, test) = right();
    let timeouts = Timeouts::default().platform(SECOND);
    let shutdown = test.begin(Shutdown::new(handle).timeouts(timeouts)).await;
    let said = failure(shutdown.report()).await;
    assert!(
        said.contains("the shutdown does not run: ") && said.contains("1 s"),
        "{said}"
    );
}

#[tokio::test]
async fn a_clock_that_runs_is_refused() {
    let said = failure(async { DrainTest::new(routes(), DrainHandle::new()) }).await;
    assert!(
        said.contains("#[tokio::test(start_paused = true)]"),
        "{said}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_no_path_is_refused() {
    let (_, test) = right();
    let said = failure(async move { drop(test.open("a path").await) }).await;
    assert!(
        said.starts_with("\"a path\" is not the path of a URI"),
        "{said}"
    );
}

#[tokio::test(start_paused = true)]
async fn tests_requests_and_shutdowns_say_how_they_stand() {
    let (handle, test) = right();
    let open = test.open("/events").await;
    assert!(format!("{test:?}").contains("open: 1"), "{test:?}");
    let said =
        "OpenRequest { request: \"GET /events\", status: Some(200), bytes: 0, end: None, .. }";
    assert_eq!(format!("{open:?}"), said);
    let shutdown = test.begin(Shutdown::new(handle)).await;
    let said = format!("{shutdown:?}");
    assert!(
        said.contains("phase: LameDuck") && said.contains("is_over: false"),
        "{said}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_duration_max_is_none() {
    let (handle, test) = right();
    let test = test.limit(Duration::MAX);
    tokio::spawn(async move {
        // More than the 30 years at which tokio's clock ends.
        tokio::time::sleep(Duration::from_secs(1_000_000_000)).await;
        handle.begin_lame_duck();
    });
    test.until(Phase::LameDuck).await;
}
