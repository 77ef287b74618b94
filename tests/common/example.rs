//! Examples as processes. They are built by `cargo test`, but not by `cargo test --test NAME` alone.
#![allow(dead_code)] // Not every test uses all of it.

use std::future::Future;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// No step of a test takes so long, unless something hangs.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn example(name: &str) -> Command {
    let this = std::env::current_exe().expect("this test has a path");
    let target: PathBuf = this.ancestors().nth(2).expect("it is in deps").into();
    let path = target.join("examples").join(name);
    assert!(
        path.exists(),
        "{path:?} is missing: run `cargo build --all-features --examples`"
    );
    let mut command = Command::new(path);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: not within {LIMIT:?}"),
    }
}

/// Asserts that `text` has these parts in this order.
#[track_caller]
pub(crate) fn assert_in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => panic!("`{part}` is missing, or not where it belongs:\n{text}"),
        }
    }
}
