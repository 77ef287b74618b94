use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::tracker::{Admitted, Called, Name, Wakes};
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

/// What is kept of a request while its body is sent.
#[derive(Debug)]
pub(crate) struct Counted {
    admitted: Admitted,
    name: Option<Box<Name>>,
    is_grpc: bool,
    was_polled: bool,
    ended: bool,
    #[cfg(feature = "stream")]
    ending: Option<Box<crate::stream::Ending>>,
}

impl<B> ResponseBody<B> {
    pub(crate) fn uncounted(body: B) -> Self {
        Self {
            content: Content::Inner { body },
            counted: None,
        }
    }

    pub(crate) fn text(text: Bytes) -> Self {
        Self {
            content: Content::Text { text: Some(text) },
            counted: None,
        }
    }

    pub(crate) fn counted(body: B, counted: Counted) -> Self {
        Self {
            content: Content::Inner { body },
            counted: Some(counted),
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

/// How a body ends before its own end.
#[derive(Debug)]
pub(crate) enum End {
    /// By a cut, so that it cannot be taken for complete.
    Cut,
    /// By a policy, after these last bytes.
    #[cfg(feature = "stream")]
    Clean(Option<Bytes>),
}

impl End {
    /// The last frame, if there is one.
    fn frame<D: From<Bytes>>(self, is_grpc: bool) -> Option<Result<Frame<D>, BoxError>> {
        let trailers = |status: grpc::Status| Some(Ok(Frame::trailers(status.headers())));
        match self {
            Self::Cut if is_grpc => trailers(grpc::Status::Cancelled),
            Self::Cut => Some(Err(CutError::new().into())),
            #[cfg(feature = "stream")]
            Self::Clean(_) if is_grpc => trailers(grpc::Status::Unavailable),
            #[cfg(feature = "stream")]
            Self::Clean(bytes) => bytes.map(|bytes| Ok(Frame::data(bytes.into()))),
        }
    }
}

impl Counted {
    pub(crate) fn new(admitted: Admitted, name: Option<Box<Name>>, is_grpc: bool) -> Self {
        Self {
            admitted,
            name,
            is_grpc,
            was_polled: false,
            ended: false,
            #[cfg(feature = "stream")]
            ending: None,
        }
    }

    #[cfg(feature = "stream")]
    pub(crate) fn with_ending(mut self, ending: Option<Box<crate::stream::Ending>>) -> Self {
        self.ending = ending;
        self
    }

    /// Registers the request once it is known to wait.
    fn park(&mut self, cx: &Context<'_>) {
        let name = &mut self.name;
        let wakes = match () {
            #[cfg(feature = "stream")]
            () if self.ending.is_some() => Wakes::CUT.and(Wakes::BEGIN),
            () => Wakes::CUT,
        };
        self.admitted.park(cx, wakes, StragglerPhase::Body, || {
            name.take().map_or(Called::Nothing, Called::Request)
        });
    }

    fn pass<D: Buf + From<Bytes>>(&mut self, frame: Frame<D>) -> Frame<D> {
        #[cfg(feature = "stream")]
        if let Some(ending) = &mut self.ending {
            return frame.map_data(|data| ending.pass(data));
        }
        frame
    }

    /// Whether the body is to end before its own end, and how.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Option<End> {
        if self.ended {
            return None;
        }
        if self.admitted.is_cut() {
            return Some(End::Cut);
        }
        #[cfg(feature = "stream")]
        if let Some(ending) = &mut self.ending {
            return ending.poll(&self.admitted, cx);
        }
        let _ = cx;
        None
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
        let Some(counted) = this.counted else {
            return body.poll_frame(cx).map_err(Into::into);
        };
        let end = match counted.poll_end(cx) {
            Some(end) if !body.is_end_stream() => end,
            _ => {
                let polled = body.poll_frame(cx).map_err(Into::into);
                let polled = polled.map_ok(|frame| counted.pass(frame));
                let waits = match &polled {
                    Poll::Pending => true,
                    Poll::Ready(Some(Ok(frame))) if frame.is_data() => counted.was_polled,
                    Poll::Ready(_) => {
                        counted.ended = true;
                        false
                    }
                };
                counted.was_polled = true;
                if waits {
                    counted.park(cx);
                }
                match counted.poll_end(cx) {
                    Some(end) if polled.is_pending() => end,
                    _ => return polled,
                }
            }
        };
        counted.ended = true;
        let last = end.frame(counted.is_grpc);
        this.content.set(Content::Text { text: None });
        Poll::Ready(last)
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
