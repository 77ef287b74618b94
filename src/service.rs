use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::connection::Peer;
#[cfg(feature = "server")]
use crate::exempt::Exemptible;
use crate::future::Call;
use crate::grpc::Grpc;
use crate::seldom::Seldom;
use crate::slot::{Slot, Table};
use crate::tracker::{Admitted, Name, Waiter, Wakes};
use crate::{
    BoxError, DrainGuard, Rejection, RequestHead, ResponseBody, ResponseFuture, Unavailable,
};

/// The service of [`DrainLayer`](crate::DrainLayer).
///
/// A rejection does not wait for the inner service: while requests are rejected, this service is always ready. Its
/// errors are those of the inner service.
pub struct Drain<S, R = Unavailable> {
    inner: S,
    slot: Arc<Slot<R>>,
    /// The inner service was polled ready and not called since.
    is_ready: bool,
    /// Boxed: few services have one, and all are cloned and moved.
    extra: Seldom<Extra<R>>,
}

struct Extra<R> {
    /// Keeps the slots, if the layer made this service; a clone reaches them without.
    _table: Option<Arc<Table<R>>>,
    /// Where a task waits that the inner service parked.
    parked: Option<Waiter>,
}

impl<S, R> Drain<S, R> {
    pub(crate) fn new(inner: S, table: Arc<Table<R>>) -> Self {
        Self {
            inner,
            slot: table.local(),
            is_ready: false,
            extra: Seldom::from(Some(Box::new(Extra {
                _table: Some(table),
                parked: None,
            }))),
        }
    }

    /// The inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The inner service, without the layer.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// Waits for the begin; whether it came.
    #[cold]
    fn park(&mut self, cx: &Context<'_>) -> bool {
        let shard = self.slot.door.shard();
        shard.lift_if_due();
        let extra = self.extra.get_or_insert_with(|| {
            Box::new(Extra {
                _table: None,
                parked: None,
            })
        });
        extra
            .parked
            .get_or_insert_with(|| Waiter::new(shard.clone()))
            .park(cx, Wakes::BEGIN);
        shard.is_closed()
    }

    /// Admits a request, unless requests are rejected or the inner service was not polled ready.
    #[inline]
    fn admit(&self, is_ready: bool) -> Option<Admitted> {
        let admitted = is_ready.then(|| self.slot.door.admit()).flatten();
        match admitted {
            Some(_) => admitted,
            None => self.admit_lifted(is_ready),
        }
    }

    /// Rejects a request, or lifts a drain whose time is over and admits the request. An inner service that was not
    /// polled ready still means a rejection.
    #[cold]
    #[inline(never)]
    fn admit_lifted(&self, is_ready: bool) -> Option<Admitted> {
        let door = &self.slot.door;
        door.shard().lift_if_due();
        let admitted = is_ready.then(|| door.admit()).flatten();
        if admitted.is_none() {
            door.shard().reject();
        }
        admitted
    }

    /// Admits a request as the settings of the layer want it.
    fn admit_configured<Q>(&self, is_ready: bool, request: &mut Request<Q>) -> Option<Admitted> {
        let Slot { door, config, .. } = &*self.slot;
        if config.is_exempt(request) {
            #[cfg(feature = "server")]
            Exemptible::tell(request);
            return is_ready.then(|| door.exempt());
        }
        let admitted = self.admit(is_ready)?;
        if config.share_guard {
            let guard = DrainGuard::new(admitted.guard(Call::of(&*request).called()));
            request.extensions_mut().insert(guard);
        }
        Some(admitted)
    }

    #[cold]
    #[inline(never)]
    fn reject<F, Q, B>(&self, request: &Request<Q>) -> ResponseFuture<F, B>
    where
        R: Rejection<B>,
    {
        let config = &self.slot.config;
        let head = RequestHead::of(request);
        let reject = || config.rejection.reject(&head, config.retry_after);
        #[cfg(feature = "stream")]
        let response = config.stream.rejection(&head).unwrap_or_else(reject);
        #[cfg(not(feature = "stream"))]
        let response = reject();
        let response = Peer::of(request).closed(response);
        ResponseFuture::rejected(Call::of(request), response)
    }
}

impl<S: Clone, R> Clone for Drain<S, R> {
    /// The clone is not ready, whatever this one is: readiness counts once.
    #[inline]
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            slot: self.slot.local(),
            is_ready: false,
            extra: Seldom::NONE,
        }
    }
}

impl<S, R, ReqBody, ResBody> Service<Request<ReqBody>> for Drain<S, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    R: Rejection<ResBody>,
    ResBody: Body,
    ResBody::Data: From<Bytes>,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ResBody>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let polled = self.inner.poll_ready(cx);
        self.is_ready = matches!(polled, Poll::Ready(Ok(())));
        if polled.is_pending() && !self.park(cx) {
            return Poll::Pending;
        }
        if let Some(extra) = &mut *self.extra {
            extra.parked = None;
        }
        match polled {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(())),
        }
    }

    #[inline]
    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let is_ready = std::mem::take(&mut self.is_ready);
        let admitted = match self.slot.is_plain {
            true => self.admit(is_ready),
            false => self.admit_configured(is_ready, &mut request),
        };
        let Some(admitted) = admitted else {
            return self.reject(&request);
        };
        let peer = Peer::of(&request);
        let grpc = Grpc::of(request.headers());
        // Last, because it is written in small pieces and must not be read before they are in memory.
        let mut name = Name::NONE;
        name.set(request.method(), request.uri());
        #[cfg(feature = "stream")]
        let rare = match self.slot.is_plain {
            true => None,
            false => self.slot.stream_call(&request),
        };
        #[cfg(not(feature = "stream"))]
        let rare = None;
        let future = self.inner.call(request);
        ResponseFuture::serving(future, admitted, Call::new(name, peer, grpc), rare)
    }
}

impl<S: fmt::Debug, R> fmt::Debug for Drain<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain")
            .field("inner", &self.inner)
            .field("config", &self.slot.config)
            .finish_non_exhaustive()
    }
}
