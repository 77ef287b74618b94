//! HAProxy and nginx, each in the foreground with a configuration of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::process::{accepts, find_program, free_addr, spawn};

/// What an operator reads; the test puts its own addresses in place of these.
pub(crate) const HAPROXY: &str = include_str!("haproxy.cfg");
pub(crate) const NGINX: &str = include_str!("nginx.conf");
const LISTENS: &str = "127.0.0.1:8080";
const SERVERS: [&str; 2] = ["127.0.0.1:3001", "127.0.0.1:3002"];
const STATS: &str = "/run/haproxy.sock";
const READY: &str = "GET /readyz";
const CHECK: &str = "default-server check";

const STARTS_WITHIN: Duration = Duration::from_secs(15);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Haproxy,
    /// HAProxy that speaks HTTP/2 with the servers.
    HaproxyH2,
    Nginx,
}

impl Kind {
    pub(crate) const DEFAULT: [Self; 2] = [Self::Haproxy, Self::Nginx];
    const ALL: [Self; 3] = [Self::Haproxy, Self::HaproxyH2, Self::Nginx];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Haproxy => "haproxy",
            Self::HaproxyH2 => "haproxy-h2",
            Self::Nginx => "nginx",
        }
    }

    /// # Errors
    ///
    /// A sentence with the names that there are.
    pub(crate) fn from_name(name: &str) -> Result<Self, String> {
        let known = |kind: &Self| kind.name() == name;
        Self::ALL
            .into_iter()
            .find(known)
            .ok_or_else(|| format!("no proxy called `{name}`: it is haproxy, haproxy-h2 or nginx"))
    }

    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Haproxy | Self::HaproxyH2 => "haproxy",
            Self::Nginx => "nginx",
        }
    }

    fn configuration(
        self,
        listens: SocketAddr,
        servers: [SocketAddr; 2],
        stats: &Path,
        ready: &str,
    ) -> String {
        let listens = (LISTENS, listens.to_string());
        let servers = [0, 1].map(|i| (SERVERS[i], servers[i].to_string()));
        let stats = (STATS, stats.display().to_string());
        let ready = (READY, format!("GET {ready}"));
        let with = |text: &str, replaced: &[&(&str, String)]| {
            replaced.iter().fold(text.to_owned(), |text, (from, to)| {
                assert!(text.contains(from), "the configuration has no {from}");
                text.replace(from, to)
            })
        };
        let [a, b] = &servers;
        match self {
            Self::Haproxy => with(HAPROXY, &[&listens, a, b, &stats, &ready]),
            Self::HaproxyH2 => {
                let h2 = (CHECK, format!("{CHECK} proto h2"));
                with(HAPROXY, &[&listens, a, b, &stats, &ready, &h2])
            }
            Self::Nginx => with(NGINX, &[&listens, a, b]),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) addr: SocketAddr,
    kind: Kind,
    stats: PathBuf,
    _child: Child,
}

impl Proxy {
    /// Starts it in front of the two servers and waits until it listens.
    ///
    /// # Errors
    ///
    /// If it is not installed, or does not take its configuration; the text names the log.
    pub(crate) async fn start(
        kind: Kind,
        folder: &Path,
        servers: [SocketAddr; 2],
        ready: &str,
    ) -> Result<Self, String> {
        let program = find_program(kind.program()).ok_or("not installed")?;
        let addr = free_addr();
        let stats = folder.join("haproxy.sock");
        let file = folder.join("proxy.conf");
        let log = folder.join("proxy.log");
        let said = |what: String| format!("{}: {what}; see {}", kind.name(), log.display());

        std::fs::write(&file, kind.configuration(addr, servers, &stats, ready))
            .map_err(|error| said(error.to_string()))?;
        let mut command = Command::new(program);
        match kind {
            Kind::Haproxy | Kind::HaproxyH2 => command.arg("-db").arg("-f").arg(&file),
            Kind::Nginx => command
                .arg("-p")
                .arg(folder)
                .arg("-c")
                .arg(&file)
                // One process, which cannot leave another behind.
                .args(["-g", "daemon off; master_process off;"]),
        };
        let mut child = spawn(command, &log).map_err(|error| said(error.to_string()))?;
        accepts(addr, &mut child, STARTS_WITHIN)
            .await
            .map_err(said)?;
        Ok(Self {
            addr,
            kind,
            stats,
            _child: child,
        })
    }

    /// Waits until the proxy holds a server for healthy. nginx has no opinion, so there the server itself is asked.
    ///
    /// # Errors
    ///
    /// If that takes too long.
    pub(crate) async fn sees(
        &self,
        name: &str,
        server: SocketAddr,
        ready: &str,
        limit: Duration,
    ) -> Result<(), String> {
        let begin = Instant::now();
        loop {
            let (sees, says) = match self.kind {
                Kind::Haproxy | Kind::HaproxyH2 => self.haproxy_status(name).await,
                Kind::Nginx => is_ready(server, ready).await,
            };
            if sees {
                return Ok(());
            }
            if begin.elapsed() > limit {
                let proxy = self.kind.name();
                return Err(format!(
                    "{proxy} does not see {name} ready after {limit:?}: {says}"
                ));
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The 18th column of `show stat`.
    async fn haproxy_status(&self, name: &str) -> (bool, String) {
        let asked = async {
            let mut socket = UnixStream::connect(&self.stats).await?;
            socket.write_all(b"show stat\n").await?;
            let mut text = String::new();
            socket.read_to_string(&mut text).await?;
            std::io::Result::Ok(text)
        };
        match asked.await {
            Ok(text) => {
                let line = format!("app,{name},");
                let line = text.lines().find(|row| row.starts_with(&line));
                let status = line.and_then(|row| row.split(',').nth(17));
                let status = status.unwrap_or("no such server").to_owned();
                (status == "UP", status)
            }
            Err(error) => (false, error.to_string()),
        }
    }
}

async fn is_ready(server: SocketAddr, path: &str) -> (bool, String) {
    let asked = async {
        let mut stream = TcpStream::connect(server).await?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: {server}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        std::io::Result::Ok(text)
    };
    match asked.await {
        Ok(text) => {
            let status = text.lines().next().unwrap_or("no answer").to_owned();
            (status.contains(" 200"), status)
        }
        Err(error) => (false, error.to_string()),
    }
}
