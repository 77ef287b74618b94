//! What the benches share. Not every bench uses all of it.
#![allow(dead_code)]

pub(crate) mod callgrind;
pub(crate) mod candidates;
pub(crate) mod peers;
pub(crate) mod report;
pub(crate) mod threads;
pub(crate) mod turn;
