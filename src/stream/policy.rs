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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamPolicy {
    /// The drain waits for it. For an answer that ends by itself, such as that of a language model.
    #[default]
    Wait,
    /// It ends cleanly as soon as rejecting begins. For a subscription that never ends by itself.
    End,
    /// It ends cleanly that long after rejecting began, if it has not ended by itself. A resume disarms it.
    /// `Duration::MAX` is never.
    EndAfter(Duration),
}

impl StreamPolicy {
    /// How long after the begin it ends; `None` for never.
    pub(crate) fn delay(self) -> Option<Duration> {
        match self {
            Self::Wait => None,
            Self::End => Some(Duration::ZERO),
            Self::EndAfter(delay) => Some(delay),
        }
    }
}
