use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::response::Parts;
use http::{HeaderMap, Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;

use crate::body::Watch;
use crate::connection::Peer;
use crate::grpc::Grpc;
use crate::seldom::Seldom;
#[cfg(feature = "stream")]
use crate::stream::{Ending, StreamCall};
use crate::tracker::{Admitted, Called, Kept, Name, Place, Wakes};
use crate::{rejection, ResponseBody, StragglerPhase};

pin_project! {
    /// The response future of [`Drain`](crate::Drain).
    ///
    /// Dropped before its answer, it drops the handler and then takes the request out of the count.
    ///
    /// # Panics
    ///
    /// If it is polled after it was ready.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F, B> {
        // Dropped in this order: what is counted outlives what it counts.
        #[pin]
        future: Option<F>,
        place: Option<Place>,
        admitted: Option<Admitted>,
        call: Call,
        rare: Seldom<Rare<B>>,
    }

    impl<F, B> PinnedDrop for ResponseFuture<F, B> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if this.place.is_some() {
                end(this.future, this.admitted, this.place);
            }
        }
    }
}

/// What few requests have.
pub(crate) enum Rare<B> {
    /// Not called, but answered so.
    Rejected(Response<ResponseBody<B>>),
    /// A policy is to be asked about the body of the answer.
    #[cfg(feature = "stream")]
    Stream(StreamCall),
}

/// What a body of a known size may have at most to be taken for one that is handed over in one piece. A longer one may
/// be a download that holds the drain for minutes; beside that many bytes the copy of its name costs nothing.
const ONE_WRITE: u64 = 16 * 1024;

/// Whether a body is polled once and never waits.
#[inline]
fn is_short<B: Body>(body: &B) -> bool {
    matches!(body.size_hint().exact(), Some(0..=ONE_WRITE))
}

/// What is kept of a request while its handler runs.
#[derive(Debug)]
pub(crate) struct Call {
    name: Name,
    peer: Peer,
    grpc: Option<Grpc>,
}

impl Call {
    #[inline(always)]
    pub(crate) fn new(name: Name, peer: Peer, grpc: Option<Grpc>) -> Self {
        Self { name, peer, grpc }
    }

    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        let mut name = Name::NONE;
        name.set(request.method(), request.uri());
        Self::new(name, Peer::of(request), Grpc::of(request.headers()))
    }

    pub(crate) fn called(&self) -> Called {
        Called::Request(self.name.clone())
    }

    fn is_grpc(&self, headers: &HeaderMap) -> bool {
        self.grpc == Some(Grpc::Native) && Grpc::of(headers) == Some(Grpc::Native)
    }

    /// Makes the handler's answer ready to go; returns what its body waits for, without its place: code of the caller
    /// runs here, and may panic.
    ///
    /// Takes the answer in parts: one whose address is known here would be in memory of its own before it is in that of
    /// the result, and be copied there, for every request.
    fn answered<B: Body>(
        &self,
        rare: Option<&Rare<B>>,
        kept: &mut Kept,
        parts: &mut Parts,
        body: &B,
    ) -> Watch {
        let Kept { admitted, place } = kept;
        let Some(admitted) = admitted else {
            return Watch::NONE;
        };
        let watch = match is_short(body) && place.is_none() {
            true => Watch::NONE,
            false => self.may_wait(rare, admitted, place, parts, body),
        };
        if !admitted.is_serving() {
            self.peer.close(parts);
        }
        watch
    }

    fn may_wait<B: Body>(
        &self,
        rare: Option<&Rare<B>>,
        admitted: &Admitted,
        place: &mut Option<Place>,
        parts: &Parts,
        body: &B,
    ) -> Watch {
        #[cfg(feature = "stream")]
        let ending = match rare {
            _ if !admitted.is_counted() || body.size_hint().exact().is_some() => None,
            Some(Rare::Stream(call)) => StreamCall::ending(Some(call), parts),
            _ => StreamCall::ending(None, parts),
        };
        #[cfg(feature = "stream")]
        let wakes = Ending::wakes(&ending);
        #[cfg(not(feature = "stream"))]
        let (wakes, _, _) = (Wakes::CUT, body, rare);
        admitted.answered(place, wakes, || self.called());
        if self.is_grpc(&parts.headers) {
            if let Some(place) = place {
                place.ends_in_trailers = true;
            }
        }
        Watch {
            place: None,
            #[cfg(feature = "stream")]
            ending: Seldom::from(ending),
        }
    }

    /// Whether it was cut in the meantime.
    #[cold]
    fn park(&self, admitted: &Admitted, place: &mut Option<Place>, cx: &Context<'_>) -> bool {
        admitted.park(place, cx, Wakes::CUT, StragglerPhase::Handler, || {
            self.called()
        })
    }

    #[cold]
    fn cut<B>(&self, mut kept: Kept) -> Response<ResponseBody<B>> {
        if let Some(admitted) = &kept.admitted {
            admitted.answered(&mut kept.place, Wakes::CUT, || self.called());
        }
        let response = rejection::cut(self.grpc).map(|body| body.holding(kept));
        self.peer.closed(response)
    }
}

/// Ends what is counted before its place and the count.
#[cold]
#[inline(never)]
pub(crate) fn end<F>(
    mut future: Pin<&mut Option<F>>,
    admitted: &mut Option<Admitted>,
    place: &mut Option<Place>,
) -> Kept {
    let kept = Kept::take(admitted, place);
    future.set(None);
    kept
}

impl<F, B> ResponseFuture<F, B> {
    #[inline(always)]
    pub(crate) fn serving(
        future: F,
        admitted: Admitted,
        call: Call,
        rare: Option<Box<Rare<B>>>,
    ) -> Self {
        Self {
            future: Some(future),
            place: None,
            admitted: Some(admitted),
            call,
            rare: Seldom::from(rare),
        }
    }

    #[cold]
    pub(crate) fn rejected(call: Call, response: Response<ResponseBody<B>>) -> Self {
        Self {
            future: None,
            place: None,
            admitted: None,
            call,
            rare: Seldom::from(Some(Box::new(Rare::Rejected(response)))),
        }
    }
}

impl<F, B, E> Future for ResponseFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let (Some(future), Some(admitted)) = (this.future.as_mut().as_pin_mut(), &*this.admitted)
        else {
            return Poll::Ready(Ok(take_rejection(this.rare)));
        };
        if !admitted.is_cut() {
            match future.poll(cx) {
                Poll::Ready(Ok(response)) => {
                    let is_plain = this.place.is_none() && admitted.is_serving();
                    if is_plain && is_short(response.body()) {
                        // Declared again after it, so that if the drop of the handler panics, the answer is dropped
                        // before what counts it.
                        let held = this.admitted.take();
                        let response = response;
                        this.future.set(None);
                        let body = |body| ResponseBody::new(body, held, Watch::NONE);
                        return Poll::Ready(Ok(response.map(body)));
                    }
                    let mut kept = Kept::take(this.admitted, this.place);
                    let (mut parts, body) = response.into_parts();
                    this.future.set(None);
                    let rare = this.rare.as_deref();
                    let mut watch = this.call.answered(rare, &mut kept, &mut parts, &body);
                    let held;
                    (held, watch.place) = kept.into_parts();
                    let body = ResponseBody::new(body, held, watch);
                    return Poll::Ready(Ok(Response::from_parts(parts, body)));
                }
                Poll::Ready(Err(error)) => {
                    end(this.future, this.admitted, this.place);
                    return Poll::Ready(Err(error));
                }
                Poll::Pending => {
                    if !this.call.park(admitted, this.place, cx) {
                        return Poll::Pending;
                    }
                }
            }
        }
        let kept = end(this.future, this.admitted, this.place);
        Poll::Ready(Ok(this.call.cut(kept)))
    }
}

#[cold]
fn take_rejection<B>(rare: &mut Option<Box<Rare<B>>>) -> Response<ResponseBody<B>> {
    match rare.take().map(|rare| *rare) {
        Some(Rare::Rejected(response)) => response,
        _ => panic!("`ResponseFuture` polled after it was ready"),
    }
}

impl<F, B> fmt::Debug for ResponseFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match (&self.future, self.rare.as_deref()) {
            (Some(_), _) => "serving",
            (None, Some(Rare::Rejected(_))) => "rejected",
            (None, _) => "done",
        };
        f.debug_tuple("ResponseFuture").field(&state).finish()
    }
}
