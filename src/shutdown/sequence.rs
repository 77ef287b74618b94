//! The order of the steps. A cut does not branch off: it makes every wait from there on end at once.

use std::collections::HashSet;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{sleep, Instant};

use super::builder::StopAccepting;
use super::ear::Hurry;
use super::hooks::{Hook, Hooks, Task};
use super::record::Record;
use super::report::{HookOutcome, HookStage};
use super::server::Server;
use super::timeouts::Timeouts;
use super::{log, Cut};
use crate::latch::Latch;
use crate::race::{over, race, Either};
use crate::{DrainHandle, Straggler, StragglerPhase};

/// How much of the end of the lame duck is watched for what still comes.
const LAST: Duration = Duration::from_secs(1);
const PROGRESS: Duration = Duration::from_secs(5);
/// For cut requests to be dropped by their tasks before it is told who is still held. It is part of the closing.
const UNWIND: Duration = Duration::from_millis(100);

type HookTask = Task<(HookOutcome, Duration)>;

#[derive(Debug)]
pub(super) struct Sequence {
    pub(super) handle: DrainHandle,
    pub(super) timeouts: Timeouts,
    pub(super) stop_accepting: StopAccepting,
    pub(super) hooks: Hooks,
    pub(super) server: Server,
    pub(super) stop: Latch,
    pub(super) overdue: Latch,
    pub(super) abandon: Latch,
    pub(super) hurry: Hurry,
}

impl Sequence {
    /// From the trigger until the server has returned. Returns the `on_begin` hooks, which may run on.
    pub(super) async fn end_server(&mut self, record: &mut Record) -> Vec<(usize, HookTask)> {
        let began_by_itself = self.server.has_ended();
        self.seal(record);
        if self.stop_accepting == StopAccepting::AtLameDuck {
            self.close_accept();
        }
        self.handle.begin_lame_duck_because(record.reason.clone());
        let on_begin = match began_by_itself {
            true => Vec::new(),
            false => self.begin_hooks(record),
        };
        self.lame_duck(record).await;
        match self.stop_accepting {
            StopAccepting::AfterDrain => {
                self.drain(record).await;
                self.close_accept();
                self.settle(record).await;
                self.stop_server();
            }
            StopAccepting::AtDrain | StopAccepting::AtLameDuck => {
                self.close_accept();
                self.settle(record).await;
                self.stop_server();
                self.settle(record).await;
                self.drain(record).await;
            }
        }
        self.close(record).await;
        on_begin
    }

    /// What is left of the closing for whoever waits for nothing. It comes after a cut, which no step waits behind, so
    /// that everything up to the cut is done.
    pub(super) fn leave(&self, record: &mut Record) {
        self.abandon.fire();
        record.unflushed = self.server.unflushed();
        record.still_held = self.handle.stragglers();
    }

    /// Before the lame duck, so that a drain that is on cannot be taken back under the sequence: one that was taken
    /// back before begins anew.
    fn seal(&self, record: &Record) {
        self.handle.seal();
        log::triggered(&record.reason, &self.handle);
    }

    fn begin_hooks(&mut self, record: &mut Record) -> Vec<(usize, HookTask)> {
        let status = self.handle.status();
        let hooks = std::mem::take(&mut self.hooks.on_begin);
        spawn(hooks, HookStage::OnBegin, record, || status.clone())
    }

    async fn lame_duck(&mut self, record: &mut Record) {
        // Nobody is served who could be told apart from those that are rejected already.
        let limit = match self.handle.is_draining() {
            true => Duration::ZERO,
            false => self.timeouts.lame_duck,
        };
        log::step("lame duck", limit, &self.handle);
        let began = Instant::now();
        if !limit.is_zero() {
            let front = &self.handle.exit().front;
            front.begins();
            let watched = async {
                over(less(limit, LAST)).await;
                front.watch();
                over(less(limit, began.elapsed())).await;
            };
            let hurried = race(self.hurry.cut.fired(), self.server.ended());
            if let Either::Second(()) = race(hurried, watched).await {
                record.front = front.conclude();
                if let Some(seen) = &record.front {
                    log::front(seen);
                }
            }
        }
        record.phases.lame_duck = began.elapsed();
    }

    fn close_accept(&self) {
        // Asked first: what hears of it may be gone right after.
        let closes_something = self.handle.exit().closes_something();
        if self.handle.exit().close_accept() && closes_something {
            log::step("listening socket closes", Duration::ZERO, &self.handle);
        }
    }

    async fn settle(&mut self, record: &mut Record) {
        let limit = self.timeouts.settle;
        log::step("settle", limit, &self.handle);
        let began = Instant::now();
        if !limit.is_zero() && !self.server.has_ended() {
            let hurried = race(self.hurry.cut.fired(), self.server.idle());
            race(hurried, over(limit)).await;
        }
        record.phases.settle += began.elapsed();
    }

    fn stop_server(&self) {
        if self.stop.fire() {
            log::step("server stops", Duration::ZERO, &self.handle);
        }
    }

    async fn drain(&mut self, record: &mut Record) {
        self.handle.begin_shutdown_because(record.reason.clone());
        record.in_flight = self.handle.in_flight();
        log::step("drain", self.timeouts.drain, &self.handle);
        let began = Instant::now();
        let is_drained = self.wait_for_drain().await;
        record.phases.drain = began.elapsed();
        if is_drained {
            record.left_of_drain = less(self.timeouts.drain, began.elapsed());
        } else {
            self.cut(record).await;
        }
    }

    /// Whether everything ended before the time was over or a cut was asked for.
    async fn wait_for_drain(&mut self) -> bool {
        let drained = self.handle.wait_for_drain(self.timeouts.drain);
        let drained = with_progress("drain", &self.handle, drained);
        match race(drained, self.hurry.cut.fired()).await {
            Either::First(Ok(_)) => true,
            Either::First(Err(_)) | Either::Second(()) => false,
        }
    }

    async fn cut(&mut self, record: &mut Record) {
        self.hurry.cut.fire();
        let began = Instant::now();
        let before = self.handle.stragglers();
        self.handle.cut();
        log::step("cut", UNWIND, &self.handle);
        let limit = UNWIND.min(self.timeouts.close);
        let _ = race(self.handle.wait_for_drain(Duration::MAX), sleep(limit)).await;
        record.phases.close = began.elapsed();
        let cut = told_apart(before, self.handle.stragglers());
        let hooks = std::mem::take(&mut self.hooks.on_cut);
        let running = spawn(hooks, HookStage::OnCut, record, || cut.clone());
        finish(running, record).await;
        record.phases.cut = began.elapsed() - record.phases.close;
    }

    /// Responses that are written have what is left of the drain to reach their peers, and `close` behind it: the same
    /// as a stream of the same bytes, which the drain waits for. What still runs is not the drain's and has `close`.
    async fn close(&mut self, record: &mut Record) {
        let limit = less(self.timeouts.close, record.phases.close);
        let left = record.left_of_drain;
        log::step("close", limit.saturating_add(left), &self.handle);
        let began = Instant::now();
        let has_cut = self.hurry.cut.is_fired();
        let overdue = self.overdue.clone();
        let (server, handle) = (&mut self.server, &self.handle);
        let closed = async {
            server.ended().await;
            // Cut guards and bodies too.
            drop(handle.wait_for_drain(Duration::MAX).await);
        };
        let hurried = async {
            match has_cut {
                true => std::future::pending().await,
                false => self.hurry.cut.fired().await,
            }
        };
        let too_long = async {
            over(limit).await;
            overdue.fire();
            over(left).await;
        };
        let closed = with_progress("close", handle, closed);
        race(closed, race(hurried, too_long)).await;
        if !self.server.has_ended() {
            self.abandon.fire();
            self.server.ended().await;
        }
        record.overdrawn = began.elapsed().saturating_sub(limit.saturating_add(left));
        record.phases.close += began.elapsed();
        record.unflushed = self.server.unflushed();
        record.still_held = self.handle.stragglers();
        if let Some(error) = self.server.error() {
            log::server_failed(&**error);
        }
    }

    /// One after the other.
    pub(super) async fn on_drained(&mut self, record: &mut Record) {
        let began = Instant::now();
        let places = record.places(HookStage::OnDrained);
        let hooks = std::mem::take(&mut self.hooks.on_drained);
        for (place, hook) in places.zip(hooks) {
            record.hook_began(place);
            let report = record.report(&self.handle);
            let ended = hook.run(HookStage::OnDrained, report).await;
            record.hook_ended(place, ended);
        }
        record.phases.on_drained = began.elapsed();
    }
}

/// What is left of a limit; of none, none.
fn less(limit: Duration, by: Duration) -> Duration {
    match limit {
        Duration::MAX => Duration::MAX,
        limit => limit.saturating_sub(by),
    }
}

fn spawn<A: Send + 'static>(
    hooks: Vec<Hook<A>>,
    stage: HookStage,
    record: &mut Record,
    input: impl Fn() -> A,
) -> Vec<(usize, HookTask)> {
    let places = record.places(stage);
    let spawned = places.zip(hooks).map(|(place, hook)| {
        record.hook_began(place);
        (place, hook.spawn(stage, input()))
    });
    spawned.collect()
}

/// Each is bounded by itself.
pub(super) async fn finish(running: Vec<(usize, HookTask)>, record: &mut Record) {
    for (place, mut task) in running {
        if let Ok(ended) = task.join().await {
            record.hook_ended(place, ended);
        }
    }
}

/// Says every few seconds who is waited for.
async fn with_progress<F: Future>(
    step: &'static str,
    handle: &DrainHandle,
    future: F,
) -> F::Output {
    let began = Instant::now();
    let mut future = pin!(future);
    loop {
        match race(future.as_mut(), sleep(PROGRESS)).await {
            Either::First(output) => return output,
            Either::Second(()) => log::progress(step, began.elapsed(), handle),
        }
    }
}

/// Who of those before the cut is gone, and who is still held.
fn told_apart(before: Vec<Straggler>, still_held: Vec<Straggler>) -> Cut {
    let held: HashSet<u64> = still_held.iter().map(|held| held.id).collect();
    // Those have no id; of them only the number is known.
    let is_unseen = |straggler: &&Straggler| straggler.phase == StragglerPhase::Unseen;
    let mut unseen = still_held.iter().filter(is_unseen).count();
    let mut ended = Vec::new();
    for straggler in before {
        let is_held = match straggler.phase {
            StragglerPhase::Unseen => {
                let is_held = unseen > 0;
                unseen = unseen.saturating_sub(1);
                is_held
            }
            _ => held.contains(&straggler.id),
        };
        log::was_cut(&straggler, !is_held);
        // A guard was told, and ended by itself.
        if !is_held && straggler.phase != StragglerPhase::Guard {
            ended.push(straggler);
        }
    }
    Cut { ended, still_held }
}
