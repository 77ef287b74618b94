//! Models of the counting core.
