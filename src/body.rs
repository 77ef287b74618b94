use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::tracker::{Admitted, Called, Name};
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
        counted: Option<Counted>,
    }
}

pin_project! {
    #[project = ContentProjection]
    enum Content<B> {
        Inner { #[pin] body: B },
        Text { text: Option<Bytes> },
    }
}

#[derive(Debug)]
pub(crate) struct Counted {
    admitted: Admitted,
    name: Option<Box<Name>>,
    is_grpc: bool,
    was_polled: bool,
    ended: bool,
}

impl<B> ResponseBody<B> {
    #[inline]
    pub(crate) fn new(body: B, counted: Option<Counted>) -> Self {
        Self {
            content: Content::Inner { body },
            counted,
        }
    }

    pub(crate) fn uncounted(body: B) -> Self {
        Self::new(body, None)
    }

    pub(crate) fn text(text: Bytes) -> Self {
        Self {
            content: Content::Text { text: Some(text) },
            counted: None,
        }
    }

    /// Holds the request for an answer that is not the handler's.
    pub(crate) fn holding(mut self, admitted: Admitted) -> Self {
        let mut counted = Counted::new(admitted, None, false);
        // It is this crate's own, and short: a cut does not cut its own answer.
        counted.ended = true;
        self.counted = Some(counted);
        self
    }
}

impl<B> Default for ResponseBody<B> {
    /// An empty body.
    fn default() -> Self {
        Self {
            content: Content::Text { text: None },
            counted: None,
        }
    }
}

impl Counted {
    #[inline]
    pub(crate) fn new(admitted: Admitted, name: Option<Box<Name>>, is_grpc: bool) -> Self {
        Self {
            admitted,
            name,
            is_grpc,
            was_polled: false,
            ended: false,
        }
    }

    #[inline]
    fn is_cut(&self) -> bool {
        !self.ended && self.admitted.is_cut()
    }

    /// Registers the request once it is known to wait. Whether it is cut, and has nothing better to say.
    #[inline]
    fn is_cut_after<D>(&mut self, polled: &Polled<D>, cx: &Context<'_>) -> bool {
        let waits = match polled {
            Poll::Pending => true,
            Poll::Ready(Some(Ok(frame))) if frame.is_data() => self.was_polled,
            Poll::Ready(_) => {
                self.ended = true;
                false
            }
        };
        self.was_polled = true;
        waits && self.park(cx) && polled.is_pending()
    }

    fn park(&mut self, cx: &Context<'_>) -> bool {
        let name = &mut self.name;
        self.admitted.park(cx, StragglerPhase::Body, || {
            name.take().map_or(Called::Nothing, Called::Request)
        })
    }

    #[cold]
    fn last_frame<D>(&self) -> Result<Frame<D>, BoxError> {
        match self.is_grpc {
            true => Ok(Frame::trailers(grpc::Status::Cancelled.headers())),
            false => Err(CutError::new().into()),
        }
    }
}

type Polled<D> = Poll<Option<Result<Frame<D>, BoxError>>>;

impl<B> Body for ResponseBody<B>
where
    B: Body,
    B::Data: From<Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let (mut content, counted) = (this.content, this.counted);
        // One variable for all, which is then made where the caller wants it: a frame is large to move.
        let mut polled = Poll::Pending;
        match (content.as_mut().project(), &mut *counted) {
            (ContentProjection::Text { text }, _) => {
                let text = text.take();
                polled = Poll::Ready(text.map(|text| Ok(Frame::data(text.into()))));
            }
            (ContentProjection::Inner { body }, Some(counted)) => {
                let cut = match counted.is_cut() && !body.is_end_stream() {
                    true => true,
                    false => {
                        polled = body.poll_frame(cx).map_err(Into::into);
                        counted.is_cut_after(&polled, cx)
                    }
                };
                if cut {
                    counted.ended = true;
                    polled = Poll::Ready(Some(counted.last_frame()));
                    content.set(Content::Text { text: None });
                }
            }
            (ContentProjection::Inner { body }, None) => {
                polled = body.poll_frame(cx).map_err(Into::into);
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Inner { body } => body.is_end_stream(),
            Content::Text { text } => text.is_none(),
        }
    }

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
            .field("in_flight", &self.counted.is_some())
            .finish_non_exhaustive()
    }
}
