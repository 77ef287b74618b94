//! A workflow that watches its backend: `cargo run --all-features --example workflow`.
//!
//! Three steps, each a request to a backend that gives it a lease. While the backend is only slow, the workflow waits.
//! When it is gone, the watchdog says so, the workflow stops with an error that tells connectivity from failure, and
//! the leases are given back, although the policy is to do that on completion. Five runs show it; backend and workflow
//! are in this process and speak HTTP over loopback.
//!
//! | variable | meaning |
//! |---|---|
//! | `RUN` | one of `slow`, `hiccup`, `gone`, `hangs`, `fails`; all five unless it is set |
//! | `TEARDOWN` | `on-completion` or `never`; `on-completion` unless it is set, and `never` in the run `hangs` |
//! | `HEALTHCHECK_..` | see `Watchdog::from_env`; unless they are set, every 0.5 s, 0.5 s for each, 2 failures |
//!
//! A watchdog stops every replica of the workflow that shares the backend, at the same moment. That is right here: each
//! holds leases that are worth nothing without it. It would be wrong for a server that can still say what is wrong.

mod backend;
mod say;
mod teardown;
mod workflow;

use std::env;
use std::sync::Arc;
use std::time::Duration;

use tower_drain::{BoxError, DrainHandle, DrainReason, Shutdown, Timeouts, Watchdog};

use crate::backend::{Backend, Client, Trouble};
use crate::say::Say;
use crate::teardown::{Leases, Teardown};
use crate::workflow::{Workflow, WorkflowError};

const TEARDOWN: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let wanted = env::var("RUN").ok();
    let known = |name: &str| Trouble::ALL.iter().any(|trouble| trouble.name() == name);
    if let Some(name) = wanted.as_deref().filter(|name| !known(name)) {
        return Err(
            format!("RUN: {name:?}: set `slow`, `hiccup`, `gone`, `hangs` or `fails`").into(),
        );
    }
    for trouble in Trouble::ALL {
        if wanted
            .as_deref()
            .map_or(true, |name| name == trouble.name())
        {
            let reason = run(trouble).await?;
            if matches!(reason, Some(DrainReason::Signal(_))) {
                break;
            }
        }
    }
    Ok(())
}

/// Returns why the workflow was stopped, if it was.
async fn run(trouble: Trouble) -> Result<Option<DrainReason>, BoxError> {
    let handle = DrainHandle::new();
    let shutdown = Shutdown::new(handle.clone());
    let default = match trouble {
        Trouble::Hangs => Teardown::Never,
        _ => Teardown::OnCompletion,
    };
    let policy = Teardown::from_env()?.unwrap_or(default);
    let say = Say::title(format_args!("{}, teardown {policy}", trouble.name()));

    let backend = Backend::start(trouble, say.clone())?;
    let client = Client::new(backend.address());
    let leases = Arc::new(Leases::default());

    let (probing, probes) = (client.clone(), client.probes());
    let mut watchdog = Watchdog::from_env(move || probing.clone().probe())?;
    if env::var_os("HEALTHCHECK_INTERVAL_SECONDS").is_none() {
        watchdog = watchdog.every(Duration::from_millis(500));
    }
    if env::var_os("HEALTHCHECK_TIMEOUT_SECONDS").is_none() {
        watchdog = watchdog.timeout(Duration::from_millis(500));
    }

    let (held, saying) = (leases.clone(), say.clone());
    let shutdown = shutdown
        .timeouts(
            // Nobody routes to a workflow, so that there is no one to wait for.
            Timeouts::default()
                .lame_duck(Duration::ZERO)
                .settle(Duration::ZERO),
        )
        .trigger(watchdog)
        .on_drained("tear down", TEARDOWN, move |report| async move {
            held.tear_down(policy, &report.reason, &saying);
            Ok(())
        });
    let workflow = Workflow::new(handle.clone(), client, leases, say.clone());
    let ended = shutdown.run(|_| workflow.run(backend)).await;
    say.line("probes", probes.to_string());

    // The sequence hands on the error of what it ran, as it is.
    let error = match ended {
        Ok(_) => None,
        Err(error) => Some(error.downcast::<WorkflowError>()?),
    };
    match error.as_deref() {
        None => say.line("outcome", "completed"),
        Some(error) => say.line("outcome", error),
    }
    Ok(match error.map(|error| *error) {
        Some(WorkflowError::Stopped(reason)) => Some(reason),
        _ => None,
    })
}
