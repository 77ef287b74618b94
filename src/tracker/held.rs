//! What is held of a shard: a request or tracked future, a guard, or only a place to wait at.

use std::sync::Arc;
use std::task::Context;

use super::count::Epoch;
use super::registry::{Called, Wakes};
use super::shard::{Place, Shard};
use crate::StragglerPhase;

/// One request or tracked future in the count.
#[derive(Debug)]
pub(crate) struct Admitted {
    shard: Arc<Shard>,
    epoch: Epoch,
    place: Option<Place>,
}

impl Admitted {
    #[inline]
    pub(super) fn new(shard: Arc<Shard>, epoch: Epoch) -> Self {
        Self {
            shard,
            epoch,
            place: None,
        }
    }

    /// A guard beside it, never refused.
    pub(crate) fn guard(&self, called: Called) -> Held {
        Held::beside(&self.shard, self.epoch, called)
    }

    #[inline]
    pub(crate) fn is_cut(&self) -> bool {
        self.shard.has_cut(self.epoch)
    }

    pub(crate) fn is_parked(&self) -> bool {
        self.place.is_some()
    }

    #[inline]
    pub(crate) fn shard(&self) -> &Arc<Shard> {
        &self.shard
    }

    /// To be called when what is counted waits: from here on a cut wakes this task, and it is known who holds the
    /// drain. Returns whether a cut came in the meantime.
    pub(crate) fn park(
        &mut self,
        cx: &Context<'_>,
        wakes: Wakes,
        phase: StragglerPhase,
        called: impl FnOnce() -> Called,
    ) -> bool {
        if !Place::is_of(&self.place, cx) {
            let holder = match self.place {
                Some(_) => None,
                None => Some((phase, called())),
            };
            self.shard.park(&mut self.place, cx, wakes, holder);
        }
        self.is_cut()
    }

    /// The handler has answered: what is known about the request says so from here on, and `wakes` wakes it.
    pub(crate) fn answered(&mut self, wakes: Wakes) {
        if let Some(place) = &self.place {
            self.shard.answered(place, wakes);
        }
    }
}

impl Drop for Admitted {
    #[inline]
    fn drop(&mut self) {
        if self.place.is_some() {
            self.shard.unpark(&mut self.place);
        }
        self.shard.release(self.epoch);
    }
}

/// A guard in the count.
#[derive(Debug)]
pub(crate) struct Held {
    shard: Arc<Shard>,
    epoch: Epoch,
    key: usize,
}

impl Held {
    pub(super) fn new(shard: Arc<Shard>, epoch: Epoch, key: usize) -> Self {
        Self { shard, epoch, key }
    }

    /// One more beside one that is held, which keeps its shard from being empty (invariant 3).
    fn beside(shard: &Arc<Shard>, epoch: Epoch, called: Called) -> Self {
        let key = shard.add_guard(called);
        Self::new(shard.clone(), epoch, key)
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.shard.has_cut(self.epoch)
    }

    pub(crate) fn called(&self) -> Called {
        self.shard.guard_called(self.key)
    }

    pub(crate) fn waiter(&self) -> Waiter {
        Waiter::new(self.shard.clone())
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }
}

impl Clone for Held {
    /// Never refused, and cut when the original is.
    fn clone(&self) -> Self {
        Self::beside(&self.shard, self.epoch, self.called())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shard.release_guard(self.key, self.epoch);
    }
}

/// Somebody who waits for a phase or a cut and is not counted.
#[derive(Debug)]
pub(crate) struct Waiter {
    shard: Arc<Shard>,
    place: Option<Place>,
}

impl Waiter {
    pub(crate) fn new(shard: Arc<Shard>) -> Self {
        Self { shard, place: None }
    }

    pub(crate) fn shard(&self) -> &Shard {
        &self.shard
    }

    pub(crate) fn has_cut(&self, epoch: Epoch) -> bool {
        self.shard.has_cut(epoch)
    }

    /// The caller looks at what it waits for after this, not before (invariant 7).
    pub(crate) fn park(&mut self, cx: &Context<'_>, wakes: Wakes) {
        if !Place::is_of(&self.place, cx) {
            self.shard.park(&mut self.place, cx, wakes, None);
        }
    }

    pub(crate) fn unpark(&mut self) {
        self.shard.unpark(&mut self.place);
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.unpark();
    }
}
