//! One core's part of the count, and the registry of those on it who wait.

use std::sync::{Arc, Weak};
use std::task::Waker;

use tokio::time::Instant;

use super::count::{Count, Counter, CutMark, Epoch, Stage, Staged};
use super::held::{Admitted, Held};
use super::registry::{Called, Entry, Holder, Registry, Wakes};
use super::sync::{lock, Mutex};
use super::{Padded, Tracker};
use crate::StragglerPhase;

/// The lines that a request writes (`counted`), that it only reads, and that those write who wait (`registry`) are
/// apart: a line that is counted on and read by another core costs both of them.
#[derive(Debug)]
pub(crate) struct Shard {
    counted: Padded<Counted>,
    registry: Padded<Mutex<Registry>>,
    cuts: CutMark,
    stage: Arc<Padded<Stage>>,
    tracker: Weak<Tracker>,
    index: usize,
    shards: usize,
}

#[derive(Debug)]
struct Counted {
    count: Count,
    rejected: Counter,
}

impl Shard {
    pub(super) fn new(
        stage: Arc<Padded<Stage>>,
        tracker: Weak<Tracker>,
        index: usize,
        shards: usize,
    ) -> Self {
        Self {
            counted: Padded(Counted {
                count: Count::new(),
                rejected: Counter::new(),
            }),
            registry: Padded(Mutex::new(Registry::default())),
            cuts: CutMark::new(),
            stage,
            tracker,
            index,
            shards,
        }
    }

    /// Counts one request or tracked future, unless closed; released when the returned guard is dropped.
    #[inline]
    pub(crate) fn admit(self: &Arc<Self>) -> Option<Admitted> {
        let epoch = self.counted.0.count.admit()?;
        Some(Admitted::new(self.clone(), epoch))
    }

    /// Counts a guard: known from the start, and told of a cut instead of ended by it.
    pub(crate) fn admit_guard(self: &Arc<Self>, called: Called) -> Option<Held> {
        let mut registry = lock(&self.registry.0);
        let epoch = self.counted.0.count.admit()?;
        let key = self.insert_guard(&mut registry, called);
        Some(Held::new(self.clone(), epoch, key))
    }

    /// One more guard beside something that is held.
    pub(super) fn add_guard(&self, called: Called) -> u32 {
        let mut registry = lock(&self.registry.0);
        self.counted.0.count.add();
        self.insert_guard(&mut registry, called)
    }

    pub(super) fn guard_called(&self, key: u32) -> Called {
        let mut registry = lock(&self.registry.0);
        match &registry.get_mut(key).holder {
            Some(holder) => holder.called.clone(),
            None => Called::Nothing,
        }
    }

    #[inline]
    pub(super) fn release(&self, admitted: Epoch) {
        let count = &self.counted.0.count;
        let emptied = match count.release_uncut(admitted) {
            Some(emptied) => emptied,
            None => self.release_cut(),
        };
        if emptied {
            self.settle();
        }
    }

    #[cold]
    fn release_cut(&self) -> bool {
        let mut registry = lock(&self.registry.0);
        registry.cut_and_held -= 1;
        self.counted.0.count.release_any()
    }

    pub(super) fn release_guard(&self, key: u32) {
        let mut registry = lock(&self.registry.0);
        registry.guards -= 1;
        let entry = registry.remove(key);
        let emptied = self.counted.0.count.release_any();
        drop(registry);
        drop(entry);
        if emptied {
            self.settle();
        }
    }

    #[inline]
    pub(super) fn has_cut(&self, admitted: Epoch) -> bool {
        self.cuts.has_cut(admitted)
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

    fn insert_guard(&self, registry: &mut Registry, called: Called) -> u32 {
        registry.guards += 1;
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
        self.counted.0.rejected.add_one();
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.counted.0.count.is_closed()
    }

    #[inline]
    pub(crate) fn is_serving(&self) -> bool {
        self.stage.0.is_serving()
    }

    pub(crate) fn staged(&self) -> Staged {
        self.stage.0.load()
    }

    pub(super) fn close(&self) -> usize {
        self.counted.0.count.close()
    }

    pub(super) fn open(&self) {
        self.counted.0.count.open();
    }

    pub(super) fn held(&self) -> usize {
        self.counted.0.count.held()
    }

    pub(super) fn rejected(&self) -> u64 {
        self.counted.0.rejected.get()
    }

    /// Everything admitted to this shard so far is cut; returns how many of them were not cut before, guards
    /// not among them. What is parked is to be woken afterwards.
    pub(super) fn cut(&self) -> usize {
        let mut registry = lock(&self.registry.0);
        let (epoch, held) = self.counted.0.count.cut();
        self.cuts.publish(epoch);
        // Guards change the count under this lock, so what is left are requests and tracked futures.
        let ended = held - registry.guards;
        let newly_cut = ended - registry.cut_and_held;
        registry.cut_and_held = ended;
        newly_cut
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

    /// Calls `each` with those who are known to hold the drain; returns how many more are counted.
    pub(super) fn holders(&self, mut each: impl FnMut(StragglerPhase, &Holder)) -> usize {
        let registry = lock(&self.registry.0);
        registry
            .holders()
            .for_each(|(phase, holder)| each(phase, holder));
        self.held().saturating_sub(registry.holders().count())
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

    #[cold]
    fn settle(&self) {
        // Without a tracker nobody is left who could wait.
        if let Some(tracker) = self.tracker.upgrade() {
            tracker.settle();
        }
    }
}
