//! HTTP/1.1 by hand, so that a client sees how an answer ends.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection with an answer that is not at its end.
#[derive(Debug)]
pub(crate) struct Answer {
    stream: TcpStream,
    text: Vec<u8>,
}

/// How an answer in chunks ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The last chunk came.
    Regular(String),
    Cut(String),
}

impl Answer {
    /// Asks, and waits until the answer has come as far as `until`.
    pub(crate) async fn get(addr: SocketAddr, path: &str, until: &str) -> Result<Self, String> {
        let told = |error: std::io::Error| error.to_string();
        let mut stream = TcpStream::connect(addr).await.map_err(told)?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: {addr}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.map_err(told)?;
        let mut this = Self {
            stream,
            text: Vec::new(),
        };
        while !String::from_utf8_lossy(&this.text).contains(until) {
            if this.read().await.map_err(told)? == 0 {
                return Err(format!("the answer ended before `{until}`"));
            }
        }
        Ok(this)
    }

    /// Reads it to its end, which is the last chunk or that of the connection.
    pub(crate) async fn end(mut self) -> End {
        loop {
            if self.text.ends_with(b"\r\n0\r\n\r\n") {
                return End::Regular(String::from_utf8_lossy(&self.text).into_owned());
            }
            if !matches!(self.read().await, Ok(1..)) {
                return End::Cut(String::from_utf8_lossy(&self.text).into_owned());
            }
        }
    }

    async fn read(&mut self) -> std::io::Result<usize> {
        self.stream.read_buf(&mut self.text).await
    }
}
