//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::load::Paths;
use crate::outcome::Limits;
use crate::proxy::Kind;
use crate::roll::Run;
use crate::server::Recipe;

const EXIT_CODES: &str = "\
Exit codes:
  0  nothing was lost
  1  something was, or a server did not leave as it should
  2  it cannot be told: something did not start, or there was too little load";

/// Restarts two of your servers behind a real proxy, one after the other, under load, and says what clients lost.
#[derive(Parser, Clone, Debug)]
#[command(name = "drain-check", max_term_width = 110, after_help = EXIT_CODES)]
pub(crate) struct Options {
    /// Starts one server; {addr} and {port} are where it is to listen, as are the variables ADDR and PORT
    #[arg(long, value_name = "COMMAND")]
    server: String,
    /// What stands before the servers: nginx, haproxy, or haproxy-h2, which speaks HTTP/2 with them
    #[arg(long, default_value = "nginx", value_parser = Kind::from_name)]
    pub(crate) proxy: Kind,
    /// One more variable for the server; {addr} and {port} as above
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(OsString, OsString)>,
    /// Answers 2xx while the server wants requests
    #[arg(long, value_name = "PATH", default_value = "/", value_parser = path)]
    ready: String,
    /// Half of the clients GET it
    #[arg(long, value_name = "PATH", default_value = "/", value_parser = path)]
    get: String,
    /// A third of them POST to it; without it they GET
    #[arg(long, value_name = "PATH", value_parser = path)]
    post: Option<String>,
    /// The answer to a POST is its body, byte for byte
    #[arg(long, requires = "post")]
    echoes: bool,
    /// The others read server-sent events from it, whose ids count from 0; without it they GET
    #[arg(long, value_name = "PATH", requires = "events_count", value_parser = path)]
    events: Option<String>,
    /// How many events a stream must have
    #[arg(long, value_name = "N", requires = "events")]
    events_count: Option<u64>,
    /// How many restarts
    #[arg(long, value_name = "N", default_value = "4", value_parser = from_one)]
    pub(crate) restarts: usize,
    /// How many clients
    #[arg(long, value_name = "N", default_value = "24", value_parser = from_one)]
    clients: usize,
    /// Mean pause of a client between two requests, in milliseconds
    #[arg(long, value_name = "MS", default_value = "20")]
    pause: u64,
    /// What stops a server, without SIG
    #[arg(long, value_name = "NAME", default_value = "TERM", value_parser = ["TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "WINCH"])]
    signal: String,
    /// A right exit code of the server; 128 and the number of a signal for a death by it; repeatable
    #[arg(long, value_name = "N", default_value = "0")]
    exit_code: Vec<i32>,
    /// The longest until a server listens, in seconds
    #[arg(long, value_name = "S", default_value = "20", value_parser = seconds)]
    starts_within: Duration,
    /// The longest that a stop may take, in seconds
    #[arg(long, value_name = "S", default_value = "30", value_parser = seconds)]
    stops_within: Duration,
    /// The longest that an answer may take, streams included, in seconds
    #[arg(long, value_name = "S", default_value = "10", value_parser = seconds)]
    answers_within: Duration,
    /// The least of load that says something, in answers a second
    #[arg(long, value_name = "N", default_value = "10")]
    least_load: f64,
    /// The result as JSON on stdout, and nothing else there
    #[arg(long)]
    pub(crate) json: bool,
}

impl Options {
    pub(crate) fn run(&self) -> Run {
        let mut recipe = Recipe::new(PathBuf::from("sh"));
        // The shell gives way to the server, which the signal is for.
        recipe.args = vec!["-c".into(), format!("exec {}", self.server).into()];
        recipe.env = vec![("PORT".into(), "{port}".into())];
        recipe.env.extend(self.env.iter().cloned());
        recipe.stop_signal.clone_from(&self.signal);
        recipe.starts_within = self.starts_within;
        let (echo, post) = match self.echoes {
            true => (self.post.clone(), None),
            false => (None, self.post.clone()),
        };
        let limits = Limits {
            exit_codes: self.exit_code.clone(),
            answers_per_second: self.least_load,
            // How long its streams take is the server's affair.
            streams_per_restart: 0,
            ..Limits::new(self.stops_within)
        };
        Run {
            proxy: self.proxy,
            recipe,
            server: self.server.clone(),
            paths: Paths {
                get: self.get.clone(),
                echo,
                post,
                events: self.events.clone().zip(self.events_count),
                answered_within: self.answers_within,
            },
            ready: self.ready.clone(),
            restarts: self.restarts,
            clients: self.clients,
            pause: Duration::from_millis(self.pause),
            h2load: None,
            limits,
        }
    }
}

fn variable(text: &str) -> Result<(OsString, OsString), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err("it has no name and `=`, as in LOG=debug".to_owned()),
    }
}

fn path(text: &str) -> Result<String, String> {
    match text.starts_with('/') && !text.contains(char::is_whitespace) {
        true => Ok(text.to_owned()),
        false => Err("a path begins with `/` and has no white space".to_owned()),
    }
}

fn from_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("it is no number from 1".to_owned()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok();
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|duration| !duration.is_zero() && duration.as_secs() < 24 * 60 * 60)
        .ok_or_else(|| "it is no number of seconds above 0 and below a day".to_owned())
}
