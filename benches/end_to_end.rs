//! Requests per second over loopback: of `axum::serve` with the layer beside it without, and of `Shutdown::serve` beside
//! `axum::serve`, both with the layer.
//!
//! `cargo bench --features server --bench end_to_end`; needs `wrk`. Server and load are processes of their own; pairs take
//! turns, each with a server of its own, and which of the pair comes first alternates.

mod common;

use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use axum::routing::get;
use axum::Router;
use tower_drain::{DrainLayer, Shutdown};

use common::report::{Report, Target};

const PAIRS: usize = 8;
const SECONDS: &str = "4";

const WITHOUT: &str = "without";
const WITH: &str = "with";
const SERVE: &str = "serve";

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
                "Shutdown::serve, of axum::serve",
                [SERVE, WITH],
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
        WITH => axum::serve(listener, app.layer(layer))
            .await
            .expect("it serves"),
        _ => {
            let shutdown = Shutdown::new(handle);
            let served = shutdown.serve(listener, app.layer(layer)).await;
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

fn requests_per_second(which: &str) -> f64 {
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
        let rate = text
            .lines()
            .find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok());
        rate.unwrap_or_else(|| panic!("wrk failed:\n{text}"))
    };
    let _: f64 = load("1");
    load(SECONDS)
}

fn compare(report: &mut Report, what: &str, [ours, theirs]: [&str; 2]) {
    let mut ratios: Vec<f64> = (0..PAIRS)
        .map(|pair| match pair % 2 {
            0 => {
                let theirs = requests_per_second(theirs);
                requests_per_second(ours) / theirs
            }
            _ => requests_per_second(ours) / requests_per_second(theirs),
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    let median = (ratios[(PAIRS - 1) / 2] + ratios[PAIRS / 2]) / 2.0;
    let what = format!("requests per second, {what}");
    report.row(&what, median, 3, Target::AtLeast(0.98));
    let least = format!("{what}: least of the pairs");
    report.row(&least, ratios[0], 3, Target::None);
    let most = format!("{what}: most of the pairs");
    report.row(&most, ratios[PAIRS - 1], 3, Target::None);
}
