//! The atomics of the tracker. No other file of the layer names an `Ordering`.
//!
//! Whoever is counted has a strong reference to a [`Batch`](super::batch::Batch) of its shard, and that reference is the
//! count: one write to admit, one to release, and no other that keeps the shard alive meanwhile. The tracker has one
//! more of each batch that is open. A batch that nobody has is over for ever, and its `Drop` says so.
//!
//! # Invariants
//!
//! 1. **Admission and closing cannot cross.** Closing sets the [`Gate`], then gives the tracker's own reference up. An
//!    admission that had passed the gate before either finds the batch held by others, and is counted, or finds it over,
//!    and is rejected: an upgrade of a weak reference to nothing fails, whatever came before.
//! 2. **A rejection writes nothing.** It reads the gate.
//! 3. **A batch that is over stays so.** None is admitted to it, and a reference is cloned only by who has one. What is
//!    resumed goes on with a batch that is still held, or with a new one.
//! 4. **Exactly one release ends a batch, and it knows.** It runs the batch's `Drop`, which takes the tracker's lock and
//!    takes the batch off those that are left. Of two that end two batches at once, the second to get the lock finds none
//!    left. No fence and no `SeqCst` is part of this argument, and nothing is concluded from a count that was only read.
//! 5. **Everything before a release is seen by whoever finds the drain ended.** A value is dropped after all that its
//!    references were used for, which is `Arc`'s own promise; the lock and [`Stage::publish`] carry it on.
//! 6. **A cut ends whom it counts.** It publishes the batch's number in [`CutMark`], then clones a reference, then counts.
//!    The clone and an admission write one word. An admission that comes before it is counted. One that comes after it sees
//!    the mark, and goes to the next batch: [`entered`] and [`marked`] order the two. That one is seen by the count for as
//!    long as it takes to leave, so a cut may count one that crossed it and was not ended; never the other way round: who
//!    is ended by the mark takes the registry's lock before it leaves, which the cut has until it has counted.
//! 7. **A waker is never lost.** Whoever waits puts its waker under a registry's lock and looks at the [`Stage`] (or
//!    [`CutMark`]) afterwards; whoever changes one of these takes the same lock afterwards to collect wakers.
//!    Either the waker is there to be collected or the change is there to be seen: the lock orders them.

use std::cell::Cell;
use std::sync::atomic::{
    AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};

use super::sync::{fence, AtomicU64};
use crate::Phase;

/// What an admission asks first. Written under the registry's lock alone, where it may be read exactly.
#[derive(Debug)]
pub(crate) struct Gate(AtomicU64);

impl Gate {
    const CLOSED: u64 = 1;
    /// The first batch is no longer the one to be admitted to.
    const RENEWED: u64 = 2;

    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Whether the first batch is open. Acquire pairs with the Release of `open`: what is admitted after a resume sees what
    /// the resumer did before.
    #[inline]
    pub(crate) fn is_first(&self) -> bool {
        self.0.load(Acquire) == 0
    }

    /// Acquire pairs with the Release of `close`: whoever is rejected sees the phase that was published before, and no
    /// readiness still says 200. A read that happens after the close reads the closed word or a newer one (coherence).
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.0.load(Acquire) & Self::CLOSED != 0
    }

    pub(crate) fn close(&self) {
        self.0.store(self.0.load(Relaxed) | Self::CLOSED, Release);
    }

    pub(crate) fn open(&self) {
        self.0.store(self.0.load(Relaxed) & !Self::CLOSED, Release);
    }

    pub(crate) fn renew(&self) {
        self.0.store(self.0.load(Relaxed) | Self::RENEWED, Release);
    }
}

/// The number of a shard's newest batch that is cut: asked before each poll of what is in flight.
#[derive(Debug)]
pub(crate) struct CutMark(AtomicU64);

impl CutMark {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Release pairs with the Acquire of `has_cut`: who is cut sees what the cutter did before.
    pub(crate) fn publish(&self, batch: u64) {
        self.0.store(batch, Release);
    }

    #[inline]
    pub(crate) fn has_cut(&self, batch: u64) -> bool {
        self.0.load(Acquire) >= batch
    }
}

/// Between the mark of a cut and the clone of a reference. Pairs with [`entered`].
pub(crate) fn marked() {
    fence(Release);
}

/// Between an admission's reference and its look at the mark. Pairs with [`marked`].
#[inline]
pub(crate) fn entered() {
    fence(Acquire);
}

/// A counter that only reports read, or that is read and written under one lock.
#[derive(Debug)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Relaxed, like `get`: nothing is concluded from it.
    pub(crate) fn add_one(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(crate) fn take_one(&self) {
        self.0.fetch_sub(1, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// What [`Stage`] holds: the phase, and how often the phase left serving and how often rejecting began. A future that
/// remembers one of these numbers knows of a begin even if a resume came before its next poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Staged {
    pub(crate) phase: Phase,
    pub(crate) leaves: u32,
    pub(crate) begins: u32,
}

/// The published [`Staged`], in one word, so that its parts are read together.
#[derive(Debug)]
pub(crate) struct Stage(AtomicU64);

const COUNTER_BITS: u32 = 31;
const COUNTER_MASK: u64 = (1 << COUNTER_BITS) - 1;

impl Stage {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Release pairs with the Acquire of `load`: who sees a phase sees every shard closed or opened before it
    /// was published, without which readiness could say 200 while requests are rejected. Stores come
    /// in order: the tracker's lock is held.
    pub(crate) fn publish(&self, staged: Staged) {
        let word = (u64::from(staged.leaves) & COUNTER_MASK) << (2 + COUNTER_BITS)
            | (u64::from(staged.begins) & COUNTER_MASK) << 2
            | staged.phase as u64;
        self.0.store(word, Release);
    }

    /// What every answer asks. Acquire as in `load`.
    #[inline]
    pub(crate) fn is_serving(&self) -> bool {
        self.0.load(Acquire) & 3 == Phase::Serving as u64
    }

    pub(crate) fn load(&self) -> Staged {
        let word = self.0.load(Acquire);
        Staged {
            phase: match word & 3 {
                0 => Phase::Serving,
                1 => Phase::LameDuck,
                2 => Phase::Draining,
                _ => Phase::Drained,
            },
            leaves: (word >> (2 + COUNTER_BITS)) as u32,
            begins: (word >> 2 & COUNTER_MASK) as u32,
        }
    }
}

/// A number for the calling thread, given on its first call. Threads of a pool that start together get
/// neighbouring ones, hence different shards.
#[inline]
pub(crate) fn thread_index() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static INDEX: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    INDEX.with(|index| {
        if index.get() == usize::MAX {
            // Relaxed: only that the numbers differ matters.
            index.set(NEXT.fetch_add(1, Relaxed));
        }
        index.get()
    })
}
