//! Clients that others wrote: curl and Node, as processes that write the body to stdout.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::sync::mpsc;

use crate::content::{Ask, Begun, End, Got};
use crate::judge::{Clock, Seen};
use crate::round::Proto;
use crate::steps::{Step, Steps};

/// The exit code of both for a 503.
const REJECTED: i32 = 22;

#[derive(Clone, Debug)]
pub(crate) enum Tool {
    /// It reads so many bytes a second, or as fast as it can.
    Curl { rate: Option<usize> },
    /// `node:http` or `node:http2`.
    Node,
    /// `fetch` of Node, which speaks HTTP/1 alone.
    Fetch,
    /// curl in this network namespace. It gives up when nothing comes for 3 s.
    CurlIn(String),
}

impl Tool {
    fn command(&self, proto: Proto, url: &str) -> Command {
        match self {
            Self::Curl { rate } => {
                let mut curl = curl(Command::new("curl"), proto);
                if let Some(rate) = rate {
                    curl.args(["--limit-rate", &rate.to_string()]);
                }
                curl.arg(url);
                curl
            }
            Self::CurlIn(namespace) => {
                let mut ip = Command::new("ip");
                ip.args(["netns", "exec", namespace, "curl"]);
                let mut curl = curl(ip, proto);
                curl.args(["--speed-time", "3", "--speed-limit", "1", url]);
                curl
            }
            Self::Node | Self::Fetch => {
                let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/links/client.mjs");
                let module = match (self, proto) {
                    (Self::Fetch, _) => "fetch",
                    (_, Proto::Http1) => "http",
                    (_, Proto::Http2) => "http2",
                };
                let mut node = Command::new("node");
                node.arg(script).args([module, url]);
                node
            }
        }
    }
}

pub(crate) fn curl(mut command: Command, proto: Proto) -> Command {
    command.args(["--silent", "--show-error", "--no-buffer", "--fail"]);
    command.arg(match proto {
        Proto::Http1 => "--http1.1",
        Proto::Http2 => "--http2-prior-knowledge",
    });
    command
}

/// A process for one request.
pub(crate) async fn play(
    tool: Tool,
    addr: SocketAddr,
    proto: Proto,
    ask: Ask,
    steps: Steps,
    ready: mpsc::Sender<()>,
) -> Seen {
    let mut ready = Some(ready);
    let clock = tokio::spawn({
        let steps = steps.clone();
        async move { Clock::start(&steps).await }
    });
    if ask.begun == Begun::LameDuck {
        drop(ready.take());
        steps.reached(Step::LameDuck).await;
    }
    let url = format!("http://{addr}{}", ask.target());
    let mut child = tool
        .command(proto, &url)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the tool starts");
    if ask.begun == Begun::Late {
        steps.admitted(ask.id).await;
        drop(ready.take());
    }
    let mut stdout = child.stdout.take().expect("piped");
    let mut got = Got::new(ask);
    let (mut piece, mut data) = (vec![0; 64 * 1024], Vec::new());
    loop {
        let read = stdout.read(&mut piece).await.expect("a pipe");
        drop(ready.take());
        data.extend_from_slice(&piece[..read]);
        if read == 0 {
            break;
        }
    }
    let output = child.wait_with_output().await.expect("a child of ours");
    // Through a program that runs the program, the exit code may be another's. The body of the 503 is not.
    let code = match data.starts_with(b"the service is shutting down") {
        true => Some(REJECTED),
        false => output.status.code(),
    };
    if code != Some(REJECTED) {
        got.take(&data);
    }
    let in_time = match clock.is_finished() {
        true => clock.await.is_ok_and(|clock| clock.is_in_time()),
        false => !steps.has_left(),
    };
    let end = match code {
        Some(0) => got.end(),
        Some(REJECTED) => End::Rejected,
        _ => {
            let said = String::from_utf8_lossy(&output.stderr);
            got.broken(format_args!("{}: {}", output.status, said.trim()))
        }
    };
    Seen { ask, end, in_time }
}
