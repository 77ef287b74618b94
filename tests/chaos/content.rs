//! What is asked for, and what an answer to it must consist of, byte for byte.

use bytes::Bytes;

/// The bytes `from..from + len` of the content called `id`. No content is another's, and none repeats itself, so that
/// a byte that is missing, doubled or of another answer is seen.
pub(crate) fn bytes(id: u32, from: usize, len: usize) -> Bytes {
    (from..from + len).map(|at| byte(id, at)).collect()
}

fn byte(id: u32, at: usize) -> u8 {
    let mixed = (at as u64 ^ u64::from(id) << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 56) as u8 ^ (mixed >> 29) as u8
}

/// What a handler does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// Answers in one piece.
    Text,
    /// Answers in chunks, with pauses.
    Stream,
    /// Answers after a while.
    Slow,
    /// Answers at once and leaves work behind that holds a guard.
    Guarded,
    /// Sends back what it gets, as it comes.
    Echo,
    /// Sends back what it gets, when it has all of it.
    Collect,
    /// Is given up by a timeout.
    Never,
    /// Answers without an end.
    Endless,
    /// Panics before it answers.
    Panic,
    /// Answers with a body that panics half way.
    PanicInBody,
    /// Answers with a body that ends in an error.
    Fail,
}

impl Want {
    /// The better half twice, so that most of a storm is work.
    const ALL: [Self; 17] = [
        Self::Text,
        Self::Stream,
        Self::Slow,
        Self::Guarded,
        Self::Echo,
        Self::Collect,
        Self::Text,
        Self::Stream,
        Self::Slow,
        Self::Guarded,
        Self::Echo,
        Self::Collect,
        Self::Never,
        Self::Endless,
        Self::Panic,
        Self::PanicInBody,
        Self::Fail,
    ];

    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Stream => "stream",
            Self::Slow => "slow",
            Self::Guarded => "guarded",
            Self::Echo => "echo",
            Self::Collect => "collect",
            Self::Never => "never",
            Self::Endless => "endless",
            Self::Panic => "panic",
            Self::PanicInBody => "panic-in-body",
            Self::Fail => "fail",
        }
    }
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub(crate) id: u32,
    pub(crate) want: Want,
    pub(crate) len: usize,
}

impl Ask {
    pub(crate) fn random(random: &mut fastrand::Rng) -> Self {
        Self::of(*random.choice(&Want::ALL).unwrap(), random)
    }

    /// One whose handler does nothing wrong.
    pub(crate) fn good(random: &mut fastrand::Rng) -> Self {
        Self::of(*random.choice(&Want::ALL[..12]).unwrap(), random)
    }

    pub(crate) fn of(want: Want, random: &mut fastrand::Rng) -> Self {
        let len = match random.u8(..8) {
            0 => 0,
            1 => random.usize(..64),
            2..=5 => random.usize(..8 * 1024),
            // An upload is to fit what a socket holds; an answer may fill it.
            _ if matches!(want, Want::Echo | Want::Collect) => random.usize(..48 * 1024),
            6 => random.usize(..64 * 1024),
            _ => random.usize(..512 * 1024),
        };
        let id = random.u32(..);
        Self { id, want, len }
    }

    pub(crate) fn path(&self) -> String {
        format!("/{}/{}/{}", self.want.path(), self.id, self.len)
    }

    pub(crate) fn is_upload(&self) -> bool {
        matches!(self.want, Want::Echo | Want::Collect)
    }

    /// Whether nothing but a cut, a rejection or the client itself may keep it from its whole answer.
    pub(crate) fn is_good(&self) -> bool {
        Want::ALL[..12].contains(&self.want)
    }

    pub(crate) fn upload(&self) -> Bytes {
        match self.is_upload() {
            true => bytes(self.id, 0, self.len),
            false => Bytes::new(),
        }
    }

    /// What has come of a 200 is a part of the content from its begin; all of it, if it looks complete.
    ///
    /// # Errors
    ///
    /// A sentence about the first byte that is wrong, or about those that are missing.
    pub(crate) fn check(&self, came: &[u8], looks_complete: bool) -> Result<(), String> {
        if let Some(at) = (0..came.len()).find(|&at| came[at] != byte(self.id, at)) {
            return Err(format!("{self:?}: byte {at} of {} is wrong", came.len()));
        }
        let is_whole = self.is_good() && came.len() == self.len;
        if looks_complete && !is_whole {
            let came = came.len();
            return Err(format!(
                "{self:?}: {came} bytes came and looked like all of them"
            ));
        }
        Ok(())
    }
}
