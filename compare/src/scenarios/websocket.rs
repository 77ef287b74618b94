//! WebSockets. One is lost that ends without a close frame.

use std::net::SocketAddr;

use futures_util::future::{join_all, try_join_all};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{connect_async, MaybeTlsStream, WebSocketStream};

use super::streams;
use crate::child::Child;
use crate::result::{Lost, Outcome};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

const SOCKETS: usize = 4;

pub(super) async fn run(child: Child) -> Result<Outcome, String> {
    let addr = child.addr;
    let open = try_join_all((0..SOCKETS).map(|_| open(addr))).await?;
    let ends = join_all(open.into_iter().map(end));
    let (exit, ends) = tokio::join!(child.stop(), ends);
    Ok(streams(exit?, Lost::count(ends)))
}

/// One that has had its first echo.
async fn open(addr: SocketAddr) -> Result<Socket, String> {
    let connected = connect_async(format!("ws://{addr}/ws")).await;
    let (mut socket, _) = connected.map_err(|error| error.to_string())?;
    let sent = socket.send(Message::text("hello")).await;
    sent.map_err(|error| error.to_string())?;
    match socket.next().await {
        Some(Ok(Message::Text(_))) => Ok(socket),
        other => Err(format!("no echo but {other:?}")),
    }
}

async fn end(mut socket: Socket) -> Result<(), String> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Close(_))) => return Ok(()),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Err("cut without a close frame".to_owned()),
        }
    }
}
