//! Event streams in a real browser, while servers behind a real proxy are restarted.
//!
//! It needs `chromium` and `haproxy`, and says what it skips where one is missing; with `BROWSER_MUST_RUN` set that is a
//! failure. The pictures of the example's page are in `target/browser`.

mod app;
mod chrome;
mod example;
mod streams;

// Each has more than is needed here.
#[allow(dead_code)]
#[path = "../rolling/process.rs"]
mod process;
#[allow(dead_code)]
#[path = "../rolling/proxy.rs"]
mod proxy;
#[allow(dead_code)]
#[path = "../rolling/server.rs"]
mod server;

use std::process::ExitCode;
use std::time::Instant;

use app::Behaviour;
use chrome::Chrome;
use process::{find_program, Folder};

/// Set for the processes that are servers.
const SERVER: &str = "BROWSER_SERVER";
const MUST_RUN: &str = "BROWSER_MUST_RUN";

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    if let Ok(name) = std::env::var(SERVER) {
        return app::serve(Behaviour::from_name(&name)).await;
    }
    if !is_asked_for(std::env::args().skip(1)) {
        return ExitCode::SUCCESS;
    }
    let missing: Vec<_> = [
        ("chromium", chrome::program()),
        ("haproxy", find_program("haproxy")),
        ("examples/server", example::program()),
    ]
    .into_iter()
    .filter_map(|(name, program)| program.is_none().then_some(name))
    .collect();
    if !missing.is_empty() {
        println!("browser  SKIPPED: no {}", missing.join(", no "));
        return match std::env::var_os(MUST_RUN) {
            Some(_) => ExitCode::FAILURE,
            None => ExitCode::SUCCESS,
        };
    }
    // Processes die with the future that is dropped.
    tokio::select! {
        failed = all() => if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS },
        _ = tokio::signal::ctrl_c() => ExitCode::FAILURE,
    }
}

/// As far as `cargo test` passes the flags of Rust's own harness to every test target.
fn is_asked_for(mut args: impl Iterator<Item = String>) -> bool {
    let mut filters = Vec::new();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--list" => {
                println!("browser: test");
                return false;
            }
            "--test-threads" | "--color" | "--format" | "--skip" => drop(args.next()),
            flag if flag.starts_with('-') => {}
            _ => filters.push(arg),
        }
    }
    filters.is_empty() || filters.iter().any(|filter| "browser".contains(filter))
}

/// Whether one of them failed.
async fn all() -> bool {
    let folder = match Folder::new("browser") {
        Ok(folder) => folder,
        Err(error) => return !passed("a folder", Instant::now(), Err(error.to_string())),
    };
    let program = chrome::program().unwrap_or_default();
    let mut chrome = match Chrome::start(&program, folder.path()).await {
        Ok(chrome) => chrome,
        Err(error) => {
            folder.keep();
            return !passed("chromium", Instant::now(), Err(error));
        }
    };
    println!("browser  EventSource in Chromium, servers behind HAProxy");
    let mut all_passed = true;

    let begin = Instant::now();
    let done = streams::three_rolling_restarts(&mut chrome, folder.path()).await;
    all_passed &= passed("3 rolling restarts lose no event", begin, done);

    let begin = Instant::now();
    let done = streams::a_plain_503_ends_it(&mut chrome, folder.path()).await;
    all_passed &= passed("a plain 503 ends it for good", begin, done);

    let begin = Instant::now();
    let done = streams::a_retry_brings_it_back(&mut chrome, folder.path()).await;
    all_passed &= passed("event_source_retry brings it back", begin, done);

    let begin = Instant::now();
    let done = example::the_page_follows_a_restart(&mut chrome, folder.path()).await;
    all_passed &= passed("the example's page follows a restart", begin, done);

    all_passed &= passed(
        "chromium ends",
        Instant::now(),
        chrome.close().await.map(|()| String::new()),
    );
    if !all_passed {
        println!("         logs: {}", folder.keep().display());
    }
    !all_passed
}

/// Prints a line.
fn passed(what: &str, begin: Instant, done: Result<String, String>) -> bool {
    let took = begin.elapsed().as_secs_f32();
    let (word, text) = match &done {
        Ok(text) => ("passed", text),
        Err(text) => ("FAILED", text),
    };
    println!("  {word}  {took:4.1} s  {what:<37} {text}");
    done.is_ok()
}
