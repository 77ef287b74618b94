use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::future::end;
use crate::tracker::{Admitted, Called, Place, Wakes};
use crate::StragglerPhase;

pin_project! {
    /// The future of [`DrainHandle::track`](crate::DrainHandle::track).
    #[must_use = "futures do nothing unless polled"]
    pub struct Tracked<F> {
        // Dropped in this order: what is counted outlives what it counts.
        #[pin]
        future: Option<F>,
        place: Option<Place>,
        admitted: Option<Admitted>,
    }

    impl<F> PinnedDrop for Tracked<F> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if this.place.is_some() {
                end(this.future, this.admitted, this.place);
            }
        }
    }
}

impl<F> Tracked<F> {
    pub(crate) fn new(future: F, admitted: Admitted) -> Self {
        Self {
            future: Some(future),
            place: None,
            admitted: Some(admitted),
        }
    }
}

impl<F: Future> Future for Tracked<F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let (Some(future), Some(admitted)) =
            (this.future.as_mut().as_pin_mut(), this.admitted.as_ref())
        else {
            panic!("`Tracked` polled after it was ready");
        };
        let output = match admitted.is_cut() {
            true => None,
            false => match future.poll(cx) {
                Poll::Ready(output) => Some(output),
                Poll::Pending => {
                    let phase = StragglerPhase::Handler;
                    match admitted.park(this.place, cx, Wakes::CUT, phase, || Called::Nothing) {
                        true => None,
                        false => return Poll::Pending,
                    }
                }
            },
        };
        end(this.future, this.admitted, this.place);
        Poll::Ready(output)
    }
}

impl<F> fmt::Debug for Tracked<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracked")
            .field("in_flight", &self.admitted.is_some())
            .finish_non_exhaustive()
    }
}
