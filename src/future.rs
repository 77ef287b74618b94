use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{ready, Context, Poll};

use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;

use crate::body::Counted;
use crate::connection::Peer;
use crate::grpc::Grpc;
use crate::tracker::{Admitted, Called, Name, Shard};
use crate::{rejection, ResponseBody, StragglerPhase};

pin_project! {
    /// The response future of [`Drain`](crate::Drain).
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F, B> {
        #[pin]
        state: State<F, B>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F, B> {
        // Dropped in this order: what is counted outlives what it counts.
        Serving { #[pin] future: F, admitted: Option<Admitted>, call: Call },
        Exempt { #[pin] future: F, shard: Arc<Shard>, peer: Peer },
        Rejected { response: Option<Box<Response<ResponseBody<B>>>> },
        Done,
    }
}

/// What is kept of a request while its handler runs.
#[derive(Debug)]
pub(crate) struct Call {
    peer: Peer,
    grpc: Option<Grpc>,
    name: Name,
}

impl Call {
    #[inline(always)]
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        Self {
            peer: Peer::of(request),
            grpc: Grpc::of(request.headers()),
            name: Name::of(request.method(), request.uri()),
        }
    }

    pub(crate) fn called(&self) -> Called {
        Called::Request(Box::new(self.name.clone()))
    }

    /// Whether it was cut in the meantime.
    #[cold]
    fn park(&self, admitted: &mut Option<Admitted>, cx: &Context<'_>) -> bool {
        admitted
            .as_mut()
            .is_some_and(|it| it.park(cx, StragglerPhase::Handler, || self.called()))
    }

    /// Makes the handler's answer ready to go; returns what its body is to hold until it is dropped.
    #[inline]
    fn answer<B: Body>(
        &self,
        admitted: &mut Option<Admitted>,
        response: &mut Response<B>,
    ) -> Option<Counted> {
        let is_grpc =
            self.grpc == Some(Grpc::Native) && Grpc::of(response.headers()) == Some(Grpc::Native);
        // Only a body of unknown length is sure to be polled a second time, and then wants the name.
        let wants_name = response.body().size_hint().exact().is_none();
        let mut name = None;
        if let Some(admitted) = admitted {
            match admitted.is_parked() {
                true => admitted.answered(),
                false if wants_name => name = Some(Box::new(self.name.clone())),
                false => {}
            }
            if !admitted.shard().is_serving() {
                self.peer.close(response);
            }
        }
        Some(Counted::new(admitted.take()?, name, is_grpc))
    }

    fn cut<B>(&self, admitted: Admitted) -> Response<ResponseBody<B>> {
        let mut response = rejection::cut(self.grpc).map(|body| body.holding(admitted));
        self.peer.close(&mut response);
        response
    }
}

impl<F, B> ResponseFuture<F, B> {
    #[inline]
    pub(crate) fn serving(future: F, admitted: Admitted, call: Call) -> Self {
        Self {
            state: State::Serving {
                future,
                admitted: Some(admitted),
                call,
            },
        }
    }

    pub(crate) fn exempt(future: F, shard: Arc<Shard>, peer: Peer) -> Self {
        Self {
            state: State::Exempt {
                future,
                shard,
                peer,
            },
        }
    }

    pub(crate) fn rejected(response: Response<ResponseBody<B>>) -> Self {
        Self {
            state: State::Rejected {
                response: Some(Box::new(response)),
            },
        }
    }
}

impl<F, B, E> Future for ResponseFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        let StateProjection::Serving {
            future,
            admitted,
            call,
        } = state.as_mut().project()
        else {
            return poll_rare(state, cx);
        };
        if matches!(admitted, Some(admitted) if admitted.is_cut()) {
            return cut(state);
        }
        // Declared before the answer, so that a panic drops it after the answer.
        let counted;
        match future.poll(cx) {
            Poll::Ready(Ok(mut response)) => {
                counted = call.answer(admitted, &mut response);
                // Ends the handler before the count can end.
                state.set(State::Done);
                Poll::Ready(Ok(response.map(|body| ResponseBody::new(body, counted))))
            }
            Poll::Ready(Err(error)) => {
                state.set(State::Done);
                Poll::Ready(Err(error))
            }
            Poll::Pending if call.park(admitted, cx) => cut(state),
            Poll::Pending => Poll::Pending,
        }
    }
}

type Answer<B, E> = Poll<Result<Response<ResponseBody<B>>, E>>;

#[cold]
#[inline(never)]
fn cut<F, B, E>(mut state: Pin<&mut State<F, B>>) -> Answer<B, E> {
    let mut answer = None;
    if let StateProjection::Serving { admitted, call, .. } = state.as_mut().project() {
        answer = admitted.take().map(|admitted| call.cut(admitted));
    }
    state.set(State::Done);
    match answer {
        Some(response) => Poll::Ready(Ok(response)),
        None => unreachable!("what is cut was admitted"),
    }
}

#[cold]
#[inline(never)]
fn poll_rare<F, B, E>(mut state: Pin<&mut State<F, B>>, cx: &mut Context<'_>) -> Answer<B, E>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    let answer = match state.as_mut().project() {
        StateProjection::Exempt {
            future,
            shard,
            peer,
        } => {
            let mut answer = ready!(future.poll(cx));
            if let (Ok(response), false) = (&mut answer, shard.is_serving()) {
                peer.close(response);
            }
            Some(answer.map(|response| response.map(ResponseBody::uncounted)))
        }
        StateProjection::Rejected { response } => response.take().map(|response| Ok(*response)),
        StateProjection::Serving { .. } | StateProjection::Done => None,
    };
    state.set(State::Done);
    match answer {
        Some(answer) => Poll::Ready(answer),
        None => panic!("`ResponseFuture` polled after it was ready"),
    }
}

impl<F, B> fmt::Debug for ResponseFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Serving { .. } | State::Exempt { .. } => "serving",
            State::Rejected { .. } => "rejected",
            State::Done => "done",
        };
        f.debug_tuple("ResponseFuture").field(&state).finish()
    }
}
