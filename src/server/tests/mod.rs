//! Over real sockets, and where time matters over pipes with a paused clock.

mod accepting;
mod answers;
mod clock;
mod exempt;
mod http2;
mod lifetime;
mod panics;
mod reach;
mod sequence;
mod slow;
mod support;
mod tls;
mod told;
mod units;
mod upgrades;
