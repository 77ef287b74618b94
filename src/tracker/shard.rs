//! One core's part of the count, and the registry of those on it who wait.

use std::fmt;
use std::sync::{Arc, Weak};
use std::task::Waker;

use tokio::time::Instant;

use super::batch::Batch;
use super::count::{announced, referred, Counter, CutMark, Gate, Stage, Staged};
use super::held::{Admitted, Held};
use super::registry::{Called, Entry, Holder, Registry, Wakes};
use super::sync::{lock, Counted, Mutex, Uncounted};
use super::{Padded, Tracker};
use crate::{contained, StragglerPhase};

/// What is written by a request that is rejected, and by those who wait, is on lines of its own: what requests only read
/// must not be fetched anew by every core for each of those writes.
pub(crate) struct Shard {
    gate: Gate,
    cuts: CutMark,
    stage: Arc<Padded<Stage>>,
    tracker: Weak<Tracker>,
    index: usize,
    shards: usize,
    rejected: Padded<Counter>,
    pub(super) registry: Padded<Mutex<Registry>>,
}

/// The way into a shard: what every service has of it.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    shard: Arc<Shard>,
    /// Not asked once the gate says that another is open.
    first: Uncounted,
    exempt: Counted,
}

impl Door {
    pub(super) fn new(shard: Shard) -> (Self, Counted) {
        let shard = Arc::new(shard);
        let first = Batch::new(1, &shard);
        lock(&shard.registry.0).open = Some(Counted::downgrade(&first));
        let door = Self {
            first: Counted::downgrade(&first),
            exempt: Batch::exempt(&shard),
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
                referred();
                if self.shard.gate.is_first() {
                    return Some(Admitted::new(first));
                }
            }
        }
        self.admit_to_open()
    }

    /// Under the lock, for the rest of the shard's life once another batch than the first was opened: to the batch that is
    /// open, or to none.
    #[cold]
    #[inline(never)]
    fn admit_to_open(&self) -> Option<Admitted> {
        // A rejection takes no lock.
        if self.shard.is_closed() {
            return None;
        }
        let registry = lock(&self.shard.registry.0);
        self.open_batch(&registry).map(Admitted::new)
    }

    /// A reference to the batch that is open, unless closed. If that is over, the tracker is gone, and nobody is left who
    /// could count or cut: then one as for who is exempt.
    fn open_batch(&self, registry: &Registry) -> Option<Counted> {
        if self.shard.gate.is_closed() {
            return None;
        }
        let open = registry.open.as_ref().and_then(Uncounted::upgrade);
        Some(open.unwrap_or_else(|| self.exempt.clone()))
    }

    /// Neither counted, listed nor cut.
    pub(crate) fn exempt(&self) -> Admitted {
        Admitted::new(self.exempt.clone())
    }

    /// Counts a guard: known from the start, and told of a cut instead of ended by it.
    pub(crate) fn admit_guard(&self, called: Called) -> Option<Held> {
        let shard = &self.shard;
        let mut registry = lock(&shard.registry.0);
        let batch = self.open_batch(&registry)?;
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
    pub(crate) fn has_cut(&self, batch: u64) -> bool {
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

    /// [`Tracker::lift_if_due`]. Without a time to live it reads one word, which no request writes.
    pub(crate) fn lift_if_due(&self) {
        #[cfg(feature = "admin")]
        if self.stage.0.expiring.get() > 0 {
            if let Some(tracker) = self.tracker.upgrade() {
                tracker.lift_if_due();
            }
        }
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

    /// Publishes that all up to this batch are cut; those that somebody has are already.
    pub(super) fn mark(&self, batch: u64) {
        self.cuts.publish(batch);
    }

    /// Cuts a batch, of which `own` references are the tracker's, and admits to the `next`, if there is one, in one step for
    /// those who look under the lock.
    pub(super) fn cut(&self, batch: &Counted, own: usize, next: Option<&Counted>) -> usize {
        let mut registry = lock(&self.registry.0);
        if let Some(next) = next {
            self.renew_locked(&mut registry, next);
        }
        announced();
        let clone = batch.clone();
        let ended = Batch::ended_by_a_cut(&clone, own + 1);
        self.cuts.publish(batch.number());
        ended
    }

    pub(super) fn rejected(&self) -> u64 {
        self.rejected.0.get()
    }

    /// Wakes those who wait for what `fired`, a few at a time and outside the lock. An entry that is made behind
    /// the place reached belongs to somebody who looks at the stage afterwards (invariant 7).
    ///
    /// A waker that panics ends neither this nor its caller, which may be a drop: the others are woken, and what is told
    /// of the drain is whole.
    pub(super) fn wake(&self, fired: Wakes) {
        let mut wakers = Vec::with_capacity(64);
        let mut from = Some(0);
        while let Some(key) = from {
            from = lock(&self.registry.0).collect(key, fired, &mut wakers);
            for waker in wakers.drain(..) {
                drop(contained::call(|| waker.wake()));
            }
        }
    }

    /// Calls `each` with those who are known to hold the drain; returns how many more are `held`.
    pub(super) fn holders(
        &self,
        held: impl FnOnce() -> usize,
        mut each: impl FnMut(StragglerPhase, &Holder),
    ) -> usize {
        let registry = lock(&self.registry.0);
        registry
            .holders()
            .for_each(|(phase, holder)| each(phase, holder));
        // Counted under the lock, without which nobody who is listed leaves.
        held().saturating_sub(registry.holders().count())
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
        contained::discard(old);
    }

    pub(super) fn leave(&self, key: u32) {
        let entry = lock(&self.registry.0).remove(key);
        // Outside the lock: dropping a waker may run anything.
        contained::discard(entry);
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

/// Without what is locked, as for the tracker.
impl fmt::Debug for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shard")
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}
