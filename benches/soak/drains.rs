//! Drains that are begun, come to zero, and are taken back.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use http_body_util::BodyExt;
use tokio::time::{sleep, Instant};

use crate::load::{ask, connect, Board};

/// Every third drain cuts.
const CUTS: usize = 3;
/// A client that was cut may see it a moment later.
const SEES_A_CUT: Duration = Duration::from_millis(500);

/// Until there is enough. Returns how many there were.
pub(crate) async fn go_on(
    addr: SocketAddr,
    every: Duration,
    board: Arc<Board>,
) -> Result<usize, String> {
    let mut drains = 0;
    let mut next = Instant::now() + every;
    loop {
        while Instant::now() < next {
            if board.enough.load(Ordering::Relaxed) {
                return Ok(drains);
            }
            sleep(Duration::from_millis(50)).await;
        }
        next = Instant::now() + every;
        drains += 1;
        let cuts = drains % CUTS == 0;
        board.is_draining.store(true, Ordering::Relaxed);
        board.is_cutting.store(cuts, Ordering::Relaxed);
        let path = if cuts { "/drain?cut=1" } else { "/drain" };
        told(addr, path).await?;
        told(addr, "/resume").await?;
        board.is_draining.store(false, Ordering::Relaxed);
        sleep(SEES_A_CUT).await;
        board.is_cutting.store(false, Ordering::Relaxed);
    }
}

async fn told(addr: SocketAddr, path: &str) -> Result<(), String> {
    let said = |error: String| format!("{path}: {error}");
    let asked = async {
        let mut connection = connect(addr).await?;
        let answer = ask(&mut connection, Method::POST, path).await?;
        let status = answer.status();
        let text = answer.into_body().collect().await?.to_bytes();
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>((status, text))
    };
    let (status, text) = asked.await.map_err(|error| said(error.to_string()))?;
    match status {
        StatusCode::OK => Ok(()),
        status => Err(said(format!("{status} {}", String::from_utf8_lossy(&text)))),
    }
}
