//! What is held of a shard: a request or tracked future, a guard, or only a place to wait at.

use std::sync::Arc;
use std::task::{Context, Waker};

use super::count::Epoch;
use super::registry::{Called, Wakes};
use super::shard::Shard;
use crate::StragglerPhase;

/// One request or tracked future in the count, or a request that is exempt from it.
///
/// Two words, because it is moved with every request. Whoever has it keeps the waker beside it.
#[derive(Debug)]
pub(crate) struct Admitted {
    shard: Arc<Shard>,
    mark: Mark,
}

/// The epoch in the lower bits, [`Note`]s above it. In the upper half 0, or one more than the key in the registry, or
/// [`Mark::EXEMPT`].
#[derive(Debug)]
struct Mark(u64);

/// What the body that holds a request remembers, in bits that the mark has left.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub(crate) enum Note {
    /// It ends in gRPC's trailers.
    Grpc = 1 << 30,
    /// It came to its end, one way or another.
    Ended = 1 << 31,
}

impl Mark {
    const EXEMPT: u64 = u32::MAX as u64;

    #[inline]
    fn epoch(&self) -> Epoch {
        Epoch::from_bits(self.0 as u32)
    }

    #[inline]
    fn is_plain(&self) -> bool {
        self.0 >> 32 == 0
    }

    fn is_exempt(&self) -> bool {
        self.0 >> 32 == Self::EXEMPT
    }

    fn key(&self) -> Option<u32> {
        match self.0 >> 32 {
            0 | Self::EXEMPT => None,
            more => Some(more as u32 - 1),
        }
    }

    fn set_key(&mut self, key: u32) {
        self.0 |= (u64::from(key) + 1) << 32;
    }
}

impl Admitted {
    #[inline]
    pub(super) fn new(shard: Arc<Shard>, epoch: Epoch) -> Self {
        Self {
            shard,
            mark: Mark(u64::from(epoch.bits())),
        }
    }

    /// Neither counted, listed nor cut.
    pub(crate) fn exempt(shard: Arc<Shard>) -> Self {
        Self {
            shard,
            mark: Mark(Mark::EXEMPT << 32),
        }
    }

    /// A guard beside it, never rejected.
    pub(crate) fn guard(&self, called: Called) -> Held {
        Held::beside(&self.shard, self.mark.epoch(), called)
    }

    pub(crate) fn is_counted(&self) -> bool {
        !self.mark.is_exempt()
    }

    #[inline]
    pub(crate) fn is_cut(&self) -> bool {
        self.shard.has_cut(self.mark.epoch()) && !self.mark.is_exempt()
    }

    #[cfg(feature = "stream")]
    pub(crate) fn shard(&self) -> &Shard {
        &self.shard
    }

    #[inline]
    pub(crate) fn is_serving(&self) -> bool {
        self.shard.is_serving()
    }

    /// Whether it is counted and not listed.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.mark.is_plain()
    }

    #[inline]
    pub(crate) fn has(&self, note: Note) -> bool {
        self.mark.0 & note as u64 != 0
    }

    #[inline]
    pub(crate) fn set(&mut self, note: Note) {
        self.mark.0 |= note as u64;
    }

    /// To be called when what is counted waits: from here on a cut wakes this task, and it is known who holds the
    /// drain. Returns whether a cut came in the meantime.
    pub(crate) fn park(
        &mut self,
        waker: &mut Option<Waker>,
        cx: &Context<'_>,
        wakes: Wakes,
        phase: StragglerPhase,
        called: impl FnOnce() -> Called,
    ) -> bool {
        if self.mark.is_exempt() {
            return false;
        }
        if let Some(new) = unless_same(waker, cx) {
            match self.mark.key() {
                Some(key) => self.shard.reenter(key, new),
                None => self.enter(Some(new), wakes, phase, called()),
            }
        }
        self.is_cut()
    }

    fn enter(&mut self, waker: Option<Waker>, wakes: Wakes, phase: StragglerPhase, called: Called) {
        let key = self.shard.enter(waker, wakes, Some((phase, called)));
        self.mark.set_key(key);
    }

    /// The handler has answered: it is known from here on that the body holds the drain, and `wakes` wakes it.
    pub(crate) fn answered(&mut self, wakes: Wakes, called: impl FnOnce() -> Called) {
        match self.mark.key() {
            Some(key) => self.shard.answered(key, wakes),
            None if self.mark.is_exempt() => {}
            None => self.enter(None, wakes, StragglerPhase::Body, called()),
        }
    }

    #[cold]
    fn drop_rare(&self) {
        if let Some(key) = self.mark.key() {
            self.shard.leave(key);
        }
        if !self.mark.is_exempt() {
            self.shard.release(self.mark.epoch());
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

impl Drop for Admitted {
    #[inline]
    fn drop(&mut self) {
        match self.mark.is_plain() {
            true => self.shard.release(self.mark.epoch()),
            false => self.drop_rare(),
        }
    }
}

/// A guard in the count.
#[derive(Debug)]
pub(crate) struct Held {
    shard: Arc<Shard>,
    epoch: Epoch,
    key: u32,
}

impl Held {
    pub(super) fn new(shard: Arc<Shard>, epoch: Epoch, key: u32) -> Self {
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

    /// A waiter that knows whether this guard is cut.
    pub(crate) fn waiter(&self) -> Waiter {
        Waiter::since(self.shard.clone(), self.epoch)
    }
}

impl Clone for Held {
    /// Never rejected, and cut when the original is.
    fn clone(&self) -> Self {
        Self::beside(&self.shard, self.epoch, self.called())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shard.release_guard(self.key);
    }
}

/// Somebody who waits for a phase or a cut and is not counted.
#[derive(Debug)]
pub(crate) struct Waiter {
    shard: Arc<Shard>,
    /// The one in the registry, if it waits already.
    waker: Option<Waker>,
    key: u32,
    /// Of the guard whose cut it waits for.
    epoch: Epoch,
}

impl Waiter {
    pub(crate) fn new(shard: Arc<Shard>) -> Self {
        Self::since(shard, Epoch::from_bits(0))
    }

    fn since(shard: Arc<Shard>, epoch: Epoch) -> Self {
        Self {
            shard,
            waker: None,
            key: 0,
            epoch,
        }
    }

    pub(crate) fn shard(&self) -> &Shard {
        &self.shard
    }

    /// For the waiter of a guard: whether that is cut.
    pub(crate) fn is_cut(&self) -> bool {
        self.shard.has_cut(self.epoch)
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
