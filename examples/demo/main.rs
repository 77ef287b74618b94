//! What a shutdown looks like: `cargo run --example demo`.
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
use tower_drain::{BoxError, DrainLayer, Shutdown, StopAccepting, Timeouts};

use crate::clients::{Clients, ENDLESS, FINITE, SLOW};
use crate::screen::Screen;

/// What takes longer than this has gone wrong.
const LIMIT: Duration = Duration::from_secs(8);

#[tokio::main]
async fn main() -> Result<ExitCode, BoxError> {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let ((tell_cut, cut), (tell_quiet, quiet)) = (oneshot::channel(), oneshot::channel());
    let shutdown = Shutdown::new(handle.clone())
        .timeouts(
            Timeouts::default()
                .lame_duck(Duration::from_secs(1))
                .settle(Duration::from_millis(200))
                .drain(Duration::from_secs(3)),
        )
        // With the port open to the end, so that newcomers show what they get.
        .stop_accepting(StopAccepting::AfterDrain)
        .on_cut("show them", Duration::from_secs(1), |cut| async {
            tell_cut.send(cut).unwrap_or_default();
            Ok(quiet.await?)
        });

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let app = server::app().layer(layer);
    let mut running =
        tokio::spawn(shutdown.run(|stop| axum::serve(listener, app).with_graceful_shutdown(stop)));

    let mut screen = Screen::new(&handle);
    screen.title(&format!(
        "axum on {address}: {} event streams ({ENDLESS} endless), {SLOW} slow requests",
        FINITE + ENDLESS
    ));
    let mut clients = Clients::new(address);
    let connected = tokio::time::timeout(LIMIT, clients.connect());
    screen.during(connected).await??;
    screen.event("all are connected, and newcomers keep coming");
    let moment = tokio::time::sleep(Duration::from_secs(1));
    screen.during(moment).await;

    let (leaving, draining) = (handle.leaving(), handle.draining());
    screen.event("this process sends itself a SIGTERM");
    signal::terminate(&handle)?;
    screen.during(leaving).await;
    screen.event("all are still served; each answer closes its connection");
    screen.during(draining).await;
    screen.event("newcomers get a 503; what was admitted goes on");

    let cut = screen.during(tokio::time::timeout(LIMIT, cut)).await??;
    screen.event(&format!(
        "3 s were not enough for {}: they were cut, and their clients see an error",
        cut.ended.len()
    ));
    screen.stragglers(&cut.ended);
    // Before the socket closes, which comes next.
    clients.stop_newcomers().await?;
    tell_quiet.send(()).unwrap_or_default();
    let report = screen
        .during(tokio::time::timeout(LIMIT, &mut running))
        .await???;
    screen.event("axum has written the last byte and returned");
    screen.finish();

    let seen = clients.seen().await;
    println!("{seen}");
    for line in report.to_string().lines() {
        println!("  {line}");
    }
    println!();
    Ok(match seen.is_as_promised() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
