//! Who may, and that the token stays a secret.

use http::{Method, Request};
use tower_drain::{
    Admin, DrainHandle, DrainSnapshot, Liveness, Phase, RequestHead, StatusService, TokenError,
};

use crate::admin_support::{admin, order, said, TOKEN};
use crate::support::Script;

fn refused(admin: &Admin, authorization: &[&[u8]]) {
    for (method, path) in [
        ("GET", "/drain-status"),
        ("POST", "/drain"),
        ("POST", "/ready"),
        ("GET", "/drain"),
        ("POST", "/none"),
    ] {
        let script = Script::new();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .body(script.data("{}").close().body())
            .unwrap();
        for value in authorization {
            let value = http::HeaderValue::from_bytes(value).unwrap();
            request.headers_mut().append("authorization", value);
        }
        let answer = said(admin, request);
        assert_eq!(
            (answer.status.as_u16(), answer.header("www-authenticate")),
            (401, "Bearer"),
            "{authorization:?}"
        );
        assert!(answer.error().contains("authorization"));
        assert_eq!(script.polls(), 0, "the body is not read");
    }
}

#[test]
fn without_the_token_everything_is_401_before_the_body_is_read_and_nothing_changes() {
    let handle = DrainHandle::new();
    let service = admin(&handle);
    let longer = format!("Bearer {TOKEN}x");
    let shorter = format!("Bearer {}", &TOKEN[1..]);
    let basic = format!("Basic {TOKEN}");
    let digest = format!("Digest {TOKEN}");
    let glued = format!("Bearer{TOKEN}");
    let twice = format!("Bearer {TOKEN}, Bearer {TOKEN}");
    refused(&service, &[]);
    for value in [
        "",
        "Bearer",
        "Bearer ",
        "Bearer    ",
        "B",
        TOKEN,
        "Bearer wrong",
        &longer,
        &shorter,
        &basic,
        &digest,
        &glued,
        &twice,
    ] {
        refused(&service, &[value.as_bytes()]);
    }
    refused(&service, &[b"Bearer \xff\xfe"]);
    assert_eq!(handle.phase(), Phase::Serving);
}

#[test]
fn two_credentials_are_none() {
    let right = format!("Bearer {TOKEN}");
    let service = admin(&DrainHandle::new());
    refused(&service, &[right.as_bytes(), b"Bearer wrong"]);
    refused(&service, &[right.as_bytes(), right.as_bytes()]);
}

#[test]
fn the_scheme_may_be_in_any_case_and_followed_by_several_spaces() {
    let handle = DrainHandle::new();
    for value in ["Bearer ", "bearer ", "BEARER ", "Bearer   "] {
        let request =
            Request::get("/drain-status").header("authorization", format!("{value}{TOKEN}"));
        let answer = said(
            &admin(&handle),
            request.body(Script::new().close().body()).unwrap(),
        );
        assert_eq!(answer.status, 200, "{value:?}");
    }
}

#[test]
fn a_token_that_nobody_could_send_is_an_error_that_does_not_tell_it() {
    let of = |token: &str| Admin::new(DrainHandle::new(), token).map(drop).unwrap_err();
    assert_eq!(of(""), TokenError::Empty);
    assert!(of("").to_string().contains("empty"));
    for (token, at) in [
        ("secret\n", 6),
        (" secret", 0),
        ("se cret", 2),
        ("sécret", 1),
        ("\0", 0),
        ("\t", 0),
    ] {
        let error = of(token);
        let said = format!("{error} {error:?}");
        assert!(error.to_string().contains(&format!("byte {at} ")), "{said}");
        assert!(!said.contains("cret"), "{said}");
    }
}

#[test]
fn a_judge_sees_the_head_and_decides() {
    #[derive(Clone)]
    struct Operator;
    let handle = DrainHandle::new();
    let service = Admin::with_auth(handle.clone(), |head: &RequestHead<'_>| {
        head.extensions().get::<Operator>().is_some() && head.uri().path() == "/drain"
    });
    refused(&service, &[format!("Bearer {TOKEN}").as_bytes()]);
    let mut request = order(Method::POST, "/drain", "");
    request.headers_mut().remove("authorization");
    request.extensions_mut().insert(Operator);
    assert_eq!(said(&service, request).status, 200);
    assert_eq!(handle.phase(), Phase::LameDuck);
}

#[test]
fn no_debug_tells_the_token() {
    let handle = DrainHandle::new();
    let service = admin(&handle);
    let future = tower::Service::call(&mut service.clone(), order(Method::POST, "/drain", "{}"));
    let told = format!("{service:?} {service:#?} {future:?}");
    assert!(
        told.contains("Bearer(..)") && told.contains("phase: Serving"),
        "{told}"
    );
    assert!(
        !told.contains(TOKEN) && !told.contains(&TOKEN[..7]),
        "{told}"
    );
    let judged = format!("{:?}", Admin::with_auth(handle, |_| true));
    assert!(judged.contains("Judge(..)"), "{judged}");
}

#[test]
fn services_may_be_shared_and_their_futures_sent() {
    fn service<T: Clone + Send + Sync + Unpin + 'static>() {}
    fn future<T: Send + Unpin + 'static>() {}
    service::<Admin>();
    service::<Liveness>();
    service::<tower_drain::Readiness>();
    service::<StatusService>();
    service::<DrainSnapshot>();
    service::<TokenError>();
    future::<tower_drain::AdminFuture>();
}
