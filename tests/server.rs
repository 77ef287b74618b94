//! `examples/server` as an operator sees it: a process, real sockets, real signals.

#![cfg(all(
    unix,
    feature = "admin",
    feature = "axum",
    feature = "server",
    feature = "stream"
))]

#[path = "server/admin.rs"]
mod admin;
#[path = "common/example.rs"]
mod common;
#[path = "server/peers.rs"]
mod peers;
#[path = "server/surroundings.rs"]
mod surroundings;

use std::process::ExitStatus;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{header, Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::Message;

use common::{example, within};

struct Server {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
    address: String,
}

impl Server {
    async fn start(variables: &[(&str, &str)]) -> Self {
        Self::run(example("server"), variables).await
    }

    /// `command` becomes the server.
    async fn run(mut command: Command, variables: &[(&str, &str)]) -> Self {
        command
            .env("ADDR", "127.0.0.1:0")
            .env("GRACEFUL_SHUTDOWN_LAME_DUCK", "0.3")
            .env("GRACEFUL_SHUTDOWN_SETTLE", "0.1")
            .envs(variables.iter().copied());
        let mut child = command.spawn().expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let first = within("the first line", lines.next_line())
            .await
            .expect("UTF-8");
        let first = first.expect("it says where it listens");
        let address = first
            .strip_prefix("listening on http://")
            .expect("exactly this line");
        let log = BufReader::new(child.stderr.take().expect("piped")).lines();
        Self {
            address: address.to_owned(),
            child,
            log,
        }
    }

    async fn request(&self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        // A client without a pool: each request is a newcomer.
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build_http();
        within("an answer", client.request(request))
            .await
            .expect("it answers")
    }

    async fn get(&self, path: &str) -> Response<Incoming> {
        let request = Request::get(format!("http://{}{path}", self.address));
        self.request(request.body(Full::default()).expect("valid"))
            .await
    }

    async fn text(&self, path: &str) -> String {
        text(self.get(path).await).await
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.id().expect("it still runs");
        kill(Pid::from_raw(pid as i32), signal).expect("it still runs");
    }

    /// Reads the log up to a line with `part`, which it returns.
    async fn logs(&mut self, part: &str) -> String {
        loop {
            let line = within(part, self.log.next_line()).await.expect("UTF-8");
            let line = line.unwrap_or_else(|| panic!("`{part}` was never logged"));
            if line.contains(part) {
                return line;
            }
        }
    }

    async fn exits(mut self) -> ExitStatus {
        within("the exit", self.child.wait())
            .await
            .expect("it is a child of ours")
    }
}

async fn text(response: Response<Incoming>) -> String {
    let body = within("the body", response.into_body().collect())
        .await
        .expect("whole");
    String::from_utf8(body.to_bytes().to_vec()).expect("UTF-8")
}

fn events(n: u32) -> String {
    (0..n).map(|i| format!("id: {i}\ndata: {i}\n\n")).collect()
}

/// Newcomers are rejected while the port is open.
const OPEN: &[(&str, &str)] = &[("STOP_ACCEPTING", "after-drain")];

#[tokio::test]
async fn with_the_port_open_newcomers_get_503_probes_answer_and_the_open_stream_ends_whole() {
    let mut server = Server::start(OPEN).await;
    assert_eq!(server.get("/readyz").await.status(), StatusCode::OK);
    let stream = server.get("/events?n=50").await;

    server.signal(Signal::SIGTERM);
    server.logs("phase=draining").await;
    let newcomer = server.get("/").await;
    assert_eq!(newcomer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(newcomer.headers()[header::RETRY_AFTER], "1");
    assert_eq!(newcomer.headers()[header::CONNECTION], "close");
    let live = server.get("/livez").await;
    assert_eq!(live.status(), StatusCode::OK);
    assert_eq!(live.headers()[header::CONNECTION], "close");
    let ready = server.get("/readyz").await;
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    let status = server.text("/drain-status").await;
    assert!(
        status.starts_with(
            "{\"phase\":\"draining\",\"in_flight\":1,\"rejected\":1,\"reason\":\"SIGTERM\","
        ),
        "{status}"
    );

    assert_eq!(text(stream).await, events(50));
    let report = server.logs("shutdown complete").await;
    assert!(report.contains("cut=0 rejected=1 unflushed=0"), "{report}");
    assert_eq!(server.exits().await.code(), Some(0));
}

#[tokio::test]
async fn by_default_all_are_served_then_refused_and_the_admin_port_answers_to_the_end() {
    let admin = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let admin_address = admin.local_addr().expect("bound").to_string();
    drop(admin);
    let mut server = Server::start(&[("ADMIN_ADDR", &admin_address)]).await;
    let finite = server.get("/events?n=15").await;
    let endless = server.get("/events?every_ms=10").await;

    server.signal(Signal::SIGTERM);
    server.logs("phase=lame duck").await;
    let served = server.get("/").await;
    assert_eq!(served.status(), StatusCode::OK);
    assert_eq!(served.headers()[header::CONNECTION], "close");
    server.logs("listening socket closes").await;
    // Logged just before the socket is dropped, so that the backlog may still take one.
    server.logs("server stops").await;
    let refused = tokio::net::TcpStream::connect(&server.address).await;
    assert_eq!(
        refused.expect_err("closed").kind(),
        std::io::ErrorKind::ConnectionRefused
    );
    server.logs("phase=draining").await;
    let last_words = text(endless).await;
    assert!(
        last_words.ends_with("\n\nevent: goodbye\ndata: the service is shutting down\n\n"),
        "{last_words}"
    );
    let address = std::mem::replace(&mut server.address, admin_address);
    let status = server.text("/drain-status").await;
    assert!(status.contains("\"phase\":\"draining\""), "{status}");
    server.address = address;
    assert_eq!(text(finite).await, events(15));
    assert_eq!(server.exits().await.code(), Some(0));
}

#[tokio::test]
async fn a_stream_that_is_held_is_named_and_cut_and_the_exit_code_says_so() {
    let mut server = Server::start(&[("GRACEFUL_SHUTDOWN_TIMEOUT", "0.2")]).await;
    let stream = server.get("/held?secret=1").await;
    server.signal(Signal::SIGTERM);
    let ended = within("the cut", stream.into_body().collect()).await;
    assert!(
        ended.is_err(),
        "a cut stream must not look complete: {ended:?}"
    );
    let straggler = server.logs("WARN").await;
    assert!(
        straggler.contains("/held") && !straggler.contains("secret"),
        "{straggler}"
    );
    server.logs("save work").await;
    assert_eq!(server.exits().await.code(), Some(1));
}

#[tokio::test]
async fn sigint_cuts_at_once_and_runs_the_hooks() {
    let mut server = Server::start(&[("GRACEFUL_SHUTDOWN_LAME_DUCK", "10")]).await;
    let stream = server.get("/held").await;
    server.signal(Signal::SIGINT);
    let ended = within("the cut", stream.into_body().collect()).await;
    assert!(ended.is_err());
    server.logs("closing what requests needed").await;
    assert_eq!(server.exits().await.code(), Some(1));
}

#[tokio::test]
async fn a_websocket_holds_the_drain_and_is_closed_with_1001() {
    let mut server = Server::start(OPEN).await;
    let connected = tokio_tungstenite::connect_async(format!("ws://{}/ws", server.address)).await;
    let (mut socket, _) = connected.expect("it upgrades");
    socket.send(Message::text("hello")).await.expect("open");
    let echoed = within("the echo", socket.next())
        .await
        .expect("open")
        .expect("a frame");
    assert_eq!(echoed, Message::text("hello"));

    server.signal(Signal::SIGTERM);
    server.logs("phase=draining").await;
    let status = server.text("/drain-status").await;
    assert!(status.contains("\"in_flight\":1,"), "{status}");
    let goodbye = within("the goodbye", socket.next())
        .await
        .expect("open")
        .expect("a frame");
    let Message::Close(Some(frame)) = goodbye else {
        panic!("not a close with a code: {goodbye:?}");
    };
    assert_eq!(frame.code, CloseCode::Away);
    // Reading on sends the answer to it.
    assert!(within("the end", socket.next()).await.is_none());
    assert_eq!(server.exits().await.code(), Some(0));
}

#[tokio::test]
async fn every_route_of_the_server_answers_while_it_serves() {
    let server = Server::start(&[]).await;
    assert_eq!(server.text("/").await, "hello");
    assert_eq!(server.text("/slow?ms=1").await, "slept 1 ms\n");
    assert_eq!(server.text("/events?n=3&every_ms=1").await, events(3));
    assert_eq!(server.text("/held?n=3&every_ms=1").await, events(3));
    assert_eq!(server.get("/livez").await.status(), StatusCode::OK);
    let status = server.text("/drain-status").await;
    assert!(
        status
            .starts_with("{\"phase\":\"serving\",\"in_flight\":0,\"rejected\":0,\"reason\":null,"),
        "{status}"
    );
    for path in ["/drain", "/ready"] {
        let posted = Request::post(format!("http://{}{path}", server.address));
        let posted = posted.body(Full::default()).expect("valid");
        assert_eq!(
            server.request(posted).await.status(),
            StatusCode::NOT_FOUND,
            "{path} is for operators"
        );
    }
    let posted = Request::post(format!("http://{}/echo", server.address))
        .body(Full::from(vec![b'x'; 3 << 20]))
        .expect("valid");
    assert_eq!(text(server.request(posted).await).await.len(), 3 << 20);
}
