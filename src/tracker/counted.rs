//! Stands in for `Arc` and `Weak` in the models and schedules: the same protocol on atomics that they see, with the
//! weakest orderings that `Arc`'s promises allow.

use std::ops::Deref;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::{Arc, Weak};

use super::batch::Batch;
use super::sync::{fence, AtomicU64};

#[derive(Debug)]
pub(super) struct Counted {
    strong: Arc<AtomicU64>,
    batch: Arc<Batch>,
    is_given_up: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Uncounted {
    strong: Arc<AtomicU64>,
    batch: Weak<Batch>,
}

impl Counted {
    pub(super) fn new(batch: Batch) -> Self {
        Self::of(Arc::new(AtomicU64::new(1)), Arc::new(batch))
    }

    fn of(strong: Arc<AtomicU64>, batch: Arc<Batch>) -> Self {
        Self {
            strong,
            batch,
            is_given_up: false,
        }
    }

    pub(super) fn downgrade(this: &Self) -> Uncounted {
        Uncounted {
            strong: this.strong.clone(),
            batch: Arc::downgrade(&this.batch),
        }
    }

    pub(super) fn strong_count(this: &Self) -> usize {
        this.strong.load(Relaxed) as usize
    }

    fn is_last(&self) -> bool {
        let is_last = self.strong.fetch_sub(1, Release) == 1;
        if is_last {
            fence(Acquire);
        }
        is_last
    }

    /// Whether it was the last; its batch is not told, as if it were moved out.
    pub(super) fn give_up(mut this: Self) -> bool {
        this.is_given_up = true;
        this.is_last() && this.batch.is_counted()
    }
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        self.strong.fetch_add(1, Relaxed);
        Self::of(self.strong.clone(), self.batch.clone())
    }
}

impl Deref for Counted {
    type Target = Batch;

    fn deref(&self) -> &Batch {
        &self.batch
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if !self.is_given_up && self.is_last() {
            self.batch.over();
        }
    }
}

impl Uncounted {
    /// The batch is there for as long as the count is not zero, for each reference counts itself out before it lets it go.
    pub(super) fn upgrade(&self) -> Option<Counted> {
        let batch = self.batch.upgrade();
        let mut strong = self.strong.load(Relaxed);
        while strong != 0 {
            match self
                .strong
                .compare_exchange_weak(strong, strong + 1, Relaxed, Relaxed)
            {
                Ok(_) => return Some(Counted::of(self.strong.clone(), batch?)),
                Err(now) => strong = now,
            }
        }
        None
    }

    pub(super) fn strong_count(&self) -> usize {
        self.strong.load(Relaxed) as usize
    }
}
