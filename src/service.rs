use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::connection::Peer;
use crate::future::{Call, Counting};
use crate::grpc::Grpc;
use crate::slot::{Slot, Table};
use crate::tracker::{Called, Name, Waiter, Wakes};
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
    /// Where a task waits that the inner service parked.
    parked: Option<Waiter>,
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

    fn reject<F, B>(&self, head: &RequestHead<'_>) -> ResponseFuture<F, B>
    where
        R: Rejection<B>,
    {
        let config = &self.slot.config;
        let reject = || config.rejection.reject(head, &config.retry_after);
        #[cfg(feature = "stream")]
        let mut response = config.stream.rejection(head).unwrap_or_else(reject);
        #[cfg(not(feature = "stream"))]
        let mut response = reject();
        Peer::of(head).close(&mut response);
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
        if polled.is_pending() {
            let shard = &self.slot.shard;
            let parked = self
                .parked
                .get_or_insert_with(|| Waiter::new(shard.clone()));
            parked.park(cx, Wakes::BEGIN);
            if !shard.is_closed() {
                return Poll::Pending;
            }
        }
        self.parked = None;
        match polled {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(())),
        }
    }

    #[inline]
    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let Slot { shard, config, .. } = &*self.slot;
        let is_ready = std::mem::take(&mut self.is_ready);
        let head = RequestHead::of(&request);
        let counting = match (config.is_exempt(&head), is_ready) {
            (true, true) => Counting::Exempt(shard.clone()),
            (true, false) => return self.reject(&head),
            (false, _) => match is_ready.then(|| shard.admit()).flatten() {
                Some(admitted) => Counting::Counted(admitted),
                None => {
                    shard.reject();
                    return self.reject(&head);
                }
            },
        };
        let call = Call {
            counting,
            peer: Peer::of(&head),
            grpc: Grpc::of(head.headers()),
            name: Name::of(head.method(), head.uri()),
            #[cfg(feature = "stream")]
            stream: crate::stream::StreamCall::new(&self.slot.stream, &head),
        };
        if let (true, Counting::Counted(admitted)) = (config.share_guard, &call.counting) {
            let guard = admitted.guard(Called::Request(Box::new(call.name.clone())));
            request.extensions_mut().insert(DrainGuard::new(guard));
        }
        ResponseFuture::serving(self.inner.call(request), call)
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
