use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use super::{unwind_if, DropProbe};

#[derive(Debug, Default)]
struct Playing {
    frames: VecDeque<Result<Frame<Bytes>, &'static str>>,
    closed: bool,
    says_end: bool,
    panics: bool,
    panics_at_size: bool,
    polls: usize,
    hint: SizeHint,
    waker: Option<Waker>,
}

/// What a [`TestBody`] plays. Clones are the same script.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script(Arc<Mutex<Playing>>);

impl Script {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The body that plays it.
    pub(crate) fn body(&self) -> TestBody {
        TestBody {
            script: self.clone(),
            probe: None,
            panics_in_drop: false,
        }
    }

    pub(crate) fn data(&self, data: &'static str) -> &Self {
        self.push(Ok(Frame::data(Bytes::from_static(data.as_bytes()))))
    }

    pub(crate) fn trailers(&self, trailers: HeaderMap) -> &Self {
        self.push(Ok(Frame::trailers(trailers)))
    }

    pub(crate) fn error(&self, error: &'static str) -> &Self {
        self.push(Err(error))
    }

    /// `Ready(None)` after the frames.
    pub(crate) fn close(&self) -> &Self {
        self.change(|playing| playing.closed = true)
    }

    /// `is_end_stream` is true once the frames are out.
    pub(crate) fn says_end(&self) -> &Self {
        self.change(|playing| playing.says_end = true)
    }

    pub(crate) fn hint(&self, hint: SizeHint) -> &Self {
        self.change(|playing| playing.hint = hint)
    }

    pub(crate) fn panics_when_polled(&self) -> &Self {
        self.change(|playing| playing.panics = true)
    }

    pub(crate) fn panics_when_asked_for_its_size(&self) -> &Self {
        self.change(|playing| playing.panics_at_size = true)
    }

    /// How often the body was polled.
    pub(crate) fn polls(&self) -> usize {
        self.lock().polls
    }

    fn push(&self, frame: Result<Frame<Bytes>, &'static str>) -> &Self {
        self.change(|playing| playing.frames.push_back(frame))
    }

    fn change(&self, change: impl FnOnce(&mut Playing)) -> &Self {
        let mut playing = self.lock();
        change(&mut playing);
        let waker = playing.waker.take();
        drop(playing);
        if let Some(waker) = waker {
            waker.wake();
        }
        self
    }

    fn lock(&self) -> MutexGuard<'_, Playing> {
        self.0.lock().unwrap_or_else(|error| error.into_inner())
    }
}

/// A body whose frames a [`Script`] decides; pending when the script has none.
#[derive(Debug)]
pub(crate) struct TestBody {
    script: Script,
    probe: Option<DropProbe>,
    panics_in_drop: bool,
}

impl TestBody {
    pub(crate) fn probed(mut self, probe: DropProbe) -> Self {
        self.probe = Some(probe);
        self
    }

    pub(crate) fn panics_in_drop(mut self) -> Self {
        self.panics_in_drop = true;
        self
    }
}

impl Body for TestBody {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        let mut playing = self.script.lock();
        playing.polls += 1;
        unwind_if(playing.panics);
        match playing.frames.pop_front() {
            Some(frame) => Poll::Ready(Some(frame)),
            None if playing.closed => Poll::Ready(None),
            None => {
                playing.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let playing = self.script.lock();
        playing.says_end && playing.frames.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let playing = self.script.lock();
        unwind_if(playing.panics_at_size);
        playing.hint
    }
}

impl Drop for TestBody {
    fn drop(&mut self) {
        drop(self.probe.take());
        unwind_if(self.panics_in_drop);
    }
}
