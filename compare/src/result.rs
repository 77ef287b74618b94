//! What a stop came to, and the table of it.

use std::collections::BTreeMap;

use crate::child::{Exit, KILLED_AFTER};
use crate::peer::Peer;
use crate::scenarios::Scenario;
use crate::versions::version_of;

/// One server in one scenario.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// One for each stop.
    pub exits: Vec<Exit>,
    pub requests: Option<Lost>,
    /// Those that were cut, or ended without a last event or close frame.
    pub streams: Option<Lost>,
}

/// How many were lost, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    pub lost: usize,
    pub of: usize,
    pub how: BTreeMap<String, usize>,
}

impl Lost {
    pub(crate) fn count(results: impl IntoIterator<Item = Result<(), String>>) -> Self {
        let mut this = Self::default();
        for result in results {
            this.of += 1;
            if let Err(how) = result {
                this.lost += 1;
                *this.how.entry(how).or_default() += 1;
            }
        }
        this
    }

    pub(crate) fn add(&mut self, more: Self) {
        self.lost += more.lost;
        self.of += more.of;
        for (how, count) in more.how {
            *self.how.entry(how).or_default() += count;
        }
    }

    fn ways(&self) -> String {
        let ways = self.how.iter().map(|(how, count)| format!("{count} {how}"));
        ways.collect::<Vec<_>>().join(", ")
    }
}

/// Rows of text below a title, for the page and the terminal.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// What its markers in the page are called.
    pub(crate) name: &'static str,
    pub(crate) head: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<String>>,
}

pub(crate) fn table(scenario: Scenario, rows: &[(Peer, Outcome)]) -> Table {
    let mut head = vec!["server", "seconds to exit", "exit code"];
    let any = |lost: fn(&Outcome) -> &Option<Lost>| rows.iter().any(|(_, row)| lost(row).is_some());
    let (has_requests, has_streams) = (any(|row| &row.requests), any(|row| &row.streams));
    head.extend(has_requests.then_some("requests failed"));
    head.extend(has_streams.then_some("streams lost"));
    head.extend((has_requests || has_streams).then_some("how"));
    let rows = rows.iter().map(|(peer, outcome)| {
        let counts: Vec<_> = [&outcome.requests, &outcome.streams]
            .into_iter()
            .flatten()
            .collect();
        let mut row = vec![label(*peer), seconds(&outcome.exits), codes(&outcome.exits)];
        row.extend(
            counts
                .iter()
                .map(|lost| format!("{} of {}", lost.lost, lost.of)),
        );
        if !counts.is_empty() {
            let ways: Vec<_> = counts.iter().map(|lost| lost.ways()).collect();
            row.push(ways.join(", "));
        }
        row
    });
    Table {
        name: scenario.name(),
        rows: rows.collect(),
        head,
    }
}

/// The server and its version.
pub(crate) fn label(peer: Peer) -> String {
    format!("{} {}", peer.name(), version_of(peer.name()))
}

/// From the shortest to the longest.
pub(crate) fn seconds(exits: &[Exit]) -> String {
    let limit = KILLED_AFTER.as_secs();
    if exits.contains(&Exit::Killed) {
        return format!("> {limit} s");
    }
    let mut seconds: Vec<_> = exits
        .iter()
        .filter_map(|exit| match exit {
            Exit::Left { after, .. } => Some(format!("{:.1}", after.as_secs_f64())),
            Exit::Killed => None,
        })
        .collect();
    seconds.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
    seconds.dedup();
    match (seconds.first(), seconds.last()) {
        (Some(first), Some(last)) if first != last => format!("{first} to {last}"),
        (Some(only), _) => only.clone(),
        _ => String::new(),
    }
}

pub(crate) fn codes(exits: &[Exit]) -> String {
    let mut codes: Vec<_> = exits
        .iter()
        .map(|exit| match exit {
            Exit::Left {
                code: Some(code), ..
            } => code.to_string(),
            Exit::Left { code: None, .. } => "a signal".to_owned(),
            Exit::Killed => "killed".to_owned(),
        })
        .collect();
    codes.sort();
    codes.dedup();
    codes.join(", ")
}
