//! Two servers behind a real proxy are restarted one after the other while clients go on. Nothing may be lost.
//!
//! `cargo test --features server --test rolling -- --help` tells the options. It needs `haproxy`, `nginx` and `h2load`,
//! and says what it skips where one is missing.

mod app;
mod board;
mod exchange;
mod load;
mod options;
mod process;
mod proxy;
mod report;
mod roll;
mod server;

use std::process::ExitCode;

use app::Behaviour;
use options::{Asked, Options};
use report::Report;
use roll::Run;
use server::Recipe;

/// Set for the processes that are servers.
const SERVER: &str = "ROLLING_SERVER";

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    if let Ok(name) = std::env::var(SERVER) {
        let behaviour = Behaviour::from_name(&name).unwrap_or_else(|error| panic!("{error}"));
        return app::serve(behaviour).await;
    }
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(Asked::Run(options)) => options,
        Ok(Asked::Print(text)) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("rolling: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut report = Report::new();
    tokio::select! {
        () = all(&options, &mut report) => {}
        // What was started dies with the future that is dropped here.
        _ = tokio::signal::ctrl_c() => return ExitCode::FAILURE,
    }
    report.close()
}

async fn all(options: &Options, report: &mut Report) {
    let behaviour = options.server.unwrap_or(Behaviour::Sequence);
    for &proxy in &options.proxies {
        let Some(run) = prepared(options, proxy, behaviour, options.restarts, report) else {
            continue;
        };
        let outcome = run.roll(|run, restart| Report::restart(run, restart)).await;
        report.must_pass(outcome);
    }
    if options.server.is_some() {
        return;
    }
    for &proxy in &options.proxies {
        let Some(run) = prepared(options, proxy, Behaviour::RejectAtSignal, 1, report) else {
            continue;
        };
        let outcome = run.roll(|run, restart| Report::restart(run, restart)).await;
        report.must_fail(outcome);
    }
}

/// The run, unless something that it needs is missing.
fn prepared(
    options: &Options,
    proxy: proxy::Kind,
    behaviour: Behaviour,
    restarts: usize,
    report: &mut Report,
) -> Option<Run> {
    let what = format!("{} with {}", proxy.name(), behaviour.name());
    if process::find_program(proxy.program()).is_none() {
        report.skipped(&what, &format!("{} is not installed", proxy.program()));
        return None;
    }
    if !behaviour.is_built() {
        report.skipped(&what, "built without the feature `server`");
        return None;
    }
    Some(Run {
        proxy,
        recipe: this_program_as(behaviour),
        server: behaviour.name().to_owned(),
        paths: load::Paths::default(),
        ready: "/readyz".to_owned(),
        restarts,
        clients: options.clients,
        pause: options.pause,
        stops_within: behaviour.stops_within(),
    })
}

fn this_program_as(behaviour: Behaviour) -> Recipe {
    Recipe {
        program: std::env::current_exe().expect("this program has a path"),
        args: Vec::new(),
        env: vec![(SERVER.into(), behaviour.name().into())],
    }
}
