//! The server's end of the sequence: whether it still runs, and what it returned.

use std::future::{poll_fn, Future};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::{oneshot, watch};

use super::stages::Served;
use crate::BoxError;

#[derive(Debug)]
pub(super) struct Server {
    returned: oneshot::Receiver<Result<Served, BoxError>>,
    result: Option<Result<Served, BoxError>>,
    connections: watch::Receiver<usize>,
}

impl Server {
    pub(super) fn new(
        returned: oneshot::Receiver<Result<Served, BoxError>>,
        connections: watch::Receiver<usize>,
    ) -> Self {
        Self {
            returned,
            result: None,
            connections,
        }
    }

    /// Resolves once it has returned. Cancel safe.
    pub(super) async fn ended(&mut self) {
        poll_fn(|cx| self.poll_ended(cx)).await;
    }

    fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.result.is_none() {
            match Pin::new(&mut self.returned).poll(cx) {
                Poll::Ready(Ok(result)) => self.result = Some(result),
                // The other end is kept until it returns.
                Poll::Ready(Err(_)) | Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }

    pub(super) fn has_ended(&self) -> bool {
        self.result.is_some()
    }

    /// Resolves once it says that no connection is left. That it has returned does not say so: a hand-written accept
    /// loop may return before its connections end.
    pub(super) async fn idle(&mut self) {
        // The server gets to see first what it was told just now.
        tokio::task::yield_now().await;
        if self.connections.wait_for(|&left| left == 0).await.is_err() {
            std::future::pending().await
        }
    }

    pub(super) fn error(&self) -> Option<&BoxError> {
        self.result.as_ref()?.as_ref().err()
    }

    pub(super) fn unflushed(&self) -> usize {
        match &self.result {
            Some(Ok(served)) => served.unflushed,
            Some(Err(_)) => 0,
            None => 1,
        }
    }

    pub(super) fn into_error(self) -> Option<BoxError> {
        self.result?.err()
    }
}
