//! What a server is started with and who listens to it.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::Instant;

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

use super::common::{example, within};
use super::{events, text, Server};

/// The log of a server that does not start because of this variable.
pub(crate) async fn refused(name: &str, value: impl AsRef<OsStr>) -> String {
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
    log
}

#[tokio::test]
async fn a_bad_environment_value_is_named_before_the_server_listens() {
    for (name, value) in [
        ("GRACEFUL_SHUTDOWN_TIMEOUT", "soon"),
        ("GRACEFUL_SHUTDOWN_SIGINT", "perhaps"),
        ("STOP_ACCEPTING", "never"),
        ("ADDR", "nowhere"),
    ] {
        let log = refused(name, value).await;
        assert!(log.contains(name) && log.contains(value), "{log}");
    }
    for name in ["GRACEFUL_SHUTDOWN_TIMEOUT", "ADDR", "ADMIN_ADDR"] {
        let log = refused(name, OsStr::from_bytes(b"\xFF5")).await;
        assert!(log.contains(name), "{log}");
    }
}

#[tokio::test]
async fn whoever_read_the_log_may_be_gone() {
    let server = Server::start(&[]).await;
    let stream = server.get("/events?n=8").await;
    let Server { child, log, .. } = server;
    drop(log);
    let mut server = child;
    let pid = server.id().expect("it still runs");
    kill(Pid::from_raw(pid as i32), Signal::SIGTERM).expect("it still runs");
    assert_eq!(text(stream).await, events(8));
    let status = within("the exit", server.wait()).await;
    assert_eq!(status.expect("it is a child of ours").code(), Some(0));
}

#[tokio::test]
async fn nobody_has_to_read_where_it_listens() {
    let (closed, stdout) = UnixStream::pair().expect("a pair");
    drop(closed);
    let mut child = example("server")
        .env("ADDR", "127.0.0.1:0")
        .env("GRACEFUL_SHUTDOWN_LAME_DUCK", "0.1")
        .stdout(Stdio::from(OwnedFd::from(stdout)))
        .spawn()
        .expect("it starts");
    let log = BufReader::new(child.stderr.take().expect("piped")).lines();
    let mut server = Server {
        child,
        log,
        address: String::new(),
    };
    server.logs("a shutdown takes at most").await;
    server.signal(Signal::SIGTERM);
    server.logs("shutdown complete").await;
    assert_eq!(server.exits().await.code(), Some(0));
}

#[tokio::test]
async fn a_variable_that_is_misspelt_is_named() {
    let mut server = Server::start(&[("GRACEFUL_SHUTDOWN_DRAIN", "7")]).await;
    let warning = server.logs("WARN").await;
    assert!(warning.contains("GRACEFUL_SHUTDOWN_DRAIN "), "{warning}");
    server.signal(Signal::SIGTERM);
    assert_eq!(server.exits().await.code(), Some(0));
}

/// A server that a shell becomes after `words`.
async fn after(words: &str, variables: &[(&str, &str)]) -> Server {
    let server = example("server");
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("{words}; exec \"$0\"")])
        .arg(server.as_std().get_program())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    Server::run(shell, variables).await
}

#[tokio::test]
async fn a_sigterm_that_the_parent_ignored_still_drains() {
    let server = after("trap '' TERM", &[]).await;
    let stream = server.get("/events?n=8").await;
    server.signal(Signal::SIGTERM);
    assert_eq!(text(stream).await, events(8));
    assert_eq!(server.exits().await.code(), Some(0));
}

#[tokio::test]
async fn without_a_file_left_it_ends_in_time_and_says_so_once_a_second() {
    let variables = [("GRACEFUL_SHUTDOWN_TIMEOUT", "1.5")];
    let mut server = after("ulimit -n 40", &variables).await;
    let mut peers = Vec::new();
    for _ in 0..60 {
        let mut peer = TcpStream::connect(&server.address)
            .await
            .expect("let in by the system");
        let request = b"GET /held HTTP/1.1\r\nhost: x\r\n\r\n";
        peer.write_all(request).await.expect("there is room");
        peers.push(peer);
    }
    const FAILS: &str = "accepting a connection failed";
    server.logs(FAILS).await;
    let said = Instant::now();
    server.signal(Signal::SIGTERM);
    let mut again = 0;
    loop {
        let line = server.logs("").await;
        again += u64::from(line.contains(FAILS));
        if line.contains("shutdown incomplete") {
            break;
        }
    }
    // It is tried 50 times a second.
    let seconds = said.elapsed().as_secs();
    assert!(again <= seconds + 2, "{again} times in {seconds} s");
    assert_eq!(server.exits().await.code(), Some(1));
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    for name in ["ADDR", "ADMIN_ADDR"] {
        let log = refused(name, &address).await;
        assert!(log.contains(name) && log.contains(&address), "{log}");
    }
}
