//! Hooks that fail, panic, hang or block: in the report, and in nobody's way.

use std::future::pending;
use std::sync::mpsc;
use std::time::Duration;

use tower_drain::{BoxError, DrainHandle, HookOutcome, HookStage, Shutdown};

use crate::shutdown_support::{after, assert_near, s, server, timeouts, work, Timeline};

#[tokio::test(start_paused = true)]
async fn hooks_that_fail_panic_or_hang_are_in_the_report_stage_by_stage() {
    let timeline = Timeline::new();
    let handle = DrainHandle::new();
    work(&handle, 1000.0);
    let failing = || async { Err::<(), BoxError>("no route".into()) };
    let panicking = |number: u32| async move { panic!("number {number}") };
    let hanging = || async { pending::<Result<(), BoxError>>().await };
    let report = Shutdown::new(handle.clone())
        .timeouts(timeouts())
        .trigger(after(0.0))
        .on_begin("fails", s(1.0), move |_| failing())
        .on_begin("panics", s(1.0), move |_| panicking(1))
        .on_begin("hangs", s(1.0), move |_| hanging())
        .on_cut("fails", s(1.0), move |_| failing())
        .on_cut("panics", s(1.0), move |_| panicking(2))
        .on_cut("hangs", s(2.0), move |_| hanging())
        .on_drained("fails", s(1.0), move |_| failing())
        .on_drained("panics", s(1.0), move |_| panicking(3))
        .on_drained("hangs", s(3.0), move |_| hanging())
        .on_drained("comes last", s(1.0), |_| async { Ok(()) })
        .run(|stop| server(stop, handle, timeline.clone()))
        .await
        .unwrap();
    timeline.assert_now(66.0 + 2.0 + 3.0);
    let hooks: Vec<_> = (report.hooks.iter())
        .map(|hook| (hook.stage, &*hook.name, hook.outcome.clone()))
        .collect();
    let failed = HookOutcome::Failed("no route".into());
    let panicked = |message: &str| HookOutcome::Panicked(message.into());
    use HookStage::{OnBegin, OnCut, OnDrained};
    let expected = [
        (OnBegin, "fails", failed.clone()),
        (OnBegin, "panics", panicked("number 1")),
        (OnBegin, "hangs", HookOutcome::TimedOut),
        (OnCut, "fails", failed.clone()),
        (OnCut, "panics", panicked("number 2")),
        (OnCut, "hangs", HookOutcome::TimedOut),
        (OnDrained, "fails", failed),
        (OnDrained, "panics", panicked("number 3")),
        (OnDrained, "hangs", HookOutcome::TimedOut),
        (OnDrained, "comes last", HookOutcome::Done),
    ];
    assert_eq!(hooks, expected);
    assert_near("the bound", report.hooks[2].took, 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_panic_before_the_first_await_of_a_hook_is_caught_too() {
    let timeline = Timeline::new();
    let handle = DrainHandle::new();
    let report = Shutdown::new(handle.clone())
        .trigger(after(0.0))
        .on_begin(
            "panics",
            s(1.0),
            |_| -> std::future::Ready<Result<(), BoxError>> { panic!("in the closure") },
        )
        .run(|stop| server(stop, handle, timeline.clone()))
        .await
        .unwrap();
    let panicked = HookOutcome::Panicked("in the closure".into());
    assert_eq!(report.hooks[0].outcome, panicked);
}

#[tokio::test(start_paused = true)]
async fn on_begin_runs_beside_and_delays_only_the_return() {
    let timeline = Timeline::new();
    let handle = DrainHandle::new();
    timeline.watch_handle(&handle);
    let (drained, beside) = (timeline.clone(), timeline.clone());
    let report = Shutdown::new(handle.clone())
        .timeouts(timeouts())
        .trigger(after(0.0))
        .on_begin("slow", s(60.0), |_| async {
            tokio::time::sleep(s(20.0)).await;
            Ok(())
        })
        .on_drained("drained", s(1.0), move |report| async move {
            assert_eq!(report.hooks[0].outcome, HookOutcome::Unfinished);
            drained.mark("on_drained");
            Ok(())
        })
        .beside(move |until_exit| async move {
            until_exit.await;
            beside.mark("beside told");
            Ok::<_, BoxError>(())
        })
        .run(|stop| server(stop, handle, timeline.clone()))
        .await
        .unwrap();
    timeline.assert(&[("reject", 6.0), ("on_drained", 6.0), ("beside told", 6.0)]);
    timeline.assert_now(20.0);
    assert_eq!(report.hooks[0].outcome, HookOutcome::Done);
}

#[tokio::test(start_paused = true)]
async fn the_bound_of_on_begin_bounds_the_return() {
    let timeline = Timeline::new();
    let handle = DrainHandle::new();
    let report = Shutdown::new(handle.clone())
        .trigger(after(0.0))
        .on_begin("hangs", s(15.0), |_| pending())
        .run(|stop| server(stop, handle, timeline.clone()))
        .await
        .unwrap();
    timeline.assert_now(15.0);
    assert_eq!(report.hooks[0].outcome, HookOutcome::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn on_begin_hooks_run_together_and_on_drained_hooks_one_after_the_other() {
    let timeline = Timeline::new();
    let handle = DrainHandle::new();
    let hook = |what: &'static str| {
        let timeline = timeline.clone();
        move || async move {
            timeline.mark(format!("{what} began"));
            tokio::time::sleep(s(2.0)).await;
            timeline.mark(format!("{what} ended"));
            Ok(())
        }
    };
    let (a, b, c, d) = (hook("a"), hook("b"), hook("c"), hook("d"));
    Shutdown::new(handle.clone())
        .trigger(after(0.0))
        .on_begin("a", s(5.0), |_| a())
        .on_begin("b", s(5.0), |_| b())
        .on_drained("c", s(4.0), |_| c())
        .on_drained("d", s(4.0), |_| d())
        .run(|stop| server(stop, handle, timeline.clone()))
        .await
        .unwrap();
    timeline.assert(&[
        ("a began", 0.0),
        ("b began", 0.0),
        ("c began", 6.0),
        ("c ended", 8.0),
    ]);
    timeline.assert(&[("d began", 8.0), ("d ended", 10.0)]);
    timeline.assert_now(10.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_that_blocks_its_thread_stalls_nothing() {
    let timeline = Timeline::new();
    let handle = DrainHandle::new();
    let (release, released) = mpsc::channel::<()>();
    let instant = Duration::from_millis(1);
    let timeouts = timeouts().lame_duck(instant).settle(instant);
    let report = Shutdown::new(handle.clone())
        .timeouts(timeouts)
        .trigger(after(0.0))
        .on_drained("blocks", Duration::from_millis(50), move |_| async move {
            // Until the test is over, however long that takes.
            let _ = released.recv();
            Ok(())
        })
        .run(|stop| server(stop, handle, timeline.clone()))
        .await
        .unwrap();
    assert_eq!(report.hooks[0].outcome, HookOutcome::TimedOut);
    drop(release);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_run_drops_the_hooks_with_it() {
    struct MarksDrop(Timeline);
    impl Drop for MarksDrop {
        fn drop(&mut self) {
            self.0.mark("hook dropped");
        }
    }

    let timeline = Timeline::new();
    let handle = DrainHandle::new();
    let marks = MarksDrop(timeline.clone());
    let run = Shutdown::new(handle.clone())
        .trigger(after(0.0))
        .on_begin("hangs", s(100.0), |_| async move {
            let _marks = marks;
            pending().await
        })
        .run(|stop| server(stop, handle, timeline.clone()));
    assert!(tokio::time::timeout(s(3.0), run).await.is_err());
    // Once for the abort to reach the task that bounds the hook, and once for the hook's own.
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    timeline.assert(&[("hook dropped", 3.0)]);
}
