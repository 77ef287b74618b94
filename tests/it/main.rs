//! Everything that needs no process of its own, linked once.

mod hammer;
