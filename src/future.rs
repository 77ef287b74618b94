use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;

use crate::body::Watch;
use crate::connection::Peer;
use crate::grpc::Grpc;
#[cfg(feature = "stream")]
use crate::stream::{Ending, StreamCall};
use crate::tracker::{Admitted, Called, Name, Wakes};
use crate::{rejection, ResponseBody, StragglerPhase};

pin_project! {
    /// The response future of [`Drain`](crate::Drain).
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F, B> {
        // Dropped in this order: what is counted outlives what it counts.
        #[pin]
        future: Option<F>,
        admitted: Option<Admitted>,
        waker: Option<Waker>,
        call: Call,
        rejected: Option<Box<Response<ResponseBody<B>>>>,
    }
}

/// What a body of a known size may have at most to be taken for one that is handed over in one piece. A longer one may
/// be a download that holds the drain for minutes; beside that many bytes the copy of its name costs nothing.
const ONE_WRITE: u64 = 16 * 1024;

/// What is kept of a request while its handler runs.
#[derive(Debug)]
pub(crate) struct Call {
    name: Name,
    peer: Peer,
    grpc: Option<Grpc>,
    #[cfg(feature = "stream")]
    stream: Option<StreamCall>,
}

impl Call {
    #[inline(always)]
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        let mut call = Self {
            name: Name::NONE,
            peer: Peer::of(request),
            grpc: Grpc::of(request.headers()),
            #[cfg(feature = "stream")]
            stream: None,
        };
        call.name.set(request.method(), request.uri());
        call
    }

    #[cfg(feature = "stream")]
    pub(crate) fn with_stream(self, stream: Option<StreamCall>) -> Self {
        Self { stream, ..self }
    }

    pub(crate) fn called(&self) -> Called {
        Called::Request(self.name.keep())
    }

    #[inline]
    fn is_grpc<B>(&self, response: &Response<B>) -> bool {
        self.grpc == Some(Grpc::Native) && Grpc::of(response.headers()) == Some(Grpc::Native)
    }

    /// What the body of an answer wants to know, unless it is short: such a one is polled once, and never waits.
    #[inline]
    fn name_for<B: Body>(&self, body: &B) -> Option<Box<str>> {
        match body.size_hint().exact() {
            Some(0..=ONE_WRITE) => None,
            _ => Some(self.name.keep()),
        }
    }

    /// Makes the handler's answer ready to go; returns what its body wants to know.
    #[inline(always)]
    fn answered<B: Body>(&self, admitted: &Admitted, response: &mut Response<B>) -> Watch {
        #[cfg(feature = "stream")]
        let ending = match admitted.is_counted() {
            true => StreamCall::ending(self.stream.as_ref(), response),
            false => None,
        };
        #[cfg(feature = "stream")]
        let wakes = Ending::wakes(&ending);
        #[cfg(not(feature = "stream"))]
        let wakes = Wakes::CUT;
        let name = match admitted.is_settled() {
            true => {
                admitted.answered(wakes);
                None
            }
            false => self.name_for(response.body()),
        };
        if !admitted.is_serving() {
            self.peer.close(response);
        }
        let watch = Watch::new(name, self.is_grpc(response));
        #[cfg(feature = "stream")]
        let watch = watch.with_ending(ending);
        watch
    }

    /// Whether it was cut in the meantime.
    #[cold]
    fn park(&self, admitted: &mut Admitted, waker: &mut Option<Waker>, cx: &Context<'_>) -> bool {
        admitted.park(waker, cx, Wakes::CUT, StragglerPhase::Handler, || {
            self.called()
        })
    }

    #[cold]
    fn cut<B>(&self, admitted: &mut Option<Admitted>) -> Response<ResponseBody<B>> {
        if let Some(admitted) = admitted {
            admitted.answered(Wakes::CUT);
        }
        let mut response = rejection::cut(self.grpc).map(|body| body.holding(admitted.take()));
        self.peer.close(&mut response);
        response
    }
}

impl<F, B> ResponseFuture<F, B> {
    #[inline]
    pub(crate) fn serving(future: F, admitted: Admitted, call: Call) -> Self {
        Self {
            future: Some(future),
            admitted: Some(admitted),
            waker: None,
            call,
            rejected: None,
        }
    }

    #[cold]
    pub(crate) fn rejected(call: Call, response: Response<ResponseBody<B>>) -> Self {
        Self {
            future: None,
            admitted: None,
            waker: None,
            call,
            rejected: Some(Box::new(response)),
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
        let (Some(future), Some(admitted)) =
            (this.future.as_mut().as_pin_mut(), &mut *this.admitted)
        else {
            return Poll::Ready(Ok(take_rejection(this.rejected)));
        };
        if !admitted.is_cut() {
            // Declared before the answer, so that a panic drops it after the answer.
            let held;
            match future.poll(cx) {
                Poll::Ready(Ok(mut response)) => {
                    held = this.admitted.take();
                    // Ends the handler before the count can end.
                    this.future.set(None);
                    return Poll::Ready(Ok(match &held {
                        Some(admitted) => {
                            let watch = this.call.answered(admitted, &mut response);
                            response.map(|body| ResponseBody::new(body, held, watch))
                        }
                        None => response.map(ResponseBody::uncounted),
                    }));
                }
                Poll::Ready(Err(error)) => {
                    this.future.set(None);
                    *this.admitted = None;
                    return Poll::Ready(Err(error));
                }
                Poll::Pending => {
                    if !this.call.park(admitted, this.waker, cx) {
                        return Poll::Pending;
                    }
                }
            }
        }
        let answer = this.call.cut(this.admitted);
        this.future.set(None);
        Poll::Ready(Ok(answer))
    }
}

#[cold]
fn take_rejection<B>(rejected: &mut Option<Box<Response<B>>>) -> Response<B> {
    match rejected.take() {
        Some(response) => *response,
        None => panic!("`ResponseFuture` polled after it was ready"),
    }
}

impl<F, B> fmt::Debug for ResponseFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match (&self.future, &self.rejected) {
            (Some(_), _) => "serving",
            (None, Some(_)) => "rejected",
            (None, None) => "done",
        };
        f.debug_tuple("ResponseFuture").field(&state).finish()
    }
}
