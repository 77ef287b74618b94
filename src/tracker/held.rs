//! What is held of a shard: a request or tracked future, a guard, or only a place to wait at.

use std::sync::Arc;
use std::task::{Context, Waker};

use super::batch::Batch;
use super::registry::{Called, Wakes};
use super::shard::Shard;
use super::sync::Counted;
use crate::StragglerPhase;

/// One request or tracked future in the count, or a request that is exempt from it.
///
/// One word, because it is moved with every request. Whoever has it keeps its [`Place`] beside it.
#[derive(Debug)]
pub(crate) struct Admitted(Counted);

/// Where something that is counted waits, and is known by name. Made when it first does.
#[derive(Debug)]
pub(crate) struct Place {
    shard: Arc<Shard>,
    waker: Option<Waker>,
    key: u32,
    notes: u8,
}

/// What the body that holds a request remembers.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(crate) enum Note {
    /// It ends in gRPC's trailers.
    Grpc = 1,
    /// It came to its end, one way or another.
    Ended = 2,
}

impl Place {
    fn new(
        shard: &Arc<Shard>,
        waker: Option<Waker>,
        wakes: Wakes,
        holder: Option<(StragglerPhase, Called)>,
    ) -> Box<Self> {
        Box::new(Self {
            key: shard.enter(waker.clone(), wakes, holder),
            shard: shard.clone(),
            waker,
            notes: 0,
        })
    }

    pub(crate) fn has(place: &Option<Box<Self>>, note: Note) -> bool {
        matches!(place, Some(place) if place.notes & note as u8 != 0)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shard.leave(self.key);
    }
}

impl Admitted {
    #[inline]
    pub(super) fn new(batch: Counted) -> Self {
        Self(batch)
    }

    /// Neither counted, listed nor cut.
    pub(crate) fn exempt(shard: &Arc<Shard>) -> Self {
        Self(Batch::exempt(shard))
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
        let is_cut = self.0.is_cut();
        if is_cut {
            self.0.shard.let_cut_count();
        }
        is_cut
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
        place: &mut Option<Box<Place>>,
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
                    place.shard.reenter(place.key, new);
                }
            }
            None => {
                let waker = Some(cx.waker().clone());
                let holder = Some((phase, called()));
                *place = Some(Place::new(&self.0.shard, waker, wakes, holder));
            }
        }
        self.is_cut()
    }

    /// The handler has answered: it is known from here on that the body holds the drain, and `wakes` wakes it.
    pub(crate) fn answered(
        &self,
        place: &mut Option<Box<Place>>,
        wakes: Wakes,
        called: impl FnOnce() -> Called,
    ) {
        match place {
            Some(place) => place.shard.answered(place.key, wakes),
            None if !self.is_counted() => {}
            None => {
                let holder = Some((StragglerPhase::Body, called()));
                *place = Some(Place::new(&self.0.shard, None, wakes, holder));
            }
        }
    }

    pub(crate) fn note(&self, place: &mut Option<Box<Place>>, note: Note) {
        // What is not cut has nothing to remember.
        if self.is_counted() {
            place
                .get_or_insert_with(|| Place::new(&self.0.shard, None, Wakes::CUT, None))
                .notes |= note as u8;
        }
    }
}

/// The waker to put into the registry, if the one that is there is another. So a poll with the same one takes no lock.
fn unless_same(known: &mut Option<Waker>, cx: &Context<'_>) -> Option<Waker> {
    match known {
        Some(known) if known.will_wake(cx.waker()) => None,
        _ => {
            *known = Some(cx.waker().clone());
            Some(cx.waker().clone())
        }
    }
}

/// A guard in the count.
#[derive(Debug)]
pub(crate) struct Held {
    /// `None` only in the end.
    batch: Option<Counted>,
    shard: Arc<Shard>,
    number: u64,
    key: u32,
}

impl Held {
    pub(super) fn new(batch: Counted, key: u32) -> Self {
        Self {
            shard: batch.shard.clone(),
            number: batch.number(),
            batch: Some(batch),
            key,
        }
    }

    /// One more beside one that is held, which keeps its batch from being over (invariant 3).
    fn beside(batch: &Counted, called: Called) -> Self {
        batch.shard.add_guard(batch, called)
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.shard.has_cut(self.number)
    }

    pub(crate) fn called(&self) -> Called {
        self.shard.guard_called(self.key)
    }

    /// A waiter that knows whether this guard is cut.
    pub(crate) fn waiter(&self) -> Waiter {
        Waiter::of(self.shard.clone(), self.number)
    }
}

impl Clone for Held {
    /// Never rejected, and cut when the original is.
    fn clone(&self) -> Self {
        match &self.batch {
            Some(batch) => Self::beside(batch, self.called()),
            None => unreachable!("a guard has its batch until it is dropped"),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(batch) = self.batch.take() {
            self.shard.release_guard(batch, self.key);
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
    /// The number of the batch whose cut it waits for.
    batch: u64,
}

impl Waiter {
    pub(crate) fn new(shard: Arc<Shard>) -> Self {
        Self::of(shard, u64::MAX)
    }

    fn of(shard: Arc<Shard>, batch: u64) -> Self {
        Self {
            shard,
            waker: None,
            key: 0,
            batch,
        }
    }

    pub(crate) fn shard(&self) -> &Shard {
        &self.shard
    }

    /// For the waiter of a guard: whether that is cut.
    pub(crate) fn is_cut(&self) -> bool {
        self.shard.has_cut(self.batch)
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
