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
use outcome::{Limits, Outcome, Restart};
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
        () = app::sighup() => return ExitCode::FAILURE,
        () = app::sigterm() => return ExitCode::FAILURE,
    }
    report.close()
}

type Verdict = fn(&mut Report, Outcome);

enum Front {
    Behind(Kind),
    /// HTTP/2 without a proxy between.
    H2load,
}

async fn all(options: &Options, report: &mut Report) {
    if options.servers.is_empty() {
        report.page(page::wrong_quotes(&[
            ("haproxy", proxy::HAPROXY),
            ("nginx", proxy::NGINX),
        ]));
    }
    for (front, server, restarts, verdict) in plan(options) {
        match front {
            Front::Behind(proxy) => {
                behind(options, proxy, server, restarts, verdict, report).await;
            }
            Front::H2load => h2load_alone(server, restarts, verdict, report).await,
        }
    }
}

/// What runs. Unless servers are named, all that the sequence must pass, and what must fail beside it.
fn plan(options: &Options) -> Vec<(Front, Behaviour, usize, Verdict)> {
    let (restarts, pass, fail) = (
        options.restarts,
        Report::must_pass as Verdict,
        Report::must_fail as Verdict,
    );
    let behind = |server, restarts, verdict| {
        let proxies = options.proxies.iter();
        proxies.map(move |&proxy| (Front::Behind(proxy), server, restarts, verdict))
    };
    if !options.servers.is_empty() {
        let servers = options.servers.iter();
        return servers
            .flat_map(|&server| behind(server, restarts, pass))
            .collect();
    }
    let (sequence, rejecting) = (Behaviour::Sequence, Behaviour::RejectAtSignal);
    let mut plan: Vec<_> = behind(sequence, restarts, pass).collect();
    let is_whole = options.proxies == Kind::DEFAULT;
    if is_whole {
        let fewer = (restarts + 1) / 2;
        plan.push((Front::Behind(Kind::HaproxyH2), sequence, fewer, pass));
        plan.push((Front::H2load, sequence, (restarts / 4).clamp(1, 5), pass));
    }
    plan.extend(behind(rejecting, 1, fail));
    if is_whole {
        plan.push((Front::H2load, rejecting, 1, fail));
    }
    plan
}

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
        limits: Limits::new(behaviour.stops_within()),
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
    let program = std::env::current_exe().expect("this program has a path");
    let mut recipe = Recipe::new(program);
    recipe.env.push((SERVER.into(), behaviour.name().into()));
    recipe
}
