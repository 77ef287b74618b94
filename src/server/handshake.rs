use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{ready, Context, Poll};

use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Accept;
use crate::BoxError;

/// The listener of [`Accept::handshake`]. Iterating over its backlog is iterating over that of the listener inside.
#[derive(Clone)]
pub struct Handshaking<L, F> {
    inner: L,
    shake: F,
}

impl<L, F> Handshaking<L, F> {
    pub(super) fn new(inner: L, shake: F) -> Self {
        Self { inner, shake }
    }

    /// The listener inside.
    pub fn get_ref(&self) -> &L {
        &self.inner
    }
}

impl<L, F, Fut, Io, E> Accept for Handshaking<L, F>
where
    L: Accept,
    F: FnOnce(L::Io) -> Fut + Clone + Send + Unpin + 'static,
    Fut: Future<Output = Result<Io, E>> + Send + 'static,
    Io: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    E: Into<BoxError>,
{
    type Io = Io;
    type Addr = L::Addr;
    type Handshake = Shaking<L::Handshake, F, Fut>;
    type Backlog = Handshaking<L::Backlog, F>;

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Self::Handshake, Self::Addr)>> {
        let accepted = self.inner.poll_accept(cx);
        accepted.map_ok(|(inner, peer)| (Shaking::new(inner, self.shake.clone()), peer))
    }

    fn close(self) -> Self::Backlog {
        Handshaking::new(self.inner.close(), self.shake)
    }
}

impl<I, H, A, Inner, F, Fut> Iterator for Handshaking<I, F>
where
    I: Iterator<Item = io::Result<(H, A)>>,
    H: Future<Output = Result<Inner, BoxError>>,
    F: FnOnce(Inner) -> Fut + Clone,
{
    type Item = io::Result<(Shaking<H, F, Fut>, A)>;

    fn next(&mut self) -> Option<Self::Item> {
        let accepted = self.inner.next()?;
        Some(accepted.map(|(inner, peer)| (Shaking::new(inner, self.shake.clone()), peer)))
    }
}

impl<L: fmt::Debug, F> fmt::Debug for Handshaking<L, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshaking")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// The handshake of [`Handshaking`]: the inner listener's, then its own.
    #[must_use = "futures do nothing unless polled"]
    pub struct Shaking<H, F, Fut> {
        #[pin]
        state: State<H, Fut>,
        shake: Option<F>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<H, Fut> {
        Inner { #[pin] inner: H },
        Own { #[pin] own: Fut },
    }
}

impl<H, F, Fut> Shaking<H, F, Fut> {
    fn new(inner: H, shake: F) -> Self {
        Self {
            state: State::Inner { inner },
            shake: Some(shake),
        }
    }
}

impl<H, F, Fut, Inner, Io, E> Future for Shaking<H, F, Fut>
where
    H: Future<Output = Result<Inner, BoxError>>,
    F: FnOnce(Inner) -> Fut,
    Fut: Future<Output = Result<Io, E>>,
    E: Into<BoxError>,
{
    type Output = Result<Io, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProjection::Own { own } => return own.poll(cx).map_err(Into::into),
                StateProjection::Inner { inner } => {
                    let io = ready!(inner.poll(cx))?;
                    let shake = this.shake.take().expect("a handshake is begun once");
                    this.state.set(State::Own { own: shake(io) });
                }
            }
        }
    }
}

impl<H, F, Fut> fmt::Debug for Shaking<H, F, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shaking").finish_non_exhaustive()
    }
}
