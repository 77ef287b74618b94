use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;

use crate::connection::Peer;
use crate::grpc::Grpc;
use crate::tracker::{Admitted, Called, Name};
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

/// What is kept of a request while its handler runs.
#[derive(Debug)]
pub(crate) struct Call {
    name: Name,
    peer: Peer,
    grpc: Option<Grpc>,
}

impl Call {
    #[inline(always)]
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        let mut call = Self {
            name: Name::NONE,
            peer: Peer::of(request),
            grpc: Grpc::of(request.headers()),
        };
        call.name.set(request.method(), request.uri());
        call
    }

    pub(crate) fn called(&self) -> Called {
        Called::Request(self.name.keep())
    }

    #[inline]
    fn is_grpc<B>(&self, response: &Response<B>) -> bool {
        self.grpc == Some(Grpc::Native) && Grpc::of(response.headers()) == Some(Grpc::Native)
    }

    /// What the body of an answer wants to know, if it is of unknown length: only such a one is sure to be polled a
    /// second time.
    #[inline]
    fn name_for<B: Body>(&self, body: &B) -> Option<Box<str>> {
        match body.size_hint().exact() {
            Some(_) => None,
            None => Some(self.name.keep()),
        }
    }

    /// Whether it was cut in the meantime.
    #[cold]
    fn park(&self, admitted: &mut Admitted, waker: &mut Option<Waker>, cx: &Context<'_>) -> bool {
        admitted.park(waker, cx, StragglerPhase::Handler, || self.called())
    }

    #[cold]
    fn cut<B>(&self, admitted: &mut Option<Admitted>) -> Response<ResponseBody<B>> {
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
            match future.poll(cx) {
                Poll::Ready(Ok(mut response)) => {
                    // Ends the handler before the count can end.
                    this.future.set(None);
                    let name = match admitted.is_settled() {
                        true => {
                            admitted.answered();
                            None
                        }
                        false => this.call.name_for(response.body()),
                    };
                    if !admitted.is_serving() {
                        this.call.peer.close(&mut response);
                    }
                    let is_grpc = this.call.is_grpc(&response);
                    let held = this.admitted.take();
                    return Poll::Ready(Ok(
                        response.map(|body| ResponseBody::new(body, held, name, is_grpc))
                    ));
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
