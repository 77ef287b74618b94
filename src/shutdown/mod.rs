//! The shutdown sequence, from the signal to the exit code.

mod stages;

pub use self::stages::Stop;
pub(crate) use self::stages::{Abandon, Served, ServerStages};
