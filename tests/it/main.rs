//! Everything that needs no process of its own, linked once.

#[cfg(feature = "stream")]
mod streams;
#[cfg(feature = "axum")]
mod websocket;
