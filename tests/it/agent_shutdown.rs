//! Goodbyes and watchdogs as triggers of the sequence.

use std::future::pending;

use futures_util::stream::{self, StreamExt};
use tower_drain::{BoxError, DrainHandle, DrainReason, GoodbyeListener, Shutdown, Watchdog};

use crate::shutdown_support::{s, server, timeouts, work, Timeline};

#[tokio::test(start_paused = true)]
async fn a_goodbye_begins_one_shutdown_that_waits_for_the_work_in_hand() {
    let (handle, timeline) = (DrainHandle::new(), Timeline::new());
    let operations = ["event: goodbye\n", "\n", "data: 2\n\n"].map(Ok::<_, BoxError>);
    let mut operations = GoodbyeListener::new(stream::iter(operations).chain(stream::pending()));
    let shutdown = Shutdown::new(handle.clone())
        .timeouts(timeouts().lame_duck(s(0.0)).settle(s(0.0)))
        .trigger(operations.goodbye());
    work(&handle, 7.0);
    let reader = tokio::spawn(async move { while operations.next().await.is_some() {} });
    let report = shutdown
        .run(|stop| server(stop, handle, timeline.clone()))
        .await
        .unwrap();
    assert_eq!(report.reason, DrainReason::Goodbye);
    assert_eq!(report.cut, 0);
    timeline.assert(&[("stop", 0.0), ("server returned", 7.0)]);
    reader.abort();
}

#[tokio::test(start_paused = true)]
async fn connectivity_that_is_lost_is_the_reason_before_any_hook_reads_it() {
    let (handle, timeline) = (DrainHandle::new(), Timeline::new());
    let (mark, asked) = (timeline.clone(), handle.clone());
    let report = Shutdown::new(handle.clone())
        .timeouts(timeouts().lame_duck(s(0.0)).settle(s(0.0)))
        .trigger(Watchdog::new(pending::<Result<(), BoxError>>))
        .on_begin("notify", s(1.0), move |status| async move {
            assert_eq!(status.reason, asked.reason());
            mark.mark(status.reason.expect("set").to_string());
            Ok(())
        })
        .run(|stop| server(stop, handle, timeline.clone()))
        .await
        .unwrap();
    let said = "connectivity lost after 2 failures: no answer within 5 s";
    assert_eq!(report.reason.to_string(), said);
    timeline.assert(&[(said, 20.0)]);
}
