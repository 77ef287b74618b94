//! The atomic that the models see.

use loom::sync::atomic::{self, Ordering};

/// Loom's own, with a store beside each access that nobody reads. Of the accesses to an atomic loom remembers the last one
/// alone: if a thread loads, and then another loads and stores, it does not try the first load after that store. Stores
/// it tries in every order, and one that nobody reads orders no memory.
#[derive(Debug)]
pub(super) struct AtomicU64 {
    word: atomic::AtomicU64,
    turn: atomic::AtomicU64,
}

impl AtomicU64 {
    pub(super) fn new(word: u64) -> Self {
        Self {
            word: atomic::AtomicU64::new(word),
            turn: atomic::AtomicU64::new(0),
        }
    }

    fn word(&self) -> &atomic::AtomicU64 {
        self.turn.store(0, Ordering::Relaxed);
        &self.word
    }

    pub(super) fn load(&self, order: Ordering) -> u64 {
        self.word().load(order)
    }

    pub(super) fn store(&self, word: u64, order: Ordering) {
        self.word().store(word, order);
    }

    pub(super) fn fetch_add(&self, more: u64, order: Ordering) -> u64 {
        self.word().fetch_add(more, order)
    }

    pub(super) fn fetch_sub(&self, less: u64, order: Ordering) -> u64 {
        self.word().fetch_sub(less, order)
    }

    pub(super) fn compare_exchange_weak(
        &self,
        old: u64,
        new: u64,
        order: Ordering,
        failed: Ordering,
    ) -> Result<u64, u64> {
        self.word().compare_exchange_weak(old, new, order, failed)
    }
}
