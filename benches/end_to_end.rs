//! Requests per second over loopback: of `axum::serve` with the layer beside it without any, and beside it with one that
//! does nothing, which `Router::layer` boxes and clones as well; of `Shutdown::serve` beside `axum::serve`, both with the
//! layer; and of `Shutdown::serve` with the layer around the whole router, which nothing boxes, beside it without.
//!
//! `cargo bench --features axum,server --bench end_to_end`; needs `wrk` and Linux. Server and load are processes of their own;
//! the two take turns, each time with a server of its own, and which comes first alternates. Of each the best turn
//! counts, as everywhere here. Beside the rate, which a machine that is shared disturbs most, stands the processor time
//! of the server for a request.

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::{env, fs, io};

use axum::routing::get;
use axum::Router;
use tower::layer::util::Identity;
use tower::Layer;
use tower_drain::{DrainLayer, Shutdown};

use common::report::{Report, Target};

const TURNS: usize = 12;
const SECONDS: &str = "2";

const WITHOUT: &str = "without";
const NOTHING: &str = "nothing";
const WITH: &str = "with";
const SERVE: &str = "serve";
const SERVE_WITHOUT: &str = "serve without";
const SERVE_AROUND: &str = "serve around";

fn main() {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", which] => serve(which),
        ["--bench"] => {
            let mut report = Report::new("end_to_end");
            compare(
                &mut report,
                "with the layer, of those without",
                [WITH, WITHOUT],
            );
            compare(
                &mut report,
                "with the layer, of those with one that does nothing",
                [WITH, NOTHING],
            );
            compare(
                &mut report,
                "Shutdown::serve, of axum::serve",
                [SERVE, WITH],
            );
            compare(
                &mut report,
                "Shutdown::serve with the layer around the router, of without",
                [SERVE_AROUND, SERVE_WITHOUT],
            );
        }
        _ => {}
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn serve(which: &str) {
    let layer = DrainLayer::new();
    let handle = layer.handle();
    let app = Router::new().route("/items/{id}", get(|| async { "hello" }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port is free");
    println!("{}", listener.local_addr().expect("it is bound"));
    match which {
        WITHOUT => axum::serve(listener, app).await.expect("it serves"),
        NOTHING => axum::serve(listener, app.layer(Identity::new()))
            .await
            .expect("it serves"),
        WITH => axum::serve(listener, app.layer(layer))
            .await
            .expect("it serves"),
        _ => {
            let shutdown = Shutdown::new(handle);
            let served = match which {
                SERVE => shutdown.serve(listener, app.layer(layer)).await,
                SERVE_AROUND => {
                    let app = layer.layer(app.with_state::<()>(()));
                    shutdown.serve(listener, app).await
                }
                _ => shutdown.serve(listener, app).await,
            };
            served.expect("it serves");
        }
    }
}

/// Ends the server also when the bench panics.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What one turn showed, or the best of several.
struct Turn {
    per_second: f64,
    /// In nanoseconds.
    processor_per_request: f64,
}

fn turn(which: &str) -> Turn {
    let itself = env::current_exe().expect("a bench has a path");
    let server = Command::new(itself)
        .args(["serve", which])
        .stdout(Stdio::piped())
        .spawn();
    let mut server = Server(server.expect("the server starts"));
    let mut address = String::new();
    let stdout = server.0.stdout.take().expect("it is piped");
    let read = BufReader::new(stdout).read_line(&mut address);
    read.expect("the server says its address");
    let load = |seconds| {
        let output = Command::new("wrk")
            .args(["-t1", "-c32", "-d", seconds])
            .arg(format!("http://{}/items/123", address.trim()))
            .output()
            .expect("wrk is installed");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let number = |line: &str| {
            let mut words = line.split_whitespace();
            words.find_map(|word| word.parse::<f64>().ok())
        };
        let rate = text.lines().find(|line| line.starts_with("Requests/sec:"));
        let count = text.lines().find(|line| line.contains(" requests in "));
        match (rate.and_then(number), count.and_then(number)) {
            (Some(rate), Some(count)) => (rate, count),
            _ => panic!("wrk failed:\n{text}"),
        }
    };
    load("1");
    let before = processor_time(server.0.id());
    let (per_second, requests) = load(SECONDS);
    let time = processor_time(server.0.id()) - before;
    Turn {
        per_second,
        processor_per_request: time / requests,
    }
}

/// The first word of the `schedstat` of each thread.
fn processor_time(pid: u32) -> f64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    let time = |thread: io::Result<fs::DirEntry>| {
        let schedstat = fs::read_to_string(thread?.path().join("schedstat"))?;
        let word = schedstat.split(' ').next().unwrap_or_default();
        Ok(word.parse::<f64>().expect("a number"))
    };
    let times: io::Result<Vec<_>> = threads.map(time).collect();
    times.expect("its threads stay").iter().sum()
}

fn compare(report: &mut Report, what: &str, [ours, theirs]: [&str; 2]) {
    let mut best = [ours, theirs].map(|which| (which, turn(which)));
    for round in 1..TURNS {
        for index in [round % 2, (round + 1) % 2] {
            let (which, best) = &mut best[index];
            let now = turn(which);
            best.per_second = best.per_second.max(now.per_second);
            best.processor_per_request = best.processor_per_request.min(now.processor_per_request);
        }
    }
    let [(_, ours), (_, theirs)] = best;
    let rate = ours.per_second / theirs.per_second;
    let what_rate = format!("requests per second, {what}");
    report.row(&what_rate, rate, 3, Target::AtLeast(0.98));
    let processor = ours.processor_per_request / theirs.processor_per_request;
    let what_processor = format!("processor time per request, {what}");
    report.row(&what_processor, processor, 3, Target::None);
}
