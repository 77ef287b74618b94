use std::collections::HashMap;
use std::ffi::OsString;
use std::time::Duration;

use super::{hang, s};
use crate::shutdown::timeouts::HookBounds;
use crate::shutdown::{OnSignal, Shutdown, Signals, Timeouts};
use crate::{BoxError, ConfigError, DrainHandle};

pub(super) fn parse(variables: &[(&'static str, &str)]) -> Result<Timeouts, ConfigError> {
    let variables: HashMap<_, _> = variables.iter().copied().collect();
    Timeouts::from_lookup(&|name| variables.get(name).map(OsString::from))
}

pub(super) fn parse_signals(variables: &[(&'static str, &str)]) -> Result<Signals, ConfigError> {
    let variables: HashMap<_, _> = variables.iter().copied().collect();
    Signals::from_lookup(&|name| variables.get(name).map(OsString::from))
}

pub(super) const LAME_DUCK: &str = "GRACEFUL_SHUTDOWN_LAME_DUCK";
pub(super) const SETTLE: &str = "GRACEFUL_SHUTDOWN_SETTLE";
pub(super) const DRAIN: &str = "GRACEFUL_SHUTDOWN_TIMEOUT";
pub(super) const CLOSE: &str = "GRACEFUL_SHUTDOWN_CLOSE_TIMEOUT";
pub(super) const PLATFORM: &str = "GRACEFUL_SHUTDOWN_PLATFORM_TIMEOUT";
pub(super) const SIGINT: &str = "GRACEFUL_SHUTDOWN_SIGINT";
pub(super) const SECOND: &str = "GRACEFUL_SHUTDOWN_SECOND_SIGNAL";

#[test]
fn without_variables_the_defaults_stand_and_fit() {
    let timeouts = parse(&[]).unwrap();
    assert_eq!(timeouts, Timeouts::default());
    let (lame_duck, settle, drain) = (timeouts.lame_duck, timeouts.settle, timeouts.drain);
    assert_eq!((lame_duck, settle, drain), (s(5.0), s(0.5), s(300.0)));
    assert_eq!((timeouts.close, timeouts.platform), (s(10.0), s(330.0)));
}

#[test]
fn every_variable_sets_its_own_timeout_with_fractions() {
    let variables = [
        (LAME_DUCK, "1"),
        (SETTLE, "0.25"),
        (DRAIN, "20.5"),
        (CLOSE, "3."),
        (PLATFORM, "60"),
    ];
    let timeouts = parse(&variables).unwrap();
    let (lame_duck, settle, drain) = (timeouts.lame_duck, timeouts.settle, timeouts.drain);
    assert_eq!((lame_duck, settle, drain), (s(1.0), s(0.25), s(20.5)));
    assert_eq!((timeouts.close, timeouts.platform), (s(3.0), s(60.0)));
}

#[test]
fn a_bad_value_is_an_error_that_names_variable_and_value() {
    let huge = "9".repeat(400);
    let bad = [
        " ",
        "-1",
        "-0",
        "+1",
        "NaN",
        "inf",
        "infinity",
        "1e999",
        "1e2",
        "5s",
        "5 ",
        " 5",
        "5\n",
        "1,5",
        "1.2.3",
        ".",
        "0x10",
        "1_000",
        "31536000.1",
        "18446744073709551616",
        &huge,
        "٣",
    ];
    for name in [LAME_DUCK, SETTLE, DRAIN, CLOSE, PLATFORM] {
        for value in bad {
            let error = parse(&[(name, value)]).expect_err(value);
            let message = error.to_string();
            assert!(
                message.starts_with(&format!("{name}={value:?} is not")),
                "{message}"
            );
            assert_eq!(format!("{error:?}"), message, "`main` prints the sentence");
            assert!(matches!(error, ConfigError::Variable { .. }));
        }
    }
}

/// As compose passes one that is not set.
#[test]
fn an_empty_variable_counts_as_not_set() {
    let names = [LAME_DUCK, SETTLE, DRAIN, CLOSE, PLATFORM];
    let empty = names.map(|name| (name, ""));
    assert_eq!(parse(&empty).unwrap(), Timeouts::default());
    // Neither is the drain, which is derived then.
    let derived = parse(&[(PLATFORM, "30"), (DRAIN, "")]).unwrap();
    assert_eq!(derived, Timeouts::for_platform(s(30.0)));
    let empty = [SIGINT, SECOND].map(|name| (name, ""));
    assert_eq!(parse_signals(&empty).unwrap(), Signals::default());
}

#[cfg(unix)]
#[test]
fn a_value_that_is_not_utf_8_is_an_error_that_names_the_variable() {
    use std::os::unix::ffi::OsStringExt;
    let lookup = |name| (name == CLOSE).then(|| OsString::from_vec(vec![b'1', 0xff]));
    let message = Timeouts::from_lookup(&lookup).unwrap_err().to_string();
    assert!(
        message.starts_with("GRACEFUL_SHUTDOWN_CLOSE_TIMEOUT=\"1\u{fffd}\" is not"),
        "{message}"
    );
}

#[test]
fn a_sum_that_does_not_fit_is_an_error_with_its_figures() {
    let message = parse(&[(DRAIN, "320")]).unwrap_err().to_string();
    assert!(
        message.contains("needs 337 s and the platform kills after 330 s"),
        "{message}"
    );
    assert!(
        message.contains("320 (GRACEFUL_SHUTDOWN_TIMEOUT)"),
        "{message}"
    );
    // As long as the platform waits is too long; below is enough.
    assert!(parse(&[(DRAIN, "313")]).is_err());
    assert!(parse(&[(DRAIN, "312.999")]).is_ok());
    assert!(parse(&[(DRAIN, "320"), (PLATFORM, "360")]).is_ok());
}

#[test]
fn the_platform_alone_derives_the_drain() {
    assert_eq!(parse(&[(PLATFORM, "30")]).unwrap().drain, s(12.0));
    assert_eq!(
        parse(&[(PLATFORM, "30"), (CLOSE, "2")]).unwrap().drain,
        s(20.0)
    );
    assert_eq!(
        parse(&[(PLATFORM, "30"), (LAME_DUCK, "10")]).unwrap().drain,
        s(7.0)
    );
    assert_eq!(
        parse(&[(PLATFORM, "30"), (DRAIN, "3")]).unwrap().drain,
        s(3.0)
    );
    assert_eq!(parse(&[(PLATFORM, "18")]).unwrap().drain, Duration::ZERO);
    let message = parse(&[(PLATFORM, "17.9")]).unwrap_err().to_string();
    assert!(
        message.contains("needs 18 s and the platform kills after 17.9 s"),
        "{message}"
    );
    assert!(message.contains("1 (kept free)"), "{message}");
    assert_eq!(
        Timeouts::for_platform(s(30.0)),
        parse(&[(PLATFORM, "30")]).unwrap()
    );
}

#[tokio::test]
async fn a_derived_drain_leaves_room_for_the_hooks() {
    let shutdown = |timeouts| {
        Shutdown::new(DrainHandle::new())
            .timeouts(timeouts)
            .on_begin("begin", s(20.0), hang)
            .on_cut("a", s(3.0), hang)
            .on_cut("b", s(2.0), hang)
            .on_drained("c", s(1.0), hang)
            .on_drained("d", s(0.5), hang)
    };
    let budget = shutdown(Timeouts::for_platform(s(30.0))).budget().unwrap();
    assert_eq!(budget.timeouts.drain, s(7.5));
    assert_eq!((budget.worst_case, budget.grace_period_s()), (s(29.0), 30));

    // Set afterwards, it is not derived any more.
    let mut set = Timeouts::for_platform(s(30.0));
    set.drain = s(4.0);
    assert_eq!(shutdown(set).budget().unwrap().timeouts.drain, s(4.0));
    // Other phases that are set afterwards are taken off.
    let slower = Timeouts::for_platform(s(30.0)).lame_duck(s(6.0));
    assert_eq!(shutdown(slower).budget().unwrap().timeouts.drain, s(6.5));
    // Nothing is left.
    let error = shutdown(Timeouts::for_platform(s(20.0)))
        .check()
        .unwrap_err();
    assert!(
        error.to_string().contains("3 (the longest on_cut)"),
        "{error}"
    );
}

#[tokio::test]
async fn hooks_that_do_not_fit_are_an_error_of_the_check() {
    let shutdown = Shutdown::new(DrainHandle::new()).on_drained("close", s(14.0), hang);
    let error = shutdown.check().unwrap_err();
    assert!(error.to_string().contains("14 (all on_drained)"), "{error}");
    let endless = Shutdown::new(DrainHandle::new()).on_cut("save", Duration::MAX, hang);
    assert!(endless.check().is_err());
    // It delays the return only.
    let beside = Shutdown::new(DrainHandle::new()).on_begin("notify", s(600.0), hang);
    let budget = beside.budget().unwrap();
    assert_eq!(
        (budget.worst_case, budget.grace_period_s()),
        (s(600.0), 601)
    );
}

#[test]
fn without_a_platforms_limit_a_phase_may_be_without_one() {
    let endless = Timeouts::default().platform(Duration::MAX);
    let budget = |timeouts: &Timeouts| timeouts.budget(HookBounds::default());
    // A limit that is not there is not reached.
    assert_eq!(budget(&endless).unwrap().worst_case, s(317.0));
    for timeouts in [
        endless.clone().lame_duck(Duration::MAX),
        endless.clone().settle(Duration::MAX),
        endless.clone().drain(Duration::MAX),
        endless.clone().close(Duration::MAX),
    ] {
        assert_eq!(budget(&timeouts).unwrap().worst_case, Duration::MAX);
    }
    // It is derived as what is left of no limit.
    let derived = Timeouts::for_platform(Duration::MAX);
    assert_eq!(derived.drain, Duration::MAX);
    assert_eq!(budget(&derived).unwrap().timeouts.drain, Duration::MAX);

    let hooks = HookBounds {
        longest_on_cut: Duration::MAX,
        all_on_drained: Duration::MAX,
        ..HookBounds::default()
    };
    assert_eq!(endless.budget(hooks).unwrap().worst_case, Duration::MAX);
}

#[test]
fn a_phase_without_a_limit_does_not_fit_below_one_of_the_platform_and_the_error_says_so() {
    let timeouts = Timeouts::default().drain(Duration::MAX);
    let error = timeouts.budget(HookBounds::default()).unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("has no limit and the platform kills after 330 s: 5 ("),
        "{message}"
    );
    assert!(
        message.contains("+ no limit (GRACEFUL_SHUTDOWN_TIMEOUT) +"),
        "{message}"
    );
    assert!(!message.contains("18446744073709551615"), "{message}");
}

#[test]
fn signals_from_variables() {
    assert_eq!(parse_signals(&[]).unwrap(), Signals::default());
    let set = parse_signals(&[(SIGINT, "drain"), (SECOND, "ignore")]).unwrap();
    let expected = Signals::default()
        .sigint(OnSignal::Drain)
        .second(OnSignal::Ignore);
    assert_eq!(set, expected);
    let set = parse_signals(&[(SIGINT, "cut"), (SECOND, "cut")]).unwrap();
    assert_eq!(set, Signals::default());
    for (name, value) in [
        (SIGINT, "ignore"),
        (SIGINT, " "),
        (SIGINT, "Drain"),
        (SECOND, "drain"),
        (SECOND, "ignore "),
    ] {
        let message = parse_signals(&[(name, value)]).unwrap_err().to_string();
        assert!(
            message.starts_with(&format!("{name}={value:?} is not `")),
            "{message}"
        );
    }
}

#[tokio::test]
async fn an_error_is_one_of_the_crates_and_of_everybody() {
    let error: BoxError = parse(&[(DRAIN, "x")]).unwrap_err().into();
    assert!(error.is::<ConfigError>());
}
