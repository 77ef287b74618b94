//! gRPC through a real client: every end has the status that tells what may be repeated.

use std::time::Duration;

use axum::Router;
use futures_util::poll;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint, Server as TonicServer};
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_health::server::{HealthReporter, HealthService, WatchStream};
use tonic_health::ServingStatus;
use tower_drain::{DrainHandle, DrainLayer, StragglerPhase};

use crate::sockets_support::{drained, listener, serve_on, within, Step};

/// The real service, but a `Check` of `never` has no answer.
struct Hangs {
    health: HealthService,
    entered: Step,
}

#[tonic::async_trait]
impl Health for Hangs {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if request.get_ref().service == "never" {
            self.entered.pass();
            std::future::pending::<()>().await;
        }
        self.health.check(request).await
    }

    type WatchStream = WatchStream;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<WatchStream>, Status> {
        self.health.watch(request).await
    }
}

#[derive(Clone, Copy, Debug)]
enum Under {
    Axum,
    Tonic,
}

struct Fixture {
    client: HealthClient<Channel>,
    reporter: HealthReporter,
    handle: DrainHandle,
    entered: Step,
}

async fn fixture(under: Under) -> Fixture {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let (reporter, entered) = (HealthReporter::new(), Step::new());
    let service = HealthServer::new(Hangs {
        health: HealthService::from_health_reporter(reporter.clone()),
        entered: entered.clone(),
    });
    let (listener, addr) = listener().await;
    match under {
        Under::Axum => {
            let app: Router = Routes::new(service).into_axum_router();
            // Nobody stops it; the runtime drops it.
            std::mem::forget(serve_on(listener, addr, app.layer(layer)));
        }
        Under::Tonic => {
            let server = TonicServer::builder().layer(layer).add_service(service);
            tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        }
    }
    let endpoint = Endpoint::from_shared(format!("http://{addr}")).unwrap();
    let channel = within(endpoint.connect()).await.unwrap();
    Fixture {
        client: HealthClient::new(channel),
        reporter,
        handle,
        entered,
    }
}

fn asks(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

#[tokio::test]
async fn a_call_is_answered_before_the_drain_and_unavailable_after_its_begin() {
    for under in [Under::Axum, Under::Tonic] {
        let mut f = fixture(under).await;
        let answered = within(f.client.check(asks(""))).await.unwrap();
        assert_eq!(answered.into_inner().status, 1, "{under:?}");
        f.handle.begin_shutdown();
        let unary = within(f.client.check(asks(""))).await.unwrap_err();
        let stream = within(f.client.watch(asks(""))).await.unwrap_err();
        for status in [unary, stream] {
            assert_eq!(status.code(), Code::Unavailable, "{under:?}: {status:?}");
            assert_eq!(status.message(), "the service is shutting down");
        }
        assert_eq!(drained(&f.handle).await.rejected, 2);
    }
}

#[tokio::test]
async fn an_open_watch_goes_on_through_the_drain_and_ends_cancelled_when_it_is_cut() {
    for under in [Under::Axum, Under::Tonic] {
        let mut f = fixture(under).await;
        let watching = within(f.client.watch(asks(""))).await.unwrap();
        let mut watching = watching.into_inner();
        let first = within(watching.message()).await.unwrap().unwrap();
        assert_eq!(first.status, 1);
        f.handle.begin_shutdown();
        let mut waiting = std::pin::pin!(f.handle.wait_for_drain(Duration::MAX));
        assert!(poll!(&mut waiting).is_pending());

        let not_serving = ServingStatus::NotServing;
        f.reporter.set_service_status("", not_serving).await;
        let second = within(watching.message()).await.unwrap().unwrap();
        assert_eq!(second.status, 2, "{under:?}");

        assert_eq!(f.handle.stragglers()[0].phase, StragglerPhase::Body);
        assert_eq!(f.handle.cut(), 1);
        let status = within(watching.message()).await.unwrap_err();
        assert_eq!(status.code(), Code::Cancelled, "{under:?}: {status:?}");
        let said = "the service did not wait for this call any longer";
        assert_eq!(status.message(), said, "in trailers, not by a reset");
        within(waiting).await.unwrap();
        drained(&f.handle).await;
    }
}

#[tokio::test]
async fn an_unanswered_call_that_is_cut_is_cancelled() {
    for under in [Under::Axum, Under::Tonic] {
        let mut f = fixture(under).await;
        let mut client = f.client.clone();
        let calling = tokio::spawn(async move { client.check(asks("never")).await });
        f.entered.passed().await;
        f.handle.begin_shutdown();
        assert_eq!(f.handle.cut(), 1);
        let status = within(calling).await.unwrap().unwrap_err();
        assert_eq!(status.code(), Code::Cancelled, "{under:?}: {status:?}");
        let said = "the service did not wait for this call any longer";
        assert_eq!(status.message(), said, "in headers, not by a reset");
        drained(&f.handle).await;
        let rejected = within(f.client.check(asks(""))).await.unwrap_err();
        assert_eq!(rejected.code(), Code::Unavailable);
    }
}

#[tokio::test]
async fn a_watch_that_its_client_drops_leaves_the_count() {
    let mut f = fixture(Under::Tonic).await;
    let watching = within(f.client.watch(asks(""))).await.unwrap();
    assert_eq!(f.handle.in_flight(), 1);
    f.handle.begin_shutdown();
    drop(watching);
    drained(&f.handle).await;
}
