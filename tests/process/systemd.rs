//! What systemd is told, and what it cannot stop.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;

use crate::*;

const SHORT: (&str, &str) = ("GRACEFUL_SHUTDOWN_LAME_DUCK", "0.1");

fn path(name: &str) -> PathBuf {
    let name = format!("tower-drain-{}-{name}.sock", std::process::id());
    std::env::temp_dir().join(name)
}

fn bind(name: &str) -> (UnixDatagram, PathBuf) {
    let path = path(name);
    let _ = std::fs::remove_file(&path);
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(GENEROUS)).unwrap();
    (socket, path)
}

fn told(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 256];
    let length = socket.recv(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..length]).trim().to_owned()
}

/// Drains a process that tells `socket`, by the address `notify`.
fn is_told(socket: &UnixDatagram, notify: &str) {
    let process = Process::start("serve", &[("NOTIFY_SOCKET", notify), SHORT]);
    assert_eq!(told(socket), "READY=1");
    process.signal("TERM");
    assert_eq!(told(socket), "STOPPING=1");
    assert_eq!(told(socket), "EXTEND_TIMEOUT_USEC=20000000");
    assert_eq!(process.end().0, Some(0));
}

#[test]
fn it_is_told_ready_stopping_and_how_long_to_wait() {
    let (socket, path) = bind("told");
    is_told(&socket, path.to_str().unwrap());
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn it_is_told_by_an_abstract_name() {
    let name = format!("tower-drain/{}@told", std::process::id());
    let addr = SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixDatagram::bind_addr(&addr).unwrap();
    socket.set_read_timeout(Some(GENEROUS)).unwrap();
    is_told(&socket, &format!("@{name}"));
}

/// Until nothing more goes in.
fn fill(socket: &UnixDatagram, path: &PathBuf) -> usize {
    let sender = UnixDatagram::unbound().unwrap();
    sender.set_nonblocking(true).unwrap();
    let filled = (0..).take_while(|_| sender.send_to(b"X=1", path).is_ok());
    let filled = filled.count();
    assert!(filled > 0, "{socket:?}");
    filled
}

#[test]
fn one_that_does_not_read_stops_neither_the_service_nor_its_signals() {
    let (socket, path) = bind("full");
    fill(&socket, &path);
    let variables = [
        ("NOTIFY_SOCKET", path.to_str().unwrap()),
        ("GRACEFUL_SHUTDOWN_LAME_DUCK", "5"),
    ];
    let process = Process::start("hanging", &variables);
    process.expect("serving");
    process.signal("TERM");
    process.signal("INT");
    process.expect("cutting");
    process.signal("INT");
    assert_eq!(process.end().0, Some(1));
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn one_that_was_full_is_told_once_it_reads() {
    let (socket, path) = bind("late");
    let filled = fill(&socket, &path);
    let process = Process::start("serve", &[("NOTIFY_SOCKET", path.to_str().unwrap()), SHORT]);
    process.expect("serving");
    for _ in 0..filled {
        assert_eq!(told(&socket), "X=1");
    }
    assert_eq!(told(&socket), "READY=1");
    process.signal("TERM");
    assert_eq!(told(&socket), "STOPPING=1");
    assert_eq!(process.end().0, Some(0));
    std::fs::remove_file(&path).unwrap();
}

/// The lines of a process that could not tell.
fn warnings(notify: &str, lame_duck: &str) -> Vec<String> {
    let variables = [
        ("NOTIFY_SOCKET", notify),
        ("GRACEFUL_SHUTDOWN_LAME_DUCK", lame_duck),
    ];
    let mut process = Process::start("logging", &variables);
    process.expect("logging");
    process.go_on();
    process.expect("serving");
    process.signal("TERM");
    let (code, said, stderr) = process.end();
    assert_eq!(code, Some(0), "{said}\n{stderr}");
    let lines = stderr.lines().filter(|line| line.contains("systemd"));
    lines.map(str::to_owned).collect()
}

#[test]
fn what_cannot_be_told_is_said_once_for_each_message() {
    // The extension is told again after 5 s.
    let gone = path("gone");
    let lines = warnings(gone.to_str().unwrap(), "5.5");
    for message in ["READY", "STOPPING", "EXTEND_TIMEOUT_USEC"] {
        let of_it = lines.iter().filter(|line| line.contains(message));
        assert_eq!(of_it.count(), 1, "{message}: {lines:#?}");
    }
    assert_eq!(lines.len(), 3, "{lines:#?}");
}

#[test]
fn an_address_that_is_not_supported_is_said_once() {
    for notify in ["vsock:2:1234", "vsock-stream:2:1234", "relative/path"] {
        let lines = warnings(notify, "0.1");
        assert_eq!(lines.len(), 1, "{lines:#?}");
        assert!(lines[0].contains(notify), "{lines:#?}");
    }
    // Nothing is there to tell.
    assert_eq!(warnings("", "0.1"), [""; 0]);
}
