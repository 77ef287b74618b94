//! WebSockets in a drain: each socket's task holds a guard, hears of the drain, and closes with 1001 (going away).
//!
//! ```sh
//! cargo run --features axum --example websocket
//! ```

use std::time::{Duration, Instant};

use axum::extract::ws::{close_code, CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::any;
use axum::Router;
use futures_util::{SinkExt, Stream, StreamExt};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite;
use tower_drain::{BoxError, DrainGuard, DrainLayer};

const CLIENTS: usize = 5;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let layer = DrainLayer::new().share_guard();
    let handle = layer.handle();
    let app = Router::new().route("/ws", any(upgrade)).layer(layer);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("ws://{}/ws", listener.local_addr()?);
    let stop = handle.draining();
    let server = tokio::spawn(async {
        axum::serve(listener, app)
            .with_graceful_shutdown(stop)
            .await
    });

    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let (mut socket, _) = tokio_tungstenite::connect_async(&url).await?;
        let hello = tungstenite::Message::text(format!("hello from {number}"));
        socket.send(hello).await?;
        println!("client {number}  hears `{}`", next(&mut socket).await?);
        clients.push(socket);
    }
    println!("in flight {}", handle.in_flight());

    let begun = Instant::now();
    handle.begin_shutdown();
    for (number, mut socket) in clients.into_iter().enumerate() {
        println!("client {number}  hears {}", next(&mut socket).await?);
        // Answers the close, for which the server waits.
        while socket.next().await.is_some() {}
    }
    println!("{}", handle.wait_for_drain(Duration::from_secs(5)).await?);
    server.await??;
    let seconds = begun.elapsed().as_secs_f64();
    println!("the server returned {seconds:.1} s after the begin");
    Ok(())
}

async fn upgrade(upgrade: WebSocketUpgrade, guard: DrainGuard) -> Response {
    upgrade.on_upgrade(|socket| async move {
        if let Err(error) = echo(socket, &guard).await {
            eprintln!("websocket: {error}");
        }
    })
}

/// Echoes until the drain begins, then says so and waits for the peer's answer, or for a cut.
async fn echo(mut socket: WebSocket, guard: &DrainGuard) -> Result<(), axum::Error> {
    let draining = guard.draining();
    tokio::pin!(draining);
    loop {
        let message = tokio::select! {
            message = socket.recv() => message,
            () = &mut draining => break,
        };
        match message.transpose()? {
            Some(echoed @ (Message::Text(_) | Message::Binary(_))) => socket.send(echoed).await?,
            Some(Message::Ping(_) | Message::Pong(_)) => {}
            Some(Message::Close(_)) | None => return Ok(()),
        }
    }
    let goodbye = CloseFrame {
        code: close_code::AWAY,
        reason: "restarting".into(),
    };
    socket.send(Message::Close(Some(goodbye))).await?;
    tokio::select! {
        () = async { while let Some(Ok(_)) = socket.recv().await {} } => {}
        () = guard.cut() => {}
    }
    Ok(())
}

async fn next<S>(socket: &mut S) -> Result<String, BoxError>
where
    S: Stream<Item = Result<tungstenite::Message, tungstenite::Error>> + Unpin,
{
    Ok(match socket.next().await.ok_or("the connection ended")?? {
        tungstenite::Message::Close(Some(frame)) => {
            format!("close {} `{}`", u16::from(frame.code), frame.reason)
        }
        message => message.into_text()?.to_string(),
    })
}
