use tokio::time::Instant;

use super::s;
use crate::shutdown::rules::Signal::{Int, Term};
use crate::shutdown::rules::{Heard, Rules, Signal};
use crate::shutdown::{OnSignal, Signals};

/// What signals at these times come to, without the cut of a timeout.
fn heard(signals: Signals, heard: &[(f64, Signal)]) -> Vec<Heard> {
    let start = Instant::now();
    let mut rules = Rules::new(signals);
    let mut has_cut = false;
    let one = |&(at, signal): &(f64, Signal)| {
        let heard = rules.hear(signal, start + s(at), has_cut);
        has_cut |= heard == Heard::Cut;
        heard
    };
    heard.iter().map(one).collect()
}

#[test]
fn sigterm_drains_and_a_second_cuts() {
    let signals = [(0.0, Term), (1.0, Term)];
    assert_eq!(
        heard(Signals::default(), &signals),
        [Heard::Drain, Heard::Cut]
    );
}

#[test]
fn two_sigterm_within_250_ms_are_one() {
    let signals = [(0.0, Term), (0.249, Term), (0.25, Term)];
    let expected = [Heard::Drain, Heard::Ignored, Heard::Cut];
    assert_eq!(heard(Signals::default(), &signals), expected);
}

#[test]
fn sigint_cuts_at_once_and_one_more_returns_at_once() {
    let signals = [(0.0, Int), (0.1, Int)];
    assert_eq!(
        heard(Signals::default(), &signals),
        [Heard::Cut, Heard::Leave]
    );

    let signals = [(0.0, Term), (0.1, Int), (0.2, Int)];
    let expected = [Heard::Drain, Heard::Cut, Heard::Leave];
    assert_eq!(heard(Signals::default(), &signals), expected);
}

#[test]
fn sigterm_after_a_cut_changes_nothing() {
    let signals = [(0.0, Term), (1.0, Term), (2.0, Term)];
    let expected = [Heard::Drain, Heard::Cut, Heard::Ignored];
    assert_eq!(heard(Signals::default(), &signals), expected);
}

#[test]
fn sigint_that_drains_is_a_first_signal_and_a_second_one() {
    let drains = Signals::default().sigint(OnSignal::Drain);
    let signals = [(0.0, Int), (0.249, Int), (0.25, Int), (0.3, Int)];
    let expected = [Heard::Drain, Heard::Ignored, Heard::Cut, Heard::Leave];
    assert_eq!(heard(drains.clone(), &signals), expected);
    assert_eq!(
        heard(drains, &[(0.0, Term), (0.25, Int)]),
        [Heard::Drain, Heard::Cut]
    );
}

#[test]
fn signals_that_both_drain_are_one_within_250_ms_in_whatever_order() {
    let drains = Signals::default().sigint(OnSignal::Drain);
    for (first, other) in [(Term, Int), (Int, Term)] {
        let signals = [(0.0, first), (0.005, other), (0.1, first), (0.25, other)];
        let expected = [Heard::Drain, Heard::Ignored, Heard::Ignored, Heard::Cut];
        assert_eq!(heard(drains.clone(), &signals), expected);
    }
}

#[test]
fn sigint_that_is_ignored_is_no_signal_at_all() {
    let ignores = Signals::default().sigint(OnSignal::Ignore);
    let signals = [(0.0, Int), (1.0, Term), (2.0, Int), (3.0, Term), (4.0, Int)];
    let expected = [
        Heard::Ignored,
        Heard::Drain,
        Heard::Ignored,
        Heard::Cut,
        Heard::Ignored,
    ];
    assert_eq!(heard(ignores, &signals), expected);
}

#[test]
fn a_second_signal_that_is_ignored_leaves_sigint_its_cut() {
    for second in [OnSignal::Ignore, OnSignal::Drain] {
        let ignores = Signals::default().second(second);
        let signals = [(0.0, Term), (1.0, Term), (2.0, Int), (3.0, Int)];
        let expected = [Heard::Drain, Heard::Ignored, Heard::Cut, Heard::Leave];
        assert_eq!(heard(ignores, &signals), expected);
    }
}
