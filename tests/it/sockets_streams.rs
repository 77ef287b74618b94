//! Event streams and WebSockets under the layer.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::sse::{Event, Sse};
use axum::routing::get;
use axum::{Extension, Router};
use futures_util::{poll, stream, StreamExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tower_drain::{DrainGuard, DrainHandle, DrainLayer, StragglerPhase};

use crate::sockets_raw::Raw;
use crate::sockets_support::{drained, serve, within, Server, Step};

type Events = mpsc::UnboundedSender<&'static str>;

/// `/events` is subscribed to, and each subscription's sender comes out of the receiver.
async fn events() -> (Server, DrainHandle, mpsc::UnboundedReceiver<Events>) {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let (subscribe, subscriptions) = mpsc::unbounded_channel();
    let subscribed = move || async move {
        let (events, stream) = mpsc::unbounded_channel();
        subscribe.send(events).unwrap();
        Sse::new(
            UnboundedReceiverStream::new(stream)
                .map(|data| Ok::<_, Infallible>(Event::default().data(data))),
        )
    };
    let app = Router::new().route("/events", get(subscribed)).layer(layer);
    (serve(app).await, handle, subscriptions)
}

async fn subscribe(
    server: &Server,
    subscriptions: &mut mpsc::UnboundedReceiver<Events>,
) -> (Raw, Events) {
    let mut client = Raw::connect(server.addr).await;
    client.ask("GET", "/events").await;
    let events = within(subscriptions.recv()).await.unwrap();
    events.send("0").unwrap();
    client.until("data: 0\n\n\r\n").await.unwrap();
    (client, events)
}

#[tokio::test]
async fn open_event_streams_hold_the_drain_until_the_stream_ends_or_the_client_leaves() {
    let (server, handle, mut subscriptions) = events().await;
    let (mut ends, events) = subscribe(&server, &mut subscriptions).await;
    let (leaves, _events) = subscribe(&server, &mut subscriptions).await;
    handle.begin_shutdown();
    let mut waiting = std::pin::pin!(handle.wait_for_drain(Duration::MAX));
    assert!(poll!(&mut waiting).is_pending());
    let stragglers = handle.stragglers();
    assert_eq!(stragglers.len(), 2, "{stragglers:?}");
    for straggler in stragglers {
        assert_eq!(straggler.phase, StragglerPhase::Body);
        assert_eq!(straggler.path.as_deref(), Some("/events"));
    }

    events.send("last").unwrap();
    drop(events);
    ends.until("data: last\n\n\r\n").await.unwrap();
    assert_eq!(ends.chunk().await, Some(None), "the end is clean");
    assert!(poll!(&mut waiting).is_pending(), "one of two is left");
    assert_eq!(handle.in_flight(), 1);

    leaves.reset();
    let report = within(waiting).await.unwrap();
    assert_eq!((report.in_flight_at_start, report.cut), (2, 0));
    drained(&handle).await;
}

#[tokio::test]
async fn a_straggler_is_first_its_handler_and_then_its_body() {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let (entered, gate) = (Step::new(), Step::new());
    let (enters, waits) = (entered.clone(), gate.clone());
    let slow = move || async move {
        enters.pass();
        waits.passed().await;
        Body::from_stream(
            stream::once(async { Ok::<_, Infallible>("one") }).chain(stream::pending()),
        )
    };
    let app = Router::new().route("/slow", get(slow)).layer(layer);
    let server = serve(app).await;
    let mut client = Raw::connect(server.addr).await;
    client.ask("GET", "/slow?token=secret").await;
    entered.passed().await;
    let handler = handle.stragglers().remove(0);
    assert_eq!(handler.phase, StragglerPhase::Handler);

    gate.pass();
    client.until("one\r\n").await.unwrap();
    let body = handle.stragglers().remove(0);
    assert_eq!(body.phase, StragglerPhase::Body);
    assert_eq!(body.id, handler.id);
    for straggler in [handler, body] {
        assert_eq!(straggler.method.as_deref(), Some("GET"));
        assert_eq!(straggler.path.as_deref(), Some("/slow"));
    }
    client.reset();
    drained(&handle).await;
}

#[tokio::test]
async fn a_stream_without_an_event_in_sight_is_woken_by_a_cut() {
    let (server, handle, mut subscriptions) = events().await;
    let (mut client, events) = subscribe(&server, &mut subscriptions).await;
    handle.begin_shutdown();
    assert_eq!(handle.cut(), 1);
    assert_eq!(client.chunk().await, None, "it does not look complete");
    drained(&handle).await;
    assert!(events.is_closed(), "the inner stream is dropped");
}

async fn echo(mut socket: WebSocket, guard: Option<DrainGuard>) {
    while let Some(Ok(Message::Text(text))) = socket.recv().await {
        socket.send(Message::Text(text)).await.unwrap();
    }
    drop(guard);
}

async fn websocket(layer: DrainLayer) -> (Raw, DrainHandle) {
    let handle = layer.handle();
    let upgrade = |upgrade: WebSocketUpgrade, guard: Option<Extension<DrainGuard>>| async {
        upgrade.on_upgrade(|socket| echo(socket, guard.map(|Extension(guard)| guard)))
    };
    let server = serve(Router::new().route("/ws", get(upgrade)).layer(layer)).await;
    let mut client = Raw::connect(server.addr).await;
    client
        .send(
            "GET /ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .await;
    let answer = client.answer("GET").await;
    assert_eq!(answer.status(), "101");
    // The example of RFC 6455, section 1.3.
    let accept = answer.header("sec-websocket-accept");
    assert_eq!(accept, ["s3pPLMBiTxaQ9kYGzzhZRbK+xOo="]);
    assert_echo(&mut client).await;
    (client, handle)
}

/// A text frame, masked with zeros (RFC 6455, section 5.2), and the same one back.
async fn assert_echo(client: &mut Raw) {
    client.send(b"\x81\x84\0\0\0\0ping").await;
    client.until("\x04ping").await.unwrap();
}

#[tokio::test]
async fn a_shared_guard_holds_the_drain_until_the_websocket_task_ends() {
    let (mut client, handle) = websocket(DrainLayer::new().share_guard()).await;
    assert_eq!(handle.in_flight(), 1);
    handle.begin_shutdown();
    let mut waiting = std::pin::pin!(handle.wait_for_drain(Duration::MAX));
    assert!(poll!(&mut waiting).is_pending());
    let stragglers = handle.stragglers();
    assert_eq!(stragglers.len(), 1, "{stragglers:?}");
    assert_eq!(stragglers[0].phase, StragglerPhase::Guard);
    assert_eq!(stragglers[0].path.as_deref(), Some("/ws"));
    assert_eq!(handle.cut(), 0, "a guard is told and not ended");
    assert_echo(&mut client).await;

    client.send(b"\x88\x80\0\0\0\0").await;
    within(waiting).await.unwrap();
    drained(&handle).await;
}

#[tokio::test]
async fn without_a_guard_a_websocket_is_out_of_the_count_after_its_101() {
    let (mut client, handle) = websocket(DrainLayer::new()).await;
    assert_eq!(handle.in_flight(), 0);
    drained(&handle).await;
    assert_echo(&mut client).await;
}
