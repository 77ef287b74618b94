use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use crate::connection::Peer;
use crate::grpc::Grpc;
use crate::tracker::{Admitted, Called, Name, Shard};
use crate::body::Counted;
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
        Serving { #[pin] future: F, call: Call },
        Rejected { response: Option<Box<Response<ResponseBody<B>>>> },
        Done,
    }
}

/// What is kept of a request while its handler runs.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) counting: Counting,
    pub(crate) peer: Peer,
    pub(crate) grpc: Option<Grpc>,
    pub(crate) name: Name,
}

#[derive(Debug)]
pub(crate) enum Counting {
    Counted(Admitted),
    Exempt(Arc<Shard>),
    /// Handed over to the body.
    Moved,
}

impl Call {
    #[inline]
    fn is_cut(&self) -> bool {
        matches!(&self.counting, Counting::Counted(admitted) if admitted.is_cut())
    }

    /// Whether it was cut in the meantime.
    #[cold]
    fn park(&mut self, cx: &Context<'_>) -> bool {
        let Counting::Counted(admitted) = &mut self.counting else {
            return false;
        };
        let name = &self.name;
        admitted.park(cx, StragglerPhase::Handler, || {
            Called::Request(Box::new(name.clone()))
        })
    }

    /// Takes what the body of this answer holds until it is dropped.
    #[inline]
    fn answer<B: Body>(&mut self, response: &mut Response<B>) -> Option<Counted> {
        let (counted, is_serving) = match std::mem::replace(&mut self.counting, Counting::Moved) {
            Counting::Counted(admitted) => {
                let is_serving = admitted.shard().is_serving();
                (Some(self.counted(admitted, response)), is_serving)
            }
            Counting::Exempt(shard) => (None, shard.is_serving()),
            Counting::Moved => unreachable!("a future is not polled after it is ready"),
        };
        if !is_serving {
            self.peer.close(response);
        }
        counted
    }

    #[inline]
    fn counted<B: Body>(&self, admitted: Admitted, response: &Response<B>) -> Counted {
        admitted.answered();
        let is_grpc =
            self.grpc == Some(Grpc::Native) && Grpc::of(response.headers()) == Some(Grpc::Native);
        // Only a body of unknown length is sure to be polled a second time, and then wants the name.
        let name = match admitted.is_parked() || response.body().size_hint().exact().is_some() {
            true => None,
            false => Some(Box::new(self.name.clone())),
        };
        Counted::new(admitted, name, is_grpc)
    }

    #[cold]
    fn cut<B>(&mut self) -> Option<Response<ResponseBody<B>>> {
        let Counting::Counted(admitted) = std::mem::replace(&mut self.counting, Counting::Moved)
        else {
            return None;
        };
        let mut response = rejection::cut(self.grpc).map(|body| body.holding(admitted));
        self.peer.close(&mut response);
        Some(response)
    }
}

impl<F, B> ResponseFuture<F, B> {
    pub(crate) fn serving(future: F, call: Call) -> Self {
        Self {
            state: State::Serving { future, call },
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

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        let mut answer = None;
        match state.as_mut().project() {
            StateProjection::Serving { future, call } if !call.is_cut() => {
                // Declared before the answer, so that a panic drops it after the answer.
                let counted;
                match future.poll(cx) {
                    Poll::Ready(Ok(mut response)) => {
                        counted = call.answer(&mut response);
                        state.set(State::Done);
                        return Poll::Ready(Ok(
                            response.map(|body| ResponseBody::new(body, counted))
                        ));
                    }
                    Poll::Ready(Err(error)) => {
                        // Ends the handler, and the count after it.
                        state.set(State::Done);
                        return Poll::Ready(Err(error));
                    }
                    Poll::Pending => match call.park(cx) {
                        true => answer = call.cut(),
                        false => return Poll::Pending,
                    },
                }
            }
            StateProjection::Serving { call, .. } => answer = call.cut(),
            StateProjection::Rejected { response } => answer = response.take().map(|boxed| *boxed),
            StateProjection::Done => {}
        }
        state.set(State::Done);
        match answer {
            Some(response) => Poll::Ready(Ok(response)),
            None => panic!("`ResponseFuture` polled after it was ready"),
        }
    }
}

impl<F, B> fmt::Debug for ResponseFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Serving { .. } => "serving",
            State::Rejected { .. } => "rejected",
            State::Done => "done",
        };
        f.debug_tuple("ResponseFuture").field(&state).finish()
    }
}
