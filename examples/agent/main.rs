//! An agent that takes its orders from an orchestrator: `cargo run --all-features --example agent`.
//!
//! It has no server. Operations come to it as events of a stream, and so does the `goodbye` that ends it; it tells the
//! orchestrator, finishes the operation in hand, hands back the others, and exits. Both sides run in this process and
//! speak HTTP over loopback. The stream breaks once without a goodbye, and the agent comes back; then it gets more to
//! do than it has room for, and its heartbeat goes on.
//!
//! | variable | meaning |
//! |---|---|
//! | `ORCHESTRATOR` | `leaves` (default), `stays` and never says goodbye, or `hangs` once it has said it |
//! | `SIGTERM` | `with-goodbye`: this process gets a SIGTERM in the moment in which it hears the goodbye |
//! | `NOTIFY_SECONDS` | how long the orchestrator has to hear that the agent leaves; 15 unless it is set |

mod client;
mod orchestrator;
mod say;
mod worker;

use std::env;
use std::future::Future;
use std::time::Duration;

use futures_util::stream::StreamExt;
use tokio::sync::mpsc::{self, Sender};
use tower_drain::{
    BoxError, DrainHandle, DrainReason, GoodbyeListener, Heartbeat, Phase, Shutdown,
    ShutdownReport, Timeouts,
};
use uuid::Uuid;

use crate::client::{Client, Operation};
use crate::orchestrator::{Manner, Orchestrator};
use crate::say::Say;
use crate::worker::Worker;

/// How many operations wait behind the one in hand.
const ROOM: usize = 2;
const HEARTBEAT: Duration = Duration::from_millis(100);
const RECONNECT: Duration = Duration::from_millis(200);

#[tokio::main]
async fn main() -> Result<ShutdownReport, BoxError> {
    let manner = Manner::from_env()?;
    let notify = notify()?;
    let handle = DrainHandle::new();
    // First of all: until the handlers are installed, a SIGTERM kills the process.
    let shutdown = Shutdown::new(handle.clone());

    let say = Say::new();
    let orchestrator = Orchestrator::start(manner, say.of("orchestrator")).await?;
    let id = Uuid::new_v4();
    let client = Client::new(orchestrator.address(), id);
    let say = say.of("agent");
    say.line(format_args!("instance {id}"));

    // One listener for every stream that comes: the trigger is given before there is any.
    let listener = GoodbyeListener::new(());
    let notified = client.clone();
    let shutdown = shutdown
        .timeouts(
            // Nobody routes to an agent, so that there is no one to wait for.
            Timeouts::default()
                .lame_duck(Duration::ZERO)
                .settle(Duration::ZERO),
        )
        .trigger(listener.goodbye())
        .on_begin("tell the orchestrator", notify, |status| async move {
            let reason = status.reason.unwrap_or(DrainReason::Requested);
            notified.leaving(&reason).await
        });

    let (queue, operations) = mpsc::channel(ROOM);
    let (asked, told) = (queue.downgrade(), client.clone());
    let heartbeat = Heartbeat::every(HEARTBEAT, move |status| {
        let room = asked.upgrade().map_or(0, |queue| queue.capacity());
        let told = told.clone();
        async move { told.heartbeat(status.in_flight, room).await }
    });
    let beating = tokio::spawn(heartbeat.until(Phase::Drained).run(&handle));
    let polling = poll(listener, client.clone(), queue, say.clone());
    let worker = Worker::new(handle.clone(), client, operations, say.clone());

    let report = shutdown
        .run(|_| work(handle.clone(), polling, worker))
        .await?;
    beating.await?;
    say.line(format_args!("heartbeat and loops have ended"));
    say.summary(&orchestrator, &report);
    Ok(report)
}

fn notify() -> Result<Duration, BoxError> {
    let Some(value) = env::var_os("NOTIFY_SECONDS") else {
        return Ok(Duration::from_secs(15));
    };
    let seconds = value.to_str().and_then(|value| value.parse().ok());
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| format!("NOTIFY_SECONDS: {value:?}: set a number of seconds").into())
}

/// What the sequence knows as the server: it returns when nothing is left to do.
async fn work(
    handle: DrainHandle,
    polling: impl Future<Output = ()>,
    worker: Worker,
) -> Result<(), BoxError> {
    let until_leaving = async {
        tokio::select! {
            () = polling => {}
            () = handle.leaving() => {}
        }
    };
    let ((), worked) = tokio::join!(until_leaving, worker.run());
    worked
}

/// Reads operations for ever. While there is no room it waits, and does not read: a goodbye behind it is heard when
/// there is room again.
async fn poll(listener: GoodbyeListener<()>, client: Client, queue: Sender<Operation>, say: Say) {
    let mut last = 0;
    loop {
        match read(&listener, &client, &queue, &mut last, &say).await {
            Ok(()) => say.line(format_args!("the stream ended: connecting again")),
            Err(error) => say.line(format_args!("{error}: connecting again")),
        }
        tokio::time::sleep(RECONNECT).await;
    }
}

async fn read(
    listener: &GoodbyeListener<()>,
    client: &Client,
    queue: &Sender<Operation>,
    last: &mut u32,
    say: &Say,
) -> Result<(), BoxError> {
    let stream = listener.reconnected(client.operations(*last).await?);
    say.line(format_args!("connected, after operation {last}"));
    let mut events = sse_stream::SseByteStream::new(stream);
    while let Some(event) = events.next().await {
        let event = event.map_err(|_| "the stream broke without a goodbye")?;
        if event.event.as_deref() == Some("goodbye") {
            say.line(format_args!("goodbye is heard"));
            if env::var_os("SIGTERM").is_some_and(|when| when == "with-goodbye") {
                terminate(say)?;
            }
            continue;
        }
        let operation = Operation::try_from(event)?;
        let number = operation.number;
        if queue.capacity() == 0 {
            say.line(format_args!(
                "no room for operation {number}: the poller waits"
            ));
        }
        queue.send(operation).await?;
        *last = number;
    }
    Ok(())
}

#[cfg(unix)]
fn terminate(say: &Say) -> Result<(), BoxError> {
    use nix::sys::signal::{kill, Signal};
    use nix::unistd::Pid;
    say.line(format_args!("SIGTERM comes too"));
    Ok(kill(Pid::this(), Signal::SIGTERM)?)
}

#[cfg(not(unix))]
fn terminate(_: &Say) -> Result<(), BoxError> {
    Err("SIGTERM: there is none on Windows".into())
}
