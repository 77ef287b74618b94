//! What is recorded, and when.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tokio::time::advance;
use tokio_test::task::{spawn, Spawn};
use tower_drain::{DrainHandle, DrainLayer, RecordMetrics};

use crate::support::{get, App};

const EVERY: Duration = Duration::from_secs(10);

/// One recording, with a recorder of its own.
struct Recording {
    recorder: DebuggingRecorder,
    recording: Spawn<RecordMetrics>,
}

impl Recording {
    fn of(handle: &DrainHandle) -> Self {
        Self {
            recorder: DebuggingRecorder::new(),
            recording: spawn(handle.record_metrics(EVERY)),
        }
    }

    fn poll(&mut self) {
        let polled =
            metrics::with_local_recorder(&self.recorder, || self.recording.poll().is_ready());
        assert!(!polled, "it never ends");
    }

    /// By name and label. A look takes them: what is seen was recorded since the last one.
    fn seen(&self) -> Seen {
        let snapshot = self.recorder.snapshotter().snapshot().into_vec();
        let value = |value| match value {
            DebugValue::Counter(count) => vec![count as f64],
            DebugValue::Gauge(value) => vec![*value],
            DebugValue::Histogram(values) => values.iter().map(|value| value.round()).collect(),
        };
        let named = snapshot.into_iter().map(|(key, _, description, seen)| {
            assert!(description.is_some(), "{key:?} is not described");
            let key = key.key();
            let labels = key.labels().map(|label| format!("/{}", label.value()));
            (
                key.name().to_owned() + &labels.collect::<String>(),
                value(seen),
            )
        });
        Seen(named.collect())
    }
}

#[derive(Debug)]
struct Seen(BTreeMap<String, Vec<f64>>);

impl Seen {
    fn get(&self, name: &str) -> &[f64] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// In flight, rejected, and the phase.
    #[track_caller]
    fn assert(&self, in_flight: f64, rejected: f64, phase: &str) {
        assert_eq!(self.get("tower_drain_in_flight"), [in_flight]);
        assert_eq!(self.get("tower_drain_rejected_total"), [rejected]);
        for other in ["serving", "lame_duck", "draining", "drained"] {
            let is_on = f64::from(u8::from(other == phase));
            let name = format!("tower_drain_phase/{other}");
            assert_eq!(self.get(&name), [is_on], "{other}");
        }
    }
}

const DURATION: &str = "tower_drain_duration_seconds";
const CUT: &str = "tower_drain_cut_total";

#[tokio::test(start_paused = true)]
async fn everything_is_there_from_the_first_poll_on() {
    let handle = DrainHandle::new();
    let mut recording = Recording::of(&handle);
    recording.poll();
    let seen = recording.seen();
    seen.assert(0.0, 0.0, "serving");
    let names: Vec<_> = seen.0.into_keys().collect();
    assert_eq!(
        names,
        [
            "tower_drain_cut_total",
            "tower_drain_in_flight",
            "tower_drain_phase/drained",
            "tower_drain_phase/draining",
            "tower_drain_phase/lame_duck",
            "tower_drain_phase/serving",
            "tower_drain_rejected_total",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn requests_are_seen_at_the_next_interval_and_wake_nothing_themselves() {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let mut app = App::of(layer);
    let mut recording = Recording::of(&handle);
    recording.poll();
    let (_open, _call) = app.open(get("/"));
    let _guard = handle.try_guard().unwrap();
    assert!(!recording.recording.is_woken());
    recording.poll();
    assert_eq!(recording.seen().get("tower_drain_in_flight"), [0.0]);
    advance(EVERY + Duration::from_millis(1)).await;
    assert!(recording.recording.is_woken());
    recording.poll();
    recording.seen().assert(2.0, 0.0, "serving");
}

#[tokio::test(start_paused = true)]
async fn each_change_of_the_phase_is_recorded_at_once_and_the_end_with_its_duration_and_cut() {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let mut app = App::of(layer);
    let mut recording = Recording::of(&handle);
    let tracked = handle.track(std::future::pending::<()>()).unwrap();
    recording.poll();
    handle.begin_lame_duck();
    assert!(recording.recording.is_woken());
    recording.poll();
    recording.seen().assert(1.0, 0.0, "lame_duck");
    advance(Duration::from_secs(3)).await;
    handle.begin_shutdown();
    assert_eq!(app.answer(get("/")).status(), 503);
    assert!(recording.recording.is_woken());
    recording.poll();
    recording.seen().assert(1.0, 1.0, "draining");
    advance(Duration::from_secs(5)).await;
    assert_eq!(handle.cut(), 1);
    drop(tracked);
    assert!(recording.recording.is_woken());
    recording.poll();
    let seen = recording.seen();
    assert_eq!(
        (seen.get(DURATION), seen.get(CUT)),
        (&[5.0][..], &[1.0][..])
    );
    seen.assert(0.0, 1.0, "drained");
}

#[tokio::test(start_paused = true)]
async fn each_drain_that_ends_is_recorded_once_and_one_that_is_taken_back_is_not() {
    let handle = DrainHandle::new();
    let mut recording = Recording::of(&handle);
    recording.poll();
    for seconds in [2, 4] {
        let guard = handle.try_guard().unwrap();
        let nonce = handle.begin_shutdown_because("a drain".into()).unwrap();
        recording.poll();
        advance(Duration::from_secs(seconds)).await;
        drop(guard);
        recording.poll();
        assert_eq!(recording.seen().get(DURATION), [seconds as f64]);
        for _ in 0..3 {
            advance(EVERY * 2).await;
            recording.poll();
        }
        assert!(recording.seen().get(DURATION).is_empty());
        handle.resume(nonce).unwrap();
        recording.poll();
        recording.seen().assert(0.0, 0.0, "serving");
    }
    let guard = handle.try_guard().unwrap();
    let nonce = handle.begin_shutdown_because("taken back".into()).unwrap();
    recording.poll();
    handle.resume(nonce).unwrap();
    recording.poll();
    drop(guard);
    recording.poll();
    assert!(recording.seen().get(DURATION).is_empty());
}

#[test]
fn it_is_made_outside_a_runtime_and_goes_to_other_threads() {
    fn sent<T: Future + Send + Sync + Unpin + 'static>(_: &T) {}
    let recording = DrainHandle::new().record_metrics(EVERY);
    sent(&recording);
    assert!(format!("{recording:?}").contains("every: 10s"));
}

#[test]
#[should_panic(expected = "the interval of metrics must be above 0 s")]
fn an_interval_of_zero_is_refused() {
    drop(DrainHandle::new().record_metrics(Duration::ZERO));
}
