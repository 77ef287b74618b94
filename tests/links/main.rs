//! Stops over links that are slow: what a peer has got, and what the report calls lost, is what was admitted.
//!
//! Loopback takes everything at once, so that a server which mistakes "the operating system has it" for "the peer has it"
//! passes there. Here readers are slow, links have a rate, and clients are those that are used.
//!
//! `LINKS_STOPS=200` stops 200 servers and prints a table; with `LINKS_BASELINE=1` beside it what `axum::serve` does.
//! What needs a program that is missing, or root, is skipped with a line. With `LINKS_MUST_RUN=1` a missing program is a
//! failure.
#![cfg(target_os = "linux")]
#![allow(clippy::incompatible_msrv)] // Tests run on the newest Rust.

mod app;
mod backlog;
mod content;
mod cut;
mod judge;
mod kind;
mod netns;
#[cfg(feature = "systemd")]
mod notify;
mod pings;
mod process;
mod raw;
mod reader;
mod round;
mod skip;
mod slow;
mod steps;
mod table;
mod tools;
mod uploads;

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};

use self::judge::Tally;
use self::kind::Kind;
use self::round::Proto;
use self::table::Row;
use self::uploads::When;

const STOPS: &str = "LINKS_STOPS";
const BASELINE: &str = "LINKS_BASELINE";
/// How many servers are stopped at a time.
const AT_ONCE: usize = 4;

#[test]
#[ignore = "what the other tests run in a process of its own"]
fn server() {
    app::main()
}

/// Over both protocols at once.
async fn lose_nothing_silently(kind: Kind) {
    let protos = Proto::ALL.into_iter().filter(|&proto| kind.speaks(proto));
    let stops = protos.map(|proto| async move { (proto, kind.stop(proto, "serve").await) });
    let mut wrong = String::new();
    for (proto, played) in join_all(stops).await {
        let Some((tally, story)) = played else {
            continue;
        };
        if !tally.is_right() {
            wrong += &format!("{}, {proto}: {tally:?}\n{story}\n", kind.name());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

macro_rules! links {
    ($($name:ident: $kind:expr,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            lose_nothing_silently($kind).await;
        }
    )*};
}

links! {
    slow_readers: Kind::SlowReader,
    slow_readers_of_three_responses_at_once: Kind::SlowShared,
    slow_readers_that_take_longer_than_the_closing: Kind::SlowerThanClose,
    a_paced_link: Kind::PacedReader,
    readers_that_have_given_up: Kind::GivenUp,
    curl_with_a_limit: Kind::CurlLimited,
    curl_over_a_paced_link: Kind::CurlPaced,
    node_over_a_paced_link: Kind::NodePaced,
    fetch_over_a_paced_link: Kind::FetchPaced,
    idle_peers_that_acknowledge_no_ping: Kind::NoPingIdle,
    streams_of_a_peer_that_acknowledges_no_ping: Kind::NoPingBusy,
    a_link_that_goes_with_the_process: Kind::LinkTakenAway,
    ten_requests_in_a_backlog_without_a_file_left: Kind::NoFiles,
    requests_in_their_sockets_at_the_stop: Kind::AtTheStop,
    a_cut_over_http_1_0_has_no_clean_end: Kind::CutHttp10,
    uploads_rejected_in_a_drain_for_maintenance: Kind::Upload(When::Maintenance),
    uploads_rejected_before_the_stop: Kind::Upload(When::AfterDrain),
    uploads_rejected_after_the_stop: Kind::Upload(When::AfterTheStop),
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_link_as_often_as_asked() {
    let Ok(stops) = std::env::var(STOPS) else {
        return;
    };
    let stops: usize = stops.parse().expect("LINKS_STOPS is a number");
    let has_baseline = std::env::var_os(BASELINE).is_some();
    let mut rows: Vec<_> = Kind::ALL
        .into_iter()
        .flat_map(|kind| Proto::ALL.map(|proto| (kind, proto)))
        .filter(|&(kind, proto)| kind.speaks(proto))
        .map(|(kind, proto)| {
            let row = Row {
                peer: kind.name(),
                proto: proto.to_string(),
                serve: Tally::default(),
                axum: has_baseline.then(Tally::default),
            };
            (kind, proto, row)
        })
        .collect();
    let cells: Vec<_> = rows.iter().map(|&(kind, proto, _)| (kind, proto)).collect();
    let cells = (0..cells.len()).cycle().take(stops).map(|index| {
        let (kind, proto) = cells[index];
        async move {
            let serve = kind.stop(proto, "serve").await;
            let axum = match has_baseline {
                true => kind.stop(proto, "axum").await,
                false => None,
            };
            (index, serve, axum)
        }
    });
    let mut played = stream::iter(cells).buffer_unordered(AT_ONCE);
    let mut wrong = String::new();
    while let Some((index, serve, axum)) = played.next().await {
        let (kind, proto, row) = &mut rows[index];
        if let Some((tally, story)) = serve {
            row.serve += tally;
            if !tally.is_right() {
                wrong += &format!("{}, {proto}: {tally:?}\n{story}\n", kind.name());
            }
        }
        if let (Some(sum), Some((tally, _))) = (&mut row.axum, axum) {
            *sum += tally;
        }
    }
    let rows: Vec<_> = rows.into_iter().map(|(_, _, row)| row).collect();
    table::print(&rows);
    assert!(wrong.is_empty(), "{wrong}");
}
