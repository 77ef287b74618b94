//! What the operating system has sent and the peers have not acknowledged.
//!
//! A socket that takes bytes says nothing about the peer: up to several megabytes wait in its send queue. Linux lists
//! the queue of every TCP socket in `/proc/net/tcp` and `/proc/net/tcp6`, which is the figure that `SIOCOUTQ` gives for
//! one of them, and reading a file needs no `unsafe`. A connection is found by its peer's address, so that a TLS stream
//! or any other wrapper around the socket needs no hook.

use std::collections::HashMap;
use std::fs::File;
use std::future::Future;
use std::io::{Read, Seek};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// The state of a socket that is over on both sides, with everything acknowledged.
const TIME_WAIT: &str = "06";

/// The tables of the system, open from the start: a server that has run out of files needs them as well.
#[derive(Clone, Debug)]
pub(super) struct Tables(Arc<Mutex<Vec<File>>>);

impl Tables {
    /// Opens what there is.
    pub(super) fn open() -> Self {
        let names = match cfg!(target_os = "linux") {
            true => &["/proc/net/tcp", "/proc/net/tcp6"][..],
            false => &[],
        };
        let files = names.iter().filter_map(|name| File::open(name).ok());
        Self(Arc::new(Mutex::new(files.collect())))
    }

    /// Begins to read them. It takes tens of microseconds a socket of the machine, so a thread of its own does it: the
    /// runtime's threads for blocking work may all be busy.
    pub(super) fn read(&self) -> impl Future<Output = SendQueues> + Send {
        let (done, queues) = oneshot::channel();
        let tables = self.clone();
        let named = thread::Builder::new().name("tower-drain send queues".into());
        // Where no thread can be had, the sender is dropped.
        drop(named.spawn(move || drop(done.send(tables.queues()))));
        async { queues.await.unwrap_or_default() }
    }

    fn queues(&self) -> SendQueues {
        let began = Instant::now();
        let mut queues = SendQueues::default();
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for file in &mut *files {
            let mut table = String::new();
            let read = file.rewind().and_then(|()| file.read_to_string(&mut table));
            if read.is_ok() {
                queues.add(&table);
            }
        }
        queues.took = began.elapsed();
        queues
    }
}

/// The unacknowledged bytes of every TCP socket, by the peer's address. The end of the stream counts as one byte once
/// it was sent.
#[derive(Debug, Default)]
pub(super) struct SendQueues {
    by_peer: HashMap<(IpAddr, u16), u64>,
    pub(super) took: Duration,
}

impl SendQueues {
    /// Returns what `peer` has not acknowledged; `None` if the system does not say.
    pub(super) fn of(&self, peer: SocketAddr) -> Option<u64> {
        self.by_peer.get(&(peer.ip(), peer.port())).copied()
    }

    fn add(&mut self, table: &str) {
        for (peer, unacknowledged) in table.lines().skip(1).filter_map(row) {
            // Two sockets may have one peer, if it talks to two ports from one of its own.
            let most = self.by_peer.entry(peer).or_default();
            *most = unacknowledged.max(*most);
        }
    }
}

/// Reads one row: peer and unacknowledged bytes.
fn row(line: &str) -> Option<((IpAddr, u16), u64)> {
    let mut columns = line.split_ascii_whitespace().skip(2);
    let peer = address(columns.next()?)?;
    if columns.next()? == TIME_WAIT {
        return Some((peer, 0));
    }
    let (sent, _received) = columns.next()?.split_once(':')?;
    // A system that imitates the table may leave the queues at zero. It then leaves the retransmission timeout at zero
    // too, which no kernel does that sends anything.
    let timeout = columns.nth(7)?;
    if timeout == "0" {
        return None;
    }
    Some((peer, u64::from_str_radix(sent, 16).ok()?))
}

/// Reads an address as the kernel prints it: words of 32 bits in the order of this machine, and the port.
fn address(column: &str) -> Option<(IpAddr, u16)> {
    let (ip, port) = column.split_once(':')?;
    let word = |at: usize| -> Option<[u8; 4]> {
        let word = u32::from_str_radix(ip.get(at..at + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    let ip = match ip.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut bytes = [0; 16];
            for (part, at) in bytes.chunks_mut(4).zip([0, 8, 16, 24]) {
                part.copy_from_slice(&word(at)?);
            }
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some((ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;

    const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    fn queues(rows: &str) -> SendQueues {
        let mut queues = SendQueues::default();
        queues.add(&format!("{HEAD}{rows}"));
        queues
    }

    fn of(queues: &SendQueues, peer: &str) -> Option<u64> {
        queues.of(peer.parse().unwrap())
    }

    #[test]
    fn a_row_is_found_by_the_address_of_its_peer() {
        let queues = queues(
            "   1: 0100007F:1F90 0200007F:D431 01 0003E8A0:00000000 01:00000014 00000000     0        0 2105 3 0000000000000000 20 4 30 10 -1\n\
             \x20  2: 0000000000000000FFFF00000100007F:1F90 0000000000000000FFFF00000500007F:0050 04 00000001:00000000 01:00000014 00000000     0        0 2105 3 0000000000000000 20 4 30 10 -1\n",
        );
        assert_eq!(of(&queues, "127.0.0.2:54321"), Some(0x3_e8a0));
        assert_eq!(of(&queues, "[::ffff:127.0.0.5]:80"), Some(1));
        assert_eq!(of(&queues, "127.0.0.2:80"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_tables_can_be_read_again_and_tell_what_is_not_read() {
        let tables = Tables::open();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut socket, address) = listener.accept().unwrap();
        assert_eq!(tables.queues().of(address), Some(0));
        socket.set_nonblocking(true).unwrap();
        while std::io::Write::write(&mut socket, &[0; 1 << 16]).is_ok() {}
        assert!(tables.queues().of(address).unwrap() > 0);
        drop(peer);
    }

    #[test]
    fn a_socket_that_is_over_has_nothing_left() {
        let queues = queues(
            "   1: 0100007F:1F90 0200007F:D431 06 00000000:00000000 03:00001770 00000000     0        0 0 3 0000000000000000\n",
        );
        assert_eq!(of(&queues, "127.0.0.2:54321"), Some(0));
    }

    #[test]
    fn a_table_without_retransmission_timeouts_says_nothing() {
        let queues = queues(
            "   1: 0100007F:1F90 0200007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 2105 3 0000000000000000 0 0 0 0 -1\n",
        );
        assert_eq!(of(&queues, "127.0.0.2:54321"), None);
    }
}
