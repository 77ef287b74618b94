//! Orders that a browser sends for a page of another site.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use tower_drain::{Admin, DrainHandle, Phase};

use crate::admin_support::{admin, order, post, ready, said};

const HOST: &str = "admin.example:3001";

/// Lets everything in, as a certificate does that a browser has.
fn judged(handle: &DrainHandle) -> Admin {
    Admin::with_auth(handle.clone(), |_| true)
}

fn with(
    mut request: Request<Full<Bytes>>,
    headers: &[(&'static str, &str)],
) -> Request<Full<Bytes>> {
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    request
}

const FOREIGN: &[&[(&str, &str)]] = &[
    &[("sec-fetch-site", "cross-site")],
    &[("sec-fetch-site", "same-site")],
    &[("sec-fetch-site", "a-later-word")],
    &[("sec-fetch-site", "Same-Origin")],
    &[
        ("sec-fetch-site", "cross-site"),
        ("origin", "https://admin.example:3001"),
    ],
    &[
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-site", "cross-site"),
    ],
    &[("origin", "https://evil.example")],
    &[("origin", "null")],
    &[("origin", "http://admin.example")],
    &[("origin", "http://admin.example:3002")],
    &[("origin", "http://admin.example:3001.evil.example")],
    &[("origin", "http://evil.example/admin.example:3001")],
    &[("origin", "admin.example:3001")],
    &[
        ("origin", "http://admin.example:3001"),
        ("origin", "https://evil.example"),
    ],
];

const OWN: &[&[(&str, &str)]] = &[
    &[],
    &[("sec-fetch-site", "same-origin")],
    &[("sec-fetch-site", "none")],
    &[
        ("sec-fetch-site", "same-origin"),
        ("origin", "https://behind.a.proxy"),
    ],
    &[("origin", "http://admin.example:3001")],
    &[("origin", "https://Admin.Example:3001")],
    &[("sec-fetch-site", ""), ("origin", "")],
];

#[test]
fn an_order_from_a_page_of_another_site_is_403_and_changes_nothing() {
    for headers in FOREIGN {
        let handle = DrainHandle::new();
        let nonce = handle.begin_lame_duck_because("a try".into()).unwrap();
        for service in [admin(&handle), judged(&handle)] {
            for request in [
                post("/drain", ""),
                post("/drain", r#"{"then":"exit"}"#),
                ready(nonce),
                post("/none", ""),
            ] {
                let request = with(request, &[("host", HOST)]);
                let answer = said(&service, with(request, headers));
                assert_eq!(answer.status, 403, "{headers:?}");
                let error = answer.error();
                assert!(error.contains(headers[0].0), "{error}");
                assert!(error.contains("curl"), "{error}");
                assert_eq!(
                    (handle.phase(), handle.nonce()),
                    (Phase::LameDuck, Some(nonce))
                );
            }
        }
        handle.resume(nonce).expect("not sealed");
    }
}

/// It needs no preflight.
#[test]
fn the_form_of_another_site_does_not_end_the_process() {
    let handle = DrainHandle::new();
    let form = with(
        post("/drain", r#"{"then":"exit"}"#),
        &[
            ("host", HOST),
            ("content-type", "application/x-www-form-urlencoded"),
            ("origin", "https://evil.example"),
            ("sec-fetch-site", "cross-site"),
        ],
    );
    assert_eq!(said(&judged(&handle), form).status, 403);
    assert!(handle.seal() && handle.phase() == Phase::Serving);
}

#[test]
fn a_tool_and_a_page_of_its_own_are_obeyed() {
    for headers in OWN {
        let handle = DrainHandle::new();
        for service in [admin(&handle), judged(&handle)] {
            let hosted = |request| with(with(request, &[("host", HOST)]), headers);
            let nonce = said(&service, hosted(post("/drain", ""))).nonce();
            assert_eq!(
                said(&service, hosted(ready(nonce))).status,
                200,
                "{headers:?}"
            );
        }
    }
}

/// As over HTTP/2, or in the absolute form, which counts more than `host` (RFC 9112, section 3.2.2).
#[test]
fn the_authority_of_the_request_is_its_host() {
    for (origin, status) in [
        ("https://admin.example:3001", 200),
        ("https://proxy.example", 403),
    ] {
        let handle = DrainHandle::new();
        let mut request = with(
            post("/drain", ""),
            &[("host", "proxy.example"), ("origin", origin)],
        );
        *request.uri_mut() = format!("https://{HOST}/drain").parse().unwrap();
        assert_eq!(said(&judged(&handle), request).status, status, "{origin}");
    }
}

#[test]
fn an_origin_without_one_host_to_compare_it_with_is_foreign() {
    for hosts in [&[][..], &[("host", HOST), ("host", HOST)], &[("host", "")]] {
        let handle = DrainHandle::new();
        let request = with(post("/drain", ""), hosts);
        let request = with(request, &[("origin", "https://admin.example:3001")]);
        assert_eq!(said(&judged(&handle), request).status, 403, "{hosts:?}");
    }
}

#[test]
fn what_only_reads_may_come_from_anywhere() {
    let handle = DrainHandle::new();
    for headers in FOREIGN {
        for method in [Method::GET, Method::HEAD] {
            let request = order(method, "/drain-status", "");
            assert_eq!(said(&admin(&handle), with(request, headers)).status, 200);
        }
    }
}

#[test]
fn without_the_token_it_is_401_as_ever() {
    let mut request = with(post("/drain", ""), &[("sec-fetch-site", "cross-site")]);
    request.headers_mut().remove("authorization");
    assert_eq!(said(&admin(&DrainHandle::new()), request).status, 401);
}
