//! The lines of a shutdown, and the report as text.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::pending;
use std::io::{self, Write};
use std::sync::Once;
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use tower::{Layer, ServiceExt};
use tower_drain::{BoxError, DrainHandle, DrainLayer, HookOutcome, Shutdown};

use crate::shutdown_support::{after, s, server, timeouts, work, Timeline};

thread_local! {
    static WRITTEN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What this thread logs. The subscriber is the whole process's: beside one of a single thread, a line that another
/// thread is the first to pass is taken for one that nobody wants.
pub(crate) struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        WRITTEN.with(|written| written.borrow_mut().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    pub(crate) fn listen() {
        static LISTENS: Once = Once::new();
        LISTENS.call_once(|| {
            tracing_subscriber::fmt()
                .with_ansi(false)
                .without_time()
                .with_writer(|| Self)
                .init();
        });
        WRITTEN.take();
    }

    /// Those of the sequence, from level to the end of the fields.
    pub(crate) fn get() -> Vec<String> {
        let mut lines = Self::all();
        lines.retain(|line| line.contains("tower_drain::shutdown"));
        lines
    }

    pub(crate) fn all() -> Vec<String> {
        let text = String::from_utf8(WRITTEN.take()).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

/// A request that never ends and one hook that fails.
async fn shut_down() -> (Vec<String>, String) {
    Lines::listen();
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let stuck = layer.layer(tower::service_fn(|_: Request<Body>| {
        pending::<Result<Response<Body>, Infallible>>()
    }));
    let request = Request::post("/slow?token=secret")
        .body(Body::empty())
        .unwrap();
    tokio::spawn(stuck.oneshot(request));
    tokio::task::yield_now().await;
    // An accept loop of the caller's, which closes its socket then.
    tokio::spawn(handle.accept_closed());
    let report = Shutdown::new(handle.clone())
        .timeouts(timeouts().drain(s(12.0)))
        .trigger(after(0.0))
        .on_begin("notify", s(2.0), |_| async {
            Err::<(), BoxError>("no route".into())
        })
        .on_drained("close", s(2.0), |_| async { Ok(()) })
        .run(|stop| server(stop, handle, Timeline::new()))
        .await
        .unwrap();
    assert_eq!(
        report.hooks[0].outcome,
        HookOutcome::Failed("no route".into())
    );
    (Lines::get(), report.to_string())
}

#[track_caller]
pub(crate) fn line<'a>(lines: &'a [String], what: &str) -> &'a str {
    let found = lines.iter().find(|line| line.contains(what));
    found.unwrap_or_else(|| panic!("no {what:?} in {lines:#?}"))
}

#[tokio::test(start_paused = true)]
async fn the_log_tells_the_budget_first_every_step_who_is_waited_for_and_the_report_last() {
    let (lines, _) = shut_down().await;
    let budget = &lines[0];
    assert!(
        budget.contains("takes at most 31 s and needs a grace period of 32 s"),
        "{budget}"
    );
    assert!(
        budget.contains("worst_case_s=31.0 grace_period_s=32"),
        "{budget}"
    );

    let steps = [
        "lame duck",
        "listening socket closes",
        "settle",
        "server stops",
        "drain",
        "cut",
        "close",
    ];
    let mut rest = lines.iter();
    for step in steps {
        let field = format!("step=\"{step}\"");
        assert!(
            rest.any(|line| line.contains(&field)),
            "no {step} in its place: {lines:#?}"
        );
    }

    let progress: Vec<_> = lines
        .iter()
        .filter(|line| line.contains("waiting for"))
        .collect();
    assert_eq!(progress.len(), 2, "every 5 s of 12: {progress:#?}");
    assert!(
        progress[0].contains("waited_s=5.0 in_flight=1"),
        "{}",
        progress[0]
    );
    assert!(
        progress[0].contains("oldest=\"POST /slow, handler, 11.0 s\""),
        "{}",
        progress[0]
    );

    let cut = line(&lines, "cut: POST");
    assert!(cut.trim_start().starts_with("WARN"), "{cut}");
    assert!(cut.contains("method=\"POST\" path=\"/slow\""), "{cut}");
    assert!(line(&lines, "hook=\"notify\"")
        .trim_start()
        .starts_with("WARN"));

    let last = lines.last().unwrap();
    assert!(last.trim_start().starts_with("WARN"), "{last}");
    for field in [
        "shutdown incomplete",
        "reason=test",
        "took_s=18.0",
        "lame_duck_s=5.0",
        "settle_s=1.0",
        "drain_s=12.0",
        "cut=1",
        "rejected=0",
        "unflushed=0",
        "on_begin \\\"notify\\\": failed: no route; on_drained \\\"close\\\": done",
    ] {
        assert!(last.contains(field), "no {field:?} in {last}");
    }
    assert!(lines.iter().all(|line| !line.contains("secret")));
}

#[tokio::test(start_paused = true)]
async fn a_cut_body_that_nobody_polls_is_told_as_not_gone() {
    Lines::listen();
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let endless = layer.layer(tower::service_fn(|_: Request<Body>| async {
        let body = Body::from_stream(futures_util::stream::pending::<io::Result<Vec<u8>>>());
        Ok::<_, Infallible>(Response::new(body))
    }));
    let ask = Request::get("/unread").body(Body::empty()).unwrap();
    let _unread = endless.oneshot(ask).await.unwrap();
    work(&handle, 100.0);
    let report = Shutdown::new(handle.clone())
        .timeouts(timeouts().drain(s(1.0)))
        .trigger(after(0.0))
        .run(|stop| server(stop, handle, Timeline::new()))
        .await
        .unwrap();
    assert_eq!(report.still_held.len(), 1);

    let lines = Lines::get();
    let unread = line(&lines, "cut: GET /unread, body");
    assert!(unread.contains("is_gone=false"), "{unread}");
    let tracked = line(&lines, "cut: (unnamed), handler");
    assert!(tracked.contains("is_gone=true"), "{tracked}");
}

#[tokio::test(start_paused = true)]
async fn the_report_is_a_few_aligned_lines() {
    let (_, report) = shut_down().await;
    let expected = "\
shutdown    drained, with losses, after 18.0 s: test
phases      lame duck 5.0 s, settle 1.0 s, drain 12.0 s, cut 0.0 s, close 0.0 s, on_drained 0.0 s
requests    1 in flight at the drain, 1 cut, 0 rejected, 0 unflushed
on_begin    notify: failed: no route
on_drained  close: done";
    assert_eq!(report, expected);
}

#[tokio::test(start_paused = true)]
async fn a_guard_that_was_told_of_the_cut_is_named_whether_it_obeyed_or_not() {
    Lines::listen();
    let handle = DrainHandle::new();
    let obeys = handle.try_guard_as("a websocket").unwrap();
    let _kept = handle.try_guard_as("a job").unwrap();
    tokio::spawn(async move { obeys.cut().await });
    let report = Shutdown::new(handle.clone())
        .timeouts(timeouts())
        .trigger(after(0.0))
        .run(|stop| server(stop, handle, Timeline::new()))
        .await
        .unwrap();
    let lines = Lines::get();
    for (guard, is_gone) in [("a websocket", true), ("a job", false)] {
        let told = line(&lines, &format!("cut: {guard}, guard"));
        assert!(told.trim_start().starts_with("WARN"), "{told}");
        assert!(told.contains(&format!("is_gone={is_gone}")), "{told}");
    }
    assert_eq!((report.cut, report.still_held.len()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn the_socket_is_not_said_to_close_where_nothing_closes_it() {
    let closes = |lines: &[String]| {
        let mut steps = lines.iter();
        steps.any(|line| line.contains("step=\"listening socket closes\""))
    };
    let run = |handle: DrainHandle| {
        Shutdown::new(handle.clone())
            .timeouts(timeouts())
            .trigger(after(0.0))
            .run(|stop| server(stop, handle, Timeline::new()))
    };
    Lines::listen();
    let handle = DrainHandle::new();
    // Was there, and is gone.
    drop(handle.accept_closed());
    run(handle).await.unwrap();
    let lines = Lines::get();
    assert!(!closes(&lines), "{lines:#?}");
    line(&lines, "step=\"server stops\"");

    let handle = DrainHandle::new();
    let _listener = handle.accept_closed();
    run(handle).await.unwrap();
    let lines = Lines::get();
    assert!(closes(&lines), "{lines:#?}");
}

#[tokio::test(start_paused = true)]
async fn what_has_no_limit_is_told_without_a_figure() {
    Lines::listen();
    let handle = DrainHandle::new();
    Shutdown::new(handle.clone())
        .timeouts(timeouts().drain(Duration::MAX).platform(Duration::MAX))
        .trigger(after(0.0))
        .run(|stop| server(stop, handle, Timeline::new()))
        .await
        .unwrap();
    let lines = Lines::get();
    let budget = &lines[0];
    assert!(budget.contains("may take without limit"), "{budget}");
    assert!(budget.contains("lame_duck_s=5.0"), "{budget}");
    for field in ["worst_case_s", "grace_period_s", "platform_s", "drain_s"] {
        assert!(!budget.contains(field), "{field}: {budget}");
    }
    let drain = line(&lines, "step=\"drain\"");
    assert!(!drain.contains("at_most_s"), "{drain}");
}

#[tokio::test(start_paused = true)]
async fn of_many_who_are_waited_for_the_five_oldest_are_named() {
    Lines::listen();
    let handle = DrainHandle::new();
    let mut guards = Vec::new();
    for second in 0..12 {
        guards.push(handle.try_guard_as(format!("guard {second}")).unwrap());
        tokio::time::sleep(s(1.0)).await;
    }
    // One that went does not count, and its place is taken by a young one.
    drop(guards.remove(1));
    guards.push(handle.try_guard_as("young").unwrap());
    let run = Shutdown::new(handle.clone())
        .timeouts(timeouts().lame_duck(s(0.0)).settle(s(0.0)).drain(s(6.0)))
        .trigger(after(0.0))
        .run(|stop| server(stop, handle, Timeline::new()));
    run.await.unwrap();
    let lines = Lines::get();
    let waited = line(&lines, "waiting for 12 in flight");
    let oldest =
        "oldest=\"guard 0, guard, 17.0 s; guard 2, guard, 15.0 s; guard 3, guard, 14.0 s; \
        guard 4, guard, 13.0 s; guard 5, guard, 12.0 s\"";
    assert!(
        waited.contains(oldest) && waited.contains("in_flight=12"),
        "{waited}"
    );
}
