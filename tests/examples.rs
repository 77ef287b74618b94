//! The examples as people run them: processes of their own, real sockets, real signals.
//!
//! They are built by `cargo test`, but not by `cargo test --test examples` alone.

#![cfg(unix)]

use std::path::PathBuf;
use std::process::{ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{header, Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::Message;

const LIMIT: Duration = Duration::from_secs(30);

fn example(name: &str) -> Command {
    let this = std::env::current_exe().expect("this test has a path");
    let target: PathBuf = this.ancestors().nth(2).expect("it is in deps").into();
    let path = target.join("examples").join(name);
    assert!(
        path.exists(),
        "{path:?} is missing: run `cargo build --examples`"
    );
    let mut command = Command::new(path);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn within<T>(what: &str, future: impl std::future::Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: not within {LIMIT:?}"),
    }
}

async fn output(name: &str) -> (Output, Duration) {
    let begun = Instant::now();
    let output = within(name, example(name).output()).await.expect("it runs");
    (output, begun.elapsed())
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("UTF-8")
}

/// Asserts that `text` has these parts in this order.
#[track_caller]
fn assert_in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => panic!("`{part}` is missing, or not where it belongs:\n{text}"),
        }
    }
}

struct Server {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
    address: String,
}

impl Server {
    async fn start(variables: &[(&str, &str)]) -> Self {
        let mut command = example("server");
        command
            .env("ADDR", "127.0.0.1:0")
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

    /// Sends SIGTERM and waits until it rejects.
    async fn terminate(&mut self) {
        let pid = self.child.id().expect("it still runs");
        kill(Pid::from_raw(pid as i32), Signal::SIGTERM).expect("it still runs");
        self.logs("phase=draining").await;
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

#[tokio::test]
async fn after_sigterm_newcomers_get_503_probes_answer_and_the_open_stream_ends_whole() {
    let mut server = Server::start(&[]).await;
    assert_eq!(server.get("/readyz").await.status(), StatusCode::OK);
    let stream = server.get("/events?n=50").await;

    server.terminate().await;
    let newcomer = server.get("/").await;
    assert_eq!(newcomer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(newcomer.headers()[header::RETRY_AFTER], "1");
    assert_eq!(newcomer.headers()[header::CONNECTION], "close");
    assert_eq!(server.get("/livez").await.status(), StatusCode::OK);
    assert_eq!(
        server.get("/readyz").await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    let status = server.text("/drain-status").await;
    assert_eq!(
        status,
        "{\"phase\":\"draining\",\"in_flight\":1,\"rejected\":1}\n"
    );

    assert_eq!(text(stream).await, events(50));
    let report = server.logs("drained in ").await;
    assert!(
        report.contains("1 in flight at the start, 0 cut, 1 rejected"),
        "{report}"
    );
    assert_eq!(server.exits().await.code(), Some(0));
}

#[tokio::test]
async fn a_stream_that_never_ends_is_named_and_cut_and_the_exit_code_says_so() {
    let mut server = Server::start(&[("GRACEFUL_SHUTDOWN_TIMEOUT", "0.2")]).await;
    let stream = server.get("/events?secret=1").await;
    server.terminate().await;
    let ended = within("the cut", stream.into_body().collect()).await;
    assert!(
        ended.is_err(),
        "a cut stream must not look complete: {ended:?}"
    );
    let straggler = server.logs("cutting").await;
    assert!(straggler.contains("GET /events, body, "), "{straggler}");
    let report = server.logs("drained in ").await;
    assert!(report.contains("1 cut"), "{report}");
    assert_eq!(server.exits().await.code(), Some(1));
}

#[tokio::test]
async fn a_websocket_holds_the_drain_and_is_closed_with_1001() {
    let mut server = Server::start(&[]).await;
    let connected = tokio_tungstenite::connect_async(format!("ws://{}/ws", server.address)).await;
    let (mut socket, _) = connected.expect("it upgrades");
    socket.send(Message::text("hello")).await.expect("open");
    let echoed = within("the echo", socket.next())
        .await
        .expect("open")
        .expect("a frame");
    assert_eq!(echoed, Message::text("hello"));

    server.terminate().await;
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
    assert_eq!(
        status,
        "{\"phase\":\"serving\",\"in_flight\":0,\"rejected\":0}\n"
    );
    let posted = Request::post(format!("http://{}/echo", server.address))
        .body(Full::from(vec![b'x'; 3 << 20]))
        .expect("valid");
    assert_eq!(text(server.request(posted).await).await.len(), 3 << 20);
}

#[tokio::test]
async fn a_bad_environment_value_is_named_before_the_server_listens() {
    for (name, value) in [("GRACEFUL_SHUTDOWN_TIMEOUT", "soon"), ("ADDR", "nowhere")] {
        let mut child = example("server")
            .env(name, value)
            .spawn()
            .expect("it starts");
        let status = within("the exit", child.wait())
            .await
            .expect("it is a child of ours");
        assert_eq!(status.code(), Some(1));
        let (mut said, mut log) = (String::new(), String::new());
        let (stdout, stderr) = (child.stdout.as_mut(), child.stderr.as_mut());
        stdout
            .expect("piped")
            .read_to_string(&mut said)
            .await
            .expect("UTF-8");
        stderr
            .expect("piped")
            .read_to_string(&mut log)
            .await
            .expect("UTF-8");
        assert_eq!(said, "");
        assert!(log.contains(name) && log.contains(value), "{log}");
    }
}

#[tokio::test]
async fn the_demo_drains_fifty_streams_in_under_ten_seconds_and_says_so_in_plain_lines() {
    let (output, took) = output("demo").await;
    let text = stdout(&output);
    assert!(output.status.success(), "{text}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(!text.contains('\x1b'), "escapes outside a terminal: {text}");
    assert_in_order(
        text,
        &[
            "50 event streams",
            "SIGTERM",
            "lame duck",
            "draining",
            "12 still in flight after 3.0 s",
            "GET /",
            "body",
            "cut 12",
            "drained",
            "38 of 38 ",
            "4 of 4 ",
            "12 of 12 ",
            "drained in 3.",
        ],
    );
    let rejected: Vec<u32> = text
        .lines()
        .filter_map(|line| {
            line.split_once(" in flight ")?
                .1
                .split_once(" rejected (503)")
        })
        .map(|(count, _)| count.trim().parse().expect("a count"))
        .collect();
    assert!(
        rejected.windows(2).all(|pair| pair[0] <= pair[1]),
        "{rejected:?}"
    );
    assert!(
        rejected.first() == Some(&0) && rejected.last() > Some(&0),
        "{rejected:?}"
    );
}

#[tokio::test]
async fn the_hyper_example_drains_and_then_closes_its_connections() {
    let (output, took) = output("hyper").await;
    let text = stdout(&output);
    assert!(
        output.status.success() && took < Duration::from_secs(10),
        "{took:?} {text}"
    );
    assert_in_order(
        text,
        &[
            "serving    hyper on 127.0.0.1:",
            "1 in flight",
            "draining   a newcomer gets 503",
            "drained    the stream ended after 80 bytes",
            "closed every connection",
            "1 in flight at the start, 0 cut, 1 rejected",
        ],
    );
}

#[tokio::test]
async fn the_tonic_example_drains_in_the_words_of_grpc() {
    let (output, took) = output("tonic").await;
    let text = stdout(&output);
    assert!(
        output.status.success() && took < Duration::from_secs(10),
        "{took:?} {text}"
    );
    assert_in_order(
        text,
        &[
            "2 in flight",
            "draining   the probe says NotServing",
            "draining   a newcomer gets Unavailable",
            "cut: POST /grpc.health.v1.Health/Watch, body, ",
            "drained    the other watcher gets Cancelled",
            "closed every connection",
            "2 in flight at the start, 1 cut, 1 rejected",
        ],
    );
}

#[test]
fn the_first_commands_of_the_readme_run_the_demo_and_the_tests() {
    let readme = include_str!("../README.md");
    let block = readme
        .split("```sh\n")
        .nth(1)
        .and_then(|rest| rest.split_once("```"));
    let (commands, _) = block.expect("a block of commands");
    assert_eq!(
        commands,
        "cargo run --example demo\ncargo test --all-features\n"
    );
}
