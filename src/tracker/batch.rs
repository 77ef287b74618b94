//! Those who were admitted to a shard between two cuts. A resume goes on with the same batch if somebody has it.

use std::sync::Arc;

use super::count::{added_up, announced, Counter, Stage};
use super::shard::Shard;
use super::sync::{Counted, Uncounted};
use super::Padded;

/// What everybody who is counted has a reference to. On lines of its own: the count in front of it is written by every
/// request, and what is read of it is asked at every poll.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Batch {
    /// From 1 on.
    number: u64,
    pub(super) shard: Arc<Shard>,
    pub(super) stage: Arc<Padded<Stage>>,
    /// How many have it that a cut tells and does not end. Changed, with the reference, under the registry's lock.
    pub(super) guards: Counter,
    /// Not of an exempt request, nor if somebody else says that it is over.
    is_counted: bool,
}

impl Batch {
    fn with(number: u64, shard: &Arc<Shard>, is_counted: bool) -> Counted {
        Counted::new(Self {
            number,
            shard: shard.clone(),
            stage: shard.stage().clone(),
            guards: Counter::new(),
            is_counted,
        })
    }

    pub(super) fn new(number: u64, shard: &Arc<Shard>) -> Counted {
        Self::with(number, shard, true)
    }

    /// Of what is neither counted nor cut: exempt requests, and all when the tracker is gone.
    pub(super) fn exempt(shard: &Arc<Shard>) -> Counted {
        Self::with(u64::MAX, shard, false)
    }

    pub(super) fn is_counted(&self) -> bool {
        self.is_counted
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    #[inline]
    pub(super) fn is_cut(&self) -> bool {
        self.shard.has_cut(self.number)
    }

    /// How many have it, but for `own` references and the guards. To be asked after one's own write to the count, under the
    /// registry's lock (invariant 6).
    pub(super) fn ended_by_a_cut(batch: &Counted, own: usize) -> usize {
        Counted::strong_count(batch) - own - batch.guards.get() as usize
    }

    /// Nobody has it any more (invariant 4).
    pub(super) fn over(&self) {
        if self.is_counted {
            self.shard.settle();
        }
    }

    /// Gives a reference up, for who has a lock; whether a batch is over with it. If so, the caller says so.
    #[cfg(not(all(test, any(tower_drain_loom, tower_drain_shuttle))))]
    pub(super) fn give_up(batch: Counted) -> bool {
        let last = Counted::into_inner(batch);
        last.is_some_and(|mut batch| std::mem::take(&mut batch.is_counted))
    }

    #[cfg(all(test, any(tower_drain_loom, tower_drain_shuttle)))]
    pub(super) fn give_up(batch: Counted) -> bool {
        Counted::give_up(batch)
    }
}

#[cfg(not(all(test, any(tower_drain_loom, tower_drain_shuttle))))]
impl Drop for Batch {
    fn drop(&mut self) {
        self.over();
    }
}

/// The batches of one shard, under the tracker's lock. None of their references is dropped there: the last one would ask for
/// the same lock.
#[derive(Debug)]
pub(super) struct Batches {
    /// Of the newest, while the shard is open.
    open: Option<Counted>,
    /// Those that somebody may have. All but the newest are cut or over.
    all: Vec<Uncounted>,
    /// The number of the newest.
    newest: u64,
    /// How many were not said to be over.
    left: usize,
}

impl Batches {
    pub(super) fn new(first: Counted) -> Self {
        Self {
            all: vec![Counted::downgrade(&first)],
            newest: first.number(),
            open: Some(first),
            left: 1,
        }
    }

    /// How many are counted.
    pub(super) fn held(&self) -> usize {
        let references: usize = self.all.iter().map(Uncounted::strong_count).sum();
        added_up();
        references - usize::from(self.open.is_some())
    }

    pub(super) fn are_over(&self) -> bool {
        self.left == 0
    }

    /// One of them is.
    pub(super) fn over(&mut self) {
        self.left -= 1;
        self.all.retain(|batch| batch.strong_count() > 0);
    }

    fn give_up(&mut self, batch: Counted) {
        if Batch::give_up(batch) {
            self.over();
        }
    }

    /// Closes the shard; returns how many are held.
    pub(super) fn close(&mut self, shard: &Shard) -> usize {
        shard.close();
        announced();
        if let Some(batch) = self.open.take() {
            self.give_up(batch);
        }
        self.held()
    }

    /// Opens a closed shard, with the newest batch if it is held and not cut, or else with a new one.
    pub(super) fn open(&mut self, shard: &Arc<Shard>) {
        if self.open.is_some() {
            return;
        }
        let newest = self.all.last().and_then(Uncounted::upgrade);
        match newest {
            Some(newest) if !newest.is_cut() => self.open = Some(newest),
            over_or_cut => {
                let next = self.next(shard);
                shard.renew(&next);
                self.open = Some(next);
                over_or_cut.into_iter().for_each(|cut| self.give_up(cut));
            }
        }
        shard.open();
    }

    fn next(&mut self, shard: &Arc<Shard>) -> Counted {
        self.newest += 1;
        self.left += 1;
        let next = Batch::new(self.newest, shard);
        self.all.push(Counted::downgrade(&next));
        next
    }

    /// Cuts what is held; returns how much of it was not cut before, guards not among it. What is parked is to be woken
    /// afterwards.
    pub(super) fn cut(&mut self, shard: &Arc<Shard>) -> usize {
        let newest = self.all.last().and_then(Uncounted::upgrade);
        let ended = match &newest {
            Some(newest) if !newest.is_cut() => self.cut_newest(shard, newest),
            // Those who waited for the cut of a guard that is gone are told of it nevertheless.
            _ => {
                shard.mark(self.newest);
                0
            }
        };
        newest.into_iter().for_each(|newest| self.give_up(newest));
        ended
    }

    fn cut_newest(&mut self, shard: &Arc<Shard>, newest: &Counted) -> usize {
        let own = 1 + usize::from(self.open.is_some());
        let next = self.open.is_some().then(|| self.next(shard));
        let ended = shard.cut(newest, own, next.as_ref());
        let open = std::mem::replace(&mut self.open, next);
        open.into_iter().for_each(|open| self.give_up(open));
        ended
    }
}

#[cfg(all(test, not(any(tower_drain_loom, tower_drain_shuttle))))]
mod tests {
    use super::super::{sync::lock, Tracker};
    use crate::DrainReason;

    #[test]
    fn batches_that_are_over_are_forgotten() {
        let tracker = Tracker::with_shards(2);
        for _ in 0..100 {
            tracker.cut();
            let held = tracker.doors()[1].admit();
            let nonce = tracker.begin(DrainReason::Requested).unwrap();
            drop(held);
            tracker.resume(nonce).unwrap();
        }
        for batches in lock(&tracker.state).batches.iter() {
            assert_eq!((batches.all.len(), batches.left), (1, 1));
        }
    }
}
