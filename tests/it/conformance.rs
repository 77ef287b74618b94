//! What drains of other servers and languages are tested for, and what went wrong in them.
//!
//! Where a contract has a test of its own elsewhere, that one stands for the case; this module has the rest.
//!
//! | case | contract | test |
//! |---|---|---|
//! | 1 | served, rejected, served again | `rules_resume::after_a_resume_requests_and_guards_are_admitted_again` |
//! | 2 | a short wait fails while held, one after the release succeeds | `waiting::a_timeout_leaves_the_drain_on_and_the_next_wait_may_see_its_end` |
//! | 3 | the end is told after the last release, once | [`the_end_is_told_once_and_not_before_the_last_release`] |
//! | 4 | a wait before the begin is defined | `waiting::the_clock_starts_at_the_begin_for_a_waiter_made_before` |
//! | 5 | an idle service is drained at once | `phases::a_begin_with_nothing_in_flight_is_drained_at_once` |
//! | 6 | errors and panics while draining release | [`a_handler_that_fails_or_panics_while_draining_ends_the_drain`] |
//! | 7 | an inner error releases | `rules_admission::an_error_of_the_inner_service_passes_and_releases_the_request` |
//! | 8 | a half-sent request goes on | needs a socket |
//! | 9 | an answer that is out is not touched | `rules_connection::an_answer_that_is_out_before_the_lame_duck_is_not_touched`; over the wire: needs a socket |
//! | 10 | 503 and `close` on a kept-alive connection | `rules_rejection::a_rejection_is_503_with_retry_after_and_closes_http_1`; its end: needs a socket |
//! | 11 | no `close` before the begin | `rules_passthrough::the_answer_before_a_drain_is_the_handlers_own_byte_for_byte` |
//! | 12 | all waiters wake; later ones return at once | `waiting::any_number_of_waiters_are_woken_by_the_last_release`, `waiting::a_waiter_made_after_the_end_returns_at_once` |
//! | 13 | a reset frees waiters, a second is a no-op, the next drain is fresh | `rules_resume::a_resume_wakes_every_waiter_with_resumed`, `rules_resume::a_drain_that_ended_can_be_taken_back_and_the_next_starts_fresh` |
//! | 14 | begins, resets and requests at once | `hammer::begins_resumes_cuts_and_requests_at_once_leave_nothing_in_flight` |
//! | 15 | a probe neither counts nor extends | [`an_open_probe_does_not_extend_the_drain`] |
//! | 16 | the defaults | [`the_defaults_are_those_that_the_documentation_says`] |
//! | 17, 18 | held over a socket; idle connections | need a socket |
//! | 19 | one that never ends: the others are told, the wait goes on | [`one_that_never_ends_holds_the_drain_after_all_were_told`] |
//! | 20 | each is told once | [`each_who_waits_is_woken_once_by_a_cut`] |
//! | 21 | when a request counts | `rules_admission::a_request_is_counted_in_call_before_the_first_poll`, `rules_admission::a_request_stays_in_flight_until_its_body_is_dropped_not_until_it_ends` |
//! | 22 | the first of two releases ends nothing | `waiting::a_release_that_is_not_the_last_wakes_nobody` |
//! | 23 | dropped waiters and guards | `waiting::a_waiter_that_is_dropped_takes_nothing_from_the_others`, `phases::a_dropped_future_leaves_no_waker_behind` |
//! | 24 | 16 000 guards | `guards::sixteen_thousand_guards_are_counted_and_given_back` |
//! | 25 | the end comes with the last, not with the timeout | `waiting::a_drain_returns_when_the_last_is_gone_not_when_the_time_is_over` |
//! | 26, 27 | the fast one ends well, the slow one is ended after the timeout, not before | [`the_fast_one_ends_well_and_the_slow_one_is_ended_after_the_timeout`] |
//! | 28 | last words of a stream | no part of the core |
//! | 29 | who never waits is never registered | [`a_request_that_never_waits_is_never_registered`] |
//! | 30 | one answer decides about counting and rejecting | [`whether_a_request_is_exempt_is_asked_once`] |
//! | 31 | the report says before and after | [`the_report_says_what_was_there_and_what_became_of_it`] |
//! | 32 | pipelined requests after the close | needs a socket |
//!
//! | bug | contract | test |
//! |---|---|---|
//! | B1 | no way to end a request leaks it | `rules_admission::a_future_that_is_dropped_half_way_releases_its_request`, `random_ends::a_hundred_thousand_requests_that_end_anyhow_leave_the_count_at_0` |
//! | B2 | the body holds the drain, not the headers | [`a_drain_does_not_end_at_the_headers`] |
//! | B3 | an answer with an error status is released once | [`an_error_status_is_released_once`] |
//! | B4, B5 | no gap between check and count | `hammer::once_a_waiter_has_seen_the_end_nobody_admitted_runs`, and the models of the core |
//! | B6 | rejected ones are not counted | `rules_rejection::a_rejected_request_never_shows_in_in_flight` |
//! | B7 | no wake-up is lost | `hammer::the_last_release_is_never_missed_by_a_waiter`, and the models of the core |
//! | B8 | waiters cancelled, many, early; begun twice | `waiting`, `phases::begin_shutdown_is_true_for_one_call` |
//! | B9 | zero counts only while rejecting | `waiting::an_empty_service_that_serves_is_not_drained` |
//! | B10 | a body that nobody polls is released | `rules_admission::a_body_that_is_never_polled_releases_its_request_when_it_is_dropped` |
//! | B11 | the end of stream and the size are told | `rules_passthrough::is_end_stream_is_that_of_the_inner_body`, `rules_passthrough::the_size_hint_is_that_of_the_inner_body` |
//! | B12 | an idle connection holds nothing | [`a_service_without_a_request_holds_nothing`] |

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use http::Response;
use http_body::SizeHint;
use tokio::time::advance;
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready};
use tower_drain::{DrainHandle, DrainLayer, Phase, StragglerPhase};

use crate::support::{answer, data, get, panics, poll_frame, App, Script};

#[test]
fn the_end_is_told_once_and_not_before_the_last_release() {
    let mut app = App::new();
    let (opened, _call) = app.open(get("/"));
    app.handle.begin_shutdown();
    let mut changed = spawn(app.handle.changed());
    assert_pending!(changed.poll());
    drop(app.answer(get("/")));
    assert!(!changed.is_woken());
    drop(opened);
    assert_eq!(assert_ready!(changed.poll()), Phase::Drained);
    let mut more = spawn(app.handle.changed());
    app.handle.begin_shutdown();
    assert_pending!(more.poll());
}

#[test]
fn a_handler_that_fails_or_panics_while_draining_ends_the_drain() {
    for fails in [true, false] {
        let mut app = App::new();
        let (mut opened, call) = app.open(get("/"));
        app.handle.begin_shutdown();
        match fails {
            true => {
                call.fail();
                assert!(assert_ready!(opened.poll()).is_err());
            }
            false => {
                call.panic();
                assert!(panics(|| opened.poll()));
                drop(opened);
            }
        }
        assert_eq!(app.handle.phase(), Phase::Drained);
    }
}

#[test]
fn an_open_probe_does_not_extend_the_drain() {
    let mut app = App::of(DrainLayer::new().exempt(|head| head.uri().path() == "/livez"));
    let (_probe, _call) = app.open(get("/livez"));
    app.handle.begin_shutdown();
    assert_eq!(app.handle.phase(), Phase::Drained);
    let (_later, _call) = app.open(get("/livez"));
    assert_eq!(
        (app.handle.phase(), app.handle.in_flight()),
        (Phase::Drained, 0)
    );
}

#[test]
fn the_defaults_are_those_that_the_documentation_says() {
    let mut app = App::new();
    assert_eq!(app.handle.phase(), Phase::Serving);
    let (_opened, call) = app.open(get("/livez"));
    assert_eq!(app.handle.in_flight(), 1, "no path is exempt");
    assert!(call.request.extensions().is_empty(), "no guard is shared");
    app.handle.begin_shutdown();
    assert_eq!(app.answer(get("/")).headers()["retry-after"], "1");
}

#[test]
fn one_that_never_ends_holds_the_drain_after_all_were_told() {
    let handle = DrainHandle::new();
    let mut guards = [(); 3].map(|()| Some(handle.try_guard().unwrap()));
    handle.begin_shutdown();
    let mut waiter = spawn(handle.wait_for_drain(Duration::MAX));
    handle.cut();
    assert!(guards.iter().flatten().all(|guard| guard.is_cut()));
    guards[..2].fill_with(|| None);
    assert_pending!(waiter.poll());
    assert_eq!(handle.in_flight(), 1);
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn each_who_waits_is_woken_once_by_a_cut() {
    let handle = DrainHandle::new();
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    let mut cx = Context::from_waker(&waker);
    // More than are woken in one go.
    let mut tracked: Vec<_> = (0..300)
        .map(|_| Box::pin(handle.track(std::future::pending::<()>()).unwrap()))
        .collect();
    for future in &mut tracked {
        assert_pending!(future.as_mut().poll(&mut cx));
    }
    assert_eq!(handle.cut(), 300);
    assert_eq!(wakes.0.load(SeqCst), 300);
}

#[tokio::test(start_paused = true)]
async fn the_fast_one_ends_well_and_the_slow_one_is_ended_after_the_timeout() {
    let limit = Duration::from_secs(10);
    let mut app = App::new();
    let (mut fast, fast_call) = app.open(get("/fast"));
    let (mut slow, _slow_call) = app.open(get("/slow"));
    app.handle.begin_shutdown();
    let mut waiter = spawn(app.handle.wait_for_drain(limit));
    advance(limit / 2).await;
    fast_call.answer(&Script::new());
    assert_eq!(answer(&mut fast).status(), 200);
    assert_pending!(waiter.poll());
    assert_pending!(slow.poll().map(|_| ()));
    advance(limit / 2).await;
    assert!(assert_ready!(waiter.poll()).is_err());
    assert_pending!(
        slow.poll().map(|_| ()),
        "a timeout of a wait ends nothing by itself"
    );
    assert_eq!(app.handle.cut(), 1);
    assert_eq!(answer(&mut slow).status(), 500);
    assert!(app.handle.wait_for_drain(Duration::ZERO).await.is_ok());
}

#[test]
fn a_request_that_never_waits_is_never_registered() {
    let mut app = App::new();
    let script = Script::new();
    script.data("whole").hint(SizeHint::with_exact(16 * 1024));
    let mut opened = app.send(get("/"));
    app.handlers.next().answer(&script);
    let before = opened.waker_ref_count();
    let mut body = spawn(answer(&mut opened).into_body());
    assert_eq!(opened.waker_ref_count(), before);
    data(&mut body);
    assert_eq!(body.waker_ref_count(), before);
    assert_eq!(app.handle.stragglers()[0].phase, StragglerPhase::Unseen);
}

#[test]
fn whether_a_request_is_exempt_is_asked_once() {
    let asked = Arc::new(AtomicUsize::new(0));
    let asks = asked.clone();
    // Says otherwise each time, as a closure over something that changes may.
    let layer = DrainLayer::new().exempt(move |_| asks.fetch_add(1, SeqCst) % 2 == 0);
    let mut app = App::of(layer);
    let (exempt, _call) = app.open(get("/"));
    assert_eq!((asked.load(SeqCst), app.handle.in_flight()), (1, 0));
    let (counted, _other) = app.open(get("/"));
    assert_eq!((asked.load(SeqCst), app.handle.in_flight()), (2, 1));
    drop((exempt, counted));
    assert_eq!((asked.load(SeqCst), app.handle.in_flight()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn the_report_says_what_was_there_and_what_became_of_it() {
    let mut app = App::new();
    let (left, _call) = app.open(get("/"));
    let cut = app.stream(&Script::new());
    let guard = app.handle.try_guard().unwrap();
    app.handle.begin_shutdown();
    let waiter = app.handle.wait_for_drain(Duration::from_secs(60));
    drop(app.answer(get("/")));
    drop(left);
    advance(Duration::from_secs(2)).await;
    app.handle.cut();
    drop((cut, guard));
    let report = waiter.await.unwrap();
    assert_eq!(report.waited, Duration::from_secs(2));
    assert_eq!(
        (report.in_flight_at_start, report.cut, report.rejected),
        (3, 1, 1)
    );
    assert_eq!(app.handle.in_flight(), 0);
}

#[test]
fn a_drain_does_not_end_at_the_headers() {
    let mut app = App::new();
    let script = Script::new();
    let mut body = app.stream(&script);
    app.handle.begin_shutdown();
    let mut waiter = spawn(app.handle.wait_for_drain(Duration::MAX));
    assert_pending!(waiter.poll());
    script.data("in the middle of it");
    data(&mut body);
    assert_pending!(waiter.poll());
    script.close();
    assert!(assert_ready!(poll_frame(&mut body)).is_none());
    drop(body);
    assert!(waiter.is_woken());
    assert_ready!(waiter.poll()).unwrap();
}

#[test]
fn an_error_status_is_released_once() {
    let mut app = App::new();
    let _other = app.handle.try_guard().unwrap();
    let (mut opened, call) = app.open(get("/"));
    let response = Response::builder().status(500).body(Script::new().body());
    call.respond(response.unwrap());
    let response = answer(&mut opened);
    assert_eq!(
        (response.status().as_u16(), app.handle.in_flight()),
        (500, 2)
    );
    drop(opened);
    drop(response);
    assert_eq!(app.handle.in_flight(), 1);
}

#[test]
fn a_service_without_a_request_holds_nothing() {
    let app = App::new();
    let connections: Vec<_> = (0..100).map(|_| app.service.clone()).collect();
    app.handle.begin_shutdown();
    assert_eq!(app.handle.phase(), Phase::Drained);
    drop(connections);
}
