//! Drains that are begun, cut and taken back at random, and all sorts of waiters, of which none may be forgotten.

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tower_drain::{DrainHandle, Phase};

use crate::round::Round;
use crate::sockets_support::LONG;

/// Those who wait for something of the handle, and for what.
pub(crate) type Waiters = Vec<(&'static str, JoinHandle<()>)>;

/// Steers until `until` is over; returns who still waits.
pub(crate) async fn steer(
    round: &Round,
    mut random: fastrand::Rng,
    until: impl Future<Output = ()>,
) -> Waiters {
    let mut waiters = Waiters::new();
    let mut until = std::pin::pin!(until);
    loop {
        let pause = sleep(Duration::from_millis(random.u64(..12)));
        tokio::select! {
            () = &mut until => return waiters,
            () = pause => {}
        }
        turn(round, &mut random, &mut waiters);
    }
}

fn turn(round: &Round, random: &mut fastrand::Rng, waiters: &mut Waiters) {
    let handle = &round.handle;
    match random.u8(..20) {
        0..=2 => drop(handle.begin_lame_duck()),
        3 | 4 => drop(handle.begin_shutdown()),
        5..=9 => resume(handle),
        10 | 11 if round.cuts => drop(handle.cut()),
        12 => wait(waiters, "the drain", handle.wait_for_drain(Duration::MAX)),
        13 => wait(waiters, "leaving", handle.leaving()),
        14 => wait(waiters, "draining", handle.draining()),
        15 => {
            let changed = handle.changed();
            // After the end of the last drain there is nothing more to wait for.
            if handle.phase() != Phase::Drained {
                wait(waiters, "changed", changed);
            }
        }
        16 => hold(handle, random.u64(..40), waiters),
        17 => track(handle, random.u64(..40), waiters),
        18 => impatient(handle, random.u64(..3), waiters),
        _ => {}
    }
}

pub(crate) fn resume(handle: &DrainHandle) {
    if let Some(nonce) = handle.nonce() {
        // The exit may have sealed it.
        let _ = handle.resume(nonce);
    }
}

fn wait<F>(waiters: &mut Waiters, what: &'static str, waiting: F)
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    let waiter = tokio::spawn(async move { drop(waiting.await) });
    waiters.push((what, waiter));
}

/// A guard and its clone, dropped one after the other; the first tells whether it hears of a cut.
fn hold(handle: &DrainHandle, millis: u64, waiters: &mut Waiters) {
    let Ok(guard) = handle.try_guard_as("held for a while") else {
        return;
    };
    let clone = guard.clone();
    wait(waiters, "a guard", async move {
        tokio::select! {
            () = guard.cut() => {}
            () = sleep(Duration::from_millis(millis)) => {}
        }
        drop(guard);
        tokio::task::yield_now().await;
        drop(clone);
    });
}

fn track(handle: &DrainHandle, millis: u64, waiters: &mut Waiters) {
    let work = async move {
        sleep(Duration::from_millis(millis)).await;
        tokio::task::yield_now().await;
    };
    if let Ok(tracked) = handle.track(work) {
        wait(waiters, "a tracked future", tracked);
    }
}

/// Waits for a moment and gives up, which must leave nothing behind.
fn impatient(handle: &DrainHandle, millis: u64, waiters: &mut Waiters) {
    let waiting = handle.wait_for_drain(Duration::MAX);
    let moment = Duration::from_millis(millis);
    wait(waiters, "one who gives up", async move {
        let _ = tokio::time::timeout(moment, waiting).await;
    });
}

/// Everybody who waits is told of it in the end.
///
/// # Panics
///
/// If one is not.
pub(crate) async fn all_woken(waiters: Waiters) -> usize {
    let woken = waiters.len();
    for (what, waiter) in waiters {
        match timeout(LONG, waiter).await {
            Ok(waited) => waited.unwrap(),
            Err(_) => panic!("who waits for {what} was not woken"),
        }
    }
    woken
}
