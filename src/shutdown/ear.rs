//! Listens for what begins the sequence and for what hurries it.

use std::future::{poll_fn, Future};
use std::pin::pin;
use std::task::Poll;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::builder::Trigger;
use super::handlers::Handlers;
use super::log;
use super::rules::{Heard, Rules, Signal};
use crate::contained::Contained;
use crate::latch::Latch;
use crate::{DrainHandle, DrainReason};

/// What is heard while a sequence runs.
#[derive(Clone, Debug, Default)]
pub(super) struct Hurry {
    /// Nothing is waited for any longer but hooks and the closing. Fired by signals, and by the sequence's own cut.
    pub(super) cut: Latch,
    /// Nothing at all is waited for.
    pub(super) leave: Latch,
}

enum Event {
    Signal(Signal),
    Trigger(DrainReason),
}

/// Never ends. The first trigger goes to `triggered`; what comes later only hurries.
pub(super) async fn listen(
    mut handlers: Handlers,
    mut rules: Rules,
    triggers: Vec<Trigger>,
    handle: DrainHandle,
    hurry: Hurry,
    triggered: oneshot::Sender<DrainReason>,
) {
    // A trigger that is not wanted any more is not to end the sequence by its drop.
    let mut triggers: Vec<_> = triggers.into_iter().map(Contained::new).collect();
    let mut triggered = Some(triggered);
    let mut requested = pin!(handle.exit().requested());
    loop {
        let event = poll_fn(|cx| {
            if let Poll::Ready(signal) = handlers.poll_next(cx) {
                return Poll::Ready(Event::Signal(signal));
            }
            if triggered.is_none() {
                return Poll::Pending;
            }
            let ready = |reason| Poll::Ready(Event::Trigger(reason));
            if let Poll::Ready(reason) = requested.as_mut().poll(cx) {
                return ready(reason);
            }
            for trigger in &mut triggers {
                if let Poll::Ready(reason) = trigger.as_mut().poll(cx) {
                    return ready(reason);
                }
            }
            Poll::Pending
        });
        let reason = match event.await {
            Event::Trigger(reason) => reason,
            Event::Signal(signal) => {
                let heard = rules.hear(signal, Instant::now(), hurry.cut.is_fired());
                log::signal(signal.name(), heard);
                match heard {
                    Heard::Ignored => continue,
                    Heard::Drain => {}
                    Heard::Cut => drop(hurry.cut.fire()),
                    Heard::Leave => drop(hurry.leave.fire()),
                }
                DrainReason::Signal(signal.name().into())
            }
        };
        if let Some(triggered) = triggered.take() {
            triggers.clear();
            // The sequence may have begun without: the server ended.
            drop(triggered.send(reason));
        }
    }
}
