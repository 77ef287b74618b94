//! Ends one body when its time has come.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::time::{sleep, sleep_until, Instant, Sleep};

use super::manner::Manner;
use super::retry::part_of;
use super::StreamConfig;
use crate::body::End;
use crate::tracker::{Admitted, Wakes};
use crate::Phase;

/// How long a body whose time has come may take to the next place where it may end.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Ending {
    delay: Duration,
    /// Shared: a goodbye of its own for each stream would be most of what a stream costs.
    config: Arc<StreamConfig>,
    manner: Manner,
    /// Until its time has come, and then while it waits for a place to end.
    timer: Option<Pin<Box<Sleep>>>,
    /// The number of the drain that the timer and `is_due` belong to. A body is not polled for a resume, so that it
    /// may meet the next drain with them.
    drain: u32,
    is_due: bool,
    /// Bytes of a frame were left out, so that no resume takes the end back.
    is_shortened: bool,
}

impl Ending {
    pub(super) fn new(delay: Duration, config: Arc<StreamConfig>, manner: Manner) -> Self {
        Self {
            delay,
            config,
            manner,
            timer: None,
            drain: 0,
            is_due: false,
            is_shortened: false,
        }
    }

    /// What wakes a body that ends so, or by a cut alone.
    pub(crate) fn wakes(ending: &Option<Box<Self>>) -> Wakes {
        match ending {
            Some(_) => Wakes::CUT.and(Wakes::BEGIN),
            None => Wakes::CUT,
        }
    }

    /// To be asked before each poll of the body, and again after it is parked.
    #[inline]
    pub(crate) fn poll(&mut self, admitted: &Admitted, cx: &mut Context<'_>) -> Option<End> {
        match self.timer.is_none() && !self.is_due && admitted.is_serving() {
            true => None,
            false => self.poll_drain(admitted, cx),
        }
    }

    fn poll_drain(&mut self, admitted: &Admitted, cx: &mut Context<'_>) -> Option<End> {
        if self.is_shortened {
            return Some(self.manner.end(&self.config));
        }
        let staged = admitted.shard().staged();
        if staged.phase < Phase::Draining {
            (self.timer, self.is_due) = (None, false);
            return None;
        }
        if staged.begins != self.drain {
            self.drain = staged.begins;
            self.arm(admitted);
        }
        if !self.is_due {
            // Without a timer it never ends in this drain.
            let timer = self.timer.as_mut()?;
            if timer.deadline() > Instant::now() && timer.as_mut().poll(cx).is_pending() {
                return None;
            }
            (self.timer, self.is_due) = (None, true);
        }
        if self.manner.is_between() {
            return Some(self.manner.end(&self.config));
        }
        let patience = || Box::pin(sleep(PATIENCE));
        match self.timer.get_or_insert_with(patience).as_mut().poll(cx) {
            Poll::Ready(()) => Some(self.manner.forced_end()),
            Poll::Pending => None,
        }
    }

    /// For a drain that has just begun for it. No timer is set if the end is beyond the clock's range.
    fn arm(&mut self, admitted: &Admitted) {
        let wait = self.delay.saturating_add(part_of(self.config.spread));
        self.is_due = wait.is_zero();
        self.timer = match self.is_due {
            true => None,
            false => admitted
                .shard()
                .rejecting_since()
                .and_then(|begun| begun.checked_add(wait))
                .map(|at| Box::pin(sleep_until(at))),
        };
    }

    /// Whether the end is to come whatever the body says of itself, and whatever becomes of the drain.
    #[inline]
    pub(crate) fn is_shortened(&self) -> bool {
        self.is_shortened
    }

    /// Passes a frame on: all of it, or what comes before the place where the body is to end.
    #[inline]
    pub(crate) fn pass<D: Buf + From<Bytes>>(&mut self, data: &mut D) {
        if !self.manner.needs_a_boundary() {
            return;
        }
        let is_split = data.chunk().len() < data.remaining();
        let whole = is_split.then(|| data.copy_to_bytes(data.remaining()));
        let bytes = whole.as_deref().unwrap_or_else(|| data.chunk());
        let end = match self.is_due {
            true => self.manner.end_in(bytes),
            false => None,
        };
        let kept = end.unwrap_or(bytes.len());
        self.is_shortened = kept < bytes.len();
        self.manner.pass(&bytes[..kept]);
        match whole {
            Some(whole) => *data = whole.slice(..kept).into(),
            None if self.is_shortened => *data = data.copy_to_bytes(kept).into(),
            None => {}
        }
    }
}

#[cfg(all(test, not(any(tower_drain_loom, tower_drain_shuttle))))]
mod tests {
    use std::convert::Infallible;
    use std::sync::mpsc;

    use futures_util::stream;
    use http::{Request, Response};
    use http_body::{Body, Frame};
    use http_body_util::StreamBody;
    use tokio_test::{assert_pending, task};
    use tower::{service_fn, Layer, ServiceExt};

    use super::*;
    use crate::{DrainLayer, StreamPolicy};

    #[tokio::test]
    async fn an_end_that_never_comes_is_polled_without_the_lock_of_the_tracker() {
        let layer = DrainLayer::new().stream_policy(|_| StreamPolicy::EndAfter(Duration::MAX));
        let service = service_fn(|_: Request<()>| async {
            let frames = stream::pending::<Result<Frame<Bytes>, Infallible>>();
            Ok::<_, Infallible>(Response::new(StreamBody::new(frames)))
        });
        let answer = layer.layer(service).oneshot(Request::new(())).await;
        let mut body = task::spawn(answer.unwrap().into_body());
        let handle = layer.handle();
        handle.begin_shutdown();
        assert_pending!(body.enter(|cx, body| body.poll_frame(cx)));
        let locked = handle.tracker().locked();
        let (polled, was_polled) = mpsc::channel();
        std::thread::spawn(move || {
            assert_pending!(body.enter(|cx, body| body.poll_frame(cx)));
            polled.send(()).unwrap();
        });
        let was_polled = was_polled.recv_timeout(Duration::from_secs(10));
        drop(locked);
        assert_eq!(was_polled, Ok(()));
    }
}
