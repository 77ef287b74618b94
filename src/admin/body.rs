//! Reading a request's body within bounds, whatever its head says of it.

use std::future::{poll_fn, Future};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use http::header::{HeaderMap, HeaderName, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use http::StatusCode;
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::sleep;

use super::reply::Refusal;
use crate::BoxError;

pub(super) const LIMIT: usize = 64 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);
/// What is read of a body that is too large, and dropped: a connection that closes on unread bytes is reset, and its
/// peer may never see the answer.
const SKIPPED: usize = 1024 * 1024;

/// The whole body, at most 64 KiB of it, within 10 s.
pub(super) async fn read<B>(headers: &HeaderMap, body: B) -> Result<BytesMut, Refusal>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    check_type(headers)?;
    let announced = announced(headers)?;
    let is_awaited = headers.contains_key(EXPECT);
    if announced.is_some_and(|len| len > LIMIT as u64) && is_awaited {
        // The peer waits for a word before it sends anything.
        return Err(too_large());
    }
    let body = in_time(collect(body)).await?;
    match announced {
        Some(len) if len != body.len() as u64 => Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            format!(
                "the body has {} bytes and not the {len} of content-length",
                body.len()
            ),
        )),
        _ => Ok(body),
    }
}

async fn collect<B>(body: B) -> Result<BytesMut, Refusal>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    let mut body = pin!(body);
    let mut kept = BytesMut::new();
    let mut seen = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            let error: BoxError = error.into();
            let error = format!("the body ended before it was complete: {error}");
            Refusal::new(StatusCode::BAD_REQUEST, error)
        })?;
        let Ok(mut data) = frame.into_data() else {
            continue;
        };
        seen = seen.saturating_add(data.remaining());
        if seen > LIMIT + SKIPPED {
            break;
        }
        if seen <= LIMIT {
            while data.has_remaining() {
                let chunk = data.chunk();
                kept.extend_from_slice(chunk);
                let len = chunk.len();
                data.advance(len);
            }
        }
    }
    match seen {
        0..=LIMIT => Ok(kept),
        _ => Err(too_large()),
    }
}

fn too_large() -> Refusal {
    let error = format!("the body is larger than {LIMIT} bytes");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, error)
}

/// Without a timer for what is ready at once, so that it also works where there is none.
async fn in_time<T>(reading: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
    let mut reading = pin!(reading);
    let mut timer = None;
    poll_fn(|cx| {
        if let Poll::Ready(read) = reading.as_mut().poll(cx) {
            return Poll::Ready(read);
        }
        let timer = timer.get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
        timer.as_mut().poll(cx).map(|()| {
            let error = format!("the body was not complete within {} s", PATIENCE.as_secs());
            Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, error))
        })
    })
    .await
}

fn announced(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let Some(value) = only(headers, CONTENT_LENGTH)? else {
        return Ok(None);
    };
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    match value.parse() {
        Ok(len) if is_number => Ok(Some(len)),
        _ => Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            format!("content-length is not a number: `{value}`"),
        )),
    }
}

/// JSON, by whatever name. The type of a form is what `curl -d` sends unless it is told otherwise.
fn check_type(headers: &HeaderMap) -> Result<(), Refusal> {
    if let Some(coding) = only(headers, CONTENT_ENCODING)? {
        if !coding.eq_ignore_ascii_case("identity") {
            let error = format!("content-encoding `{coding}` is not understood: send it as it is");
            return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error));
        }
    }
    let Some(whole) = only(headers, CONTENT_TYPE)? else {
        return Ok(());
    };
    let essence = whole.split(';').next().unwrap_or("").trim();
    let essence = essence.to_ascii_lowercase();
    let is_json = essence == "application/json"
        || essence == "application/x-www-form-urlencoded"
        || essence.starts_with("application/") && essence.ends_with("+json");
    match is_json {
        true => Ok(()),
        false => Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("content-type `{whole}` is not JSON: send `application/json`"),
        )),
    }
}

/// The value of a header that may be there once.
fn only(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, Refusal> {
    let mut values = headers.get_all(&name).iter();
    let (first, second) = (values.next(), values.next());
    match (first.map(|value| value.to_str()), second) {
        (None, _) => Ok(None),
        (Some(Ok(value)), None) => Ok(Some(value.trim())),
        (_, Some(_)) => Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            format!("{name} is there more than once: send it once"),
        )),
        (Some(Err(_)), None) => Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            format!("{name} is not ASCII"),
        )),
    }
}
