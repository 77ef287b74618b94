//! Joins the server, the signals and the sequence in one future.

use std::future::{poll_fn, Future, IntoFuture};
use std::pin::pin;

use tokio::sync::{oneshot, watch};

use super::beside::Besides;
use super::builder::Shutdown;
use super::ear::{listen, Hurry};
use super::handlers::warn_of_blocked;
use super::record::Record;
use super::rules::Rules;
use super::sequence::{finish, Sequence};
use super::server::Server;
use super::stages::{Served, ServerStages, Stop};
use super::timeouts::BESIDE;
use super::unheard::Claim;
use super::{log, systemd, ShutdownReport};
use crate::latch::Latch;
use crate::race::{race, Either};
use crate::{BoxError, DrainReason};

impl Shutdown {
    /// Runs a server that stops by a future, until the sequence is over.
    ///
    /// ```no_run
    /// # use axum::{routing::get, Router};
    /// use tower_drain::{BoxError, DrainLayer, Shutdown, ShutdownReport, Timeouts};
    ///
    /// #[tokio::main]
    /// async fn main() -> Result<ShutdownReport, BoxError> {
    ///     let layer = DrainLayer::new();
    ///     let shutdown = Shutdown::new(layer.handle()).timeouts(Timeouts::from_env()?);
    ///     let app = Router::new().route("/", get(|| async { "hello" })).layer(layer);
    ///     let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    ///     shutdown
    ///         .run(|stop| axum::serve(listener, app).with_graceful_shutdown(stop))
    ///         .await
    /// }
    /// ```
    ///
    /// `stop` resolves when connections are to be told. Most servers close their listening socket with it, so that
    /// the first settling is of no use to them: give them a `DrainListener` (feature `axum`), or see
    /// [`DrainHandle::accept_closed`](crate::DrainHandle::accept_closed). A server that has not returned at the end of
    /// `close` is dropped; what it has spawned lives on until the runtime ends.
    ///
    /// If the server ends first, the sequence runs without waiting for a signal and without the lame duck, settling
    /// and `on_begin` hooks.
    ///
    /// # Errors
    ///
    /// The server's own error, at the end of the sequence, or a [`ConfigError`](crate::ConfigError) before the server
    /// is made.
    ///
    /// # Panics
    ///
    /// In a tokio runtime without time. A panic of the server or of a trigger is passed on.
    ///
    /// # After it
    ///
    /// The signals stay caught, so that none of them ends a process that hangs on its way out of `main`. If the future
    /// is dropped before its end, or returns an error before the server is made, the next signal ends the process, with
    /// 143 for SIGTERM and 130 for SIGINT. A runtime waits
    /// for its blocking tasks when it is dropped: where one may not end, leave by `Runtime::shutdown_background` or
    /// `std::process::exit`.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: dropping it drops the server, the servers beside and the hooks.
    pub async fn run<F, S, E>(self, server: F) -> Result<ShutdownReport, BoxError>
    where
        F: FnOnce(Stop) -> S,
        S: IntoFuture<Output = Result<(), E>>,
        E: Into<BoxError>,
    {
        let stoppable = |stages: ServerStages| {
            let server = server(stages.stop).into_future();
            async move {
                match race(server, race(stages.overdue, stages.abandon)).await {
                    Either::First(Ok(())) => Ok(Served { unflushed: 0 }),
                    Either::First(Err(error)) => Err(error.into()),
                    Either::Second(_) => Ok(Served { unflushed: 1 }),
                }
            }
        };
        self.drive(stoppable).await
    }

    /// The same for a server that follows every stage.
    pub(crate) async fn drive<F, S>(self, server: F) -> Result<ShutdownReport, BoxError>
    where
        F: FnOnce(ServerStages) -> S,
        S: Future<Output = Result<Served, BoxError>>,
    {
        let budget = self.budget()?;
        let handlers = self.handlers?;
        let mut claim = self.claim;
        if let Some(claim) = &mut claim {
            claim.runs();
        }
        log::budget(&budget);
        warn_of_blocked();
        let (connections, count) = watch::channel(1);
        let (stop, overdue, abandon) = (Latch::new(), Latch::new(), Latch::new());
        let serving = server(ServerStages {
            accept_closed: self.handle.accept_closed(),
            stop: Stop::new(&stop),
            overdue: overdue.fired(),
            abandon: abandon.fired(),
            connections,
        });
        let besides = Besides::spawn(self.beside);

        let hurry = Hurry::default();
        let (trigger, triggered) = oneshot::channel();
        let listening = listen(
            handlers,
            Rules::new(self.signals),
            self.triggers,
            self.handle.clone(),
            hurry.clone(),
            trigger,
        );
        let (returns, returned) = oneshot::channel();
        let serving = async move { drop(returns.send(serving.await)) };
        let sequence = Sequence {
            handle: self.handle,
            timeouts: budget.timeouts,
            stop_accepting: self.stop_accepting,
            hooks: self.hooks,
            server: Server::new(returned, count),
            stop,
            overdue,
            abandon,
            hurry,
        };
        let ended = together(listening, serving, follow(sequence, triggered, besides)).await;
        claim.into_iter().for_each(Claim::ends);
        ended
    }
}

/// Polls all three until the last one is ready.
async fn together<T>(
    listening: impl Future<Output = ()>,
    serving: impl Future<Output = ()>,
    following: impl Future<Output = T>,
) -> T {
    let (mut listening, mut serving) = (pin!(listening), pin!(serving));
    let mut following = pin!(following);
    let (mut is_listening, mut is_serving) = (true, true);
    poll_fn(|cx| {
        is_listening = is_listening && listening.as_mut().poll(cx).is_pending();
        is_serving = is_serving && serving.as_mut().poll(cx).is_pending();
        following.as_mut().poll(cx)
    })
    .await
}

async fn follow(
    mut sequence: Sequence,
    triggered: oneshot::Receiver<DrainReason>,
    besides: Besides,
) -> Result<ShutdownReport, BoxError> {
    let begins = race(triggered, sequence.server.ended());
    let reason = match race(systemd::ready(), begins).await {
        Either::First(never) => match never {},
        Either::Second(Either::First(reason)) => reason.unwrap_or(DrainReason::Requested),
        Either::Second(Either::Second(())) => {
            log::server_ended_first();
            DrainReason::from("the server ended")
        }
    };
    let mut record = Record::new(reason, &sequence.handle, &sequence.hooks);
    let leave = sequence.hurry.leave.fired();
    let steps = async {
        let on_begin = sequence.end_server(&mut record).await;
        sequence.on_drained(&mut record).await;
        // They have what is left of their time, so that all of it is not more than was said at the start.
        besides.end(BESIDE.saturating_sub(record.overdrawn)).await;
        finish(on_begin, &mut record).await;
    };
    let until_left = race(steps, leave);
    if let Either::First(Either::Second(())) = race(until_left, systemd::stopping()).await {
        sequence.leave(&mut record);
    }
    let report = record.report(&sequence.handle);
    log::report(&report);
    match sequence.server.into_error() {
        Some(error) => Err(error),
        None => Ok(report),
    }
}
