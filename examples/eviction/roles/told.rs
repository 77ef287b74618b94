//! What a worker tells the coordinator.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tower_drain::{BoxError, DrainHandle, DrainNonce, DrainReason, Phase};

use super::client::{Client, LIMIT};
use super::say::Say;
use super::wire::{Beat, ContainerReady, Ended, Eviction, Handoff, How, Instance};

#[derive(Clone)]
pub(crate) struct Told(Arc<Inner>);

struct Inner {
    client: Client,
    coordinator: SocketAddr,
    instance: Instance,
    handle: DrainHandle,
    /// So that a nonce that comes by heartbeat and by health check is returned once.
    returned: Mutex<Option<DrainNonce>>,
    say: Say,
}

impl Told {
    pub(crate) fn new(
        coordinator: SocketAddr,
        instance: Instance,
        handle: DrainHandle,
        say: Say,
    ) -> Self {
        Self(Arc::new(Inner {
            client: Client::new(),
            coordinator,
            instance,
            handle,
            returned: Mutex::default(),
            say,
        }))
    }

    pub(crate) fn id(&self) -> &str {
        &self.0.instance.id
    }

    pub(crate) async fn beat(&self, in_hand: usize) -> Result<(), BoxError> {
        let from = self.0.instance.clone();
        let beat = Beat { from, in_hand };
        let Inner { client, .. } = &*self.0;
        let post = client.ask(self.0.coordinator, "heartbeat", &beat, LIMIT);
        self.is_handed(post.await?);
        Ok(())
    }

    /// A nonce that comes is that of the mark of the one before, whether or not there is something in hand here.
    pub(crate) fn is_handed(&self, handoff: Handoff) {
        let Some(nonce) = handoff.nonce else {
            return;
        };
        let mut returned = self.0.returned.lock().expect("nobody panics with it");
        // Whoever leaves is not ready.
        if self.0.handle.phase() != Phase::Serving || *returned == Some(nonce) {
            return;
        }
        *returned = Some(nonce);
        let told = self.clone();
        tokio::spawn(async move { told.container_ready(nonce).await });
    }

    async fn container_ready(&self, nonce: DrainNonce) {
        let Inner { client, say, .. } = &*self.0;
        say.line("is handed the nonce: container-ready");
        let name = self.0.instance.name.clone();
        let ready = ContainerReady { name, nonce };
        let post = client.tell(self.0.coordinator, "container-ready", &ready, LIMIT);
        if let Err(error) = post.await {
            say.line(error);
            // It will be handed out again, if it is not stale.
            *self.0.returned.lock().expect("nobody panics with it") = None;
        }
    }

    /// For as long as the hook that calls it may take.
    pub(crate) async fn eviction(&self, reason: &DrainReason) -> Result<(), BoxError> {
        let Inner { client, say, .. } = &*self.0;
        say.line(format_args!("{reason}: container-eviction"));
        let eviction = Eviction {
            name: self.0.instance.name.clone(),
            id: self.0.instance.id.clone(),
            reason: reason.to_string(),
        };
        let (to, path) = (self.0.coordinator, "container-eviction");
        client.tell(to, path, &eviction, Duration::MAX).await
    }

    pub(crate) async fn ended(&self, job: u32, how: How) {
        let Inner { client, say, .. } = &*self.0;
        let ended = Ended {
            name: self.0.instance.name.clone(),
            id: self.0.instance.id.clone(),
            job,
            how,
        };
        let post = client.tell(self.0.coordinator, "ended", &ended, LIMIT);
        if let Err(error) = post.await {
            say.line(format_args!("job {job}: {error}"));
        }
    }
}
