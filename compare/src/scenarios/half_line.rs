//! Connections on which a request has only begun.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::child::Child;
use crate::result::Outcome;
use crate::wire::Answer;

const CONNECTIONS: usize = 4;

pub(super) async fn run(child: Child) -> Result<Outcome, String> {
    let addr = child.addr;
    let told = |error: std::io::Error| error.to_string();
    let mut open = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut stream = TcpStream::connect(addr).await.map_err(told)?;
        stream.write_all(b"GET / HT").await.map_err(told)?;
        open.push(stream);
    }
    // Connections are accepted in their order, so after this one the others are.
    drop(Answer::get(addr, "/", "hello").await?);
    let exit = child.stop().await?;
    drop(open);
    Ok(Outcome {
        exits: vec![exit],
        requests: None,
        streams: None,
    })
}
