//! What the administration service is told to do: read whole and judged whole, then done in one step.

use std::time::Duration;

use http::StatusCode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::reply::{self, Refusal, Reply};
use super::ttl::DEFAULT_TTL;
use super::whole::whole;
use crate::{lines, DrainHandle, DrainNonce, DrainReason};

const SHORTEST_TTL_S: f64 = 0.001;
/// A longer time to live is a slip of units.
const LONGEST_TTL_S: f64 = 365.0 * 24.0 * 3600.0;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DrainOrder {
    reason: Option<String>,
    ttl_s: Option<f64>,
    then: Option<Then>,
}

/// By way of a string: serde would take an object with one field for a variant's name.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(try_from = "String")]
enum Then {
    #[default]
    Stay,
    Exit,
}

impl TryFrom<String> for Then {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        match word.as_str() {
            "stay" => Ok(Self::Stay),
            "exit" => Ok(Self::Exit),
            _ => Err(format!("`{word}` is neither `stay` nor `exit`")),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadyOrder {
    #[serde(deserialize_with = "exact_nonce")]
    nonce: DrainNonce,
}

fn exact_nonce<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DrainNonce, D::Error> {
    let written = <&RawValue>::deserialize(deserializer)?.get();
    DrainNonce::checked(whole(written), written)
}

#[derive(Serialize)]
struct Begun {
    nonce: Option<DrainNonce>,
}

#[derive(Serialize)]
struct Resumed {
    phase: crate::Phase,
}

impl DrainOrder {
    /// No body at all is an order without wishes.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        match first(body) {
            None => Ok(Self::default()),
            Some(_) => parse(body),
        }
    }

    pub(super) fn obey(self, handle: &DrainHandle) -> Result<Reply, Refusal> {
        let reason = reason(self.reason)?;
        let ttl = ttl(self.ttl_s)?;
        let nonce = match self.then.unwrap_or_default() {
            Then::Stay => Some(stay(handle, reason, ttl)?),
            Then::Exit => exit(handle, reason)?,
        };
        Ok(reply::json(StatusCode::OK, &Begun { nonce }))
    }
}

impl ReadyOrder {
    pub(super) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        parse(body)
    }

    pub(super) fn obey(self, handle: &DrainHandle) -> Result<Reply, Refusal> {
        match handle.resume(self.nonce) {
            Ok(()) => {
                lines::write(|| tracing::info!(target: "tower_drain::admin", "resumed"));
                let phase = crate::Phase::Serving;
                Ok(reply::json(StatusCode::OK, &Resumed { phase }))
            }
            Err(error) => Err(Refusal::conflict(handle.phase(), error.to_string())),
        }
    }
}

/// Only the one who begins a drain learns its nonce.
fn stay(handle: &DrainHandle, reason: DrainReason, ttl: Duration) -> Result<DrainNonce, Refusal> {
    let words = reason.to_string();
    let nonce = handle.begin_lame_duck_for(ttl, reason).ok_or_else(|| {
        Refusal::conflict(
            handle.phase(),
            "a drain is on already, and its nonce belongs to whoever began it: resume with that, or wait until it \
             lifts itself",
        )
    })?;
    let ttl_s = ttl.as_secs_f64();
    lines::write(
        || tracing::info!(target: "tower_drain::admin", reason = ?words, ttl_s, "asked to drain and stay"),
    );
    Ok(nonce)
}

/// Sealed first, so that nobody takes it back before the shutdown has begun. A drain that is on is joined, and its nonce
/// stays with whoever began it.
#[cfg(feature = "shutdown")]
fn exit(handle: &DrainHandle, reason: DrainReason) -> Result<Option<DrainNonce>, Refusal> {
    lines::write(
        || tracing::info!(target: "tower_drain::admin", reason = ?reason.to_string(), "asked to drain and exit"),
    );
    handle.seal();
    let nonce = handle.begin_lame_duck_because(reason.clone());
    handle.request_exit(reason);
    Ok(nonce)
}

#[cfg(not(feature = "shutdown"))]
fn exit(_: &DrainHandle, _: DrainReason) -> Result<Option<DrainNonce>, Refusal> {
    Err(bad(
        "`then`: this service was built without the feature `shutdown` of tower-drain and cannot end its process: \
         use `stay`, and a signal",
    ))
}

fn reason(words: Option<String>) -> Result<DrainReason, Refusal> {
    let Some(words) = words.filter(|words| !words.trim().is_empty()) else {
        return Ok(DrainReason::Requested);
    };
    match words.chars().position(char::is_control) {
        Some(at) => Err(bad(format!(
            "`reason`: character {at} is a control character, which does not belong into a log"
        ))),
        None => Ok(words.into()),
    }
}

fn ttl(seconds: Option<f64>) -> Result<Duration, Refusal> {
    let Some(seconds) = seconds else {
        return Ok(DEFAULT_TTL);
    };
    match (SHORTEST_TTL_S..=LONGEST_TTL_S).contains(&seconds) {
        true => Ok(Duration::from_secs_f64(seconds)),
        false => Err(bad(format!(
            "`ttl_s`: {seconds} is not a number of seconds from {SHORTEST_TTL_S} to {LONGEST_TTL_S}"
        ))),
    }
}

/// An object and nothing else: serde would take a list for one, field by field.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    match first(body) {
        Some(b'{') => {}
        Some(_) => return Err(bad("the body is not a JSON object")),
        None => return Err(bad("the body is empty: a JSON object is wanted")),
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let parsed = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let (path, error) = (error.path().to_string(), error.inner());
        match path.as_str() {
            "." => bad(error.to_string()),
            field => bad(format!("`{field}`: {error}")),
        }
    })?;
    match json.end() {
        Ok(()) => Ok(parsed),
        Err(error) => Err(bad(error.to_string())),
    }
}

/// The first byte that is not JSON's white space.
fn first(body: &[u8]) -> Option<u8> {
    let mut bytes = body.iter().copied();
    bytes.find(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
}

fn bad(error: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, error)
}
