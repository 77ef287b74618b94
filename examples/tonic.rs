//! The layer under a tonic server, with gRPC's own words: `cargo run --example tonic`.
//!
//! tonic-health serves both a probe (`Check`, exempt here) and a stream (`Watch`). A watcher that hears
//! `NOT_SERVING` leaves by itself; one that does not listen is cut, and told so by a status.

use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Code, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tower_drain::{BoxError, DrainLayer};

type Watch = tonic::Streaming<HealthCheckResponse>;

const CHECK: &str = "/grpc.health.v1.Health/Check";
const LIMIT: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let layer = DrainLayer::new().exempt(|head| head.uri().path() == CHECK);
    let handle = layer.handle();
    let (health, service) = tonic_health::server::health_reporter();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let server = Server::builder()
        .layer(layer)
        .add_service(service)
        .serve_with_incoming_shutdown(TcpIncoming::from(listener), async {
            stopped.await.unwrap_or_default();
        });
    let server = tokio::spawn(server);
    println!("serving    tonic on {address}");

    let channel = Channel::from_shared(format!("http://{address}"))?
        .connect()
        .await?;
    let mut client = HealthClient::new(channel);
    let mut polite = watch(&mut client).await?;
    let mut deaf = watch(&mut client).await?;
    println!("serving    two watch, {} in flight", handle.in_flight());

    // Before rejecting: gRPC's word for a lame duck.
    handle.begin_lame_duck();
    health
        .set_service_status("", tonic_health::ServingStatus::NotServing)
        .await;
    let drained = handle.wait_for_drain(Duration::MAX);
    handle.begin_shutdown();
    let probe = client
        .check(HealthCheckRequest::default())
        .await?
        .into_inner();
    println!("{:<10} the probe says {:?}", handle.phase(), probe.status());
    let newcomer = watch(&mut client).await.map(drop).unwrap_err();
    println!(
        "{:<10} a newcomer gets {:?}",
        handle.phase(),
        newcomer.code()
    );

    while polite
        .message()
        .await?
        .is_some_and(|seen| seen.status() != ServingStatus::NotServing)
    {}
    drop(polite);
    println!("{:<10} a watcher heard NotServing and left", handle.phase());
    if let Err(error) = handle.wait_for_drain(Duration::from_secs(1)).await {
        println!("{:<10} {error}", handle.phase());
        for straggler in handle.stragglers() {
            println!("{:<10} cut: {straggler}", handle.phase());
        }
        handle.cut();
    }
    let cut = end_of(&mut deaf).await;
    let report = tokio::time::timeout(LIMIT, drained).await??;
    println!(
        "{:<10} the other watcher gets {:?}",
        handle.phase(),
        cut.code()
    );

    drop(client);
    stop.send(()).unwrap_or_default();
    tokio::time::timeout(LIMIT, server).await???;
    println!("{:<10} tonic closed every connection", handle.phase());
    println!("{report}");
    Ok(())
}

async fn watch(client: &mut HealthClient<Channel>) -> Result<Watch, Status> {
    let watch = client.watch(HealthCheckRequest::default()).await?;
    Ok(watch.into_inner())
}

async fn end_of(stream: &mut Watch) -> Status {
    loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => return Status::new(Code::Ok, "the stream ended"),
            Err(status) => return status,
        }
    }
}
