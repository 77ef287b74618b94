//! What a service needs of its layer, once per shard, so that cloning a service writes to no line that
//! another core writes to.

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use http::Request;

#[cfg(feature = "stream")]
use crate::future::Rare;
#[cfg(feature = "stream")]
use crate::stream::StreamCall;
use crate::tracker::{shard_of_thread, Padded, Shard};
use crate::{DrainHandle, RequestHead};

type Exempt = Arc<dyn Fn(&RequestHead<'_>) -> bool + Send + Sync>;

/// What the builder methods of the layer set.
pub(crate) struct Config<R> {
    pub(crate) exempt: Vec<Exempt>,
    pub(crate) rejection: Arc<R>,
    /// In seconds.
    pub(crate) retry_after: u64,
    pub(crate) share_guard: bool,
    #[cfg(feature = "stream")]
    pub(crate) stream: crate::stream::StreamConfig,
}

impl<R> Config<R> {
    pub(crate) fn new(rejection: R) -> Self {
        Self {
            exempt: Vec::new(),
            rejection: Arc::new(rejection),
            retry_after: whole_seconds(Duration::from_secs(1)),
            share_guard: false,
            #[cfg(feature = "stream")]
            stream: Default::default(),
        }
    }

    pub(crate) fn with_rejection<S>(self, rejection: S) -> Config<S> {
        Config {
            exempt: self.exempt,
            rejection: Arc::new(rejection),
            retry_after: self.retry_after,
            share_guard: self.share_guard,
            #[cfg(feature = "stream")]
            stream: self.stream,
        }
    }

    pub(crate) fn is_exempt<B>(&self, request: &Request<B>) -> bool {
        let head = RequestHead::of(request);
        self.exempt.iter().any(|exempts| exempts(&head))
    }

    /// Whether nothing of it matters to a request that is admitted.
    fn is_plain(&self) -> bool {
        #[cfg(feature = "stream")]
        let ends = self.stream.is_set();
        #[cfg(not(feature = "stream"))]
        let ends = false;
        self.exempt.is_empty() && !self.share_guard && !ends
    }
}

pub(crate) fn whole_seconds(duration: Duration) -> u64 {
    let up = u64::from(duration.subsec_nanos() > 0);
    duration.as_secs().saturating_add(up)
}

impl<R> Clone for Config<R> {
    fn clone(&self) -> Self {
        Self {
            exempt: self.exempt.clone(),
            rejection: self.rejection.clone(),
            retry_after: self.retry_after,
            share_guard: self.share_guard,
            #[cfg(feature = "stream")]
            stream: self.stream.clone(),
        }
    }
}

impl<R> fmt::Debug for Config<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("exempt", &self.exempt.len())
            .field("retry_after", &self.retry_after.to_string())
            .field("share_guard", &self.share_guard)
            .finish_non_exhaustive()
    }
}

type Peers<R> = Box<[OnceLock<Weak<Slot<R>>>]>;

/// A shard and the configuration. On lines of its own: the reference count in front of it is written by every clone,
/// and what is read of it by every core.
#[repr(align(128))]
pub(crate) struct Slot<R> {
    pub(crate) shard: Arc<Shard>,
    pub(crate) config: Arc<Config<R>>,
    /// Asked in place of each setting.
    pub(crate) is_plain: bool,
    /// The slot's own copy, for it goes along with each request.
    #[cfg(feature = "stream")]
    pub(crate) stream: Arc<crate::stream::StreamConfig>,
    index: usize,
    slots: usize,
    peers: Arc<Padded<Peers<R>>>,
}

impl<R> Slot<R> {
    /// The slot of the calling thread, or this one if the table is gone.
    #[inline]
    pub(crate) fn local(self: &Arc<Self>) -> Arc<Self> {
        let index = shard_of_thread(self.slots);
        if index == self.index {
            return self.clone();
        }
        self.peers.0[index]
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
        let shards = handle.tracker().shards();
        let peers: Peers<R> = shards.iter().map(|_| OnceLock::new()).collect();
        let peers = Arc::new(Padded(peers));
        let slots: Box<[_]> = shards
            .iter()
            .zip(peers.0.iter())
            .enumerate()
            .map(|(index, (shard, peer))| {
                let slot = Arc::new(Slot {
                    shard: shard.clone(),
                    config: config.clone(),
                    is_plain: config.is_plain(),
                    #[cfg(feature = "stream")]
                    stream: Arc::new(config.stream.clone()),
                    index,
                    slots: shards.len(),
                    peers: peers.clone(),
                });
                peer.get_or_init(|| Arc::downgrade(&slot));
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
