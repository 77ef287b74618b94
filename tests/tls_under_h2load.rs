//! The TLS example under h2load, over HTTP/2, stopped while it is at work.
//!
//! Needs h2load, and says so where it is missing. The example is built by `cargo test`, but not by
//! `cargo test --test tls_under_h2load` alone.

#![cfg(unix)]
#![allow(dead_code, clippy::incompatible_msrv)] // The rolling test uses all of it; tests run on the newest Rust.

#[path = "rolling/board.rs"]
mod board;
#[path = "rolling/h2.rs"]
mod h2;
#[path = "rolling/outcome.rs"]
mod outcome;
#[path = "rolling/process.rs"]
mod process;
#[path = "rolling/server.rs"]
mod server;

use std::time::Duration;

use h2::Through;
use server::{Recipe, Server};

/// Longer than h2load takes: from the GOAWAY on it counts requests that it never sends.
const LAME_DUCK: Duration = Duration::from_secs(4);

#[tokio::test]
async fn a_tls_server_answers_all_of_h2load_although_its_stop_has_begun() {
    if process::find_program("h2load").is_none() {
        return println!("skipped: h2load is not installed");
    }
    let this = std::env::current_exe().unwrap();
    let program = this.ancestors().nth(2).unwrap().join("examples/tls");
    assert!(program.exists(), "run `cargo build --example tls` first");
    let mut recipe = Recipe::new(program);
    let lame_duck = (
        "GRACEFUL_SHUTDOWN_LAME_DUCK".into(),
        LAME_DUCK.as_secs().to_string().into(),
    );
    recipe.env.push(lame_duck);
    let folder = process::Folder::new("tls").unwrap();
    let log = folder.path().join("server.log");
    let addr = process::free_addr();
    let mut server = Server::start("tls", addr, recipe, log).await.unwrap();

    let load = h2::load("https", addr, Through::Sent(1));
    // In the middle of it.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let stop = server.stop(Duration::from_secs(20));
    let (exit, figures) = tokio::join!(stop, load);
    let figures = figures.unwrap().unwrap();
    assert_eq!((figures.started, figures.succeeded), (1000, 1000));
    assert_eq!(exit.code, Ok(0));
    assert!(exit.after >= LAME_DUCK, "{exit:?}");
}
