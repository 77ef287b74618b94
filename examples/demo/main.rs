//! What a drain looks like: `cargo run --example demo`.
//!
//! A real axum server, fifty open event streams, slow requests and newcomers that never stop. Then the process sends
//! itself a SIGTERM. It needs no arguments and no network but loopback, and ends within ten seconds.

mod clients;
mod screen;
mod server;
mod signal;

use std::process::ExitCode;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tower_drain::{BoxError, DrainLayer, DrainReason};

use crate::clients::{Clients, ENDLESS, FINITE, SLOW};
use crate::screen::Screen;

const LAME_DUCK: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(3);

/// What takes longer than this has gone wrong.
const LIMIT: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> Result<ExitCode, BoxError> {
    let mut sigterm = signal::Sigterm::listen()?;
    let layer = DrainLayer::new();
    let handle = layer.handle();

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, server::app().layer(layer))
        .with_graceful_shutdown(async { stopped.await.unwrap_or_default() });
    let server = tokio::spawn(async { server.await });

    let mut screen = Screen::new(&handle);
    screen.title(&format!(
        "axum on {address}: {} event streams ({ENDLESS} endless), {SLOW} slow requests",
        FINITE + ENDLESS
    ));
    let mut clients = Clients::new(address);
    screen
        .during(tokio::time::timeout(
            Duration::from_secs(5),
            clients.connect(),
        ))
        .await??;
    screen.event("all are connected, and newcomers keep coming");
    screen
        .during(tokio::time::sleep(Duration::from_secs(1)))
        .await;

    screen.event("this process sends itself a SIGTERM");
    signal::raise()?;
    screen.during(sigterm.recv()).await;

    // Whoever routes to this server is told to stop, and has a moment to hear it.
    handle.begin_lame_duck_because(DrainReason::Signal("SIGTERM".into()));
    screen.event("all are still served; each answer closes its connection");
    screen.during(tokio::time::sleep(LAME_DUCK)).await;

    // Made before rejecting begins, so that its report covers all of it.
    let drained = handle.wait_for_drain(Duration::MAX);
    handle.begin_shutdown();
    screen.event("newcomers get a 503; what was admitted goes on");
    if let Err(error) = screen.during(handle.wait_for_drain(PATIENCE)).await {
        screen.event(&error.to_string());
        screen.stragglers();
        let cut = handle.cut();
        screen.event(&format!(
            "cut {cut}: their clients see an error, not an end"
        ));
    }
    let report = screen
        .during(tokio::time::timeout(LIMIT, drained))
        .await??;
    screen.event("nothing is in flight any more");

    // The last frames were handed to the server. It returns once they are written.
    clients.stop_newcomers().await?;
    stop.send(()).unwrap_or_default();
    screen
        .during(tokio::time::timeout(LIMIT, server))
        .await???;
    screen.event("axum has written the last byte and returned");
    screen.finish();

    let seen = clients.seen().await;
    println!("{seen}\n  {report}\n");
    Ok(match seen.is_as_promised() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
