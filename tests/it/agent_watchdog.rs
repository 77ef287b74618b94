//! When a watchdog probes, what counts as a failure, and when it gives up.

use std::future::pending;
use std::time::Duration;

use tokio::time::{advance, sleep, Instant};
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready};
use tower_drain::{BoxError, DrainReason, Watchdog};

use crate::agent_support::{s, Calls};

/// What a probe does.
#[derive(Clone, Copy)]
enum Answer {
    Ok,
    Err(&'static str),
    OkAfter(f64),
    ErrAfter(f64),
    Hang,
    Panic,
}

/// Answers by a script, and then well.
#[derive(Clone)]
struct Backend {
    script: &'static [Answer],
    probes: Calls,
}

impl Backend {
    fn new(script: &'static [Answer]) -> Self {
        Self {
            script,
            probes: Calls::new(),
        }
    }

    async fn probe(self) -> Result<(), BoxError> {
        let (before, _call) = self.probes.begin();
        match self.script.get(before).unwrap_or(&Answer::Ok) {
            Answer::Ok => Ok(()),
            Answer::Err(error) => Err((*error).into()),
            Answer::OkAfter(seconds) => {
                sleep(s(*seconds)).await;
                Ok(())
            }
            Answer::ErrAfter(seconds) => {
                sleep(s(*seconds)).await;
                Err("late".into())
            }
            Answer::Hang => pending().await,
            Answer::Panic => panic!("no such backend"),
        }
    }
}

/// With the defaults, until it resolves or `seconds` are over: what it says, and when.
async fn watch(backend: &Backend, seconds: f64) -> Option<(u32, String, f64)> {
    let probed = backend.clone();
    let watchdog = Watchdog::new(move || probed.clone().probe());
    let start = Instant::now();
    let reason = tokio::time::timeout(s(seconds), watchdog).await.ok()?;
    let DrainReason::ConnectivityLost {
        failures,
        last_error,
    } = reason
    else {
        panic!("another reason: {reason:?}");
    };
    Some((failures, last_error, start.elapsed().as_secs_f64().round()))
}

#[tokio::test(start_paused = true)]
async fn it_probes_at_once_and_then_at_every_interval_for_as_long_as_all_is_well() {
    let backend = Backend::new(&[]);
    assert_eq!(watch(&backend, 50.0).await, None);
    assert_eq!(backend.probes.began(), [0.0, 15.0, 30.0, 45.0]);
}

#[tokio::test(start_paused = true)]
async fn two_failures_in_a_row_resolve_it_with_the_last_error() {
    let backend = Backend::new(&[Answer::Ok, Answer::Err("reset"), Answer::Err("refused")]);
    let lost = watch(&backend, 100.0).await;
    assert_eq!(lost, Some((2, "refused".to_owned(), 30.0)));
}

#[tokio::test(start_paused = true)]
async fn one_success_in_between_starts_the_count_anew() {
    let script = &[
        Answer::Err("one"),
        Answer::Ok,
        Answer::Err("one again"),
        Answer::OkAfter(4.9),
        Answer::Err("one"),
        Answer::Err("two"),
    ];
    let backend = Backend::new(script);
    let lost = watch(&backend, 200.0).await;
    assert_eq!(lost, Some((2, "two".to_owned(), 75.0)));
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_hangs_has_failed_at_its_timeout_and_is_dropped() {
    let backend = Backend::new(&[Answer::Hang, Answer::Hang]);
    let probed = backend.clone();
    let mut watchdog = spawn(Box::pin(Watchdog::new(move || probed.clone().probe())));
    assert_pending!(watchdog.poll());
    assert_eq!(backend.probes.on(), 1);
    advance(s(4.9)).await;
    assert_pending!(watchdog.poll());
    assert_eq!(backend.probes.on(), 1);
    advance(s(0.2)).await;
    assert!(watchdog.is_woken());
    assert_pending!(watchdog.poll());
    assert_eq!(backend.probes.on(), 0);
    assert!(format!("{:?}", *watchdog).contains("failures: 1"));

    let lost = watch(&Backend::new(&[Answer::Hang, Answer::Hang]), 100.0).await;
    assert_eq!(lost, Some((2, "no answer within 5 s".to_owned(), 20.0)));
}

#[tokio::test(start_paused = true)]
async fn an_answer_at_the_last_moment_counts() {
    let backend = Backend::new(&[Answer::Hang, Answer::OkAfter(5.0), Answer::Hang]);
    assert_eq!(watch(&backend, 44.0).await, None);
}

#[tokio::test(start_paused = true)]
async fn probes_never_overlap_and_missed_ticks_are_not_made_up_for() {
    let backend = Backend::new(&[Answer::OkAfter(37.0), Answer::ErrAfter(1.0)]);
    let probed = backend.clone();
    let watchdog = Watchdog::new(move || probed.clone().probe()).timeout(s(60.0));
    let ended = tokio::time::timeout(s(70.0), watchdog).await;
    assert!(ended.is_err());
    // The tick of 15 s comes late, that of 30 s not at all.
    assert_eq!(backend.probes.began(), [0.0, 37.0, 45.0, 60.0]);
    assert_eq!(backend.probes.most_at_once(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failure_like_another() {
    let backend = Backend::new(&[Answer::Panic, Answer::Panic]);
    let lost = watch(&backend, 100.0).await;
    let expected = (2, "panicked: no such backend".to_owned(), 15.0);
    assert_eq!(lost, Some(expected));

    let at_once = Watchdog::new(|| -> std::future::Ready<_> { panic!("no {}", "client") })
        .threshold(1)
        .await;
    assert!(at_once.to_string().ends_with("panicked: no client"));
}

#[tokio::test(start_paused = true)]
async fn interval_timeout_and_threshold_are_what_was_set() {
    let backend = Backend::new(&[Answer::Hang; 3]);
    let probed = backend.clone();
    let start = Instant::now();
    let reason = Watchdog::new(move || probed.clone().probe())
        .every(s(10.0))
        .timeout(s(2.5))
        .threshold(3)
        .await;
    assert_eq!(start.elapsed().as_secs_f64().round(), 23.0);
    assert_eq!(
        reason.to_string(),
        "connectivity lost after 3 failures: no answer within 2.5 s"
    );
}

#[tokio::test(start_paused = true)]
async fn it_may_be_dropped_and_takes_its_probe_with_it() {
    let backend = Backend::new(&[Answer::Hang]);
    let probed = backend.clone();
    let mut watchdog = spawn(Watchdog::new(move || probed.clone().probe()));
    assert_pending!(watchdog.poll());
    assert_eq!(backend.probes.on(), 1);
    drop(watchdog);
    assert_eq!(backend.probes.on(), 0);
}

#[test]
fn it_is_made_outside_a_runtime_and_touches_the_timer_only_when_it_is_polled() {
    let watchdog = Watchdog::new(|| async { Err("down".into()) }).threshold(1);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let reason = assert_ready!(spawn(watchdog).poll());
    assert!(reason.to_string().contains("down"));
}

#[test]
fn it_goes_to_other_threads_where_its_probe_does() {
    fn trigger<T: std::future::Future<Output = DrainReason> + Send + 'static>(_: T) {}
    trigger(Watchdog::new(|| async {
        tokio::net::TcpStream::connect("127.0.0.1:1").await?;
        Ok(())
    }));
}

#[test]
#[should_panic(expected = "a watchdog's interval must be above 0 s")]
fn an_interval_of_zero_is_refused() {
    drop(Watchdog::new(pending).every(Duration::ZERO));
}

#[test]
#[should_panic(expected = "a watchdog's timeout must be above 0 s")]
fn a_timeout_of_zero_is_refused() {
    drop(Watchdog::new(pending).timeout(Duration::ZERO));
}

#[test]
#[should_panic(expected = "a watchdog's threshold must be above 0")]
fn a_threshold_of_zero_is_refused() {
    drop(Watchdog::new(pending).threshold(0));
}
