//! What the builder methods of the layer set.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Request;

use crate::RequestHead;

type Exempt = Arc<dyn Fn(&RequestHead<'_>) -> bool + Send + Sync>;

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
    pub(crate) fn is_plain(&self) -> bool {
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
