//! Servers that live until everything else is over.

use std::fmt;
use std::future::IntoFuture;
use std::time::Duration;

use tokio::time::{sleep_until, Instant};

use super::hooks::{Running, Task};
use super::{log, Stop};
use crate::latch::Latch;
use crate::race::{race, Either};
use crate::{words, BoxError};

pub(super) struct Beside(Box<dyn FnOnce(Stop) -> Running + Send>);

impl Beside {
    pub(super) fn new<F, S, E>(server: F) -> Self
    where
        F: FnOnce(Stop) -> S + Send + 'static,
        S: IntoFuture<Output = Result<(), E>>,
        S::IntoFuture: Send + 'static,
        E: Into<BoxError>,
    {
        Self(Box::new(move |until_exit| {
            let server = server(until_exit).into_future();
            Box::pin(async move { server.await.map_err(Into::into) })
        }))
    }
}

impl fmt::Debug for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Beside(..)")
    }
}

/// The servers while they run. Dropped with this, at the latest.
#[derive(Debug)]
pub(super) struct Besides {
    exit: Latch,
    tasks: Vec<Task<()>>,
}

impl Besides {
    pub(super) fn spawn(servers: Vec<Beside>) -> Self {
        let exit = Latch::new();
        let tasks = servers.into_iter().map(|server| {
            let until_exit = Stop::new(&exit);
            Task::spawn(async move {
                if let Err(error) = (server.0)(until_exit).await {
                    log::beside_failed(&words::of_last(error));
                }
            })
        });
        Self {
            tasks: tasks.collect(),
            exit,
        }
    }

    /// Tells them, and drops those that have not returned within `limit`.
    pub(super) async fn end(mut self, limit: Duration) {
        self.exit.fire();
        let deadline = Instant::now() + limit;
        while let Some(task) = self.tasks.last_mut() {
            match race(task.join(), sleep_until(deadline)).await {
                Either::First(_) => drop(self.tasks.pop()),
                Either::Second(()) => break,
            }
        }
        let late = self.tasks.iter().filter(|task| !task.is_finished());
        match late.count() {
            0 => {}
            late => log::beside_dropped(late),
        }
    }
}
