//! Who comes back when: 100 000 event streams of 20 servers, over a rolling restart.
//!
//! ```sh
//! cargo run --release --features stream --example herd
//! ```
//!
//! It draws `docs/herd.svg` and writes its table into `BENCHMARKS.md`. Every stream is a body of a real `DrainLayer`, on
//! a clock that stands still while anybody works, so that spread and `retry:` are the crate's own. The rest is assumed:
//!
//! - The streams are even on the servers at first. A load balancer sends whoever comes back to one of those that are
//!   ready, at random.
//! - One server at a time is restarted: lame duck and both settles by default, the drain for as long as it takes, and
//!   2 s until the new process is ready. The next one follows at once.
//! - A client waits exactly as long as the goodbye's `retry:` says, 1 s and the layer's jitter, and has no other reason
//!   to come back.

// It runs on the newest Rust; what the crate itself needs is older.
#![allow(clippy::incompatible_msrv)]

mod picture;

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::fmt::Write as _;
use std::fs;
use std::future::ready;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::header::CONTENT_TYPE;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::task::LocalSet;
use tokio::time::{sleep, Instant};
use tower::{service_fn, Layer, ServiceExt};
use tower_drain::{BoxError, DrainLayer, Goodbye, StreamPolicy, Timeouts};

const CLIENTS: usize = 100_000;
const SERVERS: usize = 20;
const PLANS: [Plan; 5] = [
    Plan::new(0, Words::Goodbye),
    Plan::new(5, Words::Goodbye),
    Plan::new(30, Words::Goodbye),
    Plan::new(5, Words::Raw),
    Plan::new(30, Words::Raw),
];
/// The picture is of the first of them.
const DRAWN: usize = 3;
const RETRY: Duration = Duration::from_secs(1);
const STARTS_IN: Duration = Duration::from_secs(2);
const PAGE: &str = "BENCHMARKS.md";
const MARKS: [&str; 2] = ["<!-- herd: begin -->\n", "<!-- herd: end -->\n"];

#[derive(Clone, Copy, Debug)]
struct Plan {
    spread: Duration,
    words: Words,
}

/// Who says when to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Words {
    /// `Goodbye::retry`, to which the layer adds a random part of the spread.
    Goodbye,
    /// `Goodbye::raw`, to which it adds nothing.
    Raw,
}

impl Plan {
    const fn new(seconds: u64, words: Words) -> Self {
        let spread = Duration::from_secs(seconds);
        Self { spread, words }
    }

    fn layer(self) -> DrainLayer {
        let goodbye = match self.words {
            Words::Goodbye => Goodbye::event("goodbye").retry(RETRY),
            Words::Raw => Goodbye::raw(format!("retry: {}\n\n", RETRY.as_millis())),
        };
        DrainLayer::new()
            .stream_policy(|_| StreamPolicy::End)
            .goodbye(goodbye)
            .spread(self.spread)
    }
}

fn main() -> Result<(), BoxError> {
    let herds = PLANS.map(|plan| {
        // The crate draws from the same thread: each run is the last one again.
        fastrand::seed(1);
        simulate(plan)
    });
    let table = table(&herds);
    print!("{table}");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::write(folder.join("docs/herd.svg"), picture::draw(&herds[..DRAWN]))?;
    let page = fs::read_to_string(folder.join(PAGE))?;
    let parts = page.split_once(MARKS[0]).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(MARKS[1])?;
        Some([before, MARKS[0], &table, MARKS[1], after].concat())
    });
    let page = parts.ok_or_else(|| format!("{PAGE} has no place for the table: {MARKS:?}"))?;
    Ok(fs::write(folder.join(PAGE), page)?)
}

/// What became of the clients.
#[derive(Debug)]
struct Herd {
    plan: Plan,
    /// Until the last server is back.
    restart: Duration,
    /// In each second from the first signal on.
    each_second: Vec<u32>,
    each_10_ms: Vec<u32>,
    away: Duration,
    longest_away: Duration,
}

impl Herd {
    fn reconnects(&self) -> u32 {
        self.each_second.iter().sum()
    }

    fn came_back(&mut self, at: Duration, away: Duration) {
        for (counts, ms) in [(&mut self.each_second, 1000), (&mut self.each_10_ms, 10)] {
            let index = (at.as_millis() / ms) as usize;
            if counts.len() <= index {
                counts.resize(index + 1, 0);
            }
            counts[index] += 1;
        }
        self.away += away;
        self.longest_away = self.longest_away.max(away);
    }
}

struct Server {
    layer: RefCell<DrainLayer>,
    is_ready: Cell<bool>,
}

impl Server {
    /// One stream, from its begin to the `retry:` of its goodbye.
    async fn stream(&self) -> Duration {
        let answer = |_: Request<()>| {
            let frames = stream::pending::<Result<Frame<Bytes>, Infallible>>();
            let mut response = Response::new(StreamBody::new(frames));
            let headers = response.headers_mut();
            headers.insert(
                CONTENT_TYPE,
                http::HeaderValue::from_static("text/event-stream"),
            );
            ready(Ok::<_, Infallible>(response))
        };
        let service = self.layer.borrow().layer(service_fn(answer));
        let response = service.oneshot(Request::new(())).await;
        let response = response.unwrap_or_else(|never| match never {});
        assert_eq!(
            response.status(),
            200,
            "nobody is sent to a server that leaves"
        );
        let body = response.into_body().collect().await;
        let text = body.expect("a clean end").to_bytes();
        let text = std::str::from_utf8(&text).expect("a goodbye is text");
        let retry = text.lines().find_map(|line| line.strip_prefix("retry: "));
        let millis = retry.and_then(|ms| ms.parse().ok());
        Duration::from_millis(millis.expect("the goodbye has a retry"))
    }
}

fn simulate(plan: Plan) -> Herd {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime of one thread");
    LocalSet::new().block_on(&runtime, restart_all(plan))
}

async fn restart_all(plan: Plan) -> Herd {
    let begin = Instant::now();
    let server = |_| Server {
        layer: RefCell::new(plan.layer()),
        is_ready: Cell::new(true),
    };
    let servers: Rc<Vec<_>> = Rc::new((0..SERVERS).map(server).collect());
    let herd = Rc::new(RefCell::new(Herd {
        plan,
        restart: Duration::ZERO,
        each_second: Vec::new(),
        each_10_ms: Vec::new(),
        away: Duration::ZERO,
        longest_away: Duration::ZERO,
    }));
    for first in 0..CLIENTS {
        let (servers, herd) = (servers.clone(), herd.clone());
        tokio::task::spawn_local(async move {
            let mut at = first % SERVERS;
            loop {
                let away = servers[at].stream().await;
                sleep(away).await;
                let ready = servers
                    .iter()
                    .filter(|server| server.is_ready.get())
                    .count();
                let nth = fastrand::usize(..ready);
                let mut ready = (0..SERVERS).filter(|&server| servers[server].is_ready.get());
                at = ready.nth(nth).expect("it was counted");
                herd.borrow_mut().came_back(begin.elapsed(), away);
            }
        });
    }
    tokio::task::yield_now().await;
    let timeouts = Timeouts::default();
    for server in servers.iter() {
        let handle = server.layer.borrow().handle();
        handle.begin_lame_duck();
        server.is_ready.set(false);
        sleep(timeouts.lame_duck + 2 * timeouts.settle).await;
        handle.begin_shutdown();
        let drained = handle.wait_for_drain(timeouts.drain).await;
        drained.expect("every stream ends within the spread");
        sleep(STARTS_IN).await;
        server.layer.replace(plan.layer());
        server.is_ready.set(true);
    }
    herd.borrow_mut().restart = begin.elapsed();
    // For the last of them to come back.
    sleep(RETRY + plan.spread).await;
    let empty = Herd {
        each_second: Vec::new(),
        each_10_ms: Vec::new(),
        ..*herd.borrow()
    };
    herd.replace(empty)
}

fn table(herds: &[Herd]) -> String {
    let mut table = String::from(
        "| spread | jitter of `retry:` | whole restart | reconnects | in the busiest second | in the busiest 10 ms | \
         away, on average | away, at most |\n|---|---|---|---|---|---|---|---|\n",
    );
    for herd in herds {
        let most = |counts: &[u32]| counts.iter().copied().max().unwrap_or_default();
        let reconnects = herd.reconnects();
        let _ = writeln!(
            table,
            "| {} s | {} | {:.0} s | {reconnects} | {} | {} | {:.1} s | {:.1} s |",
            herd.plan.spread.as_secs(),
            match herd.plan.words {
                Words::Goodbye => "yes",
                Words::Raw => "no",
            },
            herd.restart.as_secs_f64(),
            most(&herd.each_second),
            most(&herd.each_10_ms),
            herd.away.as_secs_f64() / f64::from(reconnects),
            herd.longest_away.as_secs_f64(),
        );
    }
    table
}
