use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::whole::Whole;
use crate::{DrainHandle, DrainNonce, DrainReason, Phase};

/// A drain as it is carried over a restart: phase, nonce, reason and the time that is left to it.
///
/// It serialises with serde. As JSON:
///
/// ```json
/// {
///   "phase": "lame_duck",
///   "nonce": 5178254360917353,
///   "reason": { "other": "a deploy" },
///   "remaining_ms": 899975,
///   "until_unix_ms": 1767226499975
/// }
/// ```
///
/// A drain without a time to live has neither of the last two, and a service that serves has nothing but its phase. What
/// is missing or wrong is an error that says so. It holds the nonce: keep it where only the service can read it.
///
/// An older process reads what a newer one wrote, so that a rollback keeps the drain. Unknown fields are skipped. An
/// unknown reason becomes [`DrainReason::Other`]. A drain in an unknown phase is taken up as [`Phase::Draining`], which is
/// the safer reading: a request that is rejected by mistake can be sent again, but work that is admitted by mistake cannot
/// be given back. The nonce or the time to live ends such a drain, as any other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct DrainSnapshot {
    drain: Option<Carried>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Carried {
    phase: Phase,
    nonce: DrainNonce,
    reason: DrainReason,
    lifts: Option<Lifts>,
}

/// What was left at the snapshot, and until when by the wall clock, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lifts {
    remaining: u64,
    until: u64,
}

impl DrainSnapshot {
    /// The phase that is taken up again.
    pub fn phase(&self) -> Phase {
        self.drain
            .as_ref()
            .map_or(Phase::Serving, |drain| drain.phase)
    }

    /// The drain's nonce; `None` while serving.
    pub fn nonce(&self) -> Option<DrainNonce> {
        Some(self.drain.as_ref()?.nonce)
    }

    /// Why it began; `None` while serving.
    pub fn reason(&self) -> Option<&DrainReason> {
        Some(&self.drain.as_ref()?.reason)
    }

    /// How long from now until the drain lifts itself, zero if its time is over; `None` if it does not.
    ///
    /// By the wall clock, because time goes on while no process runs; but never longer than it was at the snapshot, so
    /// that a clock that was set back does not prolong a drain.
    pub fn remaining(&self) -> Option<Duration> {
        let lifts = self.drain.as_ref()?.lifts?;
        let left = lifts.until.saturating_sub(unix_ms());
        Some(Duration::from_millis(left.min(lifts.remaining)))
    }
}

impl DrainHandle {
    /// What a restart has to take up again with [`restore`](DrainHandle::restore).
    ///
    /// A maintenance drain is carried as it was when it was [sealed](DrainHandle::seal), if it was. The drain that a
    /// shutdown begins is not: it ends this process, and the next one is to serve. So a snapshot may be kept at every
    /// change of the phase:
    ///
    /// ```
    /// # use tower_drain::DrainHandle;
    /// # async fn store(snapshot: String) {}
    /// # async fn keep(handle: DrainHandle) -> Result<(), serde_json::Error> {
    /// loop {
    ///     let changed = handle.changed();
    ///     store(serde_json::to_string(&handle.snapshot())?).await;
    ///     changed.await;
    /// }
    /// # }
    /// ```
    pub fn snapshot(&self) -> DrainSnapshot {
        let drain = self.carried().map(|carried| Carried {
            phase: carried.phase,
            nonce: carried.nonce,
            reason: carried.reason,
            lifts: carried.lifts_in.map(|left| {
                let remaining = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
                let until = unix_ms().saturating_add(remaining);
                Lifts { remaining, until }
            }),
        });
        DrainSnapshot { drain }
    }

    /// A new handle that takes up the drain of a snapshot: its phase, its nonce, its reason, and its time to live, which
    /// went on meanwhile. One whose time is over is not taken up: the handle serves.
    ///
    /// It is for [`DrainLayer::from_handle`](crate::DrainLayer::from_handle), before the first request. `Drained` comes
    /// back by way of `Draining`, since nothing is in flight yet. Handles that are made from one snapshot are
    /// independent of each other.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_drain::{DrainHandle, Phase};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let handle = DrainHandle::new();
    /// let nonce = handle.begin_lame_duck_for(Duration::from_secs(60), "a deploy".into());
    /// let kept = serde_json::to_string(&handle.snapshot())?;
    ///
    /// // The next process:
    /// let handle = DrainHandle::restore(serde_json::from_str(&kept)?);
    /// assert_eq!((handle.phase(), handle.nonce()), (Phase::LameDuck, nonce));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// As [`begin_lame_duck_for`](DrainHandle::begin_lame_duck_for).
    pub fn restore(snapshot: DrainSnapshot) -> Self {
        let handle = Self::new();
        let remaining = snapshot.remaining();
        let Some(drain) = snapshot.drain else {
            return handle;
        };
        if remaining == Some(Duration::ZERO) {
            return handle;
        }
        let lifts = handle.lifts_after(remaining.unwrap_or(Duration::MAX));
        let tracker = handle.tracker();
        tracker.take_up(drain.phase, drain.nonce, drain.reason, lifts);
        handle
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// The form in which it is written down.
#[derive(Clone, Serialize, Deserialize)]
struct Written {
    #[serde(deserialize_with = "phase")]
    phase: Phase,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nonce: Option<DrainNonce>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<DrainReason>,
    #[serde(
        default,
        deserialize_with = "whole",
        skip_serializing_if = "Option::is_none"
    )]
    remaining_ms: Option<u64>,
    #[serde(
        default,
        deserialize_with = "whole",
        skip_serializing_if = "Option::is_none"
    )]
    until_unix_ms: Option<u64>,
}

/// A known phase, or the name of one that a later version has, with or without fields.
fn phase<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Phase, D::Error> {
    let written = Value::deserialize(deserializer)?;
    match Phase::deserialize(&written) {
        Ok(phase) => Ok(phase),
        Err(_) if written.is_string() || written.is_object() => Ok(Phase::Draining),
        Err(error) => Err(D::Error::custom(format_args!("`phase`: {error}"))),
    }
}

fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let whole = Option::<Whole>::deserialize(deserializer)?;
    Ok(whole.map(|Whole(number)| number))
}

impl From<DrainSnapshot> for Written {
    fn from(snapshot: DrainSnapshot) -> Self {
        let phase = snapshot.phase();
        let drain = snapshot.drain;
        let lifts = drain.as_ref().and_then(|drain| drain.lifts);
        Self {
            phase,
            nonce: drain.as_ref().map(|drain| drain.nonce),
            reason: drain.map(|drain| drain.reason),
            remaining_ms: lifts.map(|lifts| lifts.remaining),
            until_unix_ms: lifts.map(|lifts| lifts.until),
        }
    }
}

impl TryFrom<Written> for DrainSnapshot {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let lifts = match (written.remaining_ms, written.until_unix_ms) {
            (Some(remaining), Some(until)) => Some(Lifts { remaining, until }),
            (None, None) => None,
            _ => return Err("`remaining_ms` and `until_unix_ms` need each other"),
        };
        let drain = match (written.phase, written.nonce) {
            (Phase::Serving, None) => None,
            (Phase::Serving, Some(_)) => return Err("a nonce, but the phase is `serving`"),
            (_, None) => return Err("`nonce` is missing, without which nobody could resume"),
            (phase, Some(nonce)) => Some(Carried {
                phase,
                nonce,
                reason: written.reason.unwrap_or(DrainReason::Requested),
                lifts,
            }),
        };
        Ok(Self { drain })
    }
}
