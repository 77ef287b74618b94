//! An MCP server of the official SDK that stops in the middle of a call.
//!
//! ```sh
//! cargo run --manifest-path examples/mcp/Cargo.toml
//! ```
//!
//! The server is a process of its own. Two clients of the SDK are connected: one has a session with its open GET
//! stream, and a tool call that takes two seconds; the other, of the newer protocol without sessions, a subscription.
//! Then the server gets a SIGTERM. Both streams end, the call is answered, and the process leaves.
//!
//! With `--without-policy` it has the layer alone. The drain then waits for the GET stream until its timeout, and cuts.

mod clients;
mod server;

use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{unbounded_channel, UnboundedReceiver};
use tokio::time::timeout;
use tower_drain::BoxError;

use crate::clients::{Caller, Subscriber};

const WITHOUT_POLICY: &str = "--without-policy";
/// What takes longer than this has gone wrong.
const LIMIT: Duration = Duration::from_secs(20);
/// From the answer to the last call until the process is gone.
const LEAVES_WITHIN: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> Result<ExitCode, BoxError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["serve", policy] => Ok(server::serve(policy != WITHOUT_POLICY).await?.exit_code()),
        [] => timeout(LIMIT, play("with-policy")).await?,
        [WITHOUT_POLICY] => timeout(LIMIT, play(WITHOUT_POLICY)).await?,
        _ => Err(format!("{arguments:?}: it takes nothing or {WITHOUT_POLICY}").into()),
    }
}

async fn play(policy: &str) -> Result<ExitCode, BoxError> {
    let mut server = Server::start(policy)?;
    let url = server.says("listening on ").await?;
    let begin = Instant::now();
    let step = |who: &str, what: &str| {
        println!(
            "  {:4.1} s  {who:<10} {what}",
            begin.elapsed().as_secs_f32()
        );
    };
    step("server", &format!("listens on {url}"));

    let caller = Caller::connect(&format!("{url}/mcp")).await?;
    server.says("stream begins").await?;
    step("caller", "has a session, and its GET stream");
    let subscriber = Subscriber::connect(&format!("{url}/mcp")).await?;
    server.says("subscription begins").await?;
    step("subscriber", "has a subscription, which is a POST");
    let call = caller.call("report");
    server.says("call begins").await?;
    step("caller", "calls a tool that takes two seconds");

    kill(Pid::from_raw(server.id()?), Signal::SIGTERM)?;
    step("server", "gets SIGTERM");
    server.says("draining").await?;
    step("server", "drains");
    step("subscriber", &subscriber.end().await?);
    for _ in 0..server.says("held by ").await?.parse()? {
        let straggler = server.says("").await?;
        step("server", &format!("is held by {straggler}"));
    }
    let answer = call.await??;
    let answered = Instant::now();
    step("caller", &format!("has its answer: {answer}"));

    let status = server.child.wait().await?;
    let after = answered.elapsed();
    step(
        "server",
        &format!("left {:.2} s after it: {status}", after.as_secs_f32()),
    );
    if status.success() && after < LEAVES_WITHIN {
        return Ok(ExitCode::SUCCESS);
    }
    println!("\n  That is not within 1 s of the last answer, with exit code 0.");
    Ok(ExitCode::FAILURE)
}

/// This program again, as the server.
struct Server {
    child: Child,
    lines: UnboundedReceiver<String>,
}

impl Server {
    fn start(policy: &str) -> Result<Self, BoxError> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", policy])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().ok_or("no stdout")?;
        let mut stdout = BufReader::new(stdout).lines();
        let (send, lines) = unbounded_channel();
        tokio::spawn(async move {
            while let Ok(Some(line)) = stdout.next_line().await {
                let _ = send.send(line);
            }
        });
        Ok(Self { child, lines })
    }

    fn id(&self) -> Result<i32, BoxError> {
        Ok(self.child.id().ok_or("the server has left")?.try_into()?)
    }

    /// The rest of the next line, which must begin so.
    async fn says(&mut self, what: &str) -> Result<String, BoxError> {
        let line = self.lines.recv().await.ok_or("the server says no more")?;
        match line.strip_prefix(what) {
            Some(rest) => Ok(rest.to_owned()),
            None => Err(format!("the server says `{line}`, not `{what}`").into()),
        }
    }
}
