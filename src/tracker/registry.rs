//! Who waits on a shard, and who is known to hold the drain: one entry each, made when somebody first waits.

use std::borrow::Cow;
use std::task::Waker;

use slab::Slab;
use tokio::time::Instant;

use super::sync::Uncounted;
use super::Name;
use crate::{contained, StragglerPhase};

/// What wakes an entry; a set of flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wakes(u8);

impl Wakes {
    /// The phase left serving.
    pub(crate) const LEAVE: Self = Self(1);
    /// Rejecting began.
    pub(crate) const BEGIN: Self = Self(2);
    /// The phase changed.
    pub(crate) const CHANGE: Self = Self(4);
    /// A cut.
    pub(crate) const CUT: Self = Self(8);

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// What an entry that holds the drain is called.
#[derive(Clone, Debug)]
pub(crate) enum Called {
    Nothing,
    Request(Name),
    Label(Cow<'static, str>),
}

/// What is told of an entry that holds the drain.
#[derive(Clone, Debug)]
pub(crate) struct Holder {
    pub(crate) id: u64,
    pub(crate) since: Instant,
    pub(crate) called: Called,
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) waker: Option<Waker>,
    pub(crate) wakes: Wakes,
    /// What of it runs, if it holds the drain. Here, not there: the values it leaves free make an entry smaller.
    pub(crate) phase: StragglerPhase,
    /// Boxed, because most entries of a service with open streams only wait.
    pub(crate) holder: Option<Box<Holder>>,
}

#[derive(Debug, Default)]
pub(crate) struct Registry {
    entries: Slab<Entry>,
    ids: u64,
    /// The batch to be admitted to while the shard is open.
    pub(super) open: Option<Uncounted>,
}

impl Registry {
    /// # Panics
    ///
    /// With 2^32 entries, whose memory no machine has.
    pub(crate) fn insert(&mut self, entry: Entry) -> u32 {
        u32::try_from(self.entries.insert(entry)).expect("a shard has fewer than 2^32 waiters")
    }

    pub(crate) fn remove(&mut self, key: u32) -> Entry {
        self.entries.remove(key as usize)
    }

    pub(crate) fn get_mut(&mut self, key: u32) -> &mut Entry {
        &mut self.entries[key as usize]
    }

    pub(crate) fn next_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    pub(crate) fn holders(&self) -> impl Iterator<Item = (StragglerPhase, &Holder)> {
        self.entries
            .iter()
            .filter_map(|(_, entry)| Some((entry.phase, entry.holder.as_deref()?)))
    }

    /// Fills `wakers` from the entry at `from` on; returns where to go on, `None` at the end.
    pub(crate) fn collect(
        &self,
        from: usize,
        fired: Wakes,
        wakers: &mut Vec<Waker>,
    ) -> Option<usize> {
        for key in from..self.entries.capacity() {
            if wakers.len() == wakers.capacity() {
                return Some(key);
            }
            match self.entries.get(key) {
                Some(entry) if entry.wakes.meets(fired) => {
                    // One whose clone panics is left out, and the others are woken.
                    wakers.extend(contained::call(|| entry.waker.clone()).ok().flatten());
                }
                _ => {}
            }
        }
        None
    }
}
