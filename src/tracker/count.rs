//! The atomics of the tracker. No other file of the layer names an `Ordering`.
//!
//! A tracker has several [`Count`]s, one a shard, and one [`Stage`]. Whoever is counted is counted on one
//! shard from admission to release, whichever threads it visits, so each count is exact by itself.
//!
//! # Invariants
//!
//! 1. **Admission and closing cannot cross.** The closed bit and the count are one word and every write to it is
//!    a read-modify-write, so an admission comes either before [`Count::close`], which then returns a count that
//!    includes it, or after, and is rejected.
//! 2. **A rejection writes nothing to the word.** [`Count::admit`] only reads a closed word.
//! 3. **A closed and empty count stays so until it is opened.** None is admitted, and [`Count::add`] needs one
//!    that is held.
//! 4. **Exactly one release empties a closed count, and it knows.** It looks at the word as it was.
//!    That one then takes the tracker's lock and looks at every count. Of two that empty two counts at once, the
//!    second to get the lock sees both empty: its own by program order, the other through the lock. No fence
//!    and no `SeqCst` is part of this argument.
//! 5. **Everything before a release is seen by whoever finds the count empty.** See [`Count::release_any`].
//! 6. **Who was admitted before a cut is decided by the word.** [`Count::cut`] raises the word's epoch in the same
//!    modification order as admissions and releases: whoever was admitted with an older epoch is cut, and
//!    its release sees the newer one. What is cut leaves the count and the number of those already cut in one
//!    step, under the lock of the cutters, so that no other cut finds it in one and not in the other.
//! 7. **A waker is never lost.** Whoever waits puts its waker under a registry's lock and looks at the [`Stage`] (or
//!    [`CutMark`]) afterwards; whoever changes one of these takes the same lock afterwards to collect wakers.
//!    Either the waker is there to be collected or the change is there to be seen: the lock orders them.

use std::cell::Cell;
use std::sync::atomic::{
    AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

use super::sync::{fence, AtomicU64};
use crate::Phase;

const CLOSED: u64 = 1;
const EPOCH_SHIFT: u32 = 1;
const EPOCH_BITS: u32 = 23;
const EPOCH_MASK: u64 = (1 << EPOCH_BITS) - 1;
const ONE: u64 = 1 << (EPOCH_SHIFT + EPOCH_BITS);

fn count_of(word: u64) -> usize {
    (word / ONE) as usize
}

fn is_last(word: u64) -> bool {
    word & CLOSED != 0 && count_of(word) == 1
}

/// How many cuts a shard had seen, modulo 2^23: a request would have to sit through four million cuts
/// to be taken for a newer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Epoch(u32);

impl Epoch {
    #[inline]
    pub(crate) fn from_bits(bits: u32) -> Self {
        Self(bits & EPOCH_MASK as u32)
    }

    #[inline]
    pub(crate) fn bits(self) -> u32 {
        self.0
    }

    fn of(word: u64) -> Self {
        Self((word >> EPOCH_SHIFT & EPOCH_MASK) as u32)
    }

    fn is_after(self, other: Self) -> bool {
        let distance = u64::from(self.0.wrapping_sub(other.0)) & EPOCH_MASK;
        distance != 0 && distance < 1 << (EPOCH_BITS - 1)
    }
}

/// In one word: how many are held (40 bits), the epoch (23 bits), and whether admission is closed (1 bit).
#[derive(Debug)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Counts one more, unless closed.
    #[inline]
    pub(crate) fn admit(&self) -> Option<Epoch> {
        let mut word = self.0.load(Relaxed);
        loop {
            if word & CLOSED != 0 {
                // Pairs with the Release of `close`: whoever is rejected sees the phase that was published before,
                // and no readiness still says 200.
                fence(Acquire);
                return None;
            }
            // Acquire pairs with the Release of `open`: what is admitted after a resume sees what the resumer did before.
            match self
                .0
                .compare_exchange_weak(word, word + ONE, Acquire, Relaxed)
            {
                Ok(word) => return Some(Epoch::of(word)),
                Err(now) => word = now,
            }
        }
    }

    /// Counts one more beside one that is held. Relaxed: the held one keeps the count above zero, so that
    /// nobody concludes anything from this write.
    pub(crate) fn add(&self) {
        self.0.fetch_add(ONE, Relaxed);
    }

    /// Takes one off that no cut came to since it was admitted, and says whether the count is closed and this was its
    /// last. `None` if a cut came: it is still counted then, for [`Count::release_any`] under the lock of the cutters.
    #[inline]
    pub(crate) fn release_uncut(&self, admitted: Epoch) -> Option<bool> {
        let mut word = self.0.load(Relaxed);
        loop {
            if Epoch::of(word) != admitted {
                return None;
            }
            // As in `release_any`.
            match self
                .0
                .compare_exchange_weak(word, word - ONE, AcqRel, Relaxed)
            {
                Ok(word) => return Some(is_last(word)),
                Err(now) => word = now,
            }
        }
    }

    /// Takes one off, and says whether the count is closed and this was its last.
    ///
    /// Release pairs with the Acquire of [`Count::held`] and [`Count::close`]: releases are read-modify-writes, hence
    /// one release sequence, and whoever reads the last sees what all of them did before. Acquire is for the
    /// one that empties the count and reports it, and pairs with the Release of [`Count::cut`].
    pub(crate) fn release_any(&self) -> bool {
        is_last(self.0.fetch_sub(ONE, AcqRel))
    }

    /// Refuses from here on, and returns how many were admitted before. Acquire pairs with a release: a count
    /// that is found empty here was emptied by those whose work must be seen. Release pairs with the fence of a
    /// rejected `admit`.
    pub(crate) fn close(&self) -> usize {
        count_of(self.0.fetch_or(CLOSED, AcqRel))
    }

    /// Admits again. Release pairs with the Acquire of `admit`.
    pub(crate) fn open(&self) {
        self.0.fetch_and(!CLOSED, Release);
    }

    /// Whether admission is closed. Relaxed is enough for "every later request is rejected": a read that happens
    /// after the close reads the closed word or a newer one (coherence), and nothing else is read on the
    /// strength of it.
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.0.load(Relaxed) & CLOSED != 0
    }

    /// How many are held. Acquire pairs with a release, for the waiter that concludes from zero.
    pub(crate) fn held(&self) -> usize {
        count_of(self.0.load(Acquire))
    }

    /// Raises the epoch; returns it and how many are held at this point of the word's order. Release pairs with the
    /// Acquire of a release: a release that saw the newer epoch comes after what the cutter did before.
    pub(crate) fn cut(&self) -> (Epoch, usize) {
        let mut word = self.0.load(Relaxed);
        loop {
            let next = Epoch::of(word).0.wrapping_add(1);
            let raised =
                word & !(EPOCH_MASK << EPOCH_SHIFT) | (u64::from(next) & EPOCH_MASK) << EPOCH_SHIFT;
            match self.0.compare_exchange_weak(word, raised, AcqRel, Relaxed) {
                Ok(_) => return (Epoch::of(raised), count_of(word)),
                Err(now) => word = now,
            }
        }
    }
}

/// A shard's newest epoch, on a line that serving does not write: asked before each poll of what is in flight.
#[derive(Debug)]
pub(crate) struct CutMark(AtomicU64);

impl CutMark {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Release pairs with the Acquire of `has_cut`: who is cut sees what the cutter did before.
    pub(crate) fn publish(&self, epoch: Epoch) {
        self.0.store(u64::from(epoch.0), Release);
    }

    /// Whether what was admitted at `admitted` is cut. A mark that lags behind the word (between the two writes
    /// of a cut) is not newer than an admission of that moment, so that one is not cut.
    #[inline]
    pub(crate) fn has_cut(&self, admitted: Epoch) -> bool {
        Epoch(self.0.load(Acquire) as u32).is_after(admitted)
    }
}

/// A counter that only reports read.
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
