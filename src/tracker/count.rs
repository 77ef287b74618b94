//! The atomics of the tracker, but for the count of references, which is `Arc`'s own. No other file of the layer names an
//! `Ordering`, but for those that stand in for `Arc` and for an atomic in the models.
//!
//! Whoever is counted has a strong reference to a [`Batch`](super::batch::Batch) of its shard, and that reference is the
//! count: one write to admit, one to release. The tracker has one more of each batch that is open. A batch that nobody has
//! is over for ever.
//!
//! # Invariants
//!
//! 1. **Admission and closing cannot cross.** Closing sets the [`Gate`] and then gives the tracker's own reference up; an
//!    admission takes a reference and then looks at the gate. Both write one word, the count of references, and every write
//!    to it is a read-modify-write. An admission whose write comes first is counted when the close counts. One whose write
//!    comes later sees the gate, for [`announced`] and [`referred`] order the two, and goes. If nobody has the batch any
//!    more, there is no reference to be taken. Guards, and admissions to a later batch, look at the gate and take their
//!    reference under the registry's lock, in which the gate is set before the tracker gives its own up.
//! 2. **A rejection does not touch the count.** It reads the gate. An admission that had passed the gate when a close or
//!    cut came is the exception: it has a reference until it looks again, and may be counted until then.
//! 3. **A batch that is over stays so.** No weak reference leads to it any more, and a strong one is cloned only by who has one.
//!    What is resumed goes on with the newest batch if it is held and not cut, or else with a new one.
//! 4. **Exactly one reference is the last of a batch, and whoever had it says so.** Dropped, it takes the tracker's lock in
//!    the batch's `Drop`. Whoever has that lock gives its references up by `Batch::give_up`, and in a begin, cut or settle
//!    asks before it unlocks whether the drain has ended. A guard gives its own up so under the registry's lock, and says
//!    so after it. Of two that end two batches at once, the second to get the lock finds
//!    none left. That a drain has ended is concluded from this alone, never from a count that is read.
//! 5. **Everything before a release is seen by whoever finds the drain ended.** A value is dropped after whatever was done
//!    by way of its references, without which `Arc` would not be sound; the lock and [`Stage::publish`] carry it on. Whoever
//!    reads a count of zero instead has [`added_up`].
//! 6. **A cut counts whom it ends.** It turns admissions away from the batch, then clones a reference, then counts, and only
//!    then publishes the batch's number in [`CutMark`], so that nobody leaves for it uncounted. As with a close, an
//!    admission comes first and is counted, or goes. Guards change the count and their number under the registry's lock,
//!    where the cut counts, and are told apart exactly. Who goes, or ends by itself, is counted if the cut came just before:
//!    it may count too many, of those that crossed it, and never too few.
//! 7. **A waker is never lost.** Whoever waits puts its waker under a registry's lock and looks afterwards at what it waits
//!    for: the [`Stage`], the [`CutMark`], the [`Gate`], or the drain under the tracker's lock; whoever changes one of these takes the same lock afterwards to collect wakers.
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

    /// Whether the first batch is open. Relaxed: [`referred`] stands between the two times that an admission asks.
    #[inline]
    pub(crate) fn is_first(&self) -> bool {
        self.0.load(Relaxed) == 0
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

    /// Release pairs with the fence of `has_cut`: who is cut sees what the cutter did before.
    pub(crate) fn publish(&self, batch: u64) {
        self.0.store(batch, Release);
    }

    /// Relaxed, with a fence for who is cut: nobody concludes anything from not being cut, and a load that acquires would
    /// keep the compiler from moving an answer in one step across it.
    #[inline]
    pub(crate) fn has_cut(&self, batch: u64) -> bool {
        let has_cut = self.0.load(Relaxed) >= batch;
        if has_cut {
            fence(Acquire);
        }
        has_cut
    }
}

/// Between what turns admissions away and the write to the count after which they are counted. Pairs with [`referred`].
pub(crate) fn announced() {
    fence(Release);
}

/// Between an admission's reference and its second look at the gate. Pairs with [`announced`], and with the Release of
/// [`Gate::open`].
#[inline]
pub(crate) fn referred() {
    fence(Acquire);
}

/// After the references were counted. Pairs with their release: whoever reads that none is left sees what they did.
pub(crate) fn added_up() {
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

    #[cfg(feature = "admin")]
    pub(crate) fn set(&self, count: u64) {
        self.0.store(count, Relaxed);
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
pub(crate) struct Stage {
    word: AtomicU64,
    /// 1 while a drain is on that can lift itself, or else 0. Written under the tracker's lock, under which it is also
    /// decided whether its time is over.
    #[cfg(feature = "admin")]
    pub(super) expiring: Counter,
}

const COUNTER_BITS: u32 = 31;
const COUNTER_MASK: u64 = (1 << COUNTER_BITS) - 1;

impl Stage {
    pub(crate) fn new() -> Self {
        Self {
            word: AtomicU64::new(0),
            #[cfg(feature = "admin")]
            expiring: Counter::new(),
        }
    }

    /// Release pairs with the Acquire of `load`: who sees a phase sees every shard closed or opened before it
    /// was published, without which readiness could say 200 while requests are rejected. Stores come
    /// in order: the tracker's lock is held.
    pub(crate) fn publish(&self, staged: Staged) {
        let word = (u64::from(staged.leaves) & COUNTER_MASK) << (2 + COUNTER_BITS)
            | (u64::from(staged.begins) & COUNTER_MASK) << 2
            | staged.phase as u64;
        self.word.store(word, Release);
    }

    /// What every answer asks. The fence as in [`CutMark::has_cut`].
    #[inline]
    pub(crate) fn is_serving(&self) -> bool {
        let is_serving = self.word.load(Relaxed) & 3 == Phase::Serving as u64;
        if !is_serving {
            fence(Acquire);
        }
        is_serving
    }

    pub(crate) fn load(&self) -> Staged {
        let word = self.word.load(Acquire);
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
