//! Four streams in a page, whose servers come and go.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::app::{now, Behaviour};
use crate::chrome::{Chrome, Page};
use crate::process::free_addr;
use crate::proxy::{Kind, Proxy};
use crate::server::{Recipe, Server};

const STREAMS: usize = 4;
/// Before the page's script has run there is none.
const STATE: &str = "globalThis.state?.()";
const READY: &str = "/readyz";
/// For what takes less than two seconds where nothing else runs.
const GENEROUS: Duration = Duration::from_secs(30);

/// A proxy for two servers, and a page that shows events of server a, which alone runs.
struct Scene<'a> {
    chrome: &'a mut Chrome,
    page: Page,
    folder: &'a Path,
    behaviour: Behaviour,
    b_addr: SocketAddr,
    proxy: Proxy,
}

/// What a stream of the page has come to.
struct Stream {
    opened: u64,
    goodbyes: u64,
    closed: bool,
    last: u64,
}

impl<'a> Scene<'a> {
    async fn set(
        chrome: &'a mut Chrome,
        folder: &'a Path,
        behaviour: Behaviour,
    ) -> Result<(Scene<'a>, Server), String> {
        let (a_addr, b_addr) = (free_addr(), free_addr());
        let a = start("a", a_addr, behaviour, folder).await?;
        let proxy = Proxy::start(Kind::Haproxy, folder, [a_addr, b_addr], READY).await?;
        proxy.sees("a", a_addr, READY, GENEROUS).await?;
        let page = chrome.open(&format!("http://{}/", proxy.addr)).await?;
        let mut scene = Self {
            chrome,
            page,
            folder,
            behaviour,
            b_addr,
            proxy,
        };
        scene.all_show(now()).await?;
        Ok((scene, a))
    }

    async fn start_b(&self) -> Result<Server, String> {
        let b = start("b", self.b_addr, self.behaviour, self.folder).await?;
        self.proxy.sees("b", self.b_addr, READY, GENEROUS).await?;
        Ok(b)
    }

    /// Waits until `are` holds of the streams.
    async fn until(&mut self, are: impl Fn(&[Stream]) -> bool) -> Result<Vec<Stream>, String> {
        let is = |state: &Value| read(state).is_some_and(|streams| are(&streams));
        let state = self.chrome.until(&self.page, STATE, GENEROUS, is).await?;
        read(&state).ok_or_else(|| format!("no streams: {state}"))
    }

    /// Waits until every stream has shown this event or a later one.
    async fn all_show(&mut self, event: u64) -> Result<Vec<Stream>, String> {
        self.until(|streams| streams.iter().all(|stream| stream.last >= event))
            .await
    }

    /// How many events each stream has shown, if each showed them in order, and none twice or not at all.
    async fn each_once(&mut self) -> Result<usize, String> {
        let shown = self.chrome.evaluate(&self.page, "shown()").await?;
        let shown: Vec<Vec<u64>> =
            serde_json::from_value(shown).map_err(|error| error.to_string())?;
        for (stream, ids) in shown.iter().enumerate() {
            if let Some(pair) = ids.windows(2).find(|pair| pair[1] != pair[0] + 1) {
                return Err(format!(
                    "stream {stream} shows {} after {}",
                    pair[1], pair[0]
                ));
            }
        }
        shown
            .iter()
            .map(Vec::len)
            .min()
            .ok_or_else(|| "no streams".to_owned())
    }
}

/// `None` until the page's script has run.
fn read(state: &Value) -> Option<Vec<Stream>> {
    let streams = state.as_array()?.iter().map(|stream| {
        Some(Stream {
            opened: stream["opened"].as_u64()?,
            goodbyes: stream["goodbyes"].as_u64()?,
            closed: stream["closed"].as_bool()?,
            last: stream["last"].as_u64()?,
        })
    });
    let streams = streams.collect::<Option<Vec<_>>>()?;
    (streams.len() == STREAMS).then_some(streams)
}

async fn start(
    name: &'static str,
    addr: SocketAddr,
    behaviour: Behaviour,
    folder: &Path,
) -> Result<Server, String> {
    let recipe = Recipe {
        env: vec![(crate::SERVER.into(), behaviour.name().into())],
        ..Recipe::new(std::env::current_exe().map_err(|error| error.to_string())?)
    };
    let log = folder.join(format!("{}-{name}.log", behaviour.name()));
    Server::start(name, addr, recipe, log).await
}

async fn stop(server: &mut Server) -> Result<(), String> {
    let exit = server.stop(GENEROUS).await;
    match exit.code {
        Ok(0) => Ok(()),
        code => Err(format!("server {} left with {code:?}", server.name)),
    }
}

/// Each of them restarts both servers, so that every stream loses its own at least once.
pub(crate) async fn three_rolling_restarts(
    chrome: &mut Chrome,
    folder: &Path,
) -> Result<String, String> {
    let (mut scene, mut a) = Scene::set(chrome, folder, Behaviour::Sequence).await?;
    let mut b = scene.start_b().await?;
    for restart in 1..=3 {
        let before = scene.all_show(now()).await?;
        for server in [&mut a, &mut b] {
            stop(server).await?;
            server.start_anew().await?;
            scene
                .proxy
                .sees(server.name, server.addr, READY, GENEROUS)
                .await?;
        }
        let after = scene.all_show(now()).await?;
        for (stream, (before, after)) in before.iter().zip(&after).enumerate() {
            if after.opened == before.opened || after.goodbyes == before.goodbyes {
                return Err(format!(
                    "stream {stream} had no goodbye, or did not come back, in restart {restart}"
                ));
            }
        }
    }
    let events = scene.each_once().await?;
    let reconnects: u64 = scene.all_show(0).await?.iter().map(|s| s.opened - 1).sum();
    scene.chrome.leave(scene.page).await?;
    Ok(format!(
        "{STREAMS} streams, {events} events each, {reconnects} reconnects"
    ))
}

/// The streams end and come back to a server that rejects, because a request holds its drain and there is no other.
pub(crate) async fn a_plain_503_ends_it(
    chrome: &mut Chrome,
    folder: &Path,
) -> Result<String, String> {
    let (mut scene, a) = Scene::set(chrome, folder, Behaviour::Reject).await?;
    let (held, stopped) = begin_to_stop(a).await?;
    let closed = |streams: &[Stream]| streams.iter().all(|stream| stream.closed);
    scene.until(closed).await?;
    scene.start_b().await?;
    let streams = scene.until(closed).await?;
    drop(held);
    stopped.await.map_err(|error| error.to_string())??;
    scene.chrome.leave(scene.page).await?;
    Ok(format!("{} of {STREAMS} streams gave up", streams.len()))
}

/// The same but for that one line in the layer.
pub(crate) async fn a_retry_brings_it_back(
    chrome: &mut Chrome,
    folder: &Path,
) -> Result<String, String> {
    let (mut scene, a) = Scene::set(chrome, folder, Behaviour::RejectWithRetry).await?;
    let (held, stopped) = begin_to_stop(a).await?;
    // Twice there for nothing.
    let told = |streams: &[Stream]| streams.iter().all(|stream| stream.opened >= 3);
    scene.until(told).await?;
    let _b = scene.start_b().await?;
    let streams = scene.all_show(now()).await?;
    drop(held);
    stopped.await.map_err(|error| error.to_string())??;
    let last = scene.all_show(now()).await?;
    if let Some(stream) = last.iter().position(|stream| stream.closed) {
        return Err(format!("stream {stream} gave up"));
    }
    let events = scene.each_once().await?;
    let told: u64 = streams.iter().map(|s| s.opened - 2).sum();
    scene.chrome.leave(scene.page).await?;
    Ok(format!(
        "{STREAMS} streams, {events} events each, told to wait {told} times"
    ))
}

/// Sends SIGTERM, after a request that holds the drain until the first of these is dropped. The second is the exit.
async fn begin_to_stop(
    mut server: Server,
) -> Result<(TcpStream, JoinHandle<Result<(), String>>), String> {
    let held = async {
        let mut stream = TcpStream::connect(server.addr).await?;
        let request = format!("GET /held HTTP/1.1\r\nhost: {}\r\n\r\n", server.addr);
        stream.write_all(request.as_bytes()).await?;
        // Its answer has begun.
        stream.read_u8().await?;
        std::io::Result::Ok(stream)
    };
    let held = held.await.map_err(|error| error.to_string())?;
    Ok((held, tokio::spawn(async move { stop(&mut server).await })))
}
