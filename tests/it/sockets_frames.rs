//! HTTP/2 frame by frame (RFC 9113), for what a client library hides: who reset a stream, and a window that stays shut.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::sockets_support::{connect, within};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

pub(crate) const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const INITIAL_WINDOW_SIZE: u16 = 4;

pub(crate) const CANCEL: u32 = 8;
pub(crate) const INTERNAL_ERROR: u32 = 2;

#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The code of a RST_STREAM.
    pub(crate) fn code(&self) -> u32 {
        u32::from_be_bytes(self.payload[..4].try_into().unwrap())
    }
}

#[derive(Debug)]
pub(crate) struct Frames {
    socket: TcpStream,
}

impl Frames {
    /// Each stream may be sent `window` bytes, and never more.
    pub(crate) async fn connect(addr: SocketAddr, window: u32) -> Self {
        let socket = connect(addr).await;
        let mut frames = Self { socket };
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        within(frames.socket.write_all(preface)).await.unwrap();
        let mut setting = INITIAL_WINDOW_SIZE.to_be_bytes().to_vec();
        setting.extend(window.to_be_bytes());
        frames.send(SETTINGS, 0, 0, &setting).await;
        frames
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        within(self.socket.write_all(&frame)).await.unwrap();
    }

    pub(crate) async fn get(&mut self, stream: u32, path: &str) {
        // RFC 7541: `:method: GET` and `:scheme: http` are entries 2 and 6 of the static table; `:authority` and `:path`
        // are literals under the names of entries 1 and 4.
        let mut block = vec![0x82, 0x86, 0x01, 1, b'x', 0x04];
        block.push(u8::try_from(path.len()).unwrap());
        block.extend(path.as_bytes());
        self.send(HEADERS, END_HEADERS | END_STREAM, stream, &block)
            .await;
    }

    pub(crate) async fn reset(&mut self, stream: u32, code: u32) {
        self.send(RST_STREAM, 0, stream, &code.to_be_bytes()).await;
    }

    /// The next frame that belongs to a stream.
    pub(crate) async fn next(&mut self) -> Frame {
        loop {
            let mut head = [0; 9];
            within(self.socket.read_exact(&mut head)).await.unwrap();
            let len = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; len as usize];
            within(self.socket.read_exact(&mut payload)).await.unwrap();
            let frame = Frame {
                kind: head[3],
                flags: head[4],
                stream: u32::from_be_bytes(head[5..].try_into().unwrap()),
                payload,
            };
            match frame.kind {
                SETTINGS if frame.flags & ACK == 0 => self.send(SETTINGS, ACK, 0, &[]).await,
                GOAWAY => panic!("the whole connection was given up: {frame:?}"),
                _ if frame.stream == 0 => {}
                _ => return frame,
            }
        }
    }
}
