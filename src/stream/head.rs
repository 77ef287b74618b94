use http::response::Parts;
use http::{Extensions, HeaderMap, Method, StatusCode, Uri, Version};

use crate::RequestHead;

/// What of a request is kept until its response is known, where a policy asks.
#[derive(Debug)]
pub(crate) struct StreamRequest {
    method: Method,
    uri: Uri,
    version: Version,
}

impl StreamRequest {
    pub(crate) fn of(head: &RequestHead<'_>) -> Self {
        Self {
            method: head.method().clone(),
            uri: head.uri().clone(),
            version: head.version(),
        }
    }
}

/// A request's line and its response without the body, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct StreamHead<'a> {
    request: &'a StreamRequest,
    status: StatusCode,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
}

impl<'a> StreamHead<'a> {
    pub(crate) fn of(request: &'a StreamRequest, response: &'a Parts) -> Self {
        Self {
            request,
            status: response.status,
            headers: &response.headers,
            extensions: &response.extensions,
        }
    }

    /// The request's method.
    pub fn method(&self) -> &'a Method {
        &self.request.method
    }

    /// The request's target.
    pub fn uri(&self) -> &'a Uri {
        &self.request.uri
    }

    /// The request's HTTP version.
    pub fn version(&self) -> Version {
        self.request.version
    }

    /// The response's status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The response's headers.
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// The response's extensions.
    pub fn extensions(&self) -> &'a Extensions {
        self.extensions
    }
}
