use std::error::Error;
use std::fmt;

/// Any error, as bodies of the tower ecosystem carry it.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// No guard was given, or no future counted: requests are being rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShuttingDown(());

impl ShuttingDown {
    pub(crate) const fn new() -> Self {
        Self(())
    }
}

impl fmt::Display for ShuttingDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the service is shutting down and takes no new work")
    }
}

impl Error for ShuttingDown {}

/// Why a [`resume`](crate::DrainHandle::resume) changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumeError {
    sealed: bool,
}

impl ResumeError {
    pub(crate) const fn stale() -> Self {
        Self { sealed: false }
    }

    pub(crate) const fn sealed() -> Self {
        Self { sealed: true }
    }

    /// No drain is on, or its nonce is another one.
    pub const fn is_stale(&self) -> bool {
        !self.sealed
    }

    /// The drain was [sealed](crate::DrainHandle::seal): it is final.
    pub const fn is_sealed(&self) -> bool {
        self.sealed
    }
}

impl fmt::Display for ResumeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.sealed {
            "the drain is sealed and cannot be taken back"
        } else {
            "the nonce is stale: no drain with this nonce is on"
        })
    }
}

impl Error for ResumeError {}

/// The error that a [cut](crate::DrainHandle::cut) response body ends in, so that it cannot be taken for complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutError(());

impl CutError {
    pub(crate) const fn new() -> Self {
        Self(())
    }
}

impl fmt::Display for CutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the response was cut: the service did not wait for it any longer")
    }
}

impl Error for CutError {}

/// The error that a response body ends in which a [`StreamPolicy`](crate::StreamPolicy) breaks off, so that it cannot be
/// taken for complete.
#[cfg(feature = "stream")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakError(());

#[cfg(feature = "stream")]
impl BreakError {
    pub(crate) const fn new() -> Self {
        Self(())
    }
}

#[cfg(feature = "stream")]
impl fmt::Display for BreakError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the response was broken off: the service is shutting down, ask for it again")
    }
}

#[cfg(feature = "stream")]
impl Error for BreakError {}
