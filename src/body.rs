use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::tracker::{Admitted, Called};
use crate::{grpc, BoxError, CutError, StragglerPhase};

pin_project! {
    /// The response body of [`Drain`](crate::Drain): holds the request in flight until it is dropped.
    ///
    /// Frames, trailers, `is_end_stream` and `size_hint` are those of the inner body. After a
    /// [cut](crate::DrainHandle::cut) it ends in a [`CutError`], or in trailers with `grpc-status: 1`.
    #[must_use = "dropping the body ends the request"]
    pub struct ResponseBody<B> {
        // Dropped in this order: what is counted outlives what it counts.
        #[pin]
        content: Content<B>,
        held: Option<Admitted>,
        watch: Watch,
    }
}

pin_project! {
    #[project = ContentProjection]
    enum Content<B> {
        Inner { #[pin] body: B },
        Text { text: Option<Bytes> },
    }
}

/// What is known of a body that holds a request.
struct Watch {
    waker: Option<Waker>,
    name: Option<Box<str>>,
    is_grpc: bool,
    was_polled: bool,
    ended: bool,
}

impl<B> ResponseBody<B> {
    #[inline]
    pub(crate) fn new(
        body: B,
        held: Option<Admitted>,
        name: Option<Box<str>>,
        is_grpc: bool,
    ) -> Self {
        Self {
            content: Content::Inner { body },
            held,
            watch: Watch {
                waker: None,
                name,
                is_grpc,
                was_polled: false,
                ended: false,
            },
        }
    }

    pub(crate) fn uncounted(body: B) -> Self {
        Self::new(body, None, None, false)
    }

    pub(crate) fn text(text: Bytes) -> Self {
        Self::own(Some(text))
    }

    /// This crate's own, and short: a cut does not cut its own answer.
    fn own(text: Option<Bytes>) -> Self {
        Self {
            content: Content::Text { text },
            held: None,
            watch: Watch {
                waker: None,
                name: None,
                is_grpc: false,
                was_polled: false,
                ended: true,
            },
        }
    }

    /// Holds the request for an answer that is not the handler's.
    pub(crate) fn holding(mut self, admitted: Option<Admitted>) -> Self {
        self.held = admitted;
        self
    }
}

impl<B> Default for ResponseBody<B> {
    /// An empty body.
    fn default() -> Self {
        Self::own(None)
    }
}

impl Watch {
    /// A body that is polled a second time, or that has nothing yet, is known to wait.
    #[inline]
    fn passes<D>(&mut self, frame: &Frame<D>, held: &mut Admitted, cx: &Context<'_>) {
        match frame.is_data() {
            true if self.was_polled => drop(self.park(held, cx)),
            true => self.was_polled = true,
            false => self.ended = true,
        }
    }

    /// Registers the request; whether it was cut in the meantime.
    fn park(&mut self, held: &mut Admitted, cx: &Context<'_>) -> bool {
        self.was_polled = true;
        let name = &mut self.name;
        held.park(&mut self.waker, cx, StragglerPhase::Body, || {
            name.take().map_or(Called::Nothing, Called::Request)
        })
    }

    /// Ends the body, and says how.
    #[cold]
    fn cut<B, D>(&mut self, mut content: Pin<&mut Content<B>>) -> Result<Frame<D>, BoxError> {
        self.ended = true;
        content.set(Content::Text { text: None });
        match self.is_grpc {
            true => Ok(Frame::trailers(grpc::Status::Cancelled.headers())),
            false => Err(CutError::new().into()),
        }
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body,
    B::Data: From<Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = B::Data;
    type Error = BoxError;

    #[inline(always)]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        let body = match this.content.as_mut().project() {
            ContentProjection::Inner { body } => body,
            ContentProjection::Text { text } => {
                return Poll::Ready(text.take().map(|text| Ok(Frame::data(text.into()))));
            }
        };
        let (Some(held), watch) = (this.held, this.watch) else {
            return body.poll_frame(cx).map_err(Into::into);
        };
        if held.is_cut() && !watch.ended && !body.is_end_stream() {
            return Poll::Ready(Some(watch.cut(this.content)));
        }
        match body.poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                watch.passes(&frame, held, cx);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Pending if watch.park(held, cx) => Poll::Ready(Some(watch.cut(this.content))),
            Poll::Pending => Poll::Pending,
            Poll::Ready(last) => {
                watch.ended = true;
                Poll::Ready(last.map(|last| last.map_err(Into::into)))
            }
        }
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Inner { body } => body.is_end_stream(),
            Content::Text { text } => text.is_none(),
        }
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Inner { body } => body.size_hint(),
            Content::Text { text } => {
                SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64))
            }
        }
    }
}

impl<B> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody")
            .field(
                "in_flight",
                &matches!(&self.held, Some(held) if held.is_counted()),
            )
            .finish_non_exhaustive()
    }
}
