//! A server for minutes under streams that open and close, with drains begun and resumed: its memory and latency.
//!
//! `cargo bench --all-features --bench soak -- [minutes] [streams]`, 1 minute and 1000 open streams unless told
//! otherwise. It fails if memory grows, if a request is lost, or if a drain does not end. What it sampled each second
//! is in `target/bench-report/soak.tsv`, of which `python3 benches/soak.py` makes the picture.

mod drains;
mod load;
mod samples;
mod server;

use std::env;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::resource::{getrlimit, setrlimit, Resource};
use tokio::time::{interval_at, Instant, MissedTickBehavior};

use load::Board;
use samples::Samples;
use server::Server;

const SECOND: Duration = Duration::from_secs(1);
/// Between two drains, or a twentieth of the run if that is less.
const MINUTE: Duration = Duration::from_secs(60);

/// What a run is to be.
struct Plan {
    run: Duration,
    streams: usize,
}

impl Plan {
    fn between_drains(&self) -> Duration {
        (self.run / 20).min(MINUTE)
    }

    /// The longest that a stream lives, so that a drain is over well before the next.
    fn longest_stream(&self) -> Duration {
        (self.between_drains() / 3).min(Duration::from_secs(5))
    }

    fn parse(arguments: &[String]) -> Result<Self, String> {
        let number = |index: usize, name: &str, otherwise: f64| match arguments.get(index) {
            None => Ok(otherwise),
            Some(text) => match text.parse::<f64>() {
                Ok(number) if number > 0.0 && number <= 100_000.0 => Ok(number),
                _ => Err(format!(
                    "{name}: `{text}` is no number above 0, at most 100000"
                )),
            },
        };
        Ok(Self {
            run: MINUTE.mul_f64(number(0, "minutes", 1.0)?),
            streams: number(1, "streams", 1000.0)? as usize,
        })
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> ExitCode {
    let arguments = env::args().skip(1).filter(|it| it != "--bench");
    let arguments: Vec<_> = arguments.collect();
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("a process has limits");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("up to the hard limit");
    if arguments.first().is_some_and(|it| it == "serve") {
        return server::serve().await;
    }
    let ran = match Plan::parse(&arguments) {
        Ok(plan) => run(&plan).await,
        Err(error) => Err(error),
    };
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(plan: &Plan) -> Result<(), String> {
    let mut server = Server::start()?;
    let board = Arc::new(Board::default());
    let _load = load::start(server.addr, plan.streams, plan.longest_stream(), &board);
    let drains = tokio::spawn(drains::go_on(
        server.addr,
        plan.between_drains(),
        board.clone(),
    ));
    let mut samples = Samples::new(plan.streams);
    let begin = Instant::now();
    let mut ticks = interval_at(begin + SECOND, SECOND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while begin.elapsed() < plan.run {
        ticks.tick().await;
        samples.take(begin.elapsed(), server.resident_kib()?, &board);
        if drains.is_finished() {
            break;
        }
    }
    board.enough.store(true, Ordering::Relaxed);
    let drains = drains.await.map_err(|error| error.to_string())??;
    board.is_quiet().await?;
    server.stop()?;
    samples.write()?;
    samples.judge(&board, drains)
}
