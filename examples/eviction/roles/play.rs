//! What the platform does in the play, and what it waits for in between.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::time::{sleep, timeout};
use tower_drain::{BoxError, DrainHandle, Shutdown, Timeouts};

use super::client::{Client, LIMIT};
use super::say::Say;
use super::stage::Stage;
use super::wire::{Job, Manner};

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn run() -> Result<ExitCode, BoxError> {
    let shutdown = Shutdown::new(DrainHandle::new()).timeouts(
        Timeouts::default()
            .lame_duck(Duration::ZERO)
            .settle(Duration::ZERO),
    );
    // Whoever stops the play stops the processes with it.
    let played = shutdown.run(|stop| async {
        tokio::select! {
            played = play() => played,
            () = stop => Err("the play was stopped".into()),
        }
    });
    played.await?;
    Ok(ExitCode::SUCCESS)
}

async fn play() -> Result<(), BoxError> {
    let say = Say::new("platform");
    let stage = Stage::set(say.clone())?;
    let desk = Desk {
        client: Client::new(),
        at: stage.socket.local_addr()?,
    };
    let coordinator = stage.coordinator()?;
    let east = stage.worker("east")?;
    desk.until("east is here", |all| all["east"]["phase"] == "serving")
        .await?;
    let west = stage.worker("west")?;
    desk.until("west is here", |all| all["west"]["phase"] == "serving")
        .await?;

    // Whoever has least gets the next: the odd ones go to the east.
    desk.submit(job(1, 20, Manner::Heeds)).await?;
    desk.submit(job(2, 25, Manner::Freezes)).await?;
    desk.submit(job(3, 40, Manner::Freezes)).await?;
    desk.submit(job(4, 25, Manner::Freezes)).await?;
    desk.submit(job(5, 36, Manner::SaveFails)).await?;
    desk.submit(job(6, 25, Manner::Freezes)).await?;
    desk.submit(job(7, 60, Manner::Sticks)).await?;
    sleep(Duration::from_secs(1)).await;

    east.signal(Signal::SIGTERM)?;
    desk.until("east drains", |all| all["east"]["phase"] == "lame_duck")
        .await?;
    desk.submit(job(8, 5, Manner::Freezes)).await?;
    desk.submit(job(9, 5, Manner::Freezes)).await?;
    east.exit().await?;
    desk.until("east is lost", |all| all["east"]["in_flight"] == 0)
        .await?;

    coordinator.signal(Signal::SIGKILL)?;
    coordinator.exit().await?;
    let coordinator = stage.coordinator()?;
    desk.until("east still drains", |all| {
        all["east"]["phase"] == "lame_duck"
    })
    .await?;
    say.line("another east comes");
    let east = stage.worker("east")?;
    desk.until("east is ready", |all| all["east"]["phase"] == "serving")
        .await?;
    desk.submit(job(10, 5, Manner::Freezes)).await?;

    desk.until("job 10 is done", |all| all["east"]["in_flight"] == 0)
        .await?;
    east.signal(Signal::SIGTERM)?;
    east.exit().await?;
    say.line("nobody comes in its place");
    desk.until("the mark lifts", |all| all["east"]["phase"] == "serving")
        .await?;

    desk.submit(job(11, 60, Manner::Freezes)).await?;
    sleep(Duration::from_millis(500)).await;
    west.signal(Signal::SIGINT)?;
    west.exit().await?;
    coordinator.signal(Signal::SIGTERM)?;
    coordinator.exit().await
}

fn job(number: u32, steps: u32, manner: Manner) -> Job {
    Job {
        number,
        steps,
        step_ms: 100,
        manner,
        done: 0,
    }
}

struct Desk {
    client: Client,
    at: SocketAddr,
}

impl Desk {
    async fn submit(&self, job: Job) -> Result<(), BoxError> {
        self.client.tell(self.at, "jobs", &job, LIMIT).await
    }

    /// Looks at `/drain-status` until it is as wanted.
    async fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<(), BoxError> {
        let looking = async {
            loop {
                match self.client.get(self.at, "drain-status").await {
                    Ok(all) if is_so(&all) => return,
                    // A coordinator that was killed took this connection with it.
                    Ok(_) | Err(_) => sleep(Duration::from_millis(50)).await,
                }
            }
        };
        let looked = timeout(PATIENCE, looking).await;
        looked.map_err(|_| format!("{what}: not within {PATIENCE:?}").into())
    }
}
