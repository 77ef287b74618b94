//! What the clients saw: to judge a round by, and to show that it was not a tame one.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::content::Ask;

/// What came of an answer whose status line came.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) closes: bool,
    pub(crate) body: Vec<u8>,
    pub(crate) end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Its framing says that this is all.
    Complete,
    /// The connection or the stream ended before.
    Broken,
    /// The client has had enough.
    Left,
}

/// Shared by the clients of a run.
#[derive(Debug, Default)]
pub(crate) struct Seen(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    counts: BTreeMap<&'static str, u64>,
    lost: Vec<String>,
}

impl Seen {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note(&self, what: &'static str) {
        *self.lock().counts.entry(what).or_default() += 1;
    }

    pub(crate) fn count(&self, what: &str) -> u64 {
        self.lock().counts.get(what).copied().unwrap_or(0)
    }

    /// A good request whose client did nothing wrong, without its answer. Right only where something was cut.
    pub(crate) fn lost(&self, ask: &Ask, what: &str) {
        let mut inner = self.lock();
        *inner.counts.entry("lost").or_default() += 1;
        inner.lost.push(format!("{ask:?}: {what}"));
    }

    /// What was lost since the last call.
    pub(crate) fn take_lost(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().lost)
    }

    pub(crate) fn summary(&self) -> String {
        let inner = self.lock();
        let counts = inner.counts.iter();
        let counts: Vec<_> = counts
            .map(|(what, count)| format!("{what} {count}"))
            .collect();
        counts.join(", ")
    }

    /// Looks at every byte that came.
    ///
    /// # Panics
    ///
    /// If one is wrong, or one is missing of what looks complete.
    pub(crate) fn judge(&self, ask: &Ask, answer: &Answer, is_patient: bool) {
        let is_complete = answer.end == End::Complete;
        match answer.status {
            200 => {
                if let Err(wrong) = ask.check(&answer.body, is_complete) {
                    panic!("{wrong}");
                }
                self.note(if is_complete { "whole" } else { "partial" });
            }
            503 => self.note("rejected"),
            500 => self.note("cut before the answer"),
            408 => self.note("timed out"),
            other => panic!("{ask:?}: nobody answers with {other}"),
        }
        if !is_patient || !ask.is_good() {
            return;
        }
        // Bytes of an upload that nobody reads may reset the connection under an answer that does not want them.
        let may_break = ask.is_upload() && answer.status != 200;
        match (answer.status, answer.end) {
            (_, End::Broken) if !may_break => {
                let (status, came) = (answer.status, answer.body.len());
                self.lost(ask, &format!("{status}, then broken after {came} bytes"));
            }
            (500, _) => self.lost(ask, "500"),
            _ => {}
        }
    }
}
