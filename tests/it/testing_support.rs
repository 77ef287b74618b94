//! Services, right ones and wrong ones, whose shutdown is tested with `tower_drain::testing`.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::{stream, StreamExt};
use tower_drain::testing::DrainTest;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// An event stream of these pieces, a second apart, which then ends.
pub(crate) fn events(pieces: &'static [&'static str]) -> Response {
    let pieces = stream::iter(pieces).then(|piece| async move {
        tokio::time::sleep(SECOND).await;
        Ok::<_, Infallible>(*piece)
    });
    (
        [(CONTENT_TYPE, "text/event-stream")],
        Body::from_stream(pieces),
    )
        .into_response()
}

/// An event stream that ticks for ever, a second apart.
pub(crate) fn endless() -> Response {
    let ticks = stream::repeat("data: tick\n\n").then(|tick| async move {
        tokio::time::sleep(SECOND).await;
        Ok::<_, Infallible>(tick)
    });
    (
        [(CONTENT_TYPE, "text/event-stream")],
        Body::from_stream(ticks),
    )
        .into_response()
}

pub(crate) fn limited<S>(test: DrainTest<S>) -> DrainTest<S> {
    test.limit(Duration::from_secs(60))
}

/// What a test panics with that is to fail.
pub(crate) async fn failure<T: Send + 'static>(
    test: impl Future<Output = T> + Send + 'static,
) -> String {
    let failed = tokio::spawn(test).await.err();
    let panic = failed.expect("it was to fail").into_panic();
    match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(panic) => panic.downcast::<&str>().expect("words").to_string(),
    }
}
