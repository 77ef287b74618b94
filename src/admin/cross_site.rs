//! Refuses the orders that a browser sends for a page of another site.
//!
//! Any page can make a browser send a `POST`, and the browser adds what it has by itself: a certificate, a cookie, its
//! address. A browser also says which page it was. The rules are those of `http.CrossOriginProtection` in Go's standard
//! library.

use http::header::{AsHeaderName, HeaderValue, HOST, ORIGIN};
use http::{Method, Request, StatusCode};

use super::reply::Refusal;

const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// Safe methods pass, and so do requests with neither header, which is what tools send. A repeated header passes only if
/// all of its values do.
pub(super) fn check<B>(request: &Request<B>) -> Result<(), Refusal> {
    if matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    ) {
        return Ok(());
    }
    let mut sites = sent(request, SEC_FETCH_SITE).peekable();
    let foreign = match sites.peek() {
        Some(_) => sites
            .find(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"))
            .map(|site| (SEC_FETCH_SITE, site)),
        // Browsers from before 2023.
        None => sent(request, ORIGIN)
            .find(|origin| !is_own(request, origin))
            .map(|origin| ("origin", origin)),
    };
    foreign.map_or(Ok(()), |(name, value)| Err(refusal(name, value)))
}

fn refusal(name: &str, value: &HeaderValue) -> Refusal {
    let value = String::from_utf8_lossy(value.as_bytes());
    let error = format!(
        "`{name}: {value}` says that a page of another site sent this order: use a tool such as curl, or a page on this \
         host and port, and let a proxy in between keep `host`"
    );
    Refusal::new(StatusCode::FORBIDDEN, error)
}

/// An empty value says nothing.
fn sent<B>(request: &Request<B>, name: impl AsHeaderName) -> impl Iterator<Item = &HeaderValue> {
    let values = request.headers().get_all(name).iter();
    values.filter(|value| !value.is_empty())
}

/// Whether an origin has the host and port that the request went to. The scheme of the request is not known here.
fn is_own<B>(request: &Request<B>, origin: &HeaderValue) -> bool {
    let origin = origin.to_str().ok();
    let authority = origin.and_then(|origin| Some(origin.split_once("://")?.1));
    match (authority, host(request)) {
        (Some(authority), Some(host)) => authority.eq_ignore_ascii_case(host),
        _ => false,
    }
}

/// The authority of the target, which counts more than `host` (RFC 9112, section 3.2.2; RFC 9113, section 8.3.1).
fn host<B>(request: &Request<B>) -> Option<&str> {
    if let Some(authority) = request.uri().authority() {
        return Some(authority.as_str());
    }
    let mut hosts = sent(request, HOST);
    match (hosts.next(), hosts.next()) {
        (Some(only), None) => only.to_str().ok(),
        _ => None,
    }
}
