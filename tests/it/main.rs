//! Everything that needs no process of its own, linked once.
#[cfg(feature = "shutdown")]
mod shutdown_cut;
#[cfg(feature = "shutdown")]
mod shutdown_hooks;
#[cfg(feature = "axum")]
mod shutdown_listener;
#[cfg(feature = "shutdown")]
mod shutdown_log;
#[cfg(feature = "shutdown")]
mod shutdown_order;
#[cfg(feature = "shutdown")]
mod shutdown_server;
#[cfg(feature = "shutdown")]
mod shutdown_support;
