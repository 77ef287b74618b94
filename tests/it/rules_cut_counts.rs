//! Rule 9: what a cut says it ended, and whom it leaves alone.

use std::time::Duration;

use tokio_test::assert_ready;
use tokio_test::task::spawn;
use tower_drain::{DrainHandle, Phase};

use crate::support::{answer, data, get, poll_frame, App, Script};

#[test]
fn a_second_cut_finds_nothing_more_while_the_first_is_still_held() {
    let mut app = App::new();
    let body = app.stream(&Script::new());
    let (opened, _call) = app.open(get("/"));
    assert_eq!((app.handle.cut(), app.handle.cut()), (2, 0));
    assert_eq!(app.handle.in_flight(), 2);
    drop((body, opened));
    assert_eq!((app.handle.cut(), app.handle.in_flight()), (0, 0));
}

#[test]
fn what_is_admitted_after_a_cut_is_left_alone_and_counted_by_the_next() {
    let mut app = App::new();
    let mut old = app.stream(&Script::new());
    assert_eq!(app.handle.cut(), 1);
    let script = Script::new();
    let mut new = app.stream(&script);
    script.data("untouched");
    assert_eq!(data(&mut new), "untouched");
    assert!(assert_ready!(poll_frame(&mut old)).unwrap().is_err());
    assert_eq!(app.handle.cut(), 1);
    assert!(assert_ready!(poll_frame(&mut new)).unwrap().is_err());
}

#[test]
fn the_count_is_right_while_bodies_of_several_cuts_are_held() {
    let mut app = App::new();
    let mut held = Vec::new();
    for turn in 1..=5 {
        held.extend((0..turn).map(|_| app.stream(&Script::new())));
        assert_eq!(app.handle.cut(), turn);
        assert_eq!(app.handle.cut(), 0);
        drop(held.remove(0));
    }
    assert_eq!(app.handle.in_flight(), held.len());
}

#[test]
fn the_answer_to_a_cut_handler_is_in_flight_until_dropped_and_not_cut_again() {
    let mut app = App::new();
    let (mut opened, _call) = app.open(get("/"));
    assert_eq!(app.handle.cut(), 1);
    let mut body = spawn(answer(&mut opened).into_body());
    assert_eq!((app.handle.in_flight(), app.handle.cut()), (1, 0));
    assert!(data(&mut body).starts_with(b"the service did not wait"));
    drop(body);
    assert_eq!(app.handle.in_flight(), 0);
}

#[test]
fn guards_are_told_and_neither_ended_nor_counted() {
    let app = App::new();
    let guard = app.handle.try_guard().unwrap();
    let mut told = spawn(guard.cut());
    assert!(told.poll().is_pending());
    assert_eq!(app.handle.cut(), 0);
    assert!(told.is_woken());
    assert_ready!(told.poll());
    assert_eq!(app.handle.in_flight(), 1);
    drop(guard);
    assert_eq!(app.handle.in_flight(), 0);
}

#[test]
fn a_cut_counts_requests_beside_guards_right() {
    let mut app = App::new();
    let guards = [(); 3].map(|()| app.handle.try_guard().unwrap());
    let (_opened, _call) = app.open(get("/"));
    let _clone = guards[0].clone();
    assert_eq!(app.handle.in_flight(), 5);
    assert_eq!((app.handle.cut(), app.handle.cut()), (1, 0));
    drop(guards);
    let _tracked = app.handle.track(std::future::pending::<()>()).unwrap();
    assert_eq!((app.handle.cut(), app.handle.in_flight()), (1, 3));
}

#[test]
fn a_cut_with_nothing_in_flight_is_0_and_changes_nothing() {
    let mut app = App::new();
    assert_eq!(app.handle.cut(), 0);
    assert_eq!(app.handle.phase(), Phase::Serving);
    let (mut opened, call) = app.open(get("/"));
    call.answer(&Script::new());
    assert_eq!(answer(&mut opened).status(), 200);
}

#[test]
fn a_cut_of_a_lame_duck_or_of_a_serving_service_begins_nothing() {
    let mut app = App::new();
    let (mut opened, _call) = app.open(get("/"));
    app.handle.cut();
    assert_eq!(answer(&mut opened).status(), 500);
    app.handle.begin_lame_duck();
    app.handle.cut();
    assert_eq!(app.handle.phase(), Phase::LameDuck);
}

#[test]
fn the_report_says_how_many_were_cut_and_rejected_in_this_drain() {
    let mut app = App::new();
    let earlier = app.stream(&Script::new());
    app.handle.cut();
    drop(earlier);

    let body = app.stream(&Script::new());
    let guard = app.handle.try_guard().unwrap();
    app.handle.begin_shutdown();
    let mut waiter = spawn(app.handle.wait_for_drain(Duration::MAX));
    for _ in 0..3 {
        drop(app.answer(get("/")));
    }
    app.handle.cut();
    drop((body, guard));
    let report = assert_ready!(waiter.poll()).unwrap();
    assert_eq!(
        (report.cut, report.rejected, report.in_flight_at_start),
        (1, 3, 2)
    );
}

#[test]
fn a_cut_body_that_is_not_polled_holds_the_drain() {
    let mut app = App::new();
    let body = app.stream(&Script::new());
    app.handle.begin_shutdown();
    app.handle.cut();
    assert_eq!(app.handle.phase(), Phase::Draining);
    drop(body);
    assert_eq!(app.handle.phase(), Phase::Drained);
}

#[test]
fn a_cut_reaches_what_every_thread_admitted() {
    let handle = DrainHandle::new();
    let track = || handle.track(std::future::pending::<()>()).unwrap();
    let held: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..40).map(|_| scope.spawn(track)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!((handle.in_flight(), handle.cut()), (40, 40));
    for tracked in held {
        assert_eq!(assert_ready!(spawn(tracked).poll()), None);
    }
    assert_eq!((handle.in_flight(), handle.cut()), (0, 0));
}
