use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{ready, Context, Poll};

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::scan::Scan;
use crate::latch::{Fired, Latch};
use crate::DrainReason;

pin_project! {
    /// Passes an event stream through as it is, and hears the `goodbye` in it.
    ///
    /// The stream is one of `Result`s of bytes, such as `http_body_util::BodyDataStream` makes of a response body. Its
    /// items are handed on untouched and at once, whatever they hold; nothing is buffered.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use std::convert::Infallible;
    /// use futures_util::{stream, StreamExt};
    /// use tower_drain::{DrainReason, GoodbyeListener};
    ///
    /// let body = ["data: an operation\n\n", "event: goodbye\nda", "ta: {}\n\n"];
    /// let operations = stream::iter(body.map(Ok::<_, Infallible>));
    ///
    /// let mut operations = GoodbyeListener::new(operations);
    /// let goodbye = operations.goodbye(); // for `Shutdown::trigger`
    /// while let Some(Ok(chunk)) = operations.next().await {
    ///     // parse `chunk`
    /// }
    /// assert_eq!(goodbye.await, DrainReason::Goodbye);
    /// # }
    /// ```
    ///
    /// A connection that breaks said no goodbye. One listener stands for all that come one after the other:
    ///
    /// ```no_run
    /// # use std::{convert::Infallible, time::Duration};
    /// # use futures_util::{stream, Stream, StreamExt};
    /// # async fn connect() -> impl Stream<Item = Result<&'static [u8], Infallible>> + Unpin { stream::empty() }
    /// # async fn example() {
    /// # use tower_drain::GoodbyeListener;
    /// let listener = GoodbyeListener::new(());
    /// let goodbye = listener.goodbye();
    /// tokio::spawn(async move {
    ///     loop {
    ///         let mut operations = listener.reconnected(connect().await);
    ///         while let Some(Ok(chunk)) = operations.next().await {
    ///             // parse `chunk`
    ///         }
    ///         tokio::time::sleep(Duration::from_secs(1)).await;
    ///     }
    /// });
    /// # }
    /// ```
    ///
    /// # What a goodbye is
    ///
    /// An event whose last `event` field is exactly `goodbye`, at the empty line that ends it, by the grammar of
    /// [HTML, section 9.2.6](https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation):
    /// lines end in LF, CR or CRLF, chunks may end anywhere, one byte order mark may come first. Other than in a
    /// browser, an event without data counts. Data, comments and other fields may be of any length: they are not
    /// looked at, and the listener keeps a few bytes of state whatever comes. This is why it reads the stream itself:
    /// parsers of whole events hold each of them in memory, and take the bytes that are to be passed on.
    ///
    /// # Backpressure
    ///
    /// It reads when it is polled, and not otherwise. A goodbye is heard when the item that has its last byte is handed
    /// on, which may be before what was in that item is dealt with; and behind a consumer that does not poll it stays
    /// unheard. A consumer that is busy should go on reading into a queue with a bound, and whoever says goodbye should
    /// send a SIGTERM in the end.
    #[must_use = "streams do nothing unless polled"]
    pub struct GoodbyeListener<S> {
        #[pin]
        stream: S,
        scan: Scan,
        said: Latch,
    }
}

impl<S> GoodbyeListener<S> {
    /// Listens to `stream`, from its first byte on.
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            scan: Scan::default(),
            said: Latch::new(),
        }
    }

    /// Resolves with [`DrainReason::Goodbye`] once the stream has said goodbye; at once if it has. Any number may wait.
    ///
    /// It does not borrow the stream, and does not poll it: whoever reads owns the stream, and `Shutdown::trigger` owns
    /// this future. If the stream ends or fails without a goodbye, or is dropped, it never resolves.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing.
    pub fn goodbye(&self) -> GoodbyeSaid {
        GoodbyeSaid(self.said.fired())
    }

    /// Listens to another stream for the same goodbye, after a connection broke: futures of
    /// [`goodbye`](Self::goodbye) that were made before resolve by either.
    pub fn reconnected<T>(&self, stream: T) -> GoodbyeListener<T> {
        GoodbyeListener {
            stream,
            scan: Scan::default(),
            said: self.said.clone(),
        }
    }
}

impl<S, B, E> Stream for GoodbyeListener<S>
where
    S: Stream<Item = Result<B, E>>,
    B: AsRef<[u8]>,
{
    type Item = Result<B, E>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        let item = ready!(this.stream.poll_next(cx));
        if let Some(Ok(bytes)) = &item {
            if this.scan.finds(bytes.as_ref()) {
                this.said.fire();
            }
        }
        Poll::Ready(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.size_hint()
    }
}

impl<S> fmt::Debug for GoodbyeListener<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GoodbyeListener")
            .field("said", &self.said.is_fired())
            .finish_non_exhaustive()
    }
}

/// The future of [`GoodbyeListener::goodbye`].
#[derive(Clone, Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct GoodbyeSaid(Fired);

impl Future for GoodbyeSaid {
    type Output = DrainReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<DrainReason> {
        Pin::new(&mut self.0)
            .poll(cx)
            .map(|()| DrainReason::Goodbye)
    }
}
