use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{ready, Context, Poll, Waker};

use http::{Request, Response};
use tokio::sync::oneshot;
use tower::Service;
use tower_drain::DrainHandle;

use super::{unwind, unwind_if, DropProbe, Script, TestBody};

enum Order {
    Answer(Box<Response<TestBody>>),
    Fail,
    Panic,
    Cut(DrainHandle),
}

/// A call that [`Handlers`] got, to be ended by the test.
pub(crate) struct Call {
    pub(crate) request: Request<()>,
    orders: oneshot::Sender<Order>,
}

impl Call {
    /// Answers with 200 and the script's body.
    pub(crate) fn answer(self, script: &Script) {
        self.respond(Response::new(script.body()));
    }

    pub(crate) fn respond(self, response: Response<TestBody>) {
        let _ = self.orders.send(Order::Answer(Box::new(response)));
    }

    pub(crate) fn fail(self) {
        let _ = self.orders.send(Order::Fail);
    }

    pub(crate) fn panic(self) {
        let _ = self.orders.send(Order::Panic);
    }

    /// Cuts in the handler's own poll, which is then pending for ever.
    pub(crate) fn cut_in_poll(self, handle: DrainHandle) {
        let _ = self.orders.send(Order::Cut(handle));
    }
}

#[derive(Default)]
struct Room {
    calls: Mutex<VecDeque<Call>>,
    called: AtomicUsize,
    probes: Mutex<VecDeque<DropProbe>>,
    busy: Mutex<Option<Vec<Waker>>>,
}

/// A service that keeps its calls for the test to end. Clones are the same service.
#[derive(Clone, Default)]
pub(crate) struct Handlers {
    room: Arc<Room>,
    pub(crate) fails_ready: bool,
    pub(crate) panics_in_call: bool,
    pub(crate) panics_in_drop: bool,
}

impl Handlers {
    pub(crate) fn that(set: impl FnOnce(&mut Self)) -> Self {
        let mut handlers = Self::default();
        set(&mut handlers);
        handlers
    }

    /// The oldest call that was not taken yet.
    pub(crate) fn next(&self) -> Call {
        let call = self.room.calls.lock().unwrap().pop_front();
        call.expect("the inner service was not called")
    }

    /// How often the inner service was called.
    pub(crate) fn called(&self) -> usize {
        self.room.called.load(SeqCst)
    }

    /// Puts a probe into the next call's future.
    pub(crate) fn probe_next(&self, probe: DropProbe) {
        self.room.probes.lock().unwrap().push_back(probe);
    }

    /// Not ready from here on.
    pub(crate) fn busy(&self) {
        *self.room.busy.lock().unwrap() = Some(Vec::new());
    }

    /// Ready again.
    pub(crate) fn free(&self) {
        let parked = self.room.busy.lock().unwrap().take();
        parked.into_iter().flatten().for_each(Waker::wake);
    }
}

impl std::fmt::Debug for Handlers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handlers")
    }
}

impl Service<Request<()>> for Handlers {
    type Response = Response<TestBody>;
    type Error = &'static str;
    type Future = Inner;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        if self.fails_ready {
            return Poll::Ready(Err("not ready, ever"));
        }
        match &mut *self.room.busy.lock().unwrap() {
            Some(parked) => {
                parked.push(cx.waker().clone());
                Poll::Pending
            }
            None => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, request: Request<()>) -> Inner {
        unwind_if(self.panics_in_call);
        self.room.called.fetch_add(1, SeqCst);
        let (orders, receiver) = oneshot::channel();
        let call = Call { request, orders };
        self.room.calls.lock().unwrap().push_back(call);
        Inner {
            orders: receiver,
            probe: self.room.probes.lock().unwrap().pop_front(),
            panics_in_drop: self.panics_in_drop,
        }
    }
}

/// The future of [`Handlers`].
#[derive(Debug)]
pub(crate) struct Inner {
    orders: oneshot::Receiver<Order>,
    probe: Option<DropProbe>,
    panics_in_drop: bool,
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Order")
    }
}

impl Future for Inner {
    type Output = Result<Response<TestBody>, &'static str>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match ready!(Pin::new(&mut self.orders).poll(cx)) {
            Ok(Order::Answer(response)) => Ok(*response),
            Ok(Order::Fail) | Err(_) => Err("the handler failed"),
            Ok(Order::Panic) => unwind(),
            Ok(Order::Cut(handle)) => {
                handle.cut();
                return Poll::Pending;
            }
        })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        drop(self.probe.take());
        unwind_if(self.panics_in_drop);
    }
}
