use http::{Extensions, HeaderMap, Method, Request, Uri, Version};

/// A request without its body, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    method: &'a Method,
    uri: &'a Uri,
    version: Version,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
}

impl<'a> RequestHead<'a> {
    pub(crate) fn of<B>(request: &'a Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            version: request.version(),
            headers: request.headers(),
            extensions: request.extensions(),
        }
    }

    /// Its method.
    pub fn method(&self) -> &'a Method {
        self.method
    }

    /// Its target.
    pub fn uri(&self) -> &'a Uri {
        self.uri
    }

    /// Its HTTP version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Its headers.
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// Its extensions.
    pub fn extensions(&self) -> &'a Extensions {
        self.extensions
    }
}
