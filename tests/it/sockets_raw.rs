//! HTTP/1 byte by byte, for what a client library hides: which bytes came, and how the connection ended.

use std::future::Future;
use std::net::SocketAddr;
use std::panic::Location;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::sockets_support::{connect, within};

/// An HTTP/1 connection.
#[derive(Debug)]
pub(crate) struct Raw {
    stream: TcpStream,
    seen: Vec<u8>,
}

/// What came back, as far as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: String,
    pub(crate) body: String,
    pub(crate) trailers: String,
    /// The message ended as its head announced, not with the connection.
    pub(crate) is_whole: bool,
}

impl Answer {
    pub(crate) fn status(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or("")
    }

    /// The values of a header, one for each line it has.
    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().skip(1);
        let pairs = lines.filter_map(|line| line.split_once(": "));
        pairs
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value)
            .collect()
    }
}

impl Raw {
    pub(crate) async fn connect(addr: SocketAddr) -> Self {
        Self::over(connect(addr).await)
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        Self {
            stream,
            seen: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        within(self.stream.write_all(bytes.as_ref())).await.unwrap();
    }

    pub(crate) async fn ask(&mut self, method: &str, path: &str) {
        self.send(format!("{method} {path} HTTP/1.1\r\nhost: x\r\n\r\n"))
            .await;
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path).await;
        self.answer("GET").await
    }

    /// `false` at the end of the connection; a reset is one.
    async fn fill(&mut self) -> bool {
        !matches!(
            within(self.stream.read_buf(&mut self.seen)).await,
            Ok(0) | Err(_)
        )
    }

    /// Takes what is before `end` and `end` itself; `None` if the connection ends first.
    pub(crate) async fn until(&mut self, end: &str) -> Option<String> {
        loop {
            let mut windows = self.seen.windows(end.len());
            if let Some(at) = windows.position(|window| window == end.as_bytes()) {
                return Some(self.take(at + end.len()));
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    pub(crate) async fn exactly(&mut self, len: usize) -> Option<String> {
        while self.seen.len() < len {
            if !self.fill().await {
                return None;
            }
        }
        Some(self.take(len))
    }

    fn take(&mut self, len: usize) -> String {
        String::from_utf8_lossy(&self.seen.drain(..len).collect::<Vec<_>>()).into_owned()
    }

    /// Everything up to the end of the connection.
    pub(crate) async fn rest(&mut self) -> String {
        while self.fill().await {}
        self.take(self.seen.len())
    }

    /// The connection ends here, cleanly and with nothing more.
    #[track_caller]
    pub(crate) fn assert_end(&mut self) -> impl Future<Output = ()> + '_ {
        let place = Location::caller();
        async move {
            let read = within(self.stream.read_buf(&mut self.seen)).await;
            let left = String::from_utf8_lossy(&self.seen).into_owned();
            assert_eq!((read.ok(), &*left), (Some(0), ""), "at {place}");
        }
    }

    /// One answer, by its framing (RFC 9112, section 6.3).
    pub(crate) async fn answer(&mut self, method: &str) -> Answer {
        let mut answer = Answer {
            head: String::new(),
            body: String::new(),
            trailers: String::new(),
            is_whole: false,
        };
        let Some(head) = self.until("\r\n\r\n").await else {
            return answer;
        };
        answer.head = head;
        let length = answer.header("content-length").first().map(|s| s.parse());
        if method == "HEAD" || matches!(answer.status(), "101" | "204" | "304") {
            answer.is_whole = true;
        } else if answer.header("transfer-encoding") == ["chunked"] {
            answer.is_whole = self.chunked(&mut answer).await.is_some();
        } else if let Some(length) = length {
            if let Some(body) = self.exactly(length.unwrap()).await {
                answer.body = body;
                answer.is_whole = true;
            }
        } else {
            answer.body = self.rest().await;
            answer.is_whole = true;
        }
        answer
    }

    async fn chunked(&mut self, answer: &mut Answer) -> Option<()> {
        while let Some(chunk) = self.chunk().await? {
            answer.body += &chunk;
        }
        loop {
            let line = self.until("\r\n").await?;
            if line == "\r\n" {
                return Some(());
            }
            answer.trailers += &line;
        }
    }

    /// One chunk; `Some(None)` for the last one, `None` at the end of the connection.
    pub(crate) async fn chunk(&mut self) -> Option<Option<String>> {
        let size = self.until("\r\n").await?;
        let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
        if size == 0 {
            return Some(None);
        }
        let mut chunk = self.exactly(size + 2).await?;
        chunk.truncate(size);
        Some(Some(chunk))
    }

    /// Sends nothing more, and still reads.
    #[cfg(feature = "admin")]
    pub(crate) async fn finish(&mut self) {
        within(self.stream.shutdown()).await.unwrap();
    }

    /// Ends the connection by a RST.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }
}
