use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use crate::body::Counted;
use crate::connection::Peer;
use crate::grpc::Grpc;
use crate::tracker::{Admitted, Called, Name, Shard, Wakes};
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
    #[cfg(feature = "stream")]
    pub(crate) stream: crate::stream::StreamCall,
}

#[derive(Debug)]
pub(crate) enum Counting {
    Counted(Admitted),
    Exempt(Arc<Shard>),
    /// Handed over to the body.
    Moved,
}

impl Counting {
    fn take(&mut self) -> Option<Admitted> {
        match std::mem::replace(self, Self::Moved) {
            Self::Counted(admitted) => Some(admitted),
            Self::Exempt(_) | Self::Moved => None,
        }
    }
}

impl Call {
    fn is_cut(&self) -> bool {
        matches!(&self.counting, Counting::Counted(admitted) if admitted.is_cut())
    }

    /// Whether it was cut in the meantime.
    fn park(&mut self, cx: &Context<'_>) -> bool {
        let Counting::Counted(admitted) = &mut self.counting else {
            return false;
        };
        let name = &self.name;
        admitted.park(cx, Wakes::CUT, StragglerPhase::Handler, || {
            Called::Request(Box::new(name.clone()))
        })
    }

    fn answer<B: Body>(&mut self, mut response: Response<B>) -> Response<ResponseBody<B>> {
        let shard = match &self.counting {
            Counting::Counted(admitted) => admitted.shard(),
            Counting::Exempt(shard) => shard,
            Counting::Moved => unreachable!("a future is not polled after it is ready"),
        };
        self.peer.closes(shard.staged().phase, &mut response);
        let Some(mut admitted) = self.counting.take() else {
            return response.map(ResponseBody::uncounted);
        };
        let is_grpc =
            self.grpc == Some(Grpc::Native) && Grpc::of(response.headers()) == Some(Grpc::Native);
        #[cfg(feature = "stream")]
        let ending = self.stream.ending(&response);
        admitted.answered(match () {
            #[cfg(feature = "stream")]
            () if ending.is_some() => Wakes::CUT.and(Wakes::BEGIN),
            () => Wakes::CUT,
        });
        // Only a body of unknown length is sure to be polled a second time, and then wants the name.
        let name = (!admitted.is_parked() && response.body().size_hint().exact().is_none())
            .then(|| Box::new(self.name.clone()));
        let counted = Counted::new(admitted, name, is_grpc);
        #[cfg(feature = "stream")]
        let counted = counted.with_ending(ending);
        response.map(|body| ResponseBody::counted(body, counted))
    }

    fn cut<B>(&mut self) -> Option<Response<ResponseBody<B>>> {
        let admitted = self.counting.take()?;
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
        let result = match state.as_mut().project() {
            StateProjection::Serving { future, call } => {
                if call.is_cut() {
                    Ok(call.cut())
                } else {
                    match future.poll(cx) {
                        Poll::Ready(Ok(response)) => Ok(Some(call.answer(response))),
                        Poll::Ready(Err(error)) => Err(error),
                        Poll::Pending if call.park(cx) => Ok(call.cut()),
                        Poll::Pending => return Poll::Pending,
                    }
                }
            }
            StateProjection::Rejected { response } => Ok(response.take().map(|boxed| *boxed)),
            StateProjection::Done => Ok(None),
        };
        // Ends the handler, and on its error the count after it.
        state.set(State::Done);
        match result {
            Ok(Some(response)) => Poll::Ready(Ok(response)),
            Ok(None) => panic!("`ResponseFuture` polled after it was ready"),
            Err(error) => Poll::Ready(Err(error)),
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
