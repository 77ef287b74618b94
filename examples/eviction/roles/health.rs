//! The health rules. They hold for every worker, whether or not it drains.

use std::collections::BTreeMap;
use std::time::Duration;

use tower_drain::{BoxError, DrainHandle, DrainReason, Watchdog};

use super::client::LIMIT;
use super::fleet::{Fleet, Worker};
use super::wire::{Handoff, Healthy, Instance};

const CHECK_EVERY: Duration = Duration::from_millis(200);
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);
const CHECKS: u32 = 3;

impl Fleet {
    pub(super) fn watched(
        &self,
        instance: Instance,
        handle: DrainHandle,
        evicted: Option<String>,
    ) -> Worker {
        let (fleet, name, id) = (self.clone(), instance.name.clone(), instance.id.clone());
        let probed = (self.clone(), name.clone(), id.clone());
        let watchdog = Watchdog::new(move || {
            let (fleet, name, id) = probed.clone();
            async move { fleet.check(&name, &id).await }
        });
        let watchdog = watchdog.every(CHECK_EVERY).timeout(CHECK_TIMEOUT);
        let health = tokio::spawn(async move {
            let reason = watchdog.threshold(CHECKS).await;
            fleet.lose(&name, &id, &reason);
            fleet.dispatch().await;
        });
        Worker {
            instance,
            handle,
            evicted,
            is_returned: false,
            is_well: true,
            health: health.abort_handle(),
            jobs: BTreeMap::new(),
        }
    }

    async fn check(&self, name: &str, id: &str) -> Result<(), BoxError> {
        let (at, nonce) = {
            let state = self.state();
            let worker = state.workers.get(name).ok_or("not registered")?;
            (worker.instance.health_at, self.handed_out(worker))
        };
        let client = &self.0.client;
        let healthy: Healthy = client.ask(at, "health", &Handoff { nonce }, LIMIT).await?;
        match healthy.id == id {
            true => Ok(()),
            false => Err("another one answers".into()),
        }
    }

    fn lose(&self, name: &str, id: &str, reason: &DrainReason) {
        let mut state = self.state();
        let Some(worker) = state.workers.get_mut(name) else {
            return;
        };
        if worker.instance.id != id {
            return;
        }
        worker.is_well = false;
        let jobs = std::mem::take(&mut worker.jobs);
        let numbers: Vec<String> = jobs.keys().map(|number| format!("job {number}")).collect();
        let numbers = match numbers.is_empty() {
            true => "nothing".into(),
            false => numbers.join(" and "),
        };
        state.queue.extend(jobs.into_values().map(|job| job.0));
        let failures = match reason {
            DrainReason::ConnectivityLost { failures, .. } => *failures,
            _ => 0,
        };
        self.0.say.line(format_args!(
            "{name} is lost, {failures} checks in a row: {numbers} to be done anew"
        ));
    }
}
