//! Everything that needs no process of its own, linked once.

mod support;

mod auto_traits;
mod conformance;
mod debug;
mod guards;
mod hammer;
mod memory;
mod phases;
mod random_ends;
mod reentry;
mod rules_admission;
mod rules_connection;
mod rules_cut;
mod rules_cut_counts;
mod rules_order;
mod rules_passthrough;
mod rules_readiness;
mod rules_rejection;
mod rules_resume;
mod stack;
mod stragglers;
mod waiting;
