//! Stops over links that are slow: what a peer has got, and what the report calls lost, is what was admitted.
//!
//! Loopback takes everything at once, so that a server which mistakes "the operating system has it" for "the peer has it"
//! passes there. Here readers are slow, links have a rate, and clients are those that are used.
//!
//! `LINKS_STOPS=200` stops 200 servers and prints a table. `LINKS_MUST_RUN` makes what is skipped a failure.
#![cfg(target_os = "linux")]
#![allow(clippy::incompatible_msrv)] // Tests run on the newest Rust.

mod app;
mod content;
mod judge;
mod process;
mod reader;
mod round;
mod skip;
mod tools;

use futures_util::future::join_all;

use self::round::{Kind, Proto};

#[test]
#[ignore = "what the other tests run in a process of its own"]
fn server() {
    app::main()
}

/// Over both protocols at once.
async fn lose_nothing_silently(kind: Kind) {
    if skip::lacks(kind.name(), &kind.needs()) {
        return;
    }
    let protos = Proto::ALL.into_iter().filter(|&proto| kind.speaks(proto));
    let stops =
        join_all(protos.map(|proto| async move { (proto, kind.stop(proto, "serve").await) }));
    let mut wrong = String::new();
    for (proto, (tally, story)) in stops.await {
        if !tally.is_right() {
            wrong += &format!("{}, {proto}: {tally:?}\n{story}\n", kind.name());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

macro_rules! links {
    ($($name:ident: $kind:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            lose_nothing_silently(Kind::$kind).await;
        }
    )*};
}

links! {
    slow_readers: SlowReader,
    slow_readers_of_three_responses_at_once: SlowShared,
    a_paced_link: PacedReader,
    curl_with_a_limit: CurlLimited,
    curl_over_a_paced_link: CurlPaced,
    node_over_a_paced_link: NodePaced,
    fetch_over_a_paced_link: FetchPaced,
    readers_that_have_given_up: Abandoned,
}
