use std::time::Duration;

/// What becomes of an open response body when requests begin to be rejected.
///
/// The layer's [`stream_policy`](crate::DrainLayer::stream_policy) gives one to each response; one that a handler puts
/// into its response's extensions wins:
///
/// ```
/// use axum::{response::IntoResponse, Extension};
/// use tower_drain::StreamPolicy;
///
/// async fn events() -> impl IntoResponse {
///     (Extension(StreamPolicy::End), "data: 1\n\n")
/// }
/// # let _ = axum::Router::<()>::new().route("/", axum::routing::get(events));
/// ```
///
/// A body with a `content-length`, or of a known size, is never ended early, whatever its policy.
///
/// # Where a body ends
///
/// A clean end comes where the format of the body has one, which its `content-type` says:
///
/// | body | ends |
/// |---|---|
/// | `text/event-stream` | between two events ([HTML, section 9.2.6](https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation)), after the [`Goodbye`](crate::Goodbye) if there is one |
/// | `application/grpc` | between two messages, with `UNAVAILABLE` in its trailers |
/// | `application/grpc-web`, also `-text` | between two messages, after [trailers in the body](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md) that say `UNAVAILABLE` |
/// | `application/connect+json`, `+proto` or another | between two messages, after an [EndStreamResponse](https://connectrpc.com/docs/protocol/#error-end-stream) that says `unavailable` |
/// | `application/x-ndjson`, `application/jsonl` and other names of JSON lines | between two lines; it looks whole |
/// | `application/json-seq` ([RFC 7464](https://www.rfc-editor.org/rfc/rfc7464)) | between two records; it looks whole |
/// | with a `content-encoding` other than `identity` | by itself only, because the encoder has its last bytes. `End` and `EndAfter` do nothing to it: compress outside of this layer, or use [`Break`](Self::Break) |
/// | anything else | wherever it is. **A client cannot tell this end from that of a whole response**: [`Break`](Self::Break) says it |
///
/// A body in the middle of an event, message, line or record goes on until that ends, for at most 1 s. After that an
/// event stream ends as it is, without a goodbye, and its client drops the event that is not whole; any other body ends
/// in a [`BreakError`](crate::BreakError), or in gRPC in its trailers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamPolicy {
    /// The drain waits for it. For an answer that ends by itself, such as that of a language model.
    #[default]
    Wait,
    /// It ends cleanly as soon as rejecting begins. For a subscription that never ends by itself.
    End,
    /// It ends cleanly that long after rejecting began, if it has not ended by itself. A resume disarms it, and the
    /// next drain arms it anew. `Duration::MAX` is never.
    EndAfter(Duration),
    /// It ends in a [`BreakError`](crate::BreakError) as soon as rejecting begins, wherever it is and also if it is
    /// encoded, or in gRPC in trailers that say `UNAVAILABLE`. For a response of unknown length that must not be
    /// taken for whole, such as a generated download or a JSON array. The client sees a chunked body without its last
    /// chunk, or a reset stream.
    Break,
    /// [`Break`](Self::Break), that long after rejecting began, as for [`EndAfter`](Self::EndAfter).
    BreakAfter(Duration),
}

/// How a body ends that a policy ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Clean,
    Broken,
}

impl StreamPolicy {
    /// How it ends, and how long after the start of rejecting; `None` if it does not.
    pub(super) fn ending(self) -> Option<(Kind, Duration)> {
        match self {
            Self::Wait => None,
            Self::End => Some((Kind::Clean, Duration::ZERO)),
            Self::EndAfter(delay) => Some((Kind::Clean, delay)),
            Self::Break => Some((Kind::Broken, Duration::ZERO)),
            Self::BreakAfter(delay) => Some((Kind::Broken, delay)),
        }
    }
}
