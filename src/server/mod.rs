//! The server behind `Shutdown::serve`: an accept loop and connections that know when they have nothing left to do.
//!
//! `serve` is the loop. It accepts through one `door`, from an `accept` with a `handshake` on top, and at the end from its
//! `backlog`. Each of the `connections` is a task: `connection` until the stop, `stopping` after it. What `requests`,
//! `body`, `streams` and `io` see of one is in its `tally`.

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
