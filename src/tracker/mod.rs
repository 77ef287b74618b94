//! The counting core: who is in flight, in which phase the drain is, and who waits for what.
//!
//! A [`Tracker`] has several [`Shard`]s. A request is counted on the shard of the thread it arrives on and
//! released on the same, so that serving writes to no line that another core writes to: it goes in by the shard's
//! [`Door`] and has a reference to the [`Batch`](batch::Batch) that is open there. The phases and the
//! end of a drain are decided under one lock (`transitions`), which serving never takes. The orderings, and
//! why no wake-up is lost, are argued at the top of `count`.

mod batch;
mod count;
#[cfg(all(test, any(tower_drain_loom, tower_drain_shuttle)))]
mod counted;
mod held;
#[cfg(feature = "admin")]
mod lifts;
mod name;
mod oldest;
mod registry;
mod shard;
mod sync;
mod told;
mod transitions;
#[cfg(all(test, tower_drain_loom))]
mod turns;

#[cfg(all(test, tower_drain_loom))]
mod models;
#[cfg(all(test, any(tower_drain_loom, tower_drain_shuttle)))]
mod parked;
#[cfg(all(test, tower_drain_shuttle))]
mod schedules;

use std::fmt;
use std::sync::Arc;

pub(crate) use self::count::Staged;
pub(crate) use self::held::{Admitted, Held, Kept, Place, Waiter};
#[cfg(feature = "admin")]
pub(crate) use self::lifts::{Carried, Lifts};
pub(crate) use self::name::Name;
pub(crate) use self::registry::{Called, Wakes};
pub(crate) use self::shard::{Door, Shard};
pub(crate) use self::told::{DrainId, Outcome};

use self::batch::Batches;
use self::count::{thread_index, Stage};
use self::sync::{lock, Mutex};
use self::transitions::State;

/// Keeps a value on cache lines of its own. 128 bytes: x86-64 fetches lines in pairs, and Apple's cores have
/// lines of that size.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Padded<T>(pub(crate) T);

pub(crate) struct Tracker {
    doors: Box<[Door]>,
    stage: Arc<Padded<Stage>>,
    state: Mutex<State>,
}

impl Tracker {
    /// Four shards a core, so that threads that come and go seldom share one.
    pub(crate) fn new() -> Arc<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::with_shards((4 * cores).next_power_of_two())
    }

    pub(crate) fn with_shards(shards: usize) -> Arc<Self> {
        Arc::new_cyclic(|tracker| {
            let stage = Arc::new(Padded(Stage::new()));
            let door = |index| Door::new(Shard::new(stage.clone(), tracker.clone(), index, shards));
            let (doors, firsts): (Vec<_>, Vec<_>) = (0..shards).map(door).unzip();
            Self {
                doors: doors.into(),
                state: Mutex::new(State::new(firsts.into_iter().map(Batches::new).collect())),
                stage,
            }
        })
    }

    pub(crate) fn doors(&self) -> &[Door] {
        &self.doors
    }

    fn shards(&self) -> impl Iterator<Item = &Arc<Shard>> {
        self.doors.iter().map(Door::shard)
    }

    /// The door of the calling thread.
    pub(crate) fn door(&self) -> &Door {
        &self.doors[shard_of_thread(self.doors.len())]
    }

    pub(crate) fn staged(&self) -> Staged {
        self.stage.0.load()
    }

    /// Takes back a drain whose time is over. Code that reads or waits for the phase, or that is about to reject a
    /// request, calls this first, so that a late timer does not prolong the drain.
    pub(crate) fn lift_if_due(&self) {
        #[cfg(feature = "admin")]
        if self.stage.0.expiring.get() > 0 {
            self.lift_expired();
        }
    }

    pub(crate) fn in_flight(&self) -> usize {
        lock(&self.state).in_flight()
    }

    pub(crate) fn rejected(&self) -> u64 {
        self.shards().map(|shard| shard.rejected()).sum()
    }
}

/// Without what is locked: whatever is written to may ask the tracker.
impl fmt::Debug for Tracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracker")
            .field("staged", &self.staged())
            .finish_non_exhaustive()
    }
}

/// Which of `shards`, a power of two, is the calling thread's.
#[inline]
pub(crate) fn shard_of_thread(shards: usize) -> usize {
    thread_index() & (shards - 1)
}
