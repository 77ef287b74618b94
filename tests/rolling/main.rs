//! Two servers behind a real proxy are restarted one after the other while clients go on. Nothing may be lost.
//!
//! `cargo test --features server --test rolling -- --help` tells the options. It needs `haproxy`, `nginx` and `h2load`,
//! and says what it skips where one is missing.

mod app;
mod board;
mod exchange;
mod h2;
mod load;
mod options;
mod outcome;
mod page;
mod process;
mod proxy;
mod report;
mod roll;
mod server;

use std::process::ExitCode;

use app::Behaviour;
use options::{Asked, Options};
use outcome::{Outcome, Restart};
use proxy::Kind;
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
        // Servers and proxies die with the future that is dropped here.
        _ = tokio::signal::ctrl_c() => return ExitCode::FAILURE,
        () = app::sigterm() => return ExitCode::FAILURE,
    }
    report.close()
}

async fn all(options: &Options, report: &mut Report) {
    let restarts = options.restarts;
    if let Some(behaviour) = options.server {
        for &proxy in &options.proxies {
            behind(
                options,
                proxy,
                behaviour,
                restarts,
                Report::must_pass,
                report,
            )
            .await;
        }
        return;
    }
    report.page(page::wrong_quotes(&[
        ("haproxy", proxy::HAPROXY),
        ("nginx", proxy::NGINX),
    ]));
    let whole = options.proxies == Kind::DEFAULT;
    for &proxy in &options.proxies {
        behind(
            options,
            proxy,
            Behaviour::Sequence,
            restarts,
            Report::must_pass,
            report,
        )
        .await;
    }
    if whole {
        let fewer = (restarts + 1) / 2;
        behind(
            options,
            Kind::HaproxyH2,
            Behaviour::Sequence,
            fewer,
            Report::must_pass,
            report,
        )
        .await;
        let stops = (restarts / 4).clamp(1, 5);
        h2load_alone(Behaviour::Sequence, stops, Report::must_pass, report).await;
    }
    for &proxy in &options.proxies {
        behind(
            options,
            proxy,
            Behaviour::RejectAtSignal,
            1,
            Report::must_fail,
            report,
        )
        .await;
    }
    if whole {
        h2load_alone(Behaviour::RejectAtSignal, 1, Report::must_fail, report).await;
    }
}

type Verdict = fn(&mut Report, Outcome);

async fn behind(
    options: &Options,
    proxy: Kind,
    behaviour: Behaviour,
    restarts: usize,
    verdict: Verdict,
    report: &mut Report,
) {
    let needs: &[&str] = match proxy {
        Kind::HaproxyH2 => &["haproxy", "h2load"],
        Kind::Haproxy => &["haproxy"],
        Kind::Nginx => &["nginx"],
    };
    if !begins(proxy.name(), behaviour, needs, report) {
        return;
    }
    let run = Run {
        proxy,
        recipe: this_program_as(behaviour),
        server: behaviour.name().to_owned(),
        paths: load::Paths::default(),
        ready: "/readyz".to_owned(),
        restarts,
        clients: options.clients,
        pause: options.pause,
        h2load: (proxy == Kind::HaproxyH2).then_some(behaviour.stop_takes() * restarts as u64),
        stops_within: behaviour.stops_within(),
    };
    let outcome = run.roll(|done| Report::restart(done, restarts)).await;
    verdict(report, outcome);
}

async fn h2load_alone(behaviour: Behaviour, stops: usize, verdict: Verdict, report: &mut Report) {
    if !begins("h2load alone", behaviour, &["h2load"], report) {
        return;
    }
    let recipe = this_program_as(behaviour);
    let within = behaviour.stops_within();
    let tell = |done: &Restart| Report::restart(done, stops);
    let outcome = h2::direct(&recipe, behaviour.name(), stops, within, tell).await;
    verdict(report, outcome);
}

fn begins(front: &str, behaviour: Behaviour, needs: &[&str], report: &mut Report) -> bool {
    if !report.begin(front, behaviour.name(), needs) {
        return false;
    }
    if !behaviour.is_built() {
        report.skipped("built without the feature `server`");
    }
    behaviour.is_built()
}

fn this_program_as(behaviour: Behaviour) -> Recipe {
    Recipe {
        program: std::env::current_exe().expect("this program has a path"),
        args: Vec::new(),
        env: vec![(SERVER.into(), behaviour.name().into())],
    }
}
