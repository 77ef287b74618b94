//! Two futures, and whichever is ready first.

use std::future::{poll_fn, Future};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

#[derive(Debug)]
pub(crate) enum Either<A, B> {
    First(A),
    Second(B),
}

/// Polls `first` first, so that it wins when both are ready. The other is dropped.
pub(crate) async fn race<A: Future, B: Future>(
    first: A,
    second: B,
) -> Either<A::Output, B::Output> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    poll_fn(|cx| match first.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Either::First(output)),
        Poll::Pending => second.as_mut().poll(cx).map(Either::Second),
    })
    .await
}

/// Over after `limit`. `Duration::MAX` is no limit: never.
pub(crate) async fn over(limit: Duration) {
    match limit {
        Duration::MAX => std::future::pending().await,
        limit => tokio::time::sleep(limit).await,
    }
}
