use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::connection::Peer;
use crate::future::Call;
use crate::slot::{Slot, Table};
use crate::tracker::{Waiter, Wakes};
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
    /// Keeps the slots, if the layer made this service; a clone reaches them without.
    _table: Option<Arc<Table<R>>>,
    /// The inner service was polled ready and not called since.
    is_ready: bool,
    /// Where a task waits that the inner service parked. Boxed: few ever wait, and all are cloned and moved.
    parked: Option<Box<Waiter>>,
}

impl<S, R> Drain<S, R> {
    pub(crate) fn new(inner: S, table: Arc<Table<R>>) -> Self {
        Self {
            inner,
            slot: table.local(),
            _table: Some(table),
            is_ready: false,
            parked: None,
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
        let shard = &self.slot.shard;
        self.parked
            .get_or_insert_with(|| Box::new(Waiter::new(shard.clone())))
            .park(cx, Wakes::BEGIN);
        shard.is_closed()
    }

    fn reject<F, Q, B>(&self, request: &Request<Q>) -> ResponseFuture<F, B>
    where
        R: Rejection<B>,
    {
        let config = &self.slot.config;
        let head = RequestHead::of(request);
        let mut response = config.rejection.reject(&head, &config.retry_after);
        Peer::of(request).close(&mut response);
        ResponseFuture::rejected(response)
    }
}

impl<S: Clone, R> Clone for Drain<S, R> {
    /// The clone is not ready, whatever this one is: readiness counts once.
    #[inline]
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            slot: self.slot.local(),
            _table: None,
            is_ready: false,
            parked: None,
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
        if self.parked.is_some() {
            self.parked = None;
        }
        match polled {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(())),
        }
    }

    #[inline]
    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let Slot { shard, config, .. } = &*self.slot;
        let is_ready = std::mem::take(&mut self.is_ready);
        let is_exempt = config.is_exempt(&request);
        if is_exempt && is_ready {
            let (shard, peer) = (shard.clone(), Peer::of(&request));
            return ResponseFuture::exempt(self.inner.call(request), shard, peer);
        }
        let admitted = match is_ready {
            true => shard.admit(),
            false => None,
        };
        let Some(admitted) = admitted else {
            if !is_exempt {
                shard.reject();
            }
            return self.reject(&request);
        };
        let call = Call::of(&request);
        if config.share_guard {
            let guard = admitted.guard(call.called());
            request.extensions_mut().insert(DrainGuard::new(guard));
        }
        ResponseFuture::serving(self.inner.call(request), admitted, call)
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
