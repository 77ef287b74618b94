//! Something that happens at most once, and those who wait for it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use slab::Slab;

use crate::contained;

/// Fires once and stays fired. Clones are the same latch.
#[derive(Clone, Default)]
pub(crate) struct Latch(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    fired: bool,
    wakers: Slab<Waker>,
}

impl Latch {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// `true` for the one call that fired it.
    pub(crate) fn fire(&self) -> bool {
        let mut state = self.lock();
        if state.fired {
            return false;
        }
        state.fired = true;
        let wakers = std::mem::take(&mut state.wakers);
        // Outside the lock: a waker may run anything.
        drop(state);
        for (_, waker) in wakers {
            // One that panics does not keep the others from being woken.
            drop(contained::call(|| waker.wake()));
        }
        true
    }

    pub(crate) fn is_fired(&self) -> bool {
        self.lock().fired
    }

    /// Resolves once it fired; at once if it has.
    pub(crate) fn fired(&self) -> Fired {
        Fired {
            latch: self.clone(),
            place: None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Latch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Latch").field(&self.is_fired()).finish()
    }
}

/// The future of [`Latch::fired`].
#[must_use = "futures do nothing unless polled"]
pub(crate) struct Fired {
    latch: Latch,
    place: Option<usize>,
}

impl Future for Fired {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let waker = cx.waker().clone();
        let mut state = this.latch.lock();
        if state.fired {
            return Poll::Ready(());
        }
        let old = match this.place {
            Some(place) => Some(std::mem::replace(&mut state.wakers[place], waker)),
            None => {
                this.place = Some(state.wakers.insert(waker));
                None
            }
        };
        drop(state);
        contained::discard(old);
        Poll::Pending
    }
}

impl Clone for Fired {
    /// Waits at a place of its own.
    fn clone(&self) -> Self {
        self.latch.fired()
    }
}

impl Drop for Fired {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            // The places are gone once it fired.
            let waker = self.latch.lock().wakers.try_remove(place);
            contained::discard(waker);
        }
    }
}

impl fmt::Debug for Fired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.latch.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_test::{assert_pending, assert_ready, task};

    #[test]
    fn firing_wakes_every_clone_once_and_latches() {
        let latch = Latch::new();
        let mut first = task::spawn(latch.fired());
        let mut second = task::spawn(latch.fired());
        assert_pending!(first.poll());
        assert_pending!(second.poll());

        assert!(latch.fire());
        assert!(!latch.fire());
        assert!(first.is_woken() && second.is_woken());
        assert_ready!(first.poll());
        assert_ready!(task::spawn(second.clone()).poll());
        assert_ready!(task::spawn(latch.fired()).poll());
    }

    #[test]
    fn a_future_that_is_dropped_leaves_no_waker_behind() {
        let latch = Latch::new();
        let mut gone = task::spawn(latch.fired());
        let mut stays = task::spawn(latch.fired());
        assert_pending!(gone.poll());
        assert_pending!(stays.poll());
        drop(gone);

        assert_eq!(latch.lock().wakers.len(), 1);
        latch.fire();
        assert!(stays.is_woken());
        drop(stays);
        assert!(latch.is_fired());
    }

    #[test]
    fn a_waker_that_panics_does_not_keep_the_others_from_being_woken() {
        struct Panics;

        impl std::task::Wake for Panics {
            fn wake(self: Arc<Self>) {
                panic!("a waker that panics");
            }
        }

        let latch = Latch::new();
        let panics = Waker::from(Arc::new(Panics));
        let mut bad = std::pin::pin!(latch.fired());
        let poll = bad.as_mut().poll(&mut Context::from_waker(&panics));
        assert!(poll.is_pending());
        let mut good = task::spawn(latch.fired());
        assert_pending!(good.poll());

        assert!(latch.fire());
        assert!(good.is_woken());
    }
}
