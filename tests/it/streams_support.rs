//! Bodies whose frames a test sends, behind a layer that ends them.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::{stream, StreamExt};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderValue, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, StreamBody};
use tokio::sync::{mpsc, oneshot};
use tokio_test::task::{spawn, Spawn};
use tokio_test::{assert_pending, assert_ready};
use tower::{service_fn, Layer, ServiceExt};
use tower_drain::{BoxError, DrainLayer, Goodbye, Rejection, ResponseBody, StreamPolicy};

pub(crate) type Frames = Pin<Box<dyn Body<Data = Bytes, Error = Infallible> + Send>>;
pub(crate) type Sender = mpsc::UnboundedSender<Frame<Bytes>>;

/// A body that sends what the test sends.
pub(crate) fn frames() -> (Sender, Frames) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let stream = stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|frame| (Ok(frame), receiver))
    });
    (sender, Box::pin(StreamBody::new(stream.fuse())))
}

pub(crate) fn send(sender: &Sender, data: &'static str) {
    sender.send(Frame::data(Bytes::from(data))).unwrap();
}

pub(crate) async fn serve<R>(
    layer: &DrainLayer<R>,
    response: Response<Frames>,
) -> ResponseBody<Frames>
where
    R: Rejection<Frames>,
{
    serve_to(layer, Request::new(()), response)
        .await
        .into_body()
}

pub(crate) async fn serve_to<R>(
    layer: &DrainLayer<R>,
    request: Request<()>,
    response: Response<Frames>,
) -> Response<ResponseBody<Frames>>
where
    R: Rejection<Frames>,
{
    let mut response = Some(response);
    let service =
        service_fn(move |_| std::future::ready(Ok::<_, Infallible>(response.take().unwrap())));
    layer.layer(service).oneshot(request).await.unwrap()
}

type Answer = Result<Response<ResponseBody<Frames>>, Infallible>;
type Waiting = Spawn<Pin<Box<dyn Future<Output = Answer>>>>;

/// A request whose handler waits for what the test sends.
pub(crate) fn waiting<R>(layer: &DrainLayer<R>) -> (oneshot::Sender<Response<Frames>>, Waiting)
where
    R: Rejection<Frames> + 'static,
{
    let (answer, answered) = oneshot::channel();
    let mut answered = Some(answered);
    let service = service_fn(move |_: Request<()>| {
        let answered = answered.take().unwrap();
        async { Ok::<_, Infallible>(answered.await.unwrap()) }
    });
    let call = layer.layer(service).oneshot(Request::new(()));
    let mut call: Waiting = spawn(Box::pin(call));
    assert_pending!(call.poll());
    (answer, call)
}

pub(crate) fn events(body: Frames) -> Response<Frames> {
    let mut response = Response::new(body);
    let value = HeaderValue::from_static("text/event-stream; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, value);
    response
}

pub(crate) fn ending() -> DrainLayer {
    DrainLayer::new()
        .stream_policy(|_| StreamPolicy::End)
        .goodbye(Goodbye::event("goodbye").data("bye"))
}

pub(crate) const BYE: &str = "event: goodbye\ndata: bye\n\n";

pub(crate) async fn rest(body: ResponseBody<Frames>) -> String {
    String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// A stream behind a layer that ends it.
pub(crate) struct Stream {
    pub(crate) layer: DrainLayer,
    sender: Sender,
    pub(crate) body: Spawn<ResponseBody<Frames>>,
}

impl Stream {
    pub(crate) async fn of(content_type: &'static str) -> Self {
        Self::encoded(content_type, &[]).await
    }

    pub(crate) async fn encoded(content_type: &'static str, codings: &[&'static str]) -> Self {
        let layer = ending();
        let (sender, body) = frames();
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        for coding in codings {
            headers.append(CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        let body = spawn(serve(&layer, response).await);
        Self {
            layer,
            sender,
            body,
        }
    }

    /// A call that is native gRPC both ways.
    pub(crate) async fn grpc() -> Self {
        let layer = ending();
        let (sender, body) = frames();
        let value = HeaderValue::from_static("application/grpc");
        let request = Request::post("/").header(CONTENT_TYPE, &value);
        let mut response = Response::new(body);
        response.headers_mut().insert(CONTENT_TYPE, value);
        let response = serve_to(&layer, request.body(()).unwrap(), response).await;
        let body = spawn(response.into_body());
        Self {
            layer,
            sender,
            body,
        }
    }

    pub(crate) fn begin(&self) {
        self.layer.handle().begin_shutdown();
    }

    pub(crate) fn send(&self, data: impl AsRef<[u8]>) {
        let data = Bytes::copy_from_slice(data.as_ref());
        self.sender.send(Frame::data(data)).unwrap();
    }

    /// What is sent comes through as it is.
    pub(crate) fn pass(&mut self, data: impl AsRef<[u8]>) {
        self.send(&data);
        let frame = assert_ready!(self.body.enter(|cx, body| body.poll_frame(cx)));
        let passed = frame.unwrap().unwrap().into_data().unwrap();
        assert_eq!(passed, data.as_ref());
    }

    pub(crate) fn waits(&mut self) {
        assert_pending!(self.body.enter(|cx, body| body.poll_frame(cx).map(|_| ())));
    }

    pub(crate) async fn rest(self) -> Result<Vec<u8>, BoxError> {
        let collected = self.body.into_inner().collect().await?;
        Ok(collected.to_bytes().to_vec())
    }
}
