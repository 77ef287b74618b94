//! The shutdown sequence, from the signal to the exit code.
//!
//! `builder` collects what is wanted, `run` joins the server with `ear`, which turns signals and triggers into "begin" and
//! "hurry", and with `sequence`, which goes through the steps. The sequence acts on the handle and on the server's
//! `stages`, and writes what happened into a `record`, of which the `report` is made.
//! `unheard` looks out for signals while no sequence runs.

mod beside;
mod builder;
mod ear;
mod handlers;
mod hooks;
mod log;
mod record;
mod report;
mod rules;
mod run;
mod sequence;
mod server;
mod signals;
pub(crate) mod stages;
mod systemd;
#[cfg(test)]
mod tests;
mod timeouts;
mod unheard;

pub use self::{
    builder::{Shutdown, StopAccepting},
    report::{Cut, HookOutcome, HookReport, HookStage, PhaseTimes, ShutdownReport},
    signals::{OnSignal, Signals},
    stages::Stop,
    timeouts::Timeouts,
};
