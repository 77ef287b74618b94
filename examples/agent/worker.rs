//! Does one operation after the other, and hands back what it has not begun when the agent leaves.

use tokio::sync::mpsc::Receiver;
use tower_drain::{BoxError, DrainHandle, Phase};

use crate::client::{Client, Operation};
use crate::say::Say;

pub(crate) struct Worker {
    handle: DrainHandle,
    client: Client,
    operations: Receiver<Operation>,
    say: Say,
}

impl Worker {
    pub(crate) fn new(
        handle: DrainHandle,
        client: Client,
        operations: Receiver<Operation>,
        say: Say,
    ) -> Self {
        Self {
            handle,
            client,
            operations,
            say,
        }
    }

    /// Ends when the poller has, and the queue is empty.
    pub(crate) async fn run(mut self) -> Result<(), BoxError> {
        let mut left_over = Vec::new();
        while let Some(operation) = self.operations.recv().await {
            match self.handle.phase() {
                Phase::Serving => self.complain(self.work(operation).await),
                _ => left_over.push(operation.number.to_string()),
            }
        }
        if !left_over.is_empty() {
            // One call for all of them, so that one limit holds.
            let numbers = left_over.join(" and ");
            self.say.line(format_args!("hands back {numbers}"));
            self.complain(self.client.hand_back(&numbers).await);
        }
        Ok(())
    }

    fn complain(&self, told: Result<(), BoxError>) {
        if let Err(error) = told {
            self.say.line(format_args!("{error}"));
        }
    }

    async fn work(&self, operation: Operation) -> Result<(), BoxError> {
        let number = operation.number;
        let working = async {
            tokio::time::sleep(operation.takes).await;
            self.say.line(format_args!("operation {number} is done"));
            self.client.done(number).await
        };
        // The drain waits for it. A second signal does not, and cuts it.
        let working = self.handle.track(working)?;
        match working.await {
            Some(told) => told,
            None => Err(format!("operation {number} was cut").into()),
        }
    }
}
