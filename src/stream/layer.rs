use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_LENGTH;
use http::response::Parts;
use http::{Method, Request, Response};

use super::manner::Manner;
use super::retry::{accepts_event_stream, retry_only};
use super::{Ending, Goodbye, StreamHead, StreamPolicy, StreamRequest};
use crate::{DrainLayer, RequestHead, ResponseBody};

type Policy = Arc<dyn Fn(&StreamHead<'_>) -> StreamPolicy + Send + Sync>;

/// What of the layer's settings a request takes along. The settings are those of its slot, so that no line is shared.
#[derive(Debug)]
pub(crate) struct StreamCall {
    config: Arc<StreamConfig>,
    request: Option<StreamRequest>,
}

impl StreamCall {
    pub(crate) fn of<B>(config: &Arc<StreamConfig>, request: &Request<B>) -> Option<Self> {
        config.is_set().then(|| Self {
            config: config.clone(),
            request: config.keeps(&RequestHead::of(request)),
        })
    }

    /// How the body of `response` ends in a drain, if it does not end by itself. A response may bring a policy to a
    /// layer that has none.
    pub(crate) fn ending(call: Option<&Self>, response: &Parts) -> Option<Box<Ending>> {
        match call {
            Some(call) => StreamConfig::ending(&call.config, call.request.as_ref(), response),
            None if response.extensions.is_empty() => None,
            None => StreamConfig::ending(&Arc::default(), None, response),
        }
    }
}

/// What the builder methods of the layer set for streams.
#[derive(Clone, Default)]
pub(crate) struct StreamConfig {
    policy: Option<Policy>,
    pub(super) goodbye: Option<Goodbye>,
    pub(super) spread: Duration,
    event_source_retry: Option<Duration>,
}

impl StreamConfig {
    pub(crate) fn is_set(&self) -> bool {
        self.policy.is_some() || self.goodbye.is_some() || !self.spread.is_zero()
    }

    /// What a policy will want to see of the request.
    fn keeps(&self, head: &RequestHead<'_>) -> Option<StreamRequest> {
        let keep = self.policy.as_ref();
        keep.map(|_| StreamRequest::of(head))
    }

    /// The answer to a rejected `EventSource`, before anybody else is asked.
    pub(crate) fn rejection<B>(&self, head: &RequestHead<'_>) -> Option<Response<ResponseBody<B>>> {
        self.event_source_retry
            .filter(|_| head.method() == Method::GET && accepts_event_stream(head.headers()))
            .map(|delay| retry_only(delay, self.spread))
    }

    /// How the body of `response` ends in a drain, if it does not end by itself.
    fn ending(
        this: &Arc<Self>,
        request: Option<&StreamRequest>,
        response: &Parts,
    ) -> Option<Box<Ending>> {
        let own = response.extensions.get::<StreamPolicy>().copied();
        let policy = own.or_else(|| {
            let head = StreamHead::of(request?, response);
            Some(this.policy.as_ref()?(&head))
        });
        let (kind, delay) = policy.and_then(StreamPolicy::ending)?;
        if response.headers.contains_key(CONTENT_LENGTH) {
            return None;
        }
        let manner = Manner::of(kind, response)?;
        Some(Box::new(Ending::new(delay, this.clone(), manner)))
    }
}

impl fmt::Debug for StreamConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamConfig")
            .field("policy", &self.policy.as_ref().map(|_| format_args!("..")))
            .field("goodbye", &self.goodbye)
            .field("spread", &self.spread)
            .field("event_source_retry", &self.event_source_retry)
            .finish()
    }
}

impl<R> DrainLayer<R> {
    /// Asks `policy` for every response whose body has no exact size what becomes of it in a drain. Where it is not set,
    /// and no response brings a [`StreamPolicy`] in its extensions, the drain waits for every body.
    ///
    /// What an end looks like depends on the format of the body; see [`StreamPolicy`]. A gRPC stream that is ended gets
    /// trailers with `grpc-status: 14` (`UNAVAILABLE`).
    #[must_use]
    pub fn stream_policy<F>(self, policy: F) -> Self
    where
        F: Fn(&StreamHead<'_>) -> StreamPolicy + Send + Sync + 'static,
    {
        self.stream(|config| config.policy = Some(Arc::new(policy)))
    }

    /// Puts one last event into every `text/event-stream` body that a policy ends; a [`Goodbye`] in the response's
    /// extensions wins.
    ///
    /// It comes between two events, where a comment and `retry` are no event. A stream in the middle of an event, or of
    /// a line, goes on for at most 1 s until that ends, and after that ends without a goodbye. One with a
    /// `content-encoding` other than `identity` is not ended, and gets none.
    #[must_use]
    pub fn goodbye(self, goodbye: Goodbye) -> Self {
        self.stream(|config| config.goodbye = Some(goodbye))
    }

    /// Spreads the ends over this window, at random, so that not all clients come back in the same second; `retry:`
    /// lines get a random part of it on top. It should fit into the drain's timeout.
    #[must_use]
    pub fn spread(self, window: Duration) -> Self {
        self.stream(|config| config.spread = window)
    }

    /// Answers a rejected GET whose `accept` names `text/event-stream` with 200, one `retry:` line of this delay, and the
    /// end, before a [`rejection`](DrainLayer::rejection) is asked.
    ///
    /// A browser's `EventSource` gives up for good after any status but 200
    /// ([HTML, section 9.2.3](https://html.spec.whatwg.org/multipage/server-sent-events.html#sse-processing-model)),
    /// and all it sends is GET. A POST that accepts the same, such as a call over MCP, would take the 200 for its
    /// answer, and is rejected as ever. So is a GET that gives it a weight of zero
    /// ([RFC 9110, section 12.4.2](https://www.rfc-editor.org/rfc/rfc9110#section-12.4.2)), or that accepts it by a range
    /// alone, such as `*/*`: every client sends that.
    #[must_use]
    pub fn event_source_retry(self, delay: Duration) -> Self {
        self.stream(|config| config.event_source_retry = Some(delay))
    }

    fn stream(self, set: impl FnOnce(&mut StreamConfig)) -> Self {
        self.configured(|mut config| {
            set(&mut config.stream);
            config
        })
    }
}
