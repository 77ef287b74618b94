//! Probes and status for everybody, and administration for whoever has the token.

use std::env;

use axum::Router;
use tower_drain::{Admin, BoxError, DrainHandle};

/// For outside the layer: they are answered throughout.
pub(crate) fn probes(handle: &DrainHandle) -> Router {
    Router::new()
        .route_service("/livez", handle.liveness())
        .route_service("/readyz", handle.readiness())
        .route_service("/drain-status", handle.status_service())
}

/// The probes, and with `ADMIN_TOKEN` the two orders.
pub(crate) fn administration(handle: &DrainHandle) -> Result<Router, BoxError> {
    let app = probes(handle);
    let Some(token) = env::var_os("ADMIN_TOKEN") else {
        return Ok(app);
    };
    let token = token.into_string().map_err(|_| "ADMIN_TOKEN: not UTF-8")?;
    let admin =
        Admin::new(handle.clone(), token).map_err(|error| format!("ADMIN_TOKEN: {error}"))?;
    Ok(app
        .route_service("/drain", admin.clone())
        .route_service("/ready", admin))
}
