//! `Debug` and `Display` of live values: short, and of use to whoever reads them.

use std::time::Duration;

use tokio_test::assert_ready;
use tokio_test::task::spawn;
use tower_drain::{DrainHandle, DrainLayer, DrainReason, Phase, RequestHead, Unavailable};

use crate::support::{answer, get, App, Script};

#[test]
fn layer_service_and_handle_tell_what_they_are() {
    let layer = DrainLayer::new()
        .exempt(|_| true)
        .retry_after(Duration::from_secs(5));
    let app = App::of(layer.clone());
    let _guard = app.handle.try_guard().unwrap();
    let said = format!("{layer:?}");
    assert!(
        said.contains("phase: Serving") && said.contains("in_flight: 1"),
        "{said}"
    );
    let said = format!("{:?}", app.service);
    assert!(
        said.contains("Handlers") && said.contains("exempt: 1") && said.contains("\"5\""),
        "{said}"
    );
    assert_eq!(
        format!("{:?}", app.handle),
        "DrainHandle { phase: Serving, in_flight: 1, .. }"
    );
    assert_eq!(format!("{:?}", Unavailable::default()), "Unavailable");
}

#[test]
fn a_response_future_says_how_far_it_is() {
    let mut app = App::new();
    let (mut opened, call) = app.open(get("/"));
    assert!(format!("{:?}", *opened).contains("serving"));
    call.answer(&Script::new());
    let body = answer(&mut opened).into_body();
    assert!(format!("{:?}", *opened).contains("done"));
    assert!(format!("{body:?}").contains("in_flight: true"));
    app.handle.begin_shutdown();
    let mut rejected = app.send(get("/"));
    assert!(format!("{:?}", *rejected).contains("rejected"));
    assert!(format!("{:?}", answer(&mut rejected).body()).contains("in_flight: false"));
}

/// Asks the handle about everything while something of it is written.
struct Asks(DrainHandle);

impl std::fmt::Write for Asks {
    fn write_str(&mut self, _: &str) -> std::fmt::Result {
        let _ = (self.0.status(), self.0.stragglers(), self.0.nonce());
        Ok(())
    }
}

#[test]
fn whoever_a_debug_is_written_to_may_ask_the_handle() {
    let handle = DrainHandle::new();
    let guard = handle.try_guard_as("a job").unwrap();
    let tracked = handle.track(async {}).unwrap();
    let wait = handle.wait_for_drain(Duration::MAX);
    let (changed, leaving, draining) = (handle.changed(), handle.leaving(), handle.draining());
    let told = guard.cut();
    let all: [&dyn std::fmt::Debug; 8] = [
        &handle, &guard, &tracked, &wait, &changed, &leaving, &draining, &told,
    ];
    for one in all {
        std::fmt::write(&mut Asks(handle.clone()), format_args!("{one:#?}")).unwrap();
    }
}

#[test]
fn guards_and_futures_have_a_debug() {
    let handle = DrainHandle::new();
    let guard = handle.try_guard_as("a job").unwrap();
    let said = format!("{guard:?}");
    assert!(
        said.contains("a job") && said.contains("is_cut: false"),
        "{said}"
    );
    let mut tracked = spawn(Box::pin(handle.track(async {}).unwrap()));
    assert!(format!("{:?}", *tracked).contains("in_flight: true"));
    assert!(assert_ready!(tracked.poll()).is_some());
    assert!(format!("{:?}", *tracked).contains("in_flight: false"));
    let waits = (
        handle.leaving(),
        handle.draining(),
        handle.changed(),
        guard.cut(),
    );
    let said = format!("{waits:?} {:?}", handle.wait_for_drain(Duration::ZERO));
    for name in ["Leaving", "Draining", "Changed", "GuardCut", "WaitForDrain"] {
        assert!(said.contains(name), "{name} in {said}");
    }
}

#[test]
fn values_have_a_debug_and_those_for_people_a_display() {
    let handle = DrainHandle::new();
    handle.begin_shutdown_because(DrainReason::Signal("SIGTERM".into()));
    let report = assert_ready!(spawn(handle.wait_for_drain(Duration::MAX)).poll()).unwrap();
    assert!(format!("{report:?}").contains("in_flight_at_start: 0"));
    assert_eq!(
        report.to_string(),
        "drained in 0.0 s: 0 in flight at the start, 0 cut, 0 rejected"
    );
    let said = format!("{:?}", handle.status());
    assert!(
        said.contains("Drained") && said.contains("SIGTERM"),
        "{said}"
    );
    let error = handle.try_guard().unwrap_err();
    assert_eq!(format!("{error:?}"), "ShuttingDown(())");
    assert_eq!(format!("{:>10}", Phase::LameDuck), " lame duck");
    for (reason, words) in [
        (DrainReason::Requested, "requested"),
        (DrainReason::Goodbye, "goodbye"),
        (DrainReason::Signal("SIGINT".into()), "SIGINT"),
        (DrainReason::from(String::from("a deploy")), "a deploy"),
        (
            DrainReason::ConnectivityLost {
                failures: 2,
                last_error: "timed out".into(),
            },
            "connectivity lost after 2 failures: timed out",
        ),
    ] {
        assert_eq!(reason.to_string(), words);
    }
}

#[test]
fn a_request_head_has_a_debug() {
    let layer =
        DrainLayer::new().exempt(|head: &RequestHead<'_>| format!("{head:?}").contains("/livez"));
    let mut app = App::of(layer);
    drop(app.open(get("/livez")));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_says_how_many_and_the_way_out() {
    let handle = DrainHandle::new();
    let _guard = handle.try_guard().unwrap();
    handle.begin_shutdown();
    let error = handle
        .wait_for_drain(Duration::from_secs(2))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "1 still in flight after 2.0 s: `cut` them, or wait longer"
    );
}
