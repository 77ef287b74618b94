//! What is run: from the command line, or the environment where a flag is missing.

use std::time::Duration;

use crate::app::Behaviour;
use crate::proxy::Kind;

const HELP: &str = "\
Restarts two servers behind a real proxy, one after the other, under load. Nothing may be lost.

cargo test --features server --test rolling -- [options]

  --restarts N      per proxy; default 4, a look. 24 find what is lost once in ten restarts [ROLLING_RESTARTS]
  --proxy NAME      haproxy, haproxy-h2 or nginx; repeatable; default haproxy and nginx [ROLLING_PROXY]
  --server NAME     sequence, plain or reject-at-signal; repeatable; default sequence, with a short run
                    of reject-at-signal that must fail, and HTTP/2 [ROLLING_UNDER_TEST]
  --clients N       default 48 [ROLLING_CLIENTS]
  --pause-ms N      mean pause of a client between two requests; default 20 [ROLLING_PAUSE_MS]
";

#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) restarts: usize,
    pub(crate) proxies: Vec<Kind>,
    /// Empty for the default plan.
    pub(crate) servers: Vec<Behaviour>,
    pub(crate) clients: usize,
    pub(crate) pause: Duration,
}

/// What the command line asks for.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    Run(Options),
    /// Only this text.
    Print(&'static str),
}

impl Options {
    /// Understands the flags of Rust's own test harness as far as `cargo test` passes them to every test target.
    ///
    /// # Errors
    ///
    /// A sentence that names the value that is wrong.
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Asked, String> {
        let mut flags: Vec<(String, String)> = Vec::new();
        let mut filters = Vec::new();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--help" | "-h" => return Ok(Asked::Print(HELP)),
                "--list" => return Ok(Asked::Print("rolling: test\n")),
                "--restarts" | "--proxy" | "--server" | "--clients" | "--pause-ms" => {
                    let value = args.next().ok_or(format!("{arg} needs a value"))?;
                    flags.push((arg, value));
                }
                "--test-threads" | "--color" | "--format" | "--skip" => drop(args.next()),
                flag if flag.starts_with('-') => {}
                _ => filters.push(arg),
            }
        }
        if !filters.is_empty() && !filters.iter().any(|filter| "rolling".contains(filter)) {
            return Ok(Asked::Print("rolling: 0 passed, 0 failed, 0 skipped\n"));
        }
        let all = |flag: &str, variable: &str| -> Vec<String> {
            let given = flags.iter().filter(|(name, _)| name == flag);
            let given: Vec<_> = given.map(|(_, value)| value.clone()).collect();
            if given.is_empty() {
                return std::env::var(variable).ok().into_iter().collect();
            }
            given
        };
        let number = |flag: &str, variable: &str, otherwise: u32| -> Result<u32, String> {
            match all(flag, variable).pop() {
                None => Ok(otherwise),
                Some(text) => match text.parse() {
                    Ok(number) if number > 0 => Ok(number),
                    _ => Err(format!("{flag} ({variable}) is no number from 1: `{text}`")),
                },
            }
        };
        let proxies: Result<Vec<_>, _> = all("--proxy", "ROLLING_PROXY")
            .iter()
            .flat_map(|names| names.split(','))
            .map(Kind::from_name)
            .collect();
        let proxies = match proxies? {
            none if none.is_empty() => Kind::DEFAULT.to_vec(),
            some => some,
        };
        let servers: Result<Vec<_>, _> = all("--server", "ROLLING_UNDER_TEST")
            .iter()
            .flat_map(|names| names.split(','))
            .map(Behaviour::from_name)
            .collect();
        Ok(Asked::Run(Self {
            restarts: number("--restarts", "ROLLING_RESTARTS", 4)? as usize,
            proxies,
            servers: servers?,
            clients: number("--clients", "ROLLING_CLIENTS", 48)? as usize,
            pause: Duration::from_millis(number("--pause-ms", "ROLLING_PAUSE_MS", 20)?.into()),
        }))
    }
}
