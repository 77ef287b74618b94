//! The example's roles as processes, and a small HTTP client.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

pub(crate) use crate::common::{assert_in_order, within, LIMIT};

use crate::common::example;

/// A directory that goes with the test.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let made = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("tower-drain-test-{}-{made}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("a new directory");
        Self(path)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap_or_default();
    }
}

pub(crate) fn eviction(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = example("eviction");
    command.args(arguments).envs(variables.iter().copied());
    command
}

pub(crate) struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    pub(crate) said: String,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let said = String::new();
        Self { child, lines, said }
    }

    /// Reads up to a line with `part`.
    pub(crate) async fn says(&mut self, part: &str) {
        let read = async {
            while let Some(line) = self.lines.next_line().await.expect("UTF-8") {
                self.said += &(line.clone() + "\n");
                if line.contains(part) {
                    return;
                }
            }
            panic!("no `{part}` in:\n{}", self.said);
        };
        within(part, read).await;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.child.id().expect("it still runs");
        kill(Pid::from_raw(pid as i32), signal).expect("it still runs");
    }

    /// Everything that it said until it exited with 0.
    pub(crate) async fn exit(self) -> String {
        self.exit_with(Some(0)).await
    }

    /// The same with another code, or none if it was killed. The pipe ends when the last process has let go of it.
    pub(crate) async fn exit_with(mut self, code: Option<i32>) -> String {
        while let Some(line) = within("the rest", self.lines.next_line())
            .await
            .expect("UTF-8")
        {
            self.said += &(line + "\n");
        }
        let status = within("the exit", self.child.wait()).await.expect("ours");
        assert_eq!(status.code(), code, "{}", self.said);
        self.said
    }

    pub(crate) async fn kill(mut self) {
        within("the kill", self.child.kill()).await.expect("ours");
    }
}

/// A coordinator whose socket outlives it.
pub(crate) struct Desk {
    pub(crate) socket: TcpListener,
    pub(crate) directory: Directory,
    client: Client<hyper_util::client::legacy::connect::HttpConnector, Full<Bytes>>,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self {
            socket: TcpListener::bind("127.0.0.1:0").expect("a free port"),
            directory: Directory::new(),
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    pub(crate) async fn coordinator(&self, variables: &[(&str, &str)]) -> Running {
        let socket = OwnedFd::from(self.socket.try_clone().expect("a copy"));
        let mut command = eviction(&["coordinator"], variables);
        command.stdin(socket).env("STATE", self.directory.path());
        let mut running = Running::start(command);
        running.says("listens").await;
        running
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let at = self.socket.local_addr().expect("bound");
        let request = Request::post(format!("http://{at}/{path}"))
            .header("content-type", "application/json")
            .body(Full::from(body.to_string()));
        self.send(request.expect("valid")).await
    }

    pub(crate) async fn status(&self) -> Value {
        let at = self.socket.local_addr().expect("bound");
        let request = Request::get(format!("http://{at}/drain-status")).body(Full::default());
        let (status, all) = self.send(request.expect("valid")).await;
        assert_eq!(status, 200);
        all
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> (u16, Value) {
        let answer = within("an answer", self.client.request(request)).await;
        let (head, body) = answer.expect("an answer").into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let text = || Value::String(String::from_utf8_lossy(&body).into());
        let value = serde_json::from_slice(&body).unwrap_or_else(|_| text());
        (head.status.as_u16(), value)
    }
}

/// A call to somebody else than the coordinator.
pub(crate) async fn post(at: SocketAddr, path: &str, body: &Value) -> Option<Value> {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::post(format!("http://{at}/{path}"))
        .header("content-type", "application/json")
        .body(Full::from(body.to_string()));
    let answer = client.request(request.expect("valid")).await.ok()?;
    let body = answer.into_body().collect().await.ok()?.to_bytes();
    serde_json::from_slice(&body).ok()
}
