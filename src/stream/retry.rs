//! What an `EventSource` is told about when to come back.

use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderValue, CACHE_CONTROL, CONTENT_TYPE};
use http::Response;

use crate::headers::accepts_by_name;
use crate::ResponseBody;

const EVENT_STREAM: &str = "text/event-stream";

/// `delay` and a random part of `spread`.
pub(super) fn jittered_millis(delay: Duration, spread: Duration) -> u128 {
    (delay.saturating_add(part_of(spread))).as_millis()
}

pub(super) fn part_of(spread: Duration) -> Duration {
    spread.mul_f64(fastrand::f64())
}

pub(super) fn accepts_event_stream(headers: &HeaderMap) -> bool {
    accepts_by_name(headers, EVENT_STREAM)
}

/// An event stream of one `retry:` line. A browser's `EventSource` comes back after it; after a 503 it never does.
pub(super) fn retry_only<B>(delay: Duration, spread: Duration) -> Response<ResponseBody<B>> {
    let text = format!("retry: {}\n\n", jittered_millis(delay, spread));
    let mut response = Response::new(ResponseBody::text(Bytes::from(text)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
