//! Requests per second of an axum server over loopback with the layer, of those without it.
//!
//! `cargo bench --bench end_to_end`; needs `wrk`. Server and load are processes of their own; pairs take turns, each
//! with a server of its own, and which of the pair comes first alternates.

mod common;

use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use axum::routing::get;
use axum::Router;
use tower_drain::DrainLayer;

use common::report::{Report, Target};

const PAIRS: usize = 8;
const SECONDS: &str = "4";

fn main() {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", "with"] => serve(true),
        ["serve", "without"] => serve(false),
        ["--bench"] => compare(),
        _ => {}
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn serve(with_layer: bool) {
    let mut app = Router::new().route("/items/{id}", get(|| async { "hello" }));
    if with_layer {
        app = app.layer(DrainLayer::new());
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port is free");
    println!("{}", listener.local_addr().expect("it is bound"));
    axum::serve(listener, app).await.expect("it serves");
}

/// Ends the server also when the bench panics.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn requests_per_second(with_layer: bool) -> f64 {
    let itself = env::current_exe().expect("a bench has a path");
    let which = if with_layer { "with" } else { "without" };
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

fn compare() {
    let mut ratios: Vec<f64> = (0..PAIRS)
        .map(|pair| {
            let (with, without) = match pair % 2 {
                0 => {
                    let without = requests_per_second(false);
                    (requests_per_second(true), without)
                }
                _ => {
                    let with = requests_per_second(true);
                    (with, requests_per_second(false))
                }
            };
            with / without
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    let mut report = Report::new("end_to_end");
    let median = (ratios[(PAIRS - 1) / 2] + ratios[PAIRS / 2]) / 2.0;
    report.row(
        "requests per second with the layer, of those without",
        median,
        3,
        Target::AtLeast(0.98),
    );
    report.row("  least of the pairs", ratios[0], 3, Target::None);
    report.row("  most of the pairs", ratios[PAIRS - 1], 3, Target::None);
}
