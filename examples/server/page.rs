//! The page at `/`, for a person who watches while the server is restarted.

use axum::http::{header, HeaderMap};
use axum::response::{Html, IntoResponse, Response};

const PAGE: &str = include_str!("page.html");

/// The page for browsers, whose `accept` names `text/html`, and `hello` for everything else.
pub(crate) async fn index(headers: HeaderMap) -> Response {
    // Or a cache gives one of them to both.
    let vary = [(header::VARY, "accept")];
    if names_html(&headers) {
        (vary, Html(PAGE)).into_response()
    } else {
        (vary, "hello").into_response()
    }
}

fn names_html(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|range| range.split(';').next())
        .any(|range| range.trim().eq_ignore_ascii_case("text/html"))
}
