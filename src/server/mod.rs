//! The server behind `Shutdown::serve`: an accept loop and connections that know when they have nothing left to do.
//!
//! `serve` is the loop. It accepts through one `door`, from an `accept` with a `handshake` on top, and at the end from its
//! `backlog`. Each of the `connections` is a task: `connection` until the stop, `stopping` after it, `closing` at its end.
//!
//! `requests`, `body`, `streams` and `io` sit around hyper and see what passes. A connection's `tally` has what is in
//! flight, which each part of it holds by a guard of `held`, and its `notes` have what was seen of requests and bytes.
//! `delivery` says whether the bytes have reached the peer, by readings of the system's `send_queues`; `ping` asks a peer
//! of HTTP/2.

mod accept;
mod backlog;
mod body;
mod closing;
mod connection;
mod connections;
mod delivery;
mod door;
mod handshake;
mod held;
mod io;
mod notes;
mod peer;
mod ping;
mod requests;
mod router;
mod send_queues;
mod serve;
mod stopping;
mod streams;
mod tally;
#[cfg(test)]
mod tests;

#[cfg(unix)]
pub use self::backlog::UnixBacklog;
pub use self::{
    accept::Accept,
    backlog::TcpBacklog,
    handshake::{Handshaking, Shaking},
    peer::PeerAddr,
};
