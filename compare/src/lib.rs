//! The same scenarios for six ways to stop a server, each of them a process of this program that gets a SIGTERM.

mod app;
mod child;
mod options;
mod page;
mod peer;
mod result;
mod roll_peers;
mod scenarios;
mod screen;
mod versions;
mod wire;

// The rolling restart is that of the crate's own test.
#[allow(dead_code)]
#[path = "../../tests/rolling/board.rs"]
mod board;
#[path = "../../tests/rolling/exchange.rs"]
mod exchange;
#[allow(dead_code)]
#[path = "../../tests/rolling/h2.rs"]
mod h2;
#[path = "../../tests/rolling/load.rs"]
mod load;
#[allow(dead_code)]
#[path = "../../tests/rolling/outcome.rs"]
mod outcome;
#[path = "../../tests/rolling/process.rs"]
mod process;
#[allow(dead_code)]
#[path = "../../tests/rolling/proxy.rs"]
mod proxy;
#[path = "../../tests/rolling/roll.rs"]
mod roll;
#[path = "../../tests/rolling/server.rs"]
mod server;

use std::process::ExitCode;

use options::{Asked, Options};
use page::{write_tables, PAGE};

pub use self::{
    child::{Child, Exit},
    peer::Peer,
    result::{Lost, Outcome},
    scenarios::Scenario,
    versions::{version_of, versions},
};

/// What the program does.
pub async fn main() -> ExitCode {
    match Options::parse(std::env::args().skip(1)) {
        Ok(Asked::Serve(peer)) => peer::serve(peer).await,
        Ok(Asked::Print(text)) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Ok(Asked::Run(options)) => tokio::select! {
            code = run(&options) => code,
            // Servers and proxies die with the future that is dropped here.
            _ = tokio::signal::ctrl_c() => ExitCode::FAILURE,
        },
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> ExitCode {
    let program = std::env::current_exe().expect("this program has a path");
    println!("{}", versions());
    let mut tables = Vec::new();
    for &scenario in &options.scenarios {
        screen::begins(scenario.title());
        let outcomes = scenario.run_all(&program, &options.peers).await;
        match outcomes {
            Ok(rows) => {
                let table = result::table(scenario, &rows);
                screen::print(&table);
                tables.push(table);
            }
            Err(error) => return failed(&error),
        }
    }
    for &proxy in &options.proxies {
        screen::begins(&roll_peers::title(proxy, options.restarts));
        match roll_peers::run_all(proxy, &program, &options.peers, options.restarts).await {
            Ok(table) => {
                screen::print(&table);
                tables.push(table);
            }
            Err(error) => return failed(&error),
        }
    }
    if !options.is_whole {
        println!("\nonly a part was run: {PAGE} stays as it is");
        return ExitCode::SUCCESS;
    }
    match write_tables(&tables, &roll_peers::setting(options.restarts)) {
        Ok(()) => {
            println!("\nwritten to {PAGE}");
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error),
    }
}

fn failed(error: &str) -> ExitCode {
    eprintln!("compare: {error}");
    ExitCode::FAILURE
}
