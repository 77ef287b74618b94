//! Two servers of a peer behind a proxy, restarted one after the other under load.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::board::Kind as Asked;
use crate::child::Exit;
use crate::load::Paths;
use crate::outcome::{Limits, Outcome, Problem};
use crate::peer::Peer;
use crate::process::find_program;
use crate::proxy::Kind;
use crate::result::{codes, label, seconds, Table};
use crate::roll::Run;
use crate::server::Recipe;

const CLIENTS: usize = 48;
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) fn title(proxy: Kind, restarts: usize) -> String {
    format!(
        "{restarts} restarts behind {} {}",
        proxy.name(),
        version(proxy)
    )
}

/// One peer after the other, because of the load.
///
/// # Errors
///
/// If a proxy is missing, or a run cannot go on.
pub(crate) async fn run_all(
    proxy: Kind,
    program: &Path,
    peers: &[Peer],
    restarts: usize,
) -> Result<Table, String> {
    let mut rows = Vec::new();
    for &peer in peers {
        let run = Run {
            proxy,
            recipe: Recipe {
                args: vec!["serve".into(), peer.name().into()],
                ..Recipe::new(program.to_owned())
            },
            server: peer.name().to_owned(),
            paths: Paths::default(),
            ready: "/readyz".to_owned(),
            restarts,
            clients: CLIENTS,
            pause: PAUSE,
            h2load: None,
            limits: Limits::new(peer.stops_within()),
        };
        let outcome = run.roll(|_| {}).await;
        rows.push(row(peer, &outcome)?);
    }
    Ok(Table {
        name: proxy.name(),
        head: vec![
            "server",
            "seconds to exit",
            "exit code",
            "requests failed",
            "streams lost",
            "events lost",
        ],
        rows,
    })
}

fn row(peer: Peer, outcome: &Outcome) -> Result<Vec<String>, String> {
    for problem in &outcome.problems {
        if let Problem::Broken(what) = problem {
            let logs = &outcome.logs;
            return Err(format!("{}: {what}; see {logs:?}", peer.name()));
        }
    }
    if let Some(logs) = &outcome.logs {
        // Lost requests are what was asked for, and no reason to keep logs.
        let _ = std::fs::remove_dir_all(logs);
    }
    let exits: Vec<_> = outcome
        .restarts
        .iter()
        .map(|restart| match &restart.exit.code {
            Ok(code) => Exit::Left {
                after: restart.exit.after,
                code: Some(*code),
            },
            Err(_) => Exit::Killed,
        })
        .collect();
    let failures = outcome.failures.iter();
    let cut = failures
        .filter(|failure| failure.kind == Asked::Events)
        .count() as u64;
    let total = outcome.total;
    let others = total.answered + total.failed - total.streams - cut;
    Ok(vec![
        label(peer),
        seconds(&exits),
        codes(&exits),
        format!("{} of {others}", total.failed - cut),
        format!("{cut} of {}", total.streams + cut),
        total.missing.to_string(),
    ])
}

/// What the page says of the runs, beside their tables.
pub(crate) fn setting(restarts: usize) -> String {
    let [haproxy, nginx] = Kind::DEFAULT.map(version);
    format!("HAProxy {haproxy} and nginx {nginx}; {restarts} restarts behind each.")
}

/// The first number with two dots of what it says itself.
fn version(proxy: Kind) -> String {
    let asked =
        find_program(proxy.program()).and_then(|it| Command::new(it).arg("-v").output().ok());
    let Some(said) = asked else {
        return "(not installed)".to_owned();
    };
    let said = [said.stdout, said.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let mut words = said.split(|it: char| !(it.is_ascii_digit() || it == '.'));
    let version = words.find(|word| word.split('.').filter(|part| !part.is_empty()).count() == 3);
    version.unwrap_or("(of an unknown version)").to_owned()
}
