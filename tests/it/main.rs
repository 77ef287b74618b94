//! Everything that needs no process of its own, linked once.

// Tests run on the newest Rust; what the crate itself needs is older.
#![allow(clippy::incompatible_msrv)]

mod support;

#[cfg(feature = "admin")]
mod admin_auth;
#[cfg(feature = "admin")]
mod admin_bodies;
#[cfg(feature = "admin")]
mod admin_cross_site;
#[cfg(feature = "admin")]
mod admin_exit;
#[cfg(feature = "admin")]
mod admin_late;
#[cfg(feature = "admin")]
mod admin_numbers;
#[cfg(feature = "admin")]
mod admin_orders;
#[cfg(feature = "admin")]
mod admin_probes;
#[cfg(feature = "admin")]
mod admin_property;
#[cfg(feature = "admin")]
mod admin_snapshot;
#[cfg(feature = "admin")]
mod admin_snapshot_read;
#[cfg(feature = "admin")]
mod admin_sockets;
#[cfg(feature = "admin")]
mod admin_status;
#[cfg(feature = "admin")]
mod admin_support;
#[cfg(feature = "admin")]
mod admin_ttl;
#[cfg(feature = "agent")]
mod agent_contained;
#[cfg(feature = "agent")]
mod agent_goodbye;
#[cfg(feature = "agent")]
mod agent_heartbeat;
#[cfg(all(feature = "agent", feature = "shutdown"))]
mod agent_shutdown;
#[cfg(feature = "agent")]
mod agent_support;
#[cfg(feature = "agent")]
mod agent_watchdog;
mod auto_traits;
mod conformance;
#[cfg(any(feature = "agent", feature = "shutdown"))]
mod contained_support;
mod debug;
mod documents;
#[cfg(feature = "axum")]
mod example_page;
mod guards;
mod hammer;
mod memory;
#[cfg(feature = "metrics")]
mod metrics;
mod phases;
mod random_ends;
mod reentry;
mod rules_admission;
mod rules_connection;
mod rules_cut;
mod rules_cut_counts;
mod rules_order;
mod rules_panics;
mod rules_passthrough;
mod rules_readiness;
mod rules_rejection;
mod rules_resume;
#[cfg(feature = "shutdown")]
mod shutdown_contained;
#[cfg(feature = "shutdown")]
mod shutdown_cut;
#[cfg(all(feature = "admin", feature = "axum", feature = "server"))]
mod shutdown_front;
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
#[cfg(feature = "shutdown")]
mod shutdown_words;
mod sockets_axum;
mod sockets_close;
mod sockets_cut;
mod sockets_drain;
mod sockets_flush;
mod sockets_frames;
mod sockets_grpc;
mod sockets_h1;
mod sockets_h2;
mod sockets_matrix;
#[cfg(feature = "stream")]
mod sockets_policy;
mod sockets_proxy;
mod sockets_raw;
mod sockets_storm;
mod sockets_streams;
mod sockets_support;
mod sockets_unpolled;
mod stack;
mod stragglers;
#[cfg(feature = "stream")]
mod streams;
#[cfg(feature = "stream")]
mod streams_break;
#[cfg(feature = "stream")]
mod streams_formats;
#[cfg(feature = "stream")]
mod streams_messages;
#[cfg(feature = "stream")]
mod streams_property;
#[cfg(feature = "stream")]
mod streams_rejected;
#[cfg(feature = "stream")]
mod streams_resume;
#[cfg(feature = "stream")]
mod streams_support;
#[cfg(feature = "testing")]
mod testing_ends;
#[cfg(feature = "testing")]
mod testing_placement;
#[cfg(feature = "testing")]
mod testing_shutdown;
#[cfg(feature = "testing")]
mod testing_support;
mod waiting;
mod wakers;
#[cfg(feature = "axum")]
mod websocket;
