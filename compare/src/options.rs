use crate::peer::Peer;
use crate::proxy::Kind;
use crate::scenarios::Scenario;

const HELP: &str = "\
Stops six servers in the same ways and says what their clients lost.

cargo run --release --manifest-path compare/Cargo.toml -- [options]

  --scenario NAME   events, finite, upload, websocket, post, half-line, haproxy or nginx; repeatable; default all
  --peer NAME       axum, axum-server, hyper-util, drain, tokio-graceful or tower-drain; repeatable; default all
  --restarts N      behind each proxy; default 8

Without --scenario and --peer the tables of COMPARE.md are written anew.
";

pub(crate) struct Options {
    pub(crate) scenarios: Vec<Scenario>,
    pub(crate) proxies: Vec<Kind>,
    pub(crate) peers: Vec<Peer>,
    pub(crate) restarts: usize,
    /// Nothing was left out.
    pub(crate) is_whole: bool,
}

pub(crate) enum Asked {
    Run(Options),
    Serve(Peer),
    Print(&'static str),
}

impl Options {
    /// # Errors
    ///
    /// A sentence that names the value that is wrong.
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Asked, String> {
        let (mut scenarios, mut proxies, mut peers) = (Vec::new(), Vec::new(), Vec::new());
        let mut restarts = 8;
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} needs a value"));
            match arg.as_str() {
                "--help" | "-h" => return Ok(Asked::Print(HELP)),
                "serve" => return Ok(Asked::Serve(Peer::from_name(&value()?)?)),
                "--scenario" => {
                    let name = value()?;
                    match Kind::DEFAULT.into_iter().find(|kind| kind.name() == name) {
                        Some(proxy) => proxies.push(proxy),
                        None => scenarios.push(Scenario::from_name(&name)?),
                    }
                }
                "--peer" => peers.push(Peer::from_name(&value()?)?),
                "--restarts" => {
                    let text = value()?;
                    restarts = match text.parse() {
                        Ok(number) if number > 0 => number,
                        _ => return Err(format!("--restarts is no number from 1: `{text}`")),
                    };
                }
                _ => return Err(format!("no option `{arg}`; --help lists them")),
            }
        }
        let names_none = scenarios.is_empty() && proxies.is_empty();
        let is_whole = names_none && peers.is_empty();
        if names_none {
            scenarios = Scenario::ALL.to_vec();
            proxies = Kind::DEFAULT.to_vec();
        }
        if peers.is_empty() {
            peers = Peer::ALL.to_vec();
        }
        Ok(Asked::Run(Self {
            scenarios,
            proxies,
            peers,
            restarts,
            is_whole,
        }))
    }
}
