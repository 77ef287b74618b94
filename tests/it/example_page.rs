//! Who gets the page of `examples/server`, and who `hello`.

use axum::body::Body;
use axum::routing::get;
use axum::Router;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, VARY};
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use tower::ServiceExt;

#[path = "../../examples/server/page.rs"]
mod page;

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

async fn ask(method: Method, accept: &[&str]) -> Response<Body> {
    let mut request = Request::builder().method(method).uri("/");
    for accept in accept {
        request = request.header(ACCEPT, *accept);
    }
    let app = Router::new().route("/", get(page::index));
    let request = request.body(Body::empty()).unwrap();
    let response = app.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()[VARY], "accept");
    response
}

async fn text(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.into()).unwrap()
}

#[tokio::test]
async fn the_example_answers_hello_to_all_who_do_not_name_html() {
    for accept in [
        &[][..],
        &["*/*"],
        &["text/*"],
        &["application/json", "text/htmlx"],
    ] {
        let response = ask(Method::GET, accept).await;
        assert_eq!(
            response.headers()[CONTENT_TYPE],
            "text/plain; charset=utf-8"
        );
        assert_eq!(text(response).await, "hello", "{accept:?}");
    }
}

#[tokio::test]
async fn the_example_shows_its_page_to_who_names_html_anywhere_in_accept() {
    for accept in [
        &[BROWSER][..],
        &["application/json, Text/HTML;q=0.5"],
        &["application/json", "text/html"],
    ] {
        let response = ask(Method::GET, accept).await;
        assert_eq!(response.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
        assert!(
            text(response).await.starts_with("<!doctype html>"),
            "{accept:?}"
        );
    }
}

#[tokio::test]
async fn a_head_request_for_the_example_s_page_has_its_head_alone() {
    let page = text(ask(Method::GET, &[BROWSER]).await).await;
    let response = ask(Method::HEAD, &[BROWSER]).await;
    assert_eq!(response.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
    assert_eq!(response.headers()[CONTENT_LENGTH], page.len().to_string());
    assert_eq!(text(response).await, "");
}

#[tokio::test]
async fn the_example_s_page_needs_nothing_from_elsewhere() {
    let page = text(ask(Method::GET, &[BROWSER]).await).await;
    for outside in ["http://", "https://", "src=", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
}
