//! `POST /drain` with `"then":"exit"`.

#[cfg(feature = "shutdown")]
mod with_the_sequence {
    use http::Method;
    use tower_drain::{DrainHandle, DrainReason, Phase, Shutdown};

    use crate::admin_support::{admin, order, post, ready, said};
    use crate::shutdown_support::timeouts;
    use crate::sockets_support::within;

    const EXIT: &str = r#"{"reason":"a new version","then":"exit"}"#;

    #[tokio::test(start_paused = true)]
    async fn exit_runs_the_shutdown_with_its_reason_and_tells_the_nonce() {
        let handle = DrainHandle::new();
        let shutdown = Shutdown::new(handle.clone()).timeouts(timeouts());
        let nonce = said(&admin(&handle), post("/drain", EXIT)).nonce();
        assert_eq!(
            (handle.phase(), handle.nonce()),
            (Phase::LameDuck, Some(nonce))
        );
        let report = shutdown.run(|stop| async {
            stop.await;
            Ok::<_, std::io::Error>(())
        });
        let report = within(report).await;
        let reason = DrainReason::from("a new version");
        assert_eq!(report.unwrap().reason, reason);
        assert_eq!(
            (handle.phase(), handle.reason()),
            (Phase::Drained, Some(reason))
        );
    }

    /// In their order: a drain, its status, its end, and the exit.
    #[test]
    fn the_lines_of_the_page_for_operators_are_answered_as_it_says() {
        const PAGE: &str = include_str!("../../OPERATING.md");
        let handle = DrainHandle::new();
        let service = admin(&handle);
        let mut nonce = String::new();
        let mut sent = 0;
        for line in PAGE.lines().filter(|line| line.starts_with("admin ")) {
            let (command, expected) = line.split_once(" # ").unwrap();
            let path = format!("/{}", command.split_whitespace().nth(1).unwrap());
            let answer = match command.split('\'').nth(1) {
                None => said(&service, order(Method::GET, &path, "")),
                Some(body) => {
                    let body = body.replace("5178254360917353", &nonce);
                    said(&service, post(&path, body))
                }
            };
            assert_eq!(answer.status, 200, "{line}");
            let text = answer.json().to_string();
            if let Some(drain) = handle.nonce() {
                nonce = drain.as_u64().to_string();
            }
            let told = expected.replace("5178254360917353", &nonce);
            let is_told = match path.as_str() {
                "/drain-status" => text.contains(r#""phase":"lame_duck""#),
                _ => told == text || told.starts_with("the whole shutdown"),
            };
            assert!(is_told, "{line}: {text}");
            sent += 1;
        }
        assert_eq!((sent, handle.phase()), (4, Phase::LameDuck));
        assert!(handle
            .resume(handle.nonce().unwrap())
            .unwrap_err()
            .is_sealed());
    }

    #[test]
    fn exit_is_final_from_its_answer_on_and_has_no_time_to_live() {
        let handle = DrainHandle::new();
        let body = r#"{"ttl_s":60,"then":"exit"}"#;
        let nonce = said(&admin(&handle), post("/drain", body)).nonce();
        let answer = said(&admin(&handle), ready(nonce));
        assert_eq!(answer.status, 409);
        assert!(answer.error().contains("sealed"));
        assert_eq!(handle.status().lifts_in, None);
    }

    #[tokio::test(start_paused = true)]
    async fn exit_joins_a_drain_that_is_on_and_does_not_tell_its_nonce() {
        let handle = DrainHandle::new();
        let service = admin(&handle);
        let shutdown = Shutdown::new(handle.clone()).timeouts(timeouts());
        let nonce = said(&service, post("/drain", r#"{"ttl_s":1}"#)).nonce();
        for _ in 0..2 {
            let joined = said(&service, post("/drain", EXIT));
            assert_eq!(
                (joined.status.as_u16(), &joined.body[..]),
                (200, &b"{\"nonce\":null}\n"[..])
            );
        }
        assert_eq!(said(&service, ready(nonce)).status, 409);
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        assert_eq!(
            handle.phase(),
            Phase::LameDuck,
            "what is sealed does not lift itself"
        );
        let report = shutdown.run(|stop| async {
            stop.await;
            Ok::<_, std::io::Error>(())
        });
        let report = within(report).await;
        assert_eq!(report.unwrap().reason, DrainReason::from("a new version"));
        assert_eq!(
            handle.reason(),
            Some(DrainReason::Requested),
            "the first one stands"
        );
    }
}

#[cfg(not(feature = "shutdown"))]
mod without_the_sequence {
    use tower_drain::{DrainHandle, Phase};

    use crate::admin_support::{admin, post, said};

    #[test]
    fn without_the_sequence_exit_is_400_and_changes_nothing() {
        let handle = DrainHandle::new();
        let answer = said(&admin(&handle), post("/drain", r#"{"then":"exit"}"#));
        assert_eq!(answer.status, 400);
        assert!(answer.error().contains("`shutdown`"));
        assert_eq!(handle.phase(), Phase::Serving);
        assert!(handle.seal(), "not sealed either");
    }
}
