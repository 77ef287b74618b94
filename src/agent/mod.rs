//! For processes that take their orders from others: a worker without a server, a runner of workflows.
//!
//! Three leaves that know nothing of each other. `watchdog` and `goodbye` resolve with a reason for a trigger;
//! `heartbeat` watches a handle. `scan` reads an event stream, `ticks` is the clock of the other two,
//! `patience` is a probe's timeout, and `caught` keeps panics of the caller's code in bounds.

mod caught;
mod goodbye;
mod heartbeat;
mod patience;
mod scan;
mod ticks;
mod watchdog;

pub use self::{
    goodbye::{GoodbyeListener, GoodbyeSaid},
    heartbeat::{BeatOutcome, Beating, Heartbeat},
    watchdog::Watchdog,
};
