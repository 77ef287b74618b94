//! The counting core: who is in flight, in which phase the drain is, and who waits for what.
//!
//! A [`Tracker`] has several [`Shard`]s. A request is counted on the shard of the thread it arrives on and
//! released on the same, so that serving writes to no line that another core writes to. The phases and the
//! end of a drain are decided under one lock (`transitions`), which serving never takes. The orderings, and
//! why no wake-up is lost, are argued at the top of `count`.

mod count;
mod held;
#[cfg(feature = "admin")]
mod lifts;
mod name;
mod registry;
mod shard;
mod sync;
mod transitions;

#[cfg(all(test, tower_drain_loom))]
mod models;
#[cfg(all(test, any(tower_drain_loom, tower_drain_shuttle)))]
mod parked;
#[cfg(all(test, tower_drain_shuttle))]
mod schedules;

use std::sync::Arc;

pub(crate) use self::count::Staged;
pub(crate) use self::held::{Admitted, Held, Note, Waiter};
#[cfg(feature = "admin")]
pub(crate) use self::lifts::{Carried, Lifts};
pub(crate) use self::name::Name;
pub(crate) use self::registry::{Called, Wakes};
pub(crate) use self::shard::Shard;
pub(crate) use self::transitions::{DrainId, Outcome};

use self::count::{thread_index, Stage};
use self::sync::Mutex;
use self::transitions::State;

/// Keeps a value on cache lines of its own. 128 bytes: x86-64 fetches lines in pairs, and Apple's cores have
/// lines of that size.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Padded<T>(pub(crate) T);

#[derive(Debug)]
pub(crate) struct Tracker {
    shards: Box<[Arc<Shard>]>,
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
            let shard = |index| Shard::new(stage.clone(), tracker.clone(), index, shards);
            Self {
                shards: (0..shards).map(|index| Arc::new(shard(index))).collect(),
                state: Mutex::new(State::new()),
                stage,
            }
        })
    }

    pub(crate) fn shards(&self) -> &[Arc<Shard>] {
        &self.shards
    }

    /// The shard of the calling thread.
    pub(crate) fn shard(&self) -> &Arc<Shard> {
        &self.shards[shard_of_thread(self.shards.len())]
    }

    pub(crate) fn staged(&self) -> Staged {
        self.stage.0.load()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.shards.iter().map(|shard| shard.held()).sum()
    }

    pub(crate) fn rejected(&self) -> u64 {
        self.shards.iter().map(|shard| shard.rejected()).sum()
    }
}

/// Which of `shards`, a power of two, is the calling thread's.
#[inline]
pub(crate) fn shard_of_thread(shards: usize) -> usize {
    thread_index() & (shards - 1)
}
