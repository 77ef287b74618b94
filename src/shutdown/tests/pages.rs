//! What the pages say of the defaults.

use std::time::Duration;

use super::config::*;
use super::s;
use crate::shutdown::timeouts::HookBounds;
use crate::shutdown::{OnSignal, Signals, Timeouts};

/// The cells of the first table below a heading.
fn rows<'a>(page: &'a str, heading: &str) -> impl Iterator<Item = Vec<&'a str>> {
    let (_, section) = page.split_once(heading).expect("the heading");
    let lines = section.lines().skip_while(|line| !line.starts_with('|'));
    let rows = lines.take_while(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect())
}

#[test]
fn the_page_for_operators_has_every_variable_with_its_default() {
    const PAGE: &str = include_str!("../../../OPERATING.md");
    let mut told = Vec::new();
    for row in rows(PAGE, "## The grace period") {
        let [_, default, variable] = row[..] else {
            panic!("{row:?}")
        };
        let default = default.trim_matches('*').trim_end_matches(" each");
        for name in [LAME_DUCK, SETTLE, DRAIN, CLOSE, PLATFORM] {
            if variable == format!("`{name}`") {
                // Only the default of that very variable leaves all as it is, and derives nothing.
                let said = parse(&[(DRAIN, "300"), (name, default)]).unwrap();
                assert_eq!(said, Timeouts::default(), "{row:?}");
                told.push(name);
            }
        }
        if row[0].starts_with("**sum") {
            let budget = Timeouts::default().budget(HookBounds::default()).unwrap();
            assert_eq!(s(default.parse().unwrap()), budget.worst_case, "{row:?}");
        }
    }
    assert_eq!(told, [LAME_DUCK, SETTLE, DRAIN, CLOSE, PLATFORM]);
}

#[test]
fn the_readme_has_the_defaults_of_the_steps() {
    const README: &str = include_str!("../../../README.md");
    let defaults = Timeouts::default();
    let seconds = |step: &str| -> Vec<Duration> {
        let table = rows(README, "## The sequence").filter(|row| row[0] == step);
        let cells = table.map(|row| row[2].strip_suffix(" s").and_then(|cell| cell.parse().ok()));
        cells.map(|cell| s(cell.expect("seconds"))).collect()
    };
    assert_eq!(seconds("lame duck"), [defaults.lame_duck]);
    assert_eq!(seconds("settle"), [defaults.settle, defaults.settle]);
    assert_eq!(seconds("drain"), [defaults.drain]);
    assert_eq!(seconds("close"), [defaults.close]);
}

#[test]
fn the_deployment_has_figures_that_fit() {
    const DEPLOYMENT: &str = include_str!("../../../examples/kubernetes/deployment.yaml");
    let after = |what: &str| {
        let (_, rest) = DEPLOYMENT.split_once(what).expect(what);
        rest.lines().next().unwrap().trim().trim_matches('"')
    };
    let grace = after("terminationGracePeriodSeconds: ");
    let platform = after(&format!("name: {PLATFORM}\n              value: "));
    assert_eq!(grace, platform);
    let budget = parse(&[(PLATFORM, platform)])
        .and_then(|timeouts| timeouts.budget(HookBounds::default()))
        .unwrap();
    assert!(budget.grace_period_s() <= grace.parse().unwrap());
    assert!(budget.timeouts.drain >= Timeouts::default().drain);
    let second = after("name: GRACEFUL_SHUTDOWN_SECOND_SIGNAL\n              value: ");
    let ignored = Signals::default().second(OnSignal::Ignore);
    let set = parse_signals(&[("GRACEFUL_SHUTDOWN_SECOND_SIGNAL", second)]);
    assert_eq!(set.unwrap(), ignored);
}
