//! What peers got, against what the report says.

use std::collections::HashSet;
use std::ops::AddAssign;
use std::time::{Duration, Instant};

use crate::content::{Ask, End};
use crate::process::Ended;
use crate::steps::{Step, Steps};

/// A server waits at least so long for a peer that has not read everything yet. What is slower may be called lost although
/// it arrives in the end.
const PATIENCE: Duration = Duration::from_secs(4);

/// What became of a request.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) ask: Ask,
    pub(crate) end: End,
    /// So early that the server must have noticed.
    pub(crate) in_time: bool,
}

/// Whether a peer that is done by now was done early.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    steps: Steps,
    draining: Instant,
}

impl Clock {
    /// Waits for the drain.
    pub(crate) async fn start(steps: &Steps) -> Self {
        steps.reached(Step::Draining).await;
        Self {
            steps: steps.clone(),
            draining: Instant::now(),
        }
    }

    pub(crate) fn is_in_time(&self) -> bool {
        !self.steps.has_left() && self.draining.elapsed() < PATIENCE
    }
}

/// Sums over any number of stops. Losses and false alarms are connections, as in the report.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) stops: usize,
    pub(crate) admitted: usize,
    pub(crate) whole: usize,
    pub(crate) reported: usize,
    pub(crate) unreported: usize,
    pub(crate) false_alarms: usize,
}

impl Tally {
    pub(crate) fn of(seen: &[Seen], ended: &Ended) -> Self {
        let was_admitted = |seen: &&Seen| ended.admitted.contains(&seen.ask.id);
        let (whole, broken): (Vec<_>, Vec<_>) = seen
            .iter()
            .filter(was_admitted)
            .partition(|seen| seen.end == End::Whole);
        let lost: HashSet<_> = broken.iter().map(|seen| seen.ask.connection).collect();
        let report = &ended.report;
        assert_eq!(ended.code == 0, report.complete, "{report:?}");
        let said = report.cut + report.still_held + report.unflushed;
        // One response may be cut, and its connection unflushed.
        let alarms = report.cut.max(report.still_held).max(report.unflushed);
        let surely_whole = seen
            .iter()
            .all(|seen| seen.in_time || seen.end != End::Whole);
        Self {
            stops: 1,
            admitted: whole.len() + broken.len(),
            whole: whole.len(),
            reported: lost.len().min(said),
            unreported: lost.len().saturating_sub(said),
            false_alarms: match surely_whole {
                true => alarms.saturating_sub(lost.len()),
                false => 0,
            },
        }
    }

    /// Where each of so many requests was to be answered, each on a connection of its own.
    pub(crate) fn of_counts(requests: usize, answered: usize, ended: &Ended) -> Self {
        let report = &ended.report;
        assert_eq!(ended.code == 0, report.complete, "{report:?}");
        let said = report.cut + report.still_held + report.unflushed;
        let lost = requests - answered;
        Self {
            stops: 1,
            admitted: requests,
            whole: answered,
            reported: lost.min(said),
            unreported: lost.saturating_sub(said),
            false_alarms: if lost == 0 { said } else { 0 },
        }
    }

    pub(crate) fn is_right(&self) -> bool {
        self.unreported == 0 && self.false_alarms == 0
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.stops += other.stops;
        self.admitted += other.admitted;
        self.whole += other.whole;
        self.reported += other.reported;
        self.unreported += other.unreported;
        self.false_alarms += other.false_alarms;
    }
}

/// Every request with its end, and the server's last words.
pub(crate) fn story(seen: &[Seen], ended: &Ended) -> String {
    let mut story = String::new();
    for Seen { ask, end, in_time } in seen {
        let admitted = ended.admitted.contains(&ask.id);
        story += &format!("  {ask}: {end:?}, admitted {admitted}, in time {in_time}\n");
    }
    format!(
        "{story}  exit code {}, {:?}\n{}",
        ended.code, ended.report, ended.log
    )
}
