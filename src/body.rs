use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

#[cfg(feature = "stream")]
use bytes::Buf;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

#[cfg(feature = "stream")]
use crate::seldom::Seldom;
#[cfg(feature = "stream")]
use crate::stream::Ending;
#[cfg(not(feature = "stream"))]
use crate::tracker::Wakes;
use crate::tracker::{Admitted, Called, Kept, Place};
#[cfg(feature = "stream")]
use crate::BreakError;
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
        watch: Watch,
        held: Option<Admitted>,
    }

    impl<B> PinnedDrop for ResponseBody<B> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if this.watch.place.is_some() {
                end(this.content, this.held, this.watch);
            }
        }
    }
}

pin_project! {
    #[project = ContentProjection]
    enum Content<B> {
        Inner { #[pin] body: B },
        Text { text: Option<Box<Bytes>> },
    }
}

/// What a body waits for that holds a request.
pub(crate) struct Watch {
    pub(crate) place: Option<Place>,
    #[cfg(feature = "stream")]
    pub(crate) ending: Seldom<Ending>,
}

/// How a body ends before its own end.
#[derive(Debug)]
pub(crate) enum End {
    /// By a cut, so that it cannot be taken for complete.
    Cut,
    /// By a policy, after these last bytes.
    #[cfg(feature = "stream")]
    Clean(Option<Bytes>),
    /// By a policy, so that it cannot be taken for complete.
    #[cfg(feature = "stream")]
    Broken,
}

/// Ends what is counted before its place and the count.
#[cold]
#[inline(never)]
fn end<B>(mut content: Pin<&mut Content<B>>, held: &mut Option<Admitted>, watch: &mut Watch) {
    let _kept = Kept::take(held, &mut watch.place);
    content.set(Content::Text { text: None });
}

impl<B> ResponseBody<B> {
    #[inline]
    pub(crate) fn new(body: B, held: Option<Admitted>, watch: Watch) -> Self {
        Self {
            content: Content::Inner { body },
            held,
            watch,
        }
    }

    pub(crate) fn uncounted(body: B) -> Self {
        Self::new(body, None, Watch::NONE)
    }

    /// This crate's own, and short: a cut does not cut its own answer.
    pub(crate) fn text(text: Bytes) -> Self {
        Self::own(Some(Box::new(text)))
    }

    fn own(text: Option<Box<Bytes>>) -> Self {
        Self {
            content: Content::Text { text },
            held: None,
            watch: Watch::NONE,
        }
    }

    /// Holds the request for an answer that is not the handler's.
    pub(crate) fn holding(mut self, kept: Kept) -> Self {
        (self.held, self.watch.place) = kept.into_parts();
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
    pub(crate) const NONE: Self = Self {
        place: None,
        #[cfg(feature = "stream")]
        ending: Seldom::NONE,
    };

    fn has_ended(&self) -> bool {
        matches!(&self.place, Some(place) if place.has_ended)
    }

    /// Whether the rest of the inner body is left out, whatever it says of itself.
    #[inline]
    fn is_shortened(&self) -> bool {
        #[cfg(feature = "stream")]
        return matches!(&*self.ending, Some(ending) if ending.is_shortened());
        #[cfg(not(feature = "stream"))]
        false
    }

    fn ends_in_trailers(&self) -> bool {
        matches!(&self.place, Some(place) if place.ends_in_trailers)
    }

    /// Lets a cut, and the begin if a policy ends the body, wake its task.
    fn park(&mut self, held: &Admitted, cx: &Context<'_>) {
        #[cfg(feature = "stream")]
        let wakes = Ending::wakes(&self.ending);
        #[cfg(not(feature = "stream"))]
        let wakes = Wakes::CUT;
        let place = &mut self.place;
        held.park(place, cx, wakes, StragglerPhase::Body, || Called::Nothing);
    }

    /// Lets a policy's ending see what goes by.
    #[cfg(feature = "stream")]
    #[inline]
    fn pass<D: Buf + From<Bytes>>(&mut self, frame: &mut Frame<D>) {
        if let (Some(ending), Some(data)) = (&mut *self.ending, frame.data_mut()) {
            ending.pass(data);
        }
    }

    /// Remembers that the body came to its end, if it does not say so itself.
    #[inline]
    fn ended<B: Body>(&mut self, held: &Admitted, body: &B) {
        if self.place.is_some() || !body.is_end_stream() {
            held.ended(&mut self.place);
        }
    }

    /// Whether the body is to end before its own end, and how.
    #[inline]
    fn poll_end(&mut self, held: &Admitted, cx: &mut Context<'_>) -> Option<End> {
        if held.is_cut() && !self.has_ended() {
            return Some(End::Cut);
        }
        #[cfg(feature = "stream")]
        if self.ending.is_some() && !self.has_ended() {
            return self.ending.as_mut()?.poll(held, cx);
        }
        let _ = cx;
        None
    }
}

impl End {
    /// The last frame of a body that `held` the request, if there is one.
    #[cold]
    fn frame<D: From<Bytes>>(self, ends_in_trailers: bool) -> Option<Result<Frame<D>, BoxError>> {
        let trailers = |status: grpc::Status| Some(Ok(Frame::trailers(status.headers())));
        match self {
            Self::Cut if ends_in_trailers => trailers(grpc::Status::Cancelled),
            Self::Cut => Some(Err(CutError::new().into())),
            #[cfg(feature = "stream")]
            Self::Clean(_) | Self::Broken if ends_in_trailers => {
                trailers(grpc::Status::Unavailable)
            }
            #[cfg(feature = "stream")]
            Self::Clean(bytes) => bytes.map(|bytes| Ok(Frame::data(bytes.into()))),
            #[cfg(feature = "stream")]
            Self::Broken => Some(Err(BreakError::new().into())),
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
        let mut body = match this.content.as_mut().project() {
            ContentProjection::Inner { body } => body,
            ContentProjection::Text { text } => {
                return Poll::Ready(text.take().map(|text| Ok(Frame::data((*text).into()))));
            }
        };
        let (Some(held), watch) = (&*this.held, this.watch) else {
            return body.poll_frame(cx).map_err(Into::into);
        };
        if let Some(end) = watch.poll_end(held, cx) {
            if watch.is_shortened() || !body.is_end_stream() {
                this.content.set(Content::Text { text: None });
                return Poll::Ready(end.frame(watch.ends_in_trailers()));
            }
        }
        match body.as_mut().poll_frame(cx) {
            #[cfg_attr(not(feature = "stream"), allow(unused_mut))]
            Poll::Ready(Some(Ok(mut frame))) => {
                #[cfg(feature = "stream")]
                watch.pass(&mut frame);
                if frame.is_trailers() {
                    watch.ended(held, &*body);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Pending => {
                watch.park(held, cx);
                match watch.poll_end(held, cx) {
                    Some(end) => {
                        this.content.set(Content::Text { text: None });
                        Poll::Ready(end.frame(watch.ends_in_trailers()))
                    }
                    None => Poll::Pending,
                }
            }
            Poll::Ready(last) => {
                watch.ended(held, &*body);
                Poll::Ready(last.map(|last| last.map_err(Into::into)))
            }
        }
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Inner { body } => !self.watch.is_shortened() && body.is_end_stream(),
            Content::Text { text } => text.is_none(),
        }
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Inner { .. } if self.watch.is_shortened() => SizeHint::default(),
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
