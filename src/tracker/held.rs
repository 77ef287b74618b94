//! What is held of a shard: a request or tracked future, a guard, or only a place to wait at.

use std::sync::Arc;
use std::task::{Context, Waker};

use super::registry::{Called, Wakes};
use super::shard::Shard;
use super::sync::Counted;
use crate::StragglerPhase;

/// One request or tracked future in the count, or a request that is exempt from it.
///
/// One word, because it is moved with every request. Whoever has it keeps its [`Place`] beside it.
#[derive(Debug)]
pub(crate) struct Admitted(Counted);

/// Where something that is counted waits, and is known by name. Taken when it first does, and given back by [`Kept`].
#[derive(Debug)]
pub(crate) struct Place {
    waker: Option<Waker>,
    key: u32,
    pub(crate) ends_in_trailers: bool,
    pub(crate) has_ended: bool,
}

impl Admitted {
    #[inline]
    pub(super) fn new(batch: Counted) -> Self {
        Self(batch)
    }

    /// A guard beside it, never rejected.
    pub(crate) fn guard(&self, called: Called) -> Held {
        Held::beside(&self.0, called)
    }

    pub(crate) fn is_counted(&self) -> bool {
        self.0.is_counted()
    }

    #[inline]
    pub(crate) fn is_cut(&self) -> bool {
        self.0.is_cut()
    }

    #[cfg(feature = "stream")]
    pub(crate) fn shard(&self) -> &Shard {
        &self.0.shard
    }

    #[inline]
    pub(crate) fn is_serving(&self) -> bool {
        self.0.stage.0.is_serving()
    }

    /// To be called when what is counted waits: from here on a cut wakes this task, and it is known who holds the
    /// drain. Returns whether a cut came in the meantime.
    pub(crate) fn park(
        &self,
        place: &mut Option<Place>,
        cx: &Context<'_>,
        wakes: Wakes,
        phase: StragglerPhase,
        called: impl FnOnce() -> Called,
    ) -> bool {
        if !self.is_counted() {
            return false;
        }
        match place {
            Some(place) => {
                if let Some(new) = unless_same(&mut place.waker, cx) {
                    self.0.shard.reenter(place.key, new);
                }
            }
            None => {
                let waker = Some(cx.waker().clone());
                *place = Some(self.enter(waker, wakes, Some((phase, called()))));
            }
        }
        self.is_cut()
    }

    fn enter(
        &self,
        waker: Option<Waker>,
        wakes: Wakes,
        holder: Option<(StragglerPhase, Called)>,
    ) -> Place {
        Place {
            key: self.0.shard.enter(waker.clone(), wakes, holder),
            waker,
            ends_in_trailers: false,
            has_ended: false,
        }
    }

    /// The handler has answered: it is known from here on that the body holds the drain, and `wakes` wakes it.
    pub(crate) fn answered(
        &self,
        place: &mut Option<Place>,
        wakes: Wakes,
        called: impl FnOnce() -> Called,
    ) {
        match place {
            Some(place) => self.0.shard.answered(place.key, wakes),
            None if !self.is_counted() => {}
            None => *place = Some(self.enter(None, wakes, Some((StragglerPhase::Body, called())))),
        }
    }

    /// Remembers that the body came to its end.
    pub(crate) fn ended(&self, place: &mut Option<Place>) {
        // What is not counted is not cut, and has nothing to remember.
        if self.is_counted() {
            place
                .get_or_insert_with(|| self.enter(None, Wakes::CUT, None))
                .has_ended = true;
        }
    }
}

/// What is admitted, with its place, taken out so that it outlives something of the caller's that is being dropped.
/// Dropped, also by a panic, it gives the place back and then the count.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) admitted: Option<Admitted>,
    pub(crate) place: Option<Place>,
}

impl Kept {
    pub(crate) fn take(admitted: &mut Option<Admitted>, place: &mut Option<Place>) -> Self {
        Self {
            admitted: admitted.take(),
            place: place.take(),
        }
    }

    pub(crate) fn into_parts(mut self) -> (Option<Admitted>, Option<Place>) {
        (self.admitted.take(), self.place.take())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let (Some(admitted), Some(place)) = (&self.admitted, self.place.take()) {
            admitted.0.shard.leave(place.key);
        }
    }
}

/// The waker to put into the registry, if the one that is there is another. So a poll with the same one takes no lock.
fn unless_same(known: &mut Option<Waker>, cx: &Context<'_>) -> Option<Waker> {
    match known {
        Some(known) if known.will_wake(cx.waker()) => None,
        _ => {
            let new = cx.waker().clone();
            *known = Some(new.clone());
            Some(new)
        }
    }
}

/// A guard in the count.
#[derive(Debug)]
pub(crate) struct Held {
    /// `None` only in the end.
    batch: Option<Counted>,
    key: u32,
}

impl Held {
    pub(super) fn new(batch: Counted, key: u32) -> Self {
        let batch = Some(batch);
        Self { batch, key }
    }

    /// One more beside one that is held, which keeps its batch from being over (invariant 3).
    fn beside(batch: &Counted, called: Called) -> Self {
        batch.shard.add_guard(batch, called)
    }

    fn batch(&self) -> &Counted {
        let batch = self.batch.as_ref();
        batch.expect("a guard has its batch until it is dropped")
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.batch().is_cut()
    }

    pub(crate) fn called(&self) -> Called {
        self.batch().shard.guard_called(self.key)
    }

    pub(crate) fn waiter(&self) -> Waiter {
        Waiter::new(self.batch().shard.clone())
    }

    /// What a waiter asks that waits for its cut.
    pub(crate) fn number(&self) -> u64 {
        self.batch().number()
    }
}

impl Clone for Held {
    /// Never rejected, and cut when the original is.
    fn clone(&self) -> Self {
        Self::beside(self.batch(), self.called())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(batch) = self.batch.take() {
            let shard = batch.shard.clone();
            shard.release_guard(batch, self.key);
        }
    }
}

/// Somebody who waits for a phase or a cut and is not counted.
#[derive(Debug)]
pub(crate) struct Waiter {
    shard: Arc<Shard>,
    /// The one in the registry, if it waits already.
    waker: Option<Waker>,
    key: u32,
}

impl Waiter {
    pub(crate) fn new(shard: Arc<Shard>) -> Self {
        Self {
            shard,
            waker: None,
            key: 0,
        }
    }

    pub(crate) fn shard(&self) -> &Shard {
        &self.shard
    }

    /// The caller looks at what it waits for after this, not before (invariant 7).
    pub(crate) fn park(&mut self, cx: &Context<'_>, wakes: Wakes) {
        let is_parked = self.waker.is_some();
        if let Some(new) = unless_same(&mut self.waker, cx) {
            match is_parked {
                true => self.shard.reenter(self.key, new),
                false => self.key = self.shard.enter(Some(new), wakes, None),
            }
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if self.waker.is_some() {
            self.shard.leave(self.key);
        }
    }
}
