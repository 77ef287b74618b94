//! Words from outside in the log and the report.

use tower_drain::{BoxError, DrainHandle, DrainReason, HookOutcome, Shutdown};

use crate::shutdown_log::{line, Lines};
use crate::shutdown_support::{s, server, timeouts, Timeline};

/// A line of its own, if it were let.
const FORGED: &str = "refused\n INFO tower_drain::shutdown: shutdown complete\r\u{1b}[2K\u{2028}";
const ESCAPED: &str = r"refused\n INFO tower_drain::shutdown: shutdown complete\r\u{1b}[2K\u{2028}";

#[tokio::test(start_paused = true)]
async fn words_from_outside_add_no_line_to_the_log_or_the_report() {
    for reason in [
        DrainReason::Other(FORGED.into()),
        DrainReason::Signal(FORGED.into()),
        DrainReason::ConnectivityLost {
            failures: 2,
            last_error: FORGED.into(),
        },
    ] {
        Lines::listen();
        let handle = DrainHandle::new();
        let _kept = handle.try_guard_as(FORGED).unwrap();
        let failing = || async { Err::<(), BoxError>(FORGED.into()) };
        let said = reason.clone();
        let report = Shutdown::new(handle.clone())
            .timeouts(timeouts().drain(s(7.0)))
            .trigger(async { said })
            .on_begin(FORGED, s(1.0), move |_| failing())
            .on_drained("panics", s(1.0), |_| async { panic!("{FORGED}") })
            .beside(move |_| failing())
            .run(|stop| server(stop, handle, Timeline::new()))
            .await
            .unwrap();

        let lines = Lines::all();
        let is_ours = |line: &&String| line.contains(" tower_drain");
        let forged: Vec<_> = lines.iter().filter(|line| !is_ours(line)).collect();
        assert!(forged.is_empty(), "{forged:#?}");
        let complete = " INFO tower_drain::shutdown: shutdown complete";
        assert!(
            !lines.iter().any(|line| line.starts_with(complete)),
            "{lines:#?}"
        );
        let controls = |line: &&String| line.contains(|c: char| c.is_control() || c == '\u{2028}');
        assert!(!lines.iter().any(|line| controls(&line)), "{lines:#?}");

        let text = report.to_string();
        assert_eq!(text.lines().count(), 6, "{text}");
        assert_eq!(text.matches(ESCAPED).count(), 5, "{text}");
        // What was said is kept as it was.
        assert_eq!(report.reason, reason);
        assert_eq!(report.hooks[0].outcome, HookOutcome::Failed(FORGED.into()));
        assert_eq!(report.still_held[0].label.as_deref(), Some(FORGED));
    }
}

#[tokio::test(start_paused = true)]
async fn the_servers_own_error_adds_no_line_either() {
    Lines::listen();
    let run = Shutdown::new(DrainHandle::new());
    let run = run.run(|_| async { Err::<(), BoxError>(FORGED.into()) });
    assert_eq!(run.await.unwrap_err().to_string(), FORGED);
    let lines = Lines::get();
    let error = line(&lines, "the server ended in an error");
    assert!(error.contains(&format!("error={ESCAPED}")), "{error}");
}
