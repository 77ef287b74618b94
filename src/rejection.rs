use bytes::Bytes;
use http::header::{HeaderValue, CONTENT_TYPE, RETRY_AFTER};
use http::{Response, StatusCode};

use crate::grpc::{self, Grpc};
use crate::{RequestHead, ResponseBody};

/// Makes the answer to a rejected request: [`Unavailable`], or any `Fn(&RequestHead<'_>) -> Response<B>`.
pub trait Rejection<B> {
    /// The answer. `retry_after` is what the layer was given, in whole seconds.
    fn reject(&self, head: &RequestHead<'_>, retry_after: u64) -> Response<ResponseBody<B>>;
}

/// The built-in rejection: 503 (RFC 9110, section 15.6.4) with `retry-after`; for `content-type: application/grpc*`
/// HTTP 200 with `grpc-status: 14` (`UNAVAILABLE`), which is how gRPC says it.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Unavailable;

impl<B> Rejection<B> for Unavailable {
    fn reject(&self, head: &RequestHead<'_>, retry_after: u64) -> Response<ResponseBody<B>> {
        if let (Some(_), Some(content_type)) =
            (Grpc::of(head.headers()), head.headers().get(CONTENT_TYPE))
        {
            return grpc::answer(content_type.clone(), grpc::Status::Unavailable);
        }
        let mut response = plain(
            StatusCode::SERVICE_UNAVAILABLE,
            "the service is shutting down\n",
        );
        // Made anew: clones of one value count their references on a line that all cores would share.
        let retry_after = HeaderValue::from(retry_after);
        response.headers_mut().insert(RETRY_AFTER, retry_after);
        response
    }
}

impl<F, B> Rejection<B> for F
where
    F: Fn(&RequestHead<'_>) -> Response<B>,
{
    fn reject(&self, head: &RequestHead<'_>, _: u64) -> Response<ResponseBody<B>> {
        self(head).map(ResponseBody::uncounted)
    }
}

/// What a request is answered with whose handler was cut.
pub(crate) const CUT: &str = "the service did not wait for this answer any longer\n";

/// Without `retry-after`: the handler may have run half way, and a proxy must not repeat it.
pub(crate) fn cut<B>(grpc: Option<Grpc>) -> Response<ResponseBody<B>> {
    match grpc {
        Some(grpc) => grpc::answer(grpc.content_type(), grpc::Status::Cancelled),
        None => plain(StatusCode::INTERNAL_SERVER_ERROR, CUT),
    }
}

fn plain<B>(status: StatusCode, text: &'static str) -> Response<ResponseBody<B>> {
    let mut response = Response::new(ResponseBody::text(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}
