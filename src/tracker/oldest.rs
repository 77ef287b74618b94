//! Selects the oldest stragglers. Only those are copied and turned into words.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use tokio::time::Instant;

use super::registry::{Called, Holder};
use crate::{Straggler, StragglerPhase};

pub(super) struct Oldest {
    most: usize,
    pub(super) offered: usize,
    /// The youngest of them is on top.
    kept: BinaryHeap<Known>,
}

impl Oldest {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            offered: 0,
            kept: BinaryHeap::new(),
        }
    }

    pub(super) fn offer(&mut self, phase: StragglerPhase, holder: &Holder) {
        self.offered += 1;
        if self.kept.len() == self.most {
            let is_older = |known: &Known| (holder.since, holder.id) < known.age();
            if !self.kept.peek().is_some_and(is_older) {
                return;
            }
            self.kept.pop();
        }
        let holder = holder.clone();
        self.kept.push(Known { phase, holder });
    }

    /// Oldest first.
    pub(super) fn into_stragglers(self, now: Instant) -> Vec<Straggler> {
        let sorted = self.kept.into_sorted_vec().into_iter();
        sorted.map(|known| known.into_straggler(now)).collect()
    }
}

struct Known {
    phase: StragglerPhase,
    holder: Holder,
}

impl Known {
    /// The less the older.
    fn age(&self) -> (Instant, u64) {
        (self.holder.since, self.holder.id)
    }

    fn into_straggler(self, now: Instant) -> Straggler {
        let Holder { id, since, called } = self.holder;
        let (method, path, label) = match called {
            Called::Nothing => (None, None, None),
            Called::Request(name) => {
                let (method, path) = name.parts();
                (Some(method.to_owned()), Some(path.to_owned()), None)
            }
            Called::Label(label) => (None, None, Some(label)),
        };
        Straggler {
            id,
            method,
            path,
            label,
            age: now.saturating_duration_since(since),
            phase: self.phase,
        }
    }
}

impl Ord for Known {
    fn cmp(&self, other: &Self) -> Ordering {
        self.age().cmp(&other.age())
    }
}

impl PartialOrd for Known {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Known {
    fn eq(&self, other: &Self) -> bool {
        self.age() == other.age()
    }
}

impl Eq for Known {}
