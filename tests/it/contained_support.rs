//! Errors and values of the caller that panic in unexpected places.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tower_drain::BoxError;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Ill {
    /// `Display` returns an error.
    NoWords,
    /// `Display` panics.
    DisplayPanics,
    /// `source` panics.
    SourcePanics,
    /// `source` leads back.
    Circle,
    /// The drop panics.
    DropPanics,
}

impl Ill {
    pub(crate) const ALL: [Self; 5] = [
        Self::NoWords,
        Self::DisplayPanics,
        Self::SourcePanics,
        Self::Circle,
        Self::DropPanics,
    ];

    pub(crate) fn error(self) -> BoxError {
        match self {
            Self::DropPanics => Box::new(WithDrop(self)),
            _ => Box::new(self),
        }
    }

    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::NoWords => "(no message)",
            Self::DisplayPanics => "(its message panicked: no words)",
            _ => "refused",
        }
    }
}

impl fmt::Display for Ill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoWords => Err(fmt::Error),
            Self::DisplayPanics => panic!("no words"),
            _ => f.write_str("refused"),
        }
    }
}

impl Error for Ill {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::SourcePanics => panic!("no cause"),
            Self::Circle => Some(self),
            _ => None,
        }
    }
}

#[derive(Debug)]
struct WithDrop(Ill);

impl fmt::Display for WithDrop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for WithDrop {}

impl Drop for WithDrop {
    fn drop(&mut self) {
        panic!("an error that panics when it is dropped");
    }
}

/// Panics when it is dropped.
pub(crate) struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a payload that panics when it is dropped");
    }
}

/// Ends as it is told to, and panics when it is dropped.
pub(crate) struct DropPanics<T>(pub(crate) Option<T>);

impl<T: Unpin> Future for DropPanics<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<T> {
        match self.0.take() {
            Some(output) => Poll::Ready(output),
            None => Poll::Pending,
        }
    }
}

impl<T> Drop for DropPanics<T> {
    fn drop(&mut self) {
        panic!("a future that panics when it is dropped");
    }
}
