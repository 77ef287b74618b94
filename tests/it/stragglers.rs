//! Who holds the drain, and what is told of them.

use std::time::Duration;

use http::{Method, Version};
use http_body::SizeHint;
use tokio::time::advance;
use tokio_test::assert_pending;
use tokio_test::task::spawn;
use tower_drain::{DrainHandle, DrainLayer, Straggler, StragglerPhase};

use crate::support::{answer, get, poll_frame, request, App, Script};

const SECOND: Duration = Duration::from_secs(1);

fn only(handle: &DrainHandle) -> Straggler {
    let mut all = handle.stragglers();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn named(straggler: &Straggler) -> (Option<&str>, Option<&str>) {
    (straggler.method.as_deref(), straggler.path.as_deref())
}

#[test]
fn nobody_is_a_straggler_of_an_idle_service() {
    assert!(DrainHandle::new().stragglers().is_empty());
}

#[test]
fn a_handler_that_waits_is_known_by_method_and_path_never_the_query() {
    let mut app = App::new();
    let mut deletes = request(Method::DELETE, Version::HTTP_11, &[]);
    *deletes.uri_mut() = "/users/7?token=secret".parse().unwrap();
    let (_opened, _call) = app.open(deletes);
    let straggler = only(&app.handle);
    assert_eq!(named(&straggler), (Some("DELETE"), Some("/users/7")));
    assert_eq!(
        (straggler.phase, straggler.label.clone()),
        (StragglerPhase::Handler, None)
    );
    assert!(!format!("{straggler:?} {straggler}").contains("secret"));
}

#[tokio::test(start_paused = true)]
async fn a_straggler_keeps_id_name_and_age_from_handler_to_body() {
    let mut app = App::new();
    let (mut opened, call) = app.open(get("/events"));
    advance(3 * SECOND).await;
    let as_handler = only(&app.handle);
    assert_eq!(as_handler.age, 3 * SECOND);
    call.answer(&Script::new());
    let mut body = spawn(answer(&mut opened).into_body());
    assert_pending!(poll_frame(&mut body).map(|_| ()));
    advance(SECOND).await;
    let as_body = only(&app.handle);
    assert_ne!(as_body.id, 0);
    assert_eq!((as_body.id, as_body.age), (as_handler.id, 4 * SECOND));
    assert_eq!(
        (as_body.phase, named(&as_body)),
        (StragglerPhase::Body, named(&as_handler))
    );
    assert_eq!(as_body.to_string(), "GET /events, body, 4.0 s");
    drop(body);
    assert!(app.handle.stragglers().is_empty());
}

#[test]
fn a_handler_that_has_answered_is_a_body_before_its_body_is_polled() {
    let mut app = App::new();
    let (mut opened, call) = app.open(get("/events"));
    call.answer(&Script::new());
    let _response = answer(&mut opened);
    assert_eq!(only(&app.handle).phase, StragglerPhase::Body);
}

#[test]
fn a_body_that_may_wait_is_known_as_soon_as_its_handler_has_answered() {
    for hint in [SizeHint::new(), SizeHint::with_exact(16 * 1024 + 1)] {
        let mut app = App::new();
        let script = Script::new();
        script.data("first").hint(hint);
        let mut opened = app.send(get("/download"));
        app.handlers.next().answer(&script);
        assert_eq!(only(&app.handle).phase, StragglerPhase::Unseen);
        let _response = answer(&mut opened);
        let straggler = only(&app.handle);
        assert_eq!(named(&straggler), (Some("GET"), Some("/download")));
        assert_eq!(straggler.phase, StragglerPhase::Body);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_never_seen_waiting_is_listed_last_and_without_a_name() {
    let mut app = App::new();
    let unseen = app.send(get("/blocks"));
    let (_opened, _call) = app.open(get("/waits"));
    assert_eq!(app.handle.stragglers()[1].age, Duration::ZERO);
    app.handle.begin_shutdown();
    advance(2 * SECOND).await;
    let all = app.handle.stragglers();
    assert_eq!(all.len(), 2);
    assert_eq!(named(&all[0]), (Some("GET"), Some("/waits")));
    assert_eq!((all[1].phase, all[1].id), (StragglerPhase::Unseen, 0));
    assert_eq!((named(&all[1]), all[1].age), ((None, None), 2 * SECOND));
    assert_eq!(all[1].to_string(), "(unnamed), unseen, 2.0 s");
    drop(unseen);
}

#[tokio::test(start_paused = true)]
async fn the_oldest_come_first() {
    let mut app = App::new();
    let mut held = Vec::new();
    for path in ["/first", "/second", "/third"] {
        held.push(app.open(get(path)));
        advance(SECOND).await;
    }
    let paths = |app: &App| -> Vec<_> {
        let all = app.handle.stragglers().into_iter();
        all.map(|straggler| straggler.path.unwrap()).collect()
    };
    assert_eq!(paths(&app), ["/first", "/second", "/third"]);
    drop(held.remove(0));
    drop(app.open(get("/gone")));
    held.push(app.open(get("/fourth")));
    assert_eq!(paths(&app), ["/second", "/third", "/fourth"]);
}

#[test]
fn ids_are_never_given_twice() {
    let handle = DrainHandle::new();
    let mut seen = std::collections::HashSet::new();
    let _kept = handle.try_guard().unwrap();
    for _ in 0..100 {
        let _guard = handle.try_guard().unwrap();
        let all = handle.stragglers();
        assert_eq!(all.len(), 2);
        seen.extend(all.iter().map(|straggler| straggler.id));
    }
    assert_eq!(seen.len(), 101);
}

#[tokio::test(start_paused = true)]
async fn a_guard_is_known_by_its_label_from_the_start_and_so_are_its_clones() {
    let handle = DrainHandle::new();
    let guard = handle.try_guard_as("flush the cache").unwrap();
    advance(SECOND).await;
    let _clone = guard.clone();
    let _owned = handle.try_guard_as(format!("job {}", 7)).unwrap();
    let all = handle.stragglers();
    let labels: Vec<_> = all
        .iter()
        .map(|straggler| straggler.label.as_deref().unwrap())
        .collect();
    assert_eq!(labels, ["flush the cache", "flush the cache", "job 7"]);
    assert_eq!((all[0].age, all[1].age), (SECOND, Duration::ZERO));
    assert!(all
        .iter()
        .all(|straggler| straggler.phase == StragglerPhase::Guard));
    assert_eq!(all[0].to_string(), "flush the cache, guard, 1.0 s");
}

#[test]
fn a_guard_without_a_label_and_a_tracked_future_have_no_name() {
    let handle = DrainHandle::new();
    let guard = handle.try_guard().unwrap();
    assert_eq!(
        (only(&handle).phase, only(&handle).label),
        (StragglerPhase::Guard, None)
    );
    drop(guard);
    let mut tracked = spawn(handle.track(std::future::pending::<()>()).unwrap());
    assert_eq!(only(&handle).phase, StragglerPhase::Unseen);
    assert_pending!(tracked.poll());
    assert_eq!(
        (only(&handle).phase, named(&only(&handle))),
        (StragglerPhase::Handler, (None, None))
    );
}

#[test]
fn a_shared_guard_is_known_by_its_request() {
    let mut app = App::of(DrainLayer::new().share_guard());
    let (_opened, call) = app.open(get("/ws?key=secret"));
    let guard = call
        .request
        .extensions()
        .get::<tower_drain::DrainGuard>()
        .unwrap();
    let all = app.handle.stragglers();
    assert!(all
        .iter()
        .all(|straggler| named(straggler) == (Some("GET"), Some("/ws"))));
    let mut phases: Vec<_> = all
        .iter()
        .map(|straggler| straggler.phase.to_string())
        .collect();
    phases.sort();
    assert_eq!(phases, ["guard", "handler"]);
    assert!(format!("{guard:?}").contains("/ws") && !format!("{guard:?}").contains("secret"));
}

#[test]
fn a_cut_body_still_shows_until_it_is_dropped() {
    let mut app = App::new();
    let (mut opened, call) = app.open(get("/events"));
    call.answer(&Script::new());
    let mut body = spawn(answer(&mut opened).into_body());
    app.handle.begin_shutdown();
    app.handle.cut();
    assert_eq!(named(&only(&app.handle)), (Some("GET"), Some("/events")));
    assert!(poll_frame(&mut body).is_ready());
    assert_eq!(only(&app.handle).phase, StragglerPhase::Body);
    drop(body);
    assert!(app.handle.stragglers().is_empty());
}

#[test]
fn the_answer_to_a_cut_handler_shows_as_a_body() {
    let mut app = App::new();
    let (mut opened, _call) = app.open(get("/slow"));
    app.handle.cut();
    assert_eq!(only(&app.handle).phase, StragglerPhase::Handler);
    let response = answer(&mut opened);
    assert_eq!(only(&app.handle).phase, StragglerPhase::Body);
    drop(response);
}

#[test]
fn rejected_and_exempt_requests_are_no_stragglers() {
    let mut app = App::of(DrainLayer::new().exempt(|head| head.uri().path() == "/livez"));
    app.handle.begin_shutdown();
    let (_opened, _call) = app.open(get("/livez"));
    let _rejected = app.answer(get("/"));
    assert!(app.handle.stragglers().is_empty());
}

#[test]
fn stragglers_of_every_thread_are_listed() {
    let handle = DrainHandle::new();
    let guards: Vec<_> = std::thread::scope(|scope| {
        let handle = &handle;
        let take = |n: u32| scope.spawn(move || handle.try_guard_as(n.to_string()).unwrap());
        let threads: Vec<_> = (0..40).map(take).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let all = handle.stragglers();
    let ids: std::collections::HashSet<_> = all.iter().map(|straggler| straggler.id).collect();
    assert_eq!((all.len(), ids.len()), (40, 40));
    drop(guards);
    assert!(handle.stragglers().is_empty());
}
