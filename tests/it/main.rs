//! Everything that needs no process of its own, linked once.

mod support;

mod hammer;
mod rules_admission;
mod rules_readiness;
mod rules_rejection;
