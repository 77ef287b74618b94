//! Event streams. One is lost that does not come to its last chunk, or misses its last event.

use futures_util::future::{join_all, try_join_all};

use super::streams;
use crate::child::Child;
use crate::result::{Lost, Outcome};
use crate::wire::{Answer, End};

const STREAMS: usize = 8;

/// Streams that only the server can end. Their last event is the goodbye.
pub(super) async fn endless(child: Child) -> Result<Outcome, String> {
    watch(child, "/events?every_ms=100", "event: goodbye").await
}

/// Streams that end by themselves 8 s after the signal.
pub(super) async fn finite(child: Child) -> Result<Outcome, String> {
    watch(child, "/events?n=81&every_ms=100", "id: 80").await
}

async fn watch(child: Child, path: &str, last: &str) -> Result<Outcome, String> {
    let addr = child.addr;
    let open = (0..STREAMS).map(|_| Answer::get(addr, path, "id: 0\n"));
    let open = try_join_all(open).await?;
    let ends = join_all(open.into_iter().map(Answer::end));
    let (exit, ends) = tokio::join!(child.stop(), ends);
    Ok(streams(
        exit?,
        Lost::count(ends.into_iter().map(|end| judge(&end, last))),
    ))
}

fn judge(end: &End, last: &str) -> Result<(), String> {
    match end {
        End::Regular(text) if text.contains(last) => Ok(()),
        End::Regular(_) => Err("ended without a last event".to_owned()),
        End::Cut(_) => Err("cut".to_owned()),
    }
}
