//! What a service needs of its layer, once per shard, so that cloning a service writes to no line that
//! another core writes to.

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

#[cfg(feature = "stream")]
use http::Request;

use crate::config::Config;
#[cfg(feature = "stream")]
use crate::future::Rare;
#[cfg(feature = "stream")]
use crate::stream::StreamCall;
use crate::tracker::{shard_of_thread, Door, Padded};
use crate::DrainHandle;

type Siblings<R> = Box<[OnceLock<Weak<Slot<R>>>]>;

/// The way into a shard, and the configuration. On lines of its own: the reference count in front of it is written by
/// every clone, and what is read of it by every core.
#[repr(align(128))]
pub(crate) struct Slot<R> {
    pub(crate) door: Door,
    pub(crate) config: Arc<Config<R>>,
    /// Asked in place of each setting.
    pub(crate) is_plain: bool,
    /// The slot's own copy, for it goes along with each request.
    #[cfg(feature = "stream")]
    pub(crate) stream: Arc<crate::stream::StreamConfig>,
    index: usize,
    slots: usize,
    siblings: Arc<Padded<Siblings<R>>>,
}

impl<R> Slot<R> {
    /// The slot of the calling thread, or this one if the table is gone.
    #[inline]
    pub(crate) fn local(self: &Arc<Self>) -> Arc<Self> {
        let index = shard_of_thread(self.slots);
        if index == self.index {
            return self.clone();
        }
        self.siblings.0[index]
            .get()
            .and_then(Weak::upgrade)
            .unwrap_or_else(|| self.clone())
    }

    /// What `request` takes along for the policy that its answer is to be shown.
    #[cfg(feature = "stream")]
    pub(crate) fn stream_call<Q, B>(&self, request: &Request<Q>) -> Option<Box<Rare<B>>> {
        let call = StreamCall::of(&self.stream, request)?;
        Some(Box::new(Rare::Stream(call)))
    }
}

/// The slots of a layer, one a shard. It lives as long as the layer and the services that the layer made: those are
/// the ones that are cloned per connection and request. A clone does not hold it, or that would be a shared line
/// again; nor does the handle, or closures of the layer that capture the handle would keep it for ever.
#[derive(Debug)]
pub(crate) struct Table<R> {
    pub(crate) handle: DrainHandle,
    pub(crate) config: Arc<Config<R>>,
    slots: Box<[Arc<Slot<R>>]>,
}

impl<R> Table<R> {
    pub(crate) fn new(handle: DrainHandle, config: Config<R>) -> Arc<Self> {
        let config = Arc::new(config);
        let doors = handle.tracker().doors();
        let siblings: Siblings<R> = doors.iter().map(|_| OnceLock::new()).collect();
        let siblings = Arc::new(Padded(siblings));
        let slots: Box<[_]> = doors
            .iter()
            .zip(siblings.0.iter())
            .enumerate()
            .map(|(index, (door, sibling))| {
                let slot = Arc::new(Slot {
                    door: door.clone(),
                    config: config.clone(),
                    is_plain: config.is_plain(),
                    #[cfg(feature = "stream")]
                    stream: Arc::new(config.stream.clone()),
                    index,
                    slots: doors.len(),
                    siblings: siblings.clone(),
                });
                sibling.get_or_init(|| Arc::downgrade(&slot));
                slot
            })
            .collect();
        Arc::new(Self {
            handle,
            config,
            slots,
        })
    }

    pub(crate) fn local(&self) -> Arc<Slot<R>> {
        self.slots[shard_of_thread(self.slots.len())].clone()
    }
}

impl<R> fmt::Debug for Slot<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").finish_non_exhaustive()
    }
}
