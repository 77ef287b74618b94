//! A drain whose time is over is lifted, whatever became of the runtime that its timer was started in.

use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tokio::runtime::{Builder, Runtime};
use tokio::time::advance;
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready, assert_ready_eq};
use tower::Service;
use tower_drain::{DrainError, DrainHandle, DrainReason, Phase};

use crate::admin_support::{admin, plain, post, said};
use crate::sockets_support::LONG;
use crate::support::{answer, get, poll_ready, App};

const MS: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);

/// The phase without a call that would lift the drain.
fn serves(handle: &DrainHandle) -> bool {
    format!("{handle:?}").contains("phase: Serving")
}

#[track_caller]
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let from = Instant::now();
    while !is_so() {
        assert!(from.elapsed() < LONG, "{what}");
        thread::sleep(MS);
    }
}

fn runtime(is_paused: bool) -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().start_paused(is_paused);
    builder.build().unwrap()
}

/// Begins to reject for `ttl` in a runtime that is gone at the return.
fn rejecting_since_a_runtime_that_is_gone(handle: &DrainHandle, ttl: Duration, is_paused: bool) {
    runtime(is_paused).block_on(async {
        handle.begin_lame_duck_for(ttl, "a try".into()).unwrap();
        handle.begin_shutdown();
    });
    assert!(!serves(handle));
}

/// Runs `then` on a clock by which the time of a rejecting drain is over. The clock of its timer stands still, so that
/// only what `then` does can lift it.
fn overdue(app: &mut App, then: impl FnOnce(&mut App)) {
    rejecting_since_a_runtime_that_is_gone(&app.handle, MINUTE, true);
    runtime(true).block_on(async {
        advance(MINUTE + MS).await;
        assert!(!serves(&app.handle));
        then(app);
    });
}

#[test]
fn a_request_that_would_be_rejected_is_served() {
    overdue(&mut App::new(), |app| {
        let (opened, _call) = app.open(get("/"));
        assert!(serves(&app.handle));
        let status = app.handle.status();
        assert_eq!((status.in_flight, status.rejected), (1, 0));
        drop(opened);
    });
}

#[test]
fn readiness_is_that_of_the_inner_service_again() {
    let mut app = App::new();
    app.handlers.busy();
    overdue(&mut app, |app| {
        assert!(poll_ready(&mut app.service).is_pending());
        assert!(serves(&app.handle));
        app.handlers.free();
        drop(app.open(get("/")));
    });
}

#[test]
fn an_inner_service_that_was_not_polled_ready_is_not_called_for_it() {
    let mut app = App::new();
    app.handlers.busy();
    rejecting_since_a_runtime_that_is_gone(&app.handle, MINUTE, true);
    runtime(true).block_on(async {
        assert_eq!(poll_ready(&mut app.service), Poll::Ready(Ok(())));
        advance(MINUTE + MS).await;
        let response = answer(&mut spawn(app.service.call(get("/"))));
        assert_eq!(
            (response.status(), app.handlers.called()),
            (503.try_into().unwrap(), 0)
        );
        assert!(serves(&app.handle), "but the next one need not wait");
        assert_eq!(app.handle.in_flight(), 0);
    });
}

#[test]
fn a_future_that_is_polled_sees_the_end() {
    let handle = DrainHandle::new();
    let _guard = handle.try_guard().unwrap();
    rejecting_since_a_runtime_that_is_gone(&handle, MINUTE, true);
    let mut changed = spawn(handle.changed());
    runtime(true).block_on(async {
        assert_pending!(changed.poll());
        advance(MINUTE + MS).await;
        assert_ready_eq!(changed.poll(), Phase::Serving);
    });

    rejecting_since_a_runtime_that_is_gone(&handle, MINUTE, true);
    let mut waiting = spawn(handle.wait_for_drain(Duration::MAX));
    runtime(true).block_on(async {
        assert_pending!(waiting.poll());
        advance(MINUTE + MS).await;
        assert_ready_eq!(waiting.poll(), Err(DrainError::Resumed));
    });
}

/// Nothing polls them, and nothing else happens, but that the time passes.
#[test]
fn a_future_that_waits_is_woken_without_any_runtime() {
    let gone: fn(&DrainHandle) -> Option<Runtime> = |handle| {
        rejecting_since_a_runtime_that_is_gone(handle, 50 * MS, false);
        None
    };
    let idle: fn(&DrainHandle) -> Option<Runtime> = |handle| {
        let runtime = runtime(false);
        let _entered = runtime.enter();
        handle.begin_lame_duck_for(50 * MS, "a try".into()).unwrap();
        handle.begin_shutdown();
        drop(_entered);
        Some(runtime)
    };
    for begin in [gone, idle] {
        let handle = DrainHandle::new();
        let _guard = handle.try_guard().unwrap();
        let _runtime = begin(&handle);
        let mut changed = spawn(handle.changed());
        let mut waiting = spawn(handle.wait_for_drain(Duration::MAX));
        assert_pending!(changed.poll());
        assert_pending!(waiting.poll());
        eventually("not woken", || changed.is_woken() && waiting.is_woken());
        assert_ready_eq!(changed.poll(), Phase::Serving);
        assert_eq!(assert_ready!(waiting.poll()), Err(DrainError::Resumed));
    }
}

#[test]
fn a_timer_that_fires_before_the_drain_is_on_is_not_the_last_word() {
    let several = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let ttls = [Duration::ZERO, Duration::from_micros(20), MS];
    for ttl in ttls.into_iter().cycle().take(300) {
        for entered in [None, Some(several.enter())] {
            let handle = DrainHandle::new();
            handle.begin_lame_duck_for(ttl, "a try".into()).unwrap();
            drop(entered);
            eventually("a lame duck for ever", || serves(&handle));
        }
    }
}

#[test]
fn no_time_at_all_is_over_when_the_call_returns() {
    let begun = || {
        let handle = DrainHandle::new();
        let mut changed = spawn(handle.changed());
        assert_pending!(changed.poll());
        assert!(handle
            .begin_lame_duck_for(Duration::ZERO, "a try".into())
            .is_some());
        assert!(serves(&handle) && changed.is_woken());
    };
    begun();
    runtime(false).block_on(async { begun() });
    runtime(true).block_on(async { begun() });
}

#[test]
fn a_restore_with_a_moment_left_is_lifted_as_well() {
    for left in (0..50).map(|round| 1 + round % 2) {
        let until = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + left * MS;
        let kept = json!({
            "phase": if left == 1 { "draining" } else { "lame_duck" },
            "nonce": 7, "remaining_ms": left, "until_unix_ms": until.as_millis() as u64,
        });
        let handle = DrainHandle::restore(serde_json::from_value(kept).unwrap());
        eventually("restored for ever", || serves(&handle));
    }
}

#[test]
fn the_shortest_order_is_lifted_as_well() {
    for _ in 0..50 {
        let handle = DrainHandle::new();
        said(&admin(&handle), post("/drain", r#"{"ttl_s":0.001}"#)).nonce();
        eventually("ordered for ever", || serves(&handle));
    }
}

type Look = fn(&DrainHandle) -> bool;

#[test]
fn every_call_finds_it_lifted() {
    let looks: [(&str, Look); 22] = [
        ("phase", |handle| handle.phase() == Phase::Serving),
        ("is_draining", |handle| !handle.is_draining()),
        ("reason", |handle| handle.reason().is_none()),
        ("nonce", |handle| handle.nonce().is_none()),
        ("status", |handle| handle.status().phase == Phase::Serving),
        ("snapshot", |handle| handle.snapshot().nonce().is_none()),
        ("in_flight", |handle| handle.in_flight() == 0),
        ("stragglers", |handle| handle.stragglers().is_empty()),
        ("cut", |handle| handle.cut() == 0),
        ("seal", |handle| handle.seal()),
        ("try_guard", |handle| handle.try_guard().is_ok()),
        ("try_guard_as", |handle| {
            handle.try_guard_as("a job").is_ok()
        }),
        ("track", |handle| handle.track(async {}).is_ok()),
        ("changed", |handle| {
            spawn(handle.changed()).poll().is_pending()
        }),
        ("leaving", |handle| {
            spawn(handle.leaving()).poll().is_pending()
        }),
        ("draining", |handle| {
            spawn(handle.draining()).poll().is_pending()
        }),
        ("wait_for_drain", |handle| {
            spawn(handle.wait_for_drain(MINUTE)).poll().is_pending()
        }),
        ("a stale resume", |handle| {
            let stale = tower_drain::DrainNonce::from_u64(1);
            handle.resume(stale).unwrap_err().is_stale()
        }),
        ("liveness", |handle| {
            said(&handle.liveness(), plain("GET", "/"))
                .header("connection")
                .is_empty()
        }),
        ("readiness", |handle| {
            said(&handle.readiness(), plain("GET", "/")).status == 200
        }),
        ("status service", |handle| {
            let status = handle.status_service().detailed();
            said(&status, plain("GET", "/")).json()["phase"] == "serving"
        }),
        ("a refused order", |handle| {
            let stale = said(&admin(handle), post("/ready", r#"{"nonce":1}"#));
            stale.status == 409 && stale.json()["phase"] == "serving"
        }),
    ];
    for (what, is_lifted) in looks {
        overdue(&mut App::new(), |app| {
            assert!(is_lifted(&app.handle), "{what}");
            assert!(serves(&app.handle), "{what}");
        });
    }
}

#[test]
fn a_begin_or_an_order_is_a_drain_of_its_own() {
    let begins: [(&str, Look); 4] = [
        ("begin_lame_duck", |handle| handle.begin_lame_duck()),
        ("begin_shutdown", |handle| handle.begin_shutdown()),
        ("begin_lame_duck_for", |handle| {
            let reason = DrainReason::Requested;
            handle.begin_lame_duck_for(MINUTE, reason).is_some()
        }),
        ("an order", |handle| {
            said(&admin(handle), post("/drain", "")).status == 200
        }),
    ];
    for (what, begins) in begins {
        overdue(&mut App::new(), |app| {
            assert!(begins(&app.handle), "{what}");
            assert_eq!(app.handle.reason(), Some(DrainReason::Requested), "{what}");
        });
    }
}

#[test]
fn a_seal_does_not_make_it_final() {
    overdue(&mut App::new(), |app| {
        assert!(app.handle.seal());
        drop(app.open(get("/")));
        assert_eq!(
            app.handle.begin_lame_duck_because("the end".into()),
            app.handle.nonce()
        );
        assert_eq!(app.handle.reason(), Some("the end".into()));
        assert_eq!(app.handle.snapshot().phase(), Phase::Serving);
    });
}

#[cfg(feature = "shutdown")]
#[test]
fn a_trigger_finds_a_service_that_serves() {
    let handle = DrainHandle::new();
    rejecting_since_a_runtime_that_is_gone(&handle, MINUTE, true);
    runtime(true).block_on(async {
        let shutdown = tower_drain::Shutdown::new(handle.clone());
        let running = tokio::spawn(shutdown.run(|stop| async {
            stop.await;
            Ok::<_, std::io::Error>(())
        }));
        advance(MINUTE + MS).await;
        assert!(!serves(&handle));
        handle.request_exit("a new version");
        let began = tokio::time::Instant::now();
        running.await.unwrap().unwrap();
        assert_eq!(handle.reason(), Some("a new version".into()));
        assert!(
            began.elapsed() >= Duration::from_secs(5),
            "without its lame duck"
        );
    });
}
