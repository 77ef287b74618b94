//! `POST /drain` with `"then":"exit"`.

#[cfg(feature = "shutdown")]
mod with_the_sequence {
    use tower_drain::{DrainHandle, DrainReason, Phase, Shutdown};

    use crate::admin_support::{admin, post, ready, said};
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
