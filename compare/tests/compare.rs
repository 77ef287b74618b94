//! What COMPARE.md says of this crate, and that the others can be compared with it at all.

use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_drain_compare::{version_of, versions, Child, Exit, Lost, Outcome, Peer, Scenario};

const PAGE: &str = include_str!("../../COMPARE.md");

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_tower-drain-compare"))
}

async fn of_this_crate(scenario: Scenario) -> Outcome {
    let outcome = scenario.run(program(), Peer::TowerDrain).await;
    outcome.unwrap_or_else(|error| panic!("{error}"))
}

/// Left by itself, with 0, before `limit`.
#[track_caller]
fn assert_left_well(outcome: &Outcome, limit: f64) {
    for exit in &outcome.exits {
        match exit {
            Exit::Left {
                after,
                code: Some(0),
            } => assert!(after.as_secs_f64() < limit, "{after:?}"),
            other => panic!("{other:?}"),
        }
    }
}

#[track_caller]
fn assert_none_lost(lost: &Option<Lost>) {
    let lost = lost.as_ref().expect("they are counted");
    assert!(lost.of > 0, "nothing was asked");
    assert_eq!(lost.lost, 0, "{lost:?}");
}

#[tokio::test]
async fn endless_event_streams_get_a_last_event_and_a_regular_end() {
    let outcome = of_this_crate(Scenario::Events).await;
    assert_none_lost(&outcome.streams);
    // 5 s of lame duck, twice 0.5 s of settling.
    assert_left_well(&outcome, 8.0);
}

#[tokio::test]
async fn event_streams_that_end_by_themselves_come_to_their_last_event() {
    let outcome = of_this_crate(Scenario::Finite).await;
    assert_none_lost(&outcome.streams);
    assert_left_well(&outcome, 12.0);
}

#[tokio::test]
async fn uploads_are_answered() {
    let outcome = of_this_crate(Scenario::Upload).await;
    assert_none_lost(&outcome.requests);
    assert_left_well(&outcome, 12.0);
}

#[tokio::test]
async fn websockets_get_a_close_frame() {
    let outcome = of_this_crate(Scenario::Websocket).await;
    assert_none_lost(&outcome.streams);
    assert_left_well(&outcome, 8.0);
}

#[tokio::test]
async fn no_post_on_an_accepted_connection_is_lost() {
    let outcome = of_this_crate(Scenario::Post).await;
    let mut requests = outcome.requests.clone().expect("they are counted");
    // What connects between the last accept and the close of the socket is reset by the system, and was not accepted.
    requests.how.retain(|how, count| {
        let is_reset = how.contains("Connection reset") || how.contains("Broken pipe");
        requests.lost -= if is_reset { *count } else { 0 };
        !is_reset
    });
    assert_none_lost(&Some(requests));
    assert_left_well(&outcome, 8.0);
}

#[tokio::test]
async fn half_a_request_line_holds_no_exit() {
    let outcome = of_this_crate(Scenario::HalfLine).await;
    assert_left_well(&outcome, 8.0);
}

#[tokio::test]
async fn every_server_answers_and_leaves_with_0_when_idle() {
    for peer in Peer::ALL {
        let name = peer.name();
        let child = Child::start(program(), peer).await;
        let child = child.unwrap_or_else(|error| panic!("{error}"));
        for (path, answer) in [("/", "hello"), ("/readyz", "")] {
            let mut stream = TcpStream::connect(child.addr).await.expect("it listens");
            let request =
                format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.expect("sent");
            let mut text = String::new();
            let read = stream.read_to_string(&mut text);
            let read = timeout(Duration::from_secs(10), read).await;
            read.expect("in time").expect("it answers");
            assert!(text.starts_with("HTTP/1.1 200 "), "{name}{path}: {text}");
            assert!(text.ends_with(answer), "{name}{path}: {text}");
        }
        let exit = child.stop().await.expect("it was there");
        assert!(
            matches!(exit, Exit::Left { code: Some(0), .. }),
            "{name}: {exit:?}"
        );
    }
}

#[test]
fn the_page_names_the_versions_that_are_built() {
    assert!(
        PAGE.contains(&versions()),
        "not in the page: {}",
        versions()
    );
    let tables = PAGE.matches("| server | seconds to exit |").count();
    // Two proxies.
    assert_eq!(tables, Scenario::ALL.len() + 2);
    for peer in Peer::ALL {
        let cell = format!("| {} {} |", peer.name(), version_of(peer.name()));
        assert_eq!(PAGE.matches(&cell).count(), tables, "tables with `{cell}`");
    }
}
