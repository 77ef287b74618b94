//! Libraries beside which the program writes its own accept loop.

use std::pin::pin;
use std::process::ExitCode;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio_graceful::ShutdownGuard;

use super::{Sigterm, LIMIT};
use crate::app::routes;

/// As in the example `server_graceful` of hyper-util.
pub(super) async fn hyper_util(listener: TcpListener, sigterm: impl Sigterm) -> ExitCode {
    let server = auto::Builder::new(TokioExecutor::new());
    let graceful = GracefulShutdown::new();
    let service = TowerToHyperService::new(routes());
    let mut stop = pin!(sigterm);
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let stream = TokioIo::new(Box::pin(stream));
                let connection = server.serve_connection_with_upgrades(stream, service.clone());
                let connection = graceful.watch(connection.into_owned());
                tokio::spawn(async move {
                    if let Err(error) = connection.await {
                        eprintln!("{error}");
                    }
                });
            }
            () = &mut stop => {
                drop(listener);
                break;
            }
        }
    }
    tokio::select! {
        () = graceful.shutdown() => {}
        () = tokio::time::sleep(LIMIT) => eprintln!("aborting"),
    }
    ExitCode::SUCCESS
}

/// As in the documentation of `drain::Watch::watch`: the callback begins the connection's graceful shutdown.
pub(super) async fn drain(listener: TcpListener, sigterm: impl Sigterm) -> ExitCode {
    let (signal, watch) = drain::channel();
    let service = TowerToHyperService::new(routes());
    let mut stop = pin!(sigterm);
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let connection = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service.clone())
                    .with_upgrades();
                let watched = watch.clone().watch(connection, |connection| {
                    Pin::new(connection).graceful_shutdown();
                });
                tokio::spawn(async move {
                    if let Err(error) = watched.await {
                        eprintln!("{error}");
                    }
                });
            }
            () = &mut stop => break,
        }
    }
    drop(listener);
    drop(watch);
    signal.drain().await;
    ExitCode::SUCCESS
}

/// As in the example `hyper` of tokio-graceful, but for its default signals, which are SIGTERM and Ctrl-C.
pub(super) async fn tokio_graceful(listener: TcpListener, sigterm: impl Sigterm) -> ExitCode {
    let shutdown = tokio_graceful::Shutdown::new(sigterm);
    shutdown.spawn_task_fn(move |guard| accept(listener, guard));
    match shutdown.shutdown_with_limit(LIMIT).await {
        Ok(_) => {}
        Err(error) => eprintln!("{error}"),
    }
    ExitCode::SUCCESS
}

async fn accept(listener: TcpListener, guard: ShutdownGuard) {
    let service = TowerToHyperService::new(routes());
    loop {
        let stream = tokio::select! {
            () = guard.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => continue,
            },
        };
        let service = service.clone();
        guard.spawn_task_fn(move |guard: ShutdownGuard| async move {
            let connection = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            let mut connection = pin!(connection);
            tokio::select! {
                () = guard.cancelled() => connection.as_mut().graceful_shutdown(),
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        eprintln!("{error}");
                    }
                    return;
                }
            }
            if let Err(error) = connection.await {
                eprintln!("{error}");
            }
        });
    }
}
