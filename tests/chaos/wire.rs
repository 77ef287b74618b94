//! One connection of HTTP/1, byte by byte, for clients that no library lets be.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::content::Ask;
use crate::seen::{Answer, End};
use crate::sockets_support::within;

pub(crate) struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
}

/// An answer's framing (RFC 9112, section 6.3), of those that a server of HTTP/1.1 sends here.
#[derive(Clone, Copy)]
enum Framing {
    Length(usize),
    Chunked,
}

struct Head {
    status: u16,
    closes: bool,
    framing: Framing,
}

impl Wire {
    /// `None` if nobody listens any more.
    pub(crate) async fn connect(addr: SocketAddr) -> Option<Self> {
        let stream = within(TcpStream::connect(addr)).await.ok()?;
        stream.set_nodelay(true).ok()?;
        let read = Vec::new();
        Some(Self { stream, read })
    }

    /// What the server no longer reads is no error here: it shows in the answer.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        let _ = within(self.stream.write_all(bytes)).await;
    }

    pub(crate) fn request(ask: &Ask) -> Vec<u8> {
        let path = ask.path();
        if !ask.is_upload() {
            return format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").into_bytes();
        }
        let upload = ask.upload();
        let mut request = if ask.id % 2 == 0 {
            let len = upload.len();
            format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len}\r\n\r\n").into_bytes()
        } else {
            format!("POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
                .into_bytes()
        };
        if ask.id % 2 == 0 {
            request.extend_from_slice(&upload);
            return request;
        }
        for chunk in upload.chunks(3000) {
            request.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            request.extend_from_slice(chunk);
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"0\r\n\r\n");
        request
    }

    /// Closes the sending half.
    pub(crate) async fn half_close(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// Leaves by RST, where dropping it leaves by FIN.
    pub(crate) fn reset(self) {
        let _ = self.stream.set_zero_linger();
    }

    /// More bytes, unless there will be none.
    async fn fill(&mut self) -> bool {
        matches!(within(self.stream.read_buf(&mut self.read)).await, Ok(read) if read > 0)
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        self.read.drain(..len).collect()
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.read.windows(2).position(|two| two == b"\r\n") {
                let line = self.take(end + 2);
                return Some(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    async fn head(&mut self) -> Option<Head> {
        let status = self.line().await?;
        let status = status
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3))
            .and_then(|status| status.parse().ok())
            .unwrap_or_else(|| panic!("not a status line: {status:?}"));
        let (mut closes, mut framing) = (false, Framing::Length(0));
        loop {
            let line = self.line().await?.to_ascii_lowercase();
            match line.split_once(": ") {
                None if line.is_empty() => break,
                Some(("connection", value)) => closes |= value.contains("close"),
                Some(("content-length", len)) => framing = Framing::Length(len.parse().unwrap()),
                Some(("transfer-encoding", _)) => framing = Framing::Chunked,
                _ => {}
            }
        }
        let head = Head {
            status,
            closes,
            framing,
        };
        Some(head)
    }

    /// Reads the next answer, its body up to about `enough` bytes. `None` if it does not come at all.
    pub(crate) async fn answer(&mut self, enough: usize) -> Option<Answer> {
        let head = self.head().await?;
        let mut body = Vec::new();
        let end = match head.framing {
            Framing::Length(len) => self.sized(&mut body, len, enough).await,
            Framing::Chunked => self.chunked(&mut body, enough).await,
        };
        Some(Answer {
            status: head.status,
            closes: head.closes,
            body,
            end,
        })
    }

    async fn sized(&mut self, body: &mut Vec<u8>, len: usize, enough: usize) -> End {
        while body.len() < len {
            if body.len() >= enough {
                return End::Left;
            }
            if self.read.is_empty() && !self.fill().await {
                return End::Broken;
            }
            let more = self.read.len().min(len - body.len());
            body.extend(self.read.drain(..more));
        }
        End::Complete
    }

    async fn chunked(&mut self, body: &mut Vec<u8>, enough: usize) -> End {
        loop {
            if body.len() >= enough {
                return End::Left;
            }
            let Some(size) = self.line().await else {
                return End::Broken;
            };
            let size = usize::from_str_radix(&size, 16)
                .unwrap_or_else(|_| panic!("not the size of a chunk: {size:?}"));
            let mut chunk = Vec::with_capacity(size);
            let end = self.sized(&mut chunk, size, usize::MAX).await;
            body.extend(chunk);
            if end != End::Complete || self.line().await.is_none() {
                return End::Broken;
            }
            if size == 0 {
                return End::Complete;
            }
        }
    }
}
