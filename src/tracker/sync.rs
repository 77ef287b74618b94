//! The primitives of the counting core, swapped for loom's in its models and for shuttle's in its schedules.

#[cfg(all(test, tower_drain_loom))]
pub(super) use super::turns::AtomicU64;
#[cfg(all(test, tower_drain_loom))]
pub(super) use loom::sync::{atomic::fence, Mutex, MutexGuard};
#[cfg(all(test, tower_drain_shuttle))]
pub(super) use shuttle::sync::{
    atomic::{fence, AtomicU64},
    Mutex, MutexGuard,
};
#[cfg(not(all(test, any(tower_drain_loom, tower_drain_shuttle))))]
pub(super) use std::sync::{
    atomic::{fence, AtomicU64},
    Mutex, MutexGuard,
};

use std::sync::PoisonError;

#[cfg(all(test, any(tower_drain_loom, tower_drain_shuttle)))]
pub(super) use super::counted::{Counted, Uncounted};

/// A reference that counts.
#[cfg(not(all(test, any(tower_drain_loom, tower_drain_shuttle))))]
pub(super) type Counted = std::sync::Arc<super::batch::Batch>;

/// One that does not, and that may be made to.
#[cfg(not(all(test, any(tower_drain_loom, tower_drain_shuttle))))]
pub(super) type Uncounted = std::sync::Weak<super::batch::Batch>;

/// Locks, also after a panic: of a caller's code only the clone of a waker runs under these locks, and never between two
/// writes, so what they protect is whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
