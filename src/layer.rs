use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Response;
use tower_layer::Layer;

use crate::config::{whole_seconds, Config};
use crate::slot::Table;
use crate::{Drain, DrainHandle, RequestHead, Unavailable};

/// Counts requests in flight, response bodies included, and rejects new ones once its [`DrainHandle`] says so.
///
/// See the [crate documentation](crate) for examples and for where in a stack the layer goes.
pub struct DrainLayer<R = Unavailable> {
    table: Arc<Table<R>>,
}

impl DrainLayer {
    /// A layer with a handle of its own.
    pub fn new() -> Self {
        Self::from_handle(DrainHandle::new())
    }

    /// A layer for an existing handle, so that several routers or servers drain together.
    ///
    /// Use one layer of a handle per request path: a request that passes two of them counts twice.
    pub fn from_handle(handle: DrainHandle) -> Self {
        Self {
            table: Table::new(handle, Config::new(Unavailable)),
        }
    }
}

impl<R> DrainLayer<R> {
    /// The handle that begins, watches and ends the drain.
    pub fn handle(&self) -> DrainHandle {
        self.table.handle.clone()
    }

    /// Leaves requests alone for which `exempts` is true: neither counted, rejected nor cut. For probes and metrics,
    /// which must be answered while the service drains and must not hold it.
    ///
    /// Called several times, a request is exempt if any of the closures says so. An exempt HTTP/1 answer still closes
    /// its connection from the lame duck on. Under `Shutdown::serve` an exempt request that is still running when the drain
    /// is over is dropped.
    #[must_use]
    pub fn exempt<F>(self, exempts: F) -> Self
    where
        F: Fn(&RequestHead<'_>) -> bool + Send + Sync + 'static,
    {
        #[cfg(feature = "server")]
        self.table.handle.exit().exempts_some();
        self.configured(|mut config| {
            config.exempt.push(Arc::new(exempts));
            config
        })
    }

    /// What the built-in rejection says in `retry-after`: whole seconds, rounded up. The default is 1 s.
    #[must_use]
    pub fn retry_after(self, delay: Duration) -> Self {
        self.configured(|config| Config {
            retry_after: whole_seconds(delay),
            ..config
        })
    }

    /// Answers rejected requests with `rejection` instead, gRPC calls too. Only `connection: close` is added to it.
    #[must_use]
    pub fn rejection<F, B>(self, rejection: F) -> DrainLayer<F>
    where
        F: Fn(&RequestHead<'_>) -> Response<B>,
    {
        self.configured(|config| config.with_rejection(rejection))
    }

    /// Puts a [`DrainGuard`](crate::DrainGuard) into the extensions of every counted request: the drain then also
    /// waits for the work that a handler gives it to, such as an upgraded connection or a spawned task.
    ///
    /// It costs a lock of the core's own and an allocation per request.
    #[must_use]
    pub fn share_guard(self) -> Self {
        self.configured(|config| Config {
            share_guard: true,
            ..config
        })
    }

    pub(crate) fn configured<S>(self, set: impl FnOnce(Config<R>) -> Config<S>) -> DrainLayer<S> {
        let config = set((*self.table.config).clone());
        DrainLayer {
            table: Table::new(self.table.handle.clone(), config),
        }
    }
}

impl Default for DrainLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<R> Clone for DrainLayer<R> {
    /// The same layer: one handle, one count.
    fn clone(&self) -> Self {
        Self {
            table: self.table.clone(),
        }
    }
}

impl<R> fmt::Debug for DrainLayer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DrainLayer")
            .field("handle", &self.table.handle)
            .field("config", &self.table.config)
            .finish()
    }
}

impl<S, R> Layer<S> for DrainLayer<R> {
    type Service = Drain<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        Drain::new(inner, self.table.clone())
    }
}
