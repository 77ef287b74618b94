//! Requests whose bodies are still being sent.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Barrier;
use tokio::time::sleep;

use super::requests;
use crate::child::Child;
use crate::result::{Lost, Outcome};

const UPLOADS: usize = 4;
const PIECE: [u8; 1000] = [b'x'; 1000];
const BEFORE: usize = 5;
/// At ten a second.
const AFTER: usize = 80;

pub(super) async fn run(child: Child) -> Result<Outcome, String> {
    let addr = child.addr;
    let under_way = Barrier::new(UPLOADS + 1);
    let uploads = join_all((0..UPLOADS).map(|_| upload(addr, &under_way)));
    let stopped = async {
        under_way.wait().await;
        child.stop().await
    };
    let (exit, uploads) = tokio::join!(stopped, uploads);
    Ok(requests(exit?, Lost::count(uploads)))
}

async fn upload(addr: SocketAddr, under_way: &Barrier) -> Result<(), String> {
    let begun = begin(addr).await;
    under_way.wait().await;
    let broke = |_| "without an answer".to_owned();
    let mut stream = begun.map_err(broke)?;
    for _ in 0..AFTER {
        sleep(Duration::from_millis(100)).await;
        stream.write_all(&PIECE).await.map_err(broke)?;
    }
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer).await;
    let status = answer.split(' ').nth(1).unwrap_or_default();
    let echoed = answer.bytes().rev().take_while(|&it| it == b'x').count();
    match status {
        "" => Err("without an answer".to_owned()),
        "200" if echoed == PIECE.len() * (BEFORE + AFTER) => Ok(()),
        "200" => Err(format!("answer cut: {read:?}")),
        status => Err(format!("status {status}")),
    }
}

async fn begin(addr: SocketAddr) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(addr).await?;
    let length = PIECE.len() * (BEFORE + AFTER);
    let head = format!(
        "POST /echo HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    for _ in 0..BEFORE {
        stream.write_all(&PIECE).await?;
        sleep(Duration::from_millis(100)).await;
    }
    Ok(stream)
}
