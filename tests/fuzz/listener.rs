//! Any bytes in any chunks: they come out as they went in, and the goodbye is heard if it is there for one who reads them
//! in one piece, line by line.

use std::convert::Infallible;

use futures_util::{stream, FutureExt, StreamExt};
use tower_drain::{DrainReason, GoodbyeListener};

/// A byte 0xff ends a chunk.
pub(crate) fn fuzz(input: &[u8]) {
    let chunks: Vec<_> = input.split(|&byte| byte == 0xff).collect();
    let mut listener = GoodbyeListener::new(stream::iter(chunks.clone()).map(Ok::<_, Infallible>));
    let goodbye = listener.goodbye();
    let mut passed = Vec::new();
    while let Some(Some(Ok(chunk))) = listener.next().now_or_never() {
        passed.push(chunk);
    }
    assert_eq!(passed, chunks);
    let meant = says_goodbye(&chunks.concat()).then_some(DrainReason::Goodbye);
    assert_eq!(goodbye.now_or_never(), meant);
}

fn says_goodbye(stream: &[u8]) -> bool {
    let mut rest = stream.strip_prefix("\u{feff}".as_bytes()).unwrap_or(stream);
    let mut event: &[u8] = b"";
    while let Some(end) = rest.iter().position(|byte| b"\r\n".contains(byte)) {
        let line = &rest[..end];
        let is_crlf = rest[end..].starts_with(b"\r\n");
        rest = &rest[end + 1 + usize::from(is_crlf)..];
        let field = line.splitn(2, |&byte| byte == b':').collect::<Vec<_>>();
        match field[..] {
            [b""] if event == b"goodbye" => return true,
            [b""] => event = b"",
            [b"event"] => event = b"",
            [b"event", value] => event = value.strip_prefix(b" ").unwrap_or(value),
            _ => {}
        }
    }
    false
}
