//! Clients that are a socket and nothing else.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::content::{Ask, End, Got};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
pub(crate) const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Sends a request of HTTP/1.1. On loopback the server's socket has it when this returns.
pub(crate) async fn get(tcp: &mut TcpStream, ask: &Ask) {
    let head = format!("GET {} HTTP/1.1\r\nhost: links\r\n\r\n", ask.target());
    tcp.write_all(head.as_bytes()).await.expect("there is room");
}

/// The status and the body of a response of HTTP/1.1 with a `content-length`; `None` if the connection ends within it.
pub(crate) async fn response(tcp: &mut TcpStream) -> Option<(u16, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tcp.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?.to_ascii_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length = head.split_once("content-length: ")?.1;
    let length = length.split_once("\r\n")?.0.parse().ok()?;
    let mut body = vec![0; length];
    tcp.read_exact(&mut body).await.ok()?;
    Some((status, body))
}

/// How a response of HTTP/1.1 to this request ends.
pub(crate) async fn end(tcp: &mut TcpStream, ask: Ask) -> End {
    let mut got = Got::new(ask);
    match response(tcp).await {
        None => got.broken("the connection ends"),
        Some((503, _)) => End::Rejected,
        Some((_, body)) => {
            got.take(&body);
            got.end()
        }
    }
}

/// HTTP/2 that never acknowledges anything (RFC 9113). Its windows are those of the protocol, 65 535 bytes.
#[derive(Debug)]
pub(crate) struct Http2(TcpStream);

#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    flags: u8,
    pub(crate) stream: u32,
    payload: Vec<u8>,
}

impl Http2 {
    pub(crate) async fn connect(addr: SocketAddr) -> Self {
        let mut tcp = TcpStream::connect(addr).await.expect("it listens");
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        tcp.write_all(preface).await.expect("there is room");
        let mut http2 = Self(tcp);
        http2.send(SETTINGS, 0, 0, &[]).await;
        http2
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("a small frame");
        let mut frame = length.to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        // A server that has closed is noticed by reading.
        let _ = self.0.write_all(&frame).await;
    }

    pub(crate) async fn get(&mut self, stream: u32, ask: &Ask) {
        // HPACK (RFC 7541): two entries of the static table, then two names of it with values that are not indexed.
        let mut block = vec![0x82, 0x86];
        for (name, value) in [(4, ask.target()), (1, "links".to_owned())] {
            assert!(value.len() < 127);
            block.extend([name, value.len() as u8]);
            block.extend(value.as_bytes());
        }
        let flags = END_STREAM | END_HEADERS;
        self.send(HEADERS, flags, stream, &block).await;
    }

    /// `None` at the end of the connection.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, &b| sum << 8 | u32::from(b));
        let mut payload = vec![0; number(&head[..3]) as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        Some(Frame {
            kind: head[3],
            flags: head[4],
            stream: number(&head[5..]),
            payload,
        })
    }
}

impl Frame {
    /// How a response ends by it.
    pub(crate) fn ends(&self, got: &mut Got) -> Option<End> {
        // The static table's entry for 200.
        if self.kind == HEADERS && self.payload.first() != Some(&0x88) {
            return Some(End::Rejected);
        }
        if self.kind == DATA {
            got.take(&self.payload);
        }
        let has_ended = matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0;
        has_ended.then(|| got.end())
    }
}
