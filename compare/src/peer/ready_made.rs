//! Servers with a graceful shutdown of their own.

use std::process::ExitCode;

use tokio::net::TcpListener;

use super::{Sigterm, LIMIT};
use crate::app::routes;

/// As in the documentation of `axum::serve::Serve::with_graceful_shutdown`.
pub(super) async fn axum(listener: TcpListener, sigterm: impl Sigterm) -> ExitCode {
    let served = axum::serve(listener, routes()).with_graceful_shutdown(sigterm);
    code(served.await)
}

/// As in the example `graceful_shutdown` of axum-server.
pub(super) async fn axum_server(listener: TcpListener, sigterm: impl Sigterm) -> ExitCode {
    let handle = axum_server::Handle::new();
    tokio::spawn({
        let handle = handle.clone();
        async move {
            sigterm.await;
            handle.graceful_shutdown(Some(LIMIT));
        }
    });
    let listener = listener.into_std().expect("a listener of tokio");
    let server = axum_server::from_tcp(listener).expect("a listener");
    code(
        server
            .handle(handle)
            .serve(routes().into_make_service())
            .await,
    )
}

fn code(served: std::io::Result<()>) -> ExitCode {
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
