use std::fmt;

#[cfg(feature = "admin")]
use crate::admin::Whole;

const LIMIT: u64 = 1 << 53;

/// Names one drain, so that only who began it can [`resume`](crate::DrainHandle::resume) from it: a request that was
/// meant for the last drain is stale and takes back no other.
///
/// Random, never zero, and below 2^53, so that it survives JSON numbers (RFC 8259, section 6). It tells drains
/// apart; it is not a secret, and who may send one is for the caller to check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "admin", derive(serde::Serialize), serde(transparent))]
pub struct DrainNonce(u64);

impl DrainNonce {
    pub(crate) fn random() -> Self {
        Self(fastrand::u64(1..LIMIT))
    }

    /// A nonce from its number. One that no drain ever had is stale.
    pub const fn from_u64(nonce: u64) -> Self {
        Self(nonce)
    }

    /// Its number.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

/// Refuses what no drain can have: zero, and what is not below 2^53. A double is taken if it is whole.
#[cfg(feature = "admin")]
impl<'de> serde::Deserialize<'de> for DrainNonce {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Whole(nonce) = Whole::deserialize(deserializer)?;
        Self::checked(Some(nonce), nonce)
    }
}

#[cfg(feature = "admin")]
impl DrainNonce {
    pub(crate) fn checked<E: serde::de::Error>(
        nonce: Option<u64>,
        written: impl fmt::Display,
    ) -> Result<Self, E> {
        let nonce = nonce.filter(|nonce| (1..LIMIT).contains(nonce));
        nonce.map(Self).ok_or_else(|| {
            let most = LIMIT - 1;
            E::custom(format_args!(
                "a nonce is a whole number from 1 to {most}, not {written:.40}"
            ))
        })
    }
}

impl fmt::Display for DrainNonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
