//! Draining by hand.

use hyper::header::{AUTHORIZATION, CONTENT_TYPE};

use super::surroundings::refused;
use super::*;

/// A server with administration, and where that is.
async fn administered(variables: &[(&str, &str)]) -> (Server, String) {
    let mut all = vec![("ADMIN_ADDR", "127.0.0.1:0"), ("ADMIN_TOKEN", "s3cret")];
    all.extend(variables);
    let mut server = Server::start(&all).await;
    let line = server.logs("administration on http://").await;
    let address = line.split("http://").nth(1).expect("an address");
    let address = address.trim().to_owned();
    (server, address)
}

/// What `curl` sends for `-d`.
async fn ordered(server: &Server, url: String, token: &str, body: &str) -> (StatusCode, String) {
    let request = Request::post(url)
        .header(AUTHORIZATION, format!("Bearer {token}"))
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Full::from(body.to_owned()))
        .expect("valid");
    let answer = server.request(request).await;
    (answer.status(), text(answer).await)
}

#[tokio::test]
async fn it_is_drained_and_made_ready_by_hand_and_logs_neither_token_nor_nonce() {
    let (mut server, admin) = administered(&[]).await;
    let order = |path: &str| format!("http://{admin}{path}");
    let (status, _) = ordered(&server, order("/drain"), "wrong", "{}").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(server.get("/readyz").await.status(), StatusCode::OK);

    let body = r#"{"reason":"a look inside"}"#;
    let (status, drained) = ordered(&server, order("/drain"), "s3cret", body).await;
    assert_eq!(status, StatusCode::OK, "{drained}");
    assert_eq!(
        server.get("/readyz").await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(server.text("/").await, "hello");
    let told = server.text("/drain-status").await;
    assert!(told.contains("\"reason\":\"a look inside\""), "{told}");

    let (status, _) = ordered(&server, order("/ready"), "s3cret", r#"{"nonce":1}"#).await;
    assert_eq!(status, StatusCode::CONFLICT);
    // The answer to the drain is the order to lift it.
    let (status, ready) = ordered(&server, order("/ready"), "s3cret", &drained).await;
    assert_eq!(
        (status, &*ready),
        (StatusCode::OK, "{\"phase\":\"serving\"}\n")
    );
    assert_eq!(server.get("/readyz").await.status(), StatusCode::OK);

    server.signal(Signal::SIGTERM);
    let nonce = drained.trim_matches(|it: char| !it.is_ascii_digit());
    assert!(nonce.parse::<u64>().is_ok(), "{drained}");
    let mut log = String::new();
    while let Some(line) = within("the log", server.log.next_line())
        .await
        .expect("UTF-8")
    {
        assert!(!line.contains("s3cret") && !line.contains(nonce), "{line}");
        log += &line;
    }
    assert!(
        log.contains("a look inside") && log.contains("shutdown complete"),
        "{log}"
    );
    assert_eq!(server.exits().await.code(), Some(0));
}

#[tokio::test]
async fn told_to_exit_it_drains_as_after_a_signal_and_administration_answers_to_the_end() {
    let (mut server, admin) = administered(OPEN).await;
    let finite = server.get("/events?n=15").await;
    let exit = r#"{"reason":"a new version","then":"exit"}"#;
    let (status, answer) = ordered(&server, format!("http://{admin}/drain"), "s3cret", exit).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let (status, _) = ordered(&server, format!("http://{admin}/ready"), "s3cret", &answer).await;
    assert_eq!(status, StatusCode::CONFLICT, "an exit is final");
    server.logs("phase=draining").await;
    assert_eq!(
        server.get("/").await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    let (status, _) = ordered(&server, format!("http://{admin}/ready"), "s3cret", &answer).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(text(finite).await, events(15));
    let report = server.logs("shutdown complete").await;
    assert!(report.contains("a new version"), "{report}");
    assert_eq!(server.exits().await.code(), Some(0));
}

#[tokio::test]
async fn a_drain_by_hand_lifts_itself() {
    let (mut server, admin) = administered(&[]).await;
    let url = format!("http://{admin}/drain");
    let (status, _) = ordered(&server, url, "s3cret", r#"{"ttl_s":0.2}"#).await;
    assert_eq!(status, StatusCode::OK);
    server.logs("phase=lame duck").await;
    server.logs("phase=serving").await;
    assert_eq!(server.get("/readyz").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn without_a_token_the_second_address_has_probes_and_no_orders() {
    let mut server = Server::start(&[("ADMIN_ADDR", "127.0.0.1:0")]).await;
    let line = server.logs("administration on http://").await;
    server.address = line
        .split("http://")
        .nth(1)
        .expect("an address")
        .trim()
        .to_owned();
    for path in ["/livez", "/readyz", "/drain-status"] {
        assert_eq!(server.get(path).await.status(), StatusCode::OK);
    }
    let url = format!("http://{}/drain", server.address);
    let (status, _) = ordered(&server, url, "", "{}").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(server.get("/readyz").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_token_that_nobody_could_send_is_named_before_the_server_listens_and_not_told() {
    for token in ["", "two words", "sécret", "from-a-file\n"] {
        let log = refused("ADMIN_TOKEN", token).await;
        assert!(log.contains("ADMIN_TOKEN"), "{log}");
        assert!(token.is_empty() || !log.contains(token.trim()), "{log}");
    }
}
