//! Liveness and readiness.

use std::future::ready;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::Barrier;
use std::thread;

use http::{Request, Response, Version};
use tokio_test::assert_ready;
use tokio_test::task::spawn;
use tower::{service_fn, Layer, Service};
use tower_drain::{DrainHandle, DrainLayer, Phase};

use crate::admin_support::{plain, said};
use crate::support::{get, poll_ready, Script};

fn in_every_phase(mut look: impl FnMut(&DrainHandle, Phase)) {
    let handle = DrainHandle::new();
    look(&handle, Phase::Serving);
    let nonce = handle.begin_lame_duck_because("a try".into()).unwrap();
    look(&handle, Phase::LameDuck);
    let guard = handle.try_guard().unwrap();
    handle.begin_shutdown();
    look(&handle, Phase::Draining);
    drop(guard);
    look(&handle, Phase::Drained);
    handle.resume(nonce).unwrap();
    look(&handle, Phase::Serving);
}

#[test]
fn liveness_is_200_in_every_phase() {
    in_every_phase(|handle, phase| {
        let live = said(&handle.liveness(), plain("GET", "/livez"));
        assert_eq!((live.status.as_u16(), &live.body[..]), (200, &b"ok\n"[..]));
        assert_eq!(handle.phase(), phase);
    });
}

#[test]
fn readiness_is_200_while_serving_and_503_from_the_lame_duck_on_and_names_the_phase() {
    in_every_phase(|handle, phase| {
        let ready = said(&handle.readiness(), plain("GET", "/readyz"));
        let expected = match phase {
            Phase::Serving => 200,
            _ => 503,
        };
        assert_eq!(ready.status, expected, "{phase}");
        assert_eq!(ready.body, format!("{phase}\n"));
    });
}

#[test]
fn probes_are_never_stored() {
    in_every_phase(|handle, _| {
        for probe in [
            said(&handle.liveness(), plain("GET", "/")),
            said(&handle.readiness(), plain("GET", "/")),
            said(&handle.status_service(), plain("GET", "/")),
        ] {
            assert_eq!(probe.header("cache-control"), "no-store");
        }
    });
}

#[test]
fn head_is_answered_as_get_without_the_body() {
    in_every_phase(|handle, _| {
        let (got, head) = (plain("GET", "/"), plain("HEAD", "/"));
        let pairs = [
            (
                said(&handle.liveness(), got.clone()),
                said(&handle.liveness(), head.clone()),
            ),
            (
                said(&handle.readiness(), got.clone()),
                said(&handle.readiness(), head.clone()),
            ),
            (
                said(&handle.status_service(), got),
                said(&handle.status_service(), head),
            ),
        ];
        for (got, head) in pairs {
            assert_eq!(
                (got.status, got.header("content-type")),
                (head.status, head.header("content-type"))
            );
            assert_eq!(head.header("content-length"), got.body.len().to_string());
            assert!(head.body.is_empty() && !got.body.is_empty());
        }
    });
}

#[test]
fn another_method_is_405_and_told_which_are_allowed() {
    let handle = DrainHandle::new();
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"] {
        for refused in [
            said(&handle.liveness(), plain(method, "/")),
            said(&handle.readiness(), plain(method, "/")),
            said(&handle.status_service(), plain(method, "/")),
        ] {
            assert_eq!(refused.status, 405);
            assert_eq!(refused.header("allow"), "GET, HEAD");
            assert!(refused.error().contains(method));
        }
    }
    assert_eq!(handle.phase(), Phase::Serving);
}

#[test]
fn from_the_lame_duck_on_http1_answers_close_their_connection_without_a_layer_around() {
    in_every_phase(|handle, phase| {
        let closes = match phase {
            Phase::Serving => "",
            _ => "close",
        };
        for (version, expected) in [
            (Version::HTTP_11, closes),
            (Version::HTTP_10, closes),
            (Version::HTTP_2, ""),
        ] {
            for method in ["GET", "HEAD", "POST"] {
                let mut request = plain(method, "/");
                *request.version_mut() = version;
                let ready = said(&handle.readiness(), request.clone());
                assert_eq!(
                    ready.header("connection"),
                    expected,
                    "{phase} {version:?} {method}"
                );
                let live = said(&handle.liveness(), request.clone());
                assert_eq!(live.header("connection"), expected);
                let status = said(&handle.status_service(), request);
                assert_eq!(status.header("connection"), expected);
            }
        }
    });
}

#[test]
fn behind_an_exempting_layer_the_connection_is_closed_once() {
    let layer = DrainLayer::new().exempt(|_| true);
    let handle = layer.handle();
    handle.begin_shutdown();
    let ready = said(&layer.layer(handle.readiness()), plain("GET", "/"));
    let values: Vec<_> = ready
        .headers
        .get_all("connection")
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect();
    assert_eq!((ready.status.as_u16(), values), (503, vec!["close"]));
}

#[test]
fn probes_are_neither_counted_nor_do_they_hold_the_drain() {
    let handle = DrainHandle::new();
    let mut service = handle.readiness();
    let open = service.call(plain("GET", "/"));
    handle.begin_shutdown();
    assert_eq!((handle.in_flight(), handle.phase()), (0, Phase::Drained));
    drop(open);
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    rejected: usize,
    ready_after_a_rejection: usize,
    ready_again: usize,
    rejected_after_ready: usize,
}

/// Whoever was rejected asks for readiness next; whoever sees 200 after a resume sends a request next.
#[test]
fn at_no_moment_does_readiness_say_200_and_a_request_is_rejected() {
    const ROUNDS: usize = 1_000;
    let (barrier, over) = (Barrier::new(3), AtomicBool::new(false));
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let asks = || {
        let answered = |_: Request<()>| ready(Ok::<_, &str>(Response::new(Script::new().body())));
        let mut app = layer.layer(service_fn(answered));
        let mut is_rejected = || {
            assert!(poll_ready(&mut app).is_ready());
            let answer = assert_ready!(spawn(app.call(get("/"))).poll());
            answer.unwrap().status() == 503
        };
        let is_ready = || said(&handle.readiness(), plain("GET", "/")).status == 200;
        let mut seen = Seen::default();
        loop {
            barrier.wait();
            if over.load(Relaxed) {
                return seen;
            }
            // Begun in this moment.
            while !is_rejected() {
                thread::yield_now();
            }
            seen.rejected += 1;
            seen.ready_after_a_rejection += usize::from(is_ready());
            barrier.wait();
            // And taken back in this one.
            while !is_ready() {
                thread::yield_now();
            }
            seen.ready_again += 1;
            seen.rejected_after_ready += usize::from(is_rejected());
        }
    };
    thread::scope(|scope| {
        let asking = [scope.spawn(asks), scope.spawn(asks)];
        for round in 0..ROUNDS {
            barrier.wait();
            let nonce = handle.begin_shutdown_because("a round".into()).unwrap();
            barrier.wait();
            handle.resume(nonce).unwrap();
            over.store(round + 1 == ROUNDS, Relaxed);
        }
        barrier.wait();
        for asking in asking {
            let never = Seen {
                rejected: ROUNDS,
                ready_again: ROUNDS,
                ..Seen::default()
            };
            assert_eq!(asking.join().unwrap(), never);
        }
    });
}
