//! One core's part of the count, and the registry of those on it who wait.

use std::sync::{Arc, Weak};
use std::task::Waker;

use tokio::time::Instant;

use super::batch::Batch;
use super::count::{entered, Counter, CutMark, Gate, Stage, Staged};
use super::held::{Admitted, Held};
use super::registry::{Called, Entry, Holder, Registry, Wakes};
use super::sync::{lock, Counted, Mutex, Uncounted};
use super::{Padded, Tracker};
use crate::StragglerPhase;

/// What is written by a request that is rejected, and by those who wait, is on lines of its own: what requests only read
/// must not be fetched anew by every core for each of those writes.
#[derive(Debug)]
pub(crate) struct Shard {
    gate: Gate,
    cuts: CutMark,
    stage: Arc<Padded<Stage>>,
    tracker: Weak<Tracker>,
    index: usize,
    shards: usize,
    rejected: Padded<Counter>,
    registry: Padded<Mutex<Registry>>,
}

/// The way into a shard: what every service has of it.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    shard: Arc<Shard>,
    /// Not asked once the gate says that another is open.
    first: Uncounted,
}

impl Door {
    pub(super) fn new(shard: Shard) -> (Self, Counted) {
        let shard = Arc::new(shard);
        let first = Batch::new(1, &shard);
        lock(&shard.registry.0).open = Some(Counted::downgrade(&first));
        let door = Self {
            first: Counted::downgrade(&first),
            shard,
        };
        (door, first)
    }

    #[inline]
    pub(crate) fn shard(&self) -> &Arc<Shard> {
        &self.shard
    }

    /// Counts one request or tracked future, unless closed, for as long as it has what is returned.
    #[inline]
    pub(crate) fn admit(&self) -> Option<Admitted> {
        if self.shard.gate.is_first() {
            if let Some(first) = self.first.upgrade() {
                entered();
                if !first.is_cut() {
                    return Some(Admitted::new(first));
                }
            }
        }
        self.admit_to_open()
    }

    /// To the batch that is open, which is not the first, or which a close or cut took from under the admission.
    #[cold]
    #[inline(never)]
    fn admit_to_open(&self) -> Option<Admitted> {
        if self.shard.is_closed() {
            return None;
        }
        let registry = lock(&self.shard.registry.0);
        match self.shard.open_batch(&registry)? {
            Some(batch) => Some(Admitted::new(batch)),
            None => Some(Admitted::exempt(&self.shard)),
        }
    }

    /// Counts a guard: known from the start, and told of a cut instead of ended by it.
    pub(crate) fn admit_guard(&self, called: Called) -> Option<Held> {
        let shard = &self.shard;
        let mut registry = lock(&shard.registry.0);
        let batch = match shard.open_batch(&registry)? {
            Some(batch) => batch,
            None => Batch::exempt(shard),
        };
        let key = shard.insert_guard(&mut registry, &batch, called);
        Some(Held::new(batch, key))
    }
}

impl Shard {
    pub(super) fn new(
        stage: Arc<Padded<Stage>>,
        tracker: Weak<Tracker>,
        index: usize,
        shards: usize,
    ) -> Self {
        Self {
            gate: Gate::new(),
            cuts: CutMark::new(),
            stage,
            tracker,
            index,
            shards,
            rejected: Padded(Counter::new()),
            registry: Padded(Mutex::new(Registry::default())),
        }
    }

    /// The batch to be admitted to, unless closed. `Some(None)` if it is over: then the tracker is gone, and nobody is left
    /// who could count or cut.
    fn open_batch(&self, registry: &Registry) -> Option<Option<Counted>> {
        if self.gate.is_closed() {
            return None;
        }
        Some(registry.open.as_ref().and_then(Uncounted::upgrade))
    }

    /// One more guard beside something that is held.
    pub(super) fn add_guard(&self, beside: &Counted, called: Called) -> Held {
        let mut registry = lock(&self.registry.0);
        let key = self.insert_guard(&mut registry, beside, called);
        Held::new(beside.clone(), key)
    }

    pub(super) fn guard_called(&self, key: u32) -> Called {
        let mut registry = lock(&self.registry.0);
        match &registry.get_mut(key).holder {
            Some(holder) => holder.called.clone(),
            None => Called::Nothing,
        }
    }

    /// The reference goes under the lock, so that a cut finds the guard in both counts or in neither.
    pub(super) fn release_guard(&self, batch: Counted, key: u32) {
        let mut registry = lock(&self.registry.0);
        batch.guards.take_one();
        let entry = registry.remove(key);
        let is_over = Batch::give_up(batch);
        drop(registry);
        drop(entry);
        if is_over {
            self.settle();
        }
    }

    #[inline]
    pub(super) fn has_cut(&self, batch: u64) -> bool {
        self.cuts.has_cut(batch)
    }

    /// When rejecting began, unless it did not or nobody is left who could begin it.
    #[cfg(feature = "stream")]
    pub(crate) fn rejecting_since(&self) -> Option<Instant> {
        self.tracker.upgrade()?.rejecting_since()
    }

    pub(super) fn answered(&self, key: u32, wakes: Wakes) {
        let mut registry = lock(&self.registry.0);
        let entry = registry.get_mut(key);
        entry.wakes = wakes;
        entry.phase = StragglerPhase::Body;
    }

    fn insert_guard(&self, registry: &mut Registry, batch: &Batch, called: Called) -> u32 {
        batch.guards.add_one();
        let holder = self.holder(registry, called);
        registry.insert(Entry {
            waker: None,
            wakes: Wakes::CUT,
            phase: StragglerPhase::Guard,
            holder: Some(holder),
        })
    }

    fn holder(&self, registry: &mut Registry, called: Called) -> Box<Holder> {
        Box::new(Holder {
            id: registry.next_id() * self.shards as u64 + self.index as u64,
            since: Instant::now(),
            called,
        })
    }

    pub(crate) fn reject(&self) {
        self.rejected.0.add_one();
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.gate.is_closed()
    }

    pub(super) fn stage(&self) -> &Arc<Padded<Stage>> {
        &self.stage
    }

    pub(crate) fn staged(&self) -> Staged {
        self.stage.0.load()
    }

    pub(super) fn close(&self) {
        let _registry = lock(&self.registry.0);
        self.gate.close();
    }

    pub(super) fn open(&self) {
        let _registry = lock(&self.registry.0);
        self.gate.open();
    }

    /// Admits to this batch from here on.
    pub(super) fn renew(&self, batch: &Counted) {
        self.renew_locked(&mut lock(&self.registry.0), batch);
    }

    fn renew_locked(&self, registry: &mut Registry, batch: &Counted) {
        registry.open = Some(Counted::downgrade(batch));
        self.gate.renew();
    }

    /// Cuts the batches up to this one, which nobody has.
    pub(super) fn mark(&self, batch: u64) {
        self.cuts.publish(batch);
    }

    /// Cuts a batch, of which `own` references are the tracker's, and admits to the `next`, if there is one, in one step for
    /// those who look under the lock.
    pub(super) fn cut(&self, batch: &Counted, own: usize, next: Option<&Counted>) -> usize {
        let mut registry = lock(&self.registry.0);
        let ended = Batch::cut(batch, &self.cuts, own);
        if let Some(next) = next {
            self.renew_locked(&mut registry, next);
        }
        ended
    }

    /// For whoever has seen that it is cut: a cut tells before it counts, and must not miss whom it ended (invariant 6).
    #[cold]
    #[inline(never)]
    pub(super) fn let_cut_count(&self) {
        drop(lock(&self.registry.0));
    }

    pub(super) fn rejected(&self) -> u64 {
        self.rejected.0.get()
    }

    /// Wakes those who wait for what `fired`, a few at a time and outside the lock. An entry that is made behind
    /// the place reached belongs to somebody who looks at the stage afterwards (invariant 7).
    pub(super) fn wake(&self, fired: Wakes) {
        let mut wakers = Vec::with_capacity(64);
        let mut from = Some(0);
        while let Some(key) = from {
            from = lock(&self.registry.0).collect(key, fired, &mut wakers);
            wakers.drain(..).for_each(Waker::wake);
        }
    }

    /// Calls `each` with those who are known to hold the drain; returns how many more of `held` there are.
    pub(super) fn holders(
        &self,
        held: usize,
        mut each: impl FnMut(StragglerPhase, &Holder),
    ) -> usize {
        let registry = lock(&self.registry.0);
        registry
            .holders()
            .for_each(|(phase, holder)| each(phase, holder));
        held.saturating_sub(registry.holders().count())
    }

    /// Makes an entry, which wakes this task. Whoever is to be woken looks at what it waits for afterwards, not before
    /// (invariant 7).
    pub(super) fn enter(
        &self,
        waker: Option<Waker>,
        wakes: Wakes,
        holder: Option<(StragglerPhase, Called)>,
    ) -> u32 {
        let mut registry = lock(&self.registry.0);
        let (phase, holder) = match holder {
            Some((phase, called)) => (phase, Some(self.holder(&mut registry, called))),
            None => (StragglerPhase::Unseen, None),
        };
        registry.insert(Entry {
            waker,
            wakes,
            phase,
            holder,
        })
    }

    /// Lets an entry wake this task from here on. Invariant 7 as for `enter`.
    pub(super) fn reenter(&self, key: u32, waker: Waker) {
        let mut registry = lock(&self.registry.0);
        let old = registry.get_mut(key).waker.replace(waker);
        drop(registry);
        drop(old);
    }

    pub(super) fn leave(&self, key: u32) {
        let entry = lock(&self.registry.0).remove(key);
        // Outside the lock: dropping a waker may run anything.
        drop(entry);
    }

    /// One of its batches is over.
    #[cold]
    pub(super) fn settle(&self) {
        // Without a tracker nobody is left who could wait.
        if let Some(tracker) = self.tracker.upgrade() {
            tracker.settle(self.index);
        }
    }
}
