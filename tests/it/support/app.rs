use std::task::Poll;

use http::{Request, Response};
use tokio_test::assert_ready;
use tokio_test::task::{spawn, Spawn};
use tower::{Layer, Service};
use tower_drain::{
    Drain, DrainHandle, DrainLayer, Rejection, ResponseBody, ResponseFuture, Unavailable,
};

use super::{get, poll_ready, Call, Handlers, Inner, Script, TestBody};

/// A request's future, as a task of its own.
pub(crate) type Opened = Spawn<ResponseFuture<Inner, TestBody>>;

/// A layer over [`Handlers`].
pub(crate) struct App<R = Unavailable> {
    pub(crate) handle: DrainHandle,
    pub(crate) handlers: Handlers,
    pub(crate) service: Drain<Handlers, R>,
}

impl App {
    pub(crate) fn new() -> Self {
        Self::of(DrainLayer::new())
    }
}

impl<R: Rejection<TestBody>> App<R> {
    pub(crate) fn of(layer: DrainLayer<R>) -> Self {
        Self::over(Handlers::default(), layer)
    }

    pub(crate) fn over(handlers: Handlers, layer: DrainLayer<R>) -> Self {
        Self {
            handle: layer.handle(),
            service: layer.layer(handlers.clone()),
            handlers,
        }
    }

    /// Sends a request as a server does: ready first, then the call.
    pub(crate) fn send(&mut self, request: Request<()>) -> Opened {
        assert!(matches!(poll_ready(&mut self.service), Poll::Ready(Ok(()))));
        spawn(self.service.call(request))
    }

    /// A request that waits for its handler, and the handler's end.
    pub(crate) fn open(&mut self, request: Request<()>) -> (Opened, Call) {
        let mut opened = self.send(request);
        assert!(opened.poll().is_pending());
        (opened, self.handlers.next())
    }

    /// An answered `GET /` with the script's body.
    pub(crate) fn stream(&mut self, script: &Script) -> Spawn<ResponseBody<TestBody>> {
        let (mut opened, call) = self.open(get("/"));
        call.answer(script);
        spawn(answer(&mut opened).into_body())
    }

    /// The answer to a request that is answered at once.
    pub(crate) fn answer(&mut self, request: Request<()>) -> Response<ResponseBody<TestBody>> {
        answer(&mut self.send(request))
    }
}

/// What a request is answered with, now.
pub(crate) fn answer(opened: &mut Opened) -> Response<ResponseBody<TestBody>> {
    assert_ready!(opened.poll()).expect("an answer, not an error")
}
