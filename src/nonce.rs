use std::fmt;

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

/// Refuses what no drain can have: zero, and what is not below 2^53.
#[cfg(feature = "admin")]
impl<'de> serde::Deserialize<'de> for DrainNonce {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let nonce = u64::deserialize(deserializer)?;
        match (1..LIMIT).contains(&nonce) {
            true => Ok(Self(nonce)),
            false => Err(serde::de::Error::custom(format_args!(
                "a nonce is a whole number from 1 to {}, not {nonce}",
                LIMIT - 1
            ))),
        }
    }
}

impl fmt::Display for DrainNonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
