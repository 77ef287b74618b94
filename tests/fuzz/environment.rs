//! Any values in the environment: they mean what they say, or the error names the first that says nothing.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use tower_drain::{ConfigError, OnSignal, Signals, Timeouts};

/// In the order in which they are read.
const SECONDS: [&str; 5] = [
    "GRACEFUL_SHUTDOWN_TIMEOUT",
    "GRACEFUL_SHUTDOWN_PLATFORM_TIMEOUT",
    "GRACEFUL_SHUTDOWN_LAME_DUCK",
    "GRACEFUL_SHUTDOWN_SETTLE",
    "GRACEFUL_SHUTDOWN_CLOSE_TIMEOUT",
];
const SIGINT: &str = "GRACEFUL_SHUTDOWN_SIGINT";
const SECOND: &str = "GRACEFUL_SHUTDOWN_SECOND_SIGNAL";

const YEAR: f64 = 31_536_000.0;
/// Two ways to read a fraction may differ by so much.
const ROUNDING: f64 = 1e-6;

/// A line a variable, the seconds first; `-` is one that is not set.
pub(crate) fn fuzz(input: &[u8]) {
    if input.contains(&0) {
        return; // No environment can hold it.
    }
    let mut lines = input.split(|&byte| byte == b'\n');
    let mut values: [Option<&[u8]>; 7] = [None; 7];
    for value in &mut values {
        *value = lines.next().filter(|value| value != b"-");
    }
    for (name, value) in SECONDS.iter().chain(&[SIGINT, SECOND]).zip(values) {
        match value {
            Some(value) => std::env::set_var(name, OsString::from_vec(value.to_vec())),
            None => std::env::remove_var(name),
        }
    }
    // An empty one counts as not set.
    let values = values.map(|value| value.filter(|value| !value.is_empty()));
    seconds(&values[..5], Timeouts::from_env());
    signals(values[5], values[6], Signals::from_env());
}

fn seconds(values: &[Option<&[u8]>], read: Result<Timeouts, ConfigError>) {
    let meant: Vec<_> = values.iter().map(|value| value.map(meaning)).collect();
    if let Some(wrong) = meant.iter().position(|value| *value == Some(None)) {
        let text = String::from_utf8_lossy(values[wrong].unwrap_or_default());
        return names(read, SECONDS[wrong], &text);
    }
    let given = |at: usize| meant[at].flatten();
    let (lame_duck, settle, close) = (
        given(2).unwrap_or(5.0),
        given(3).unwrap_or(0.5),
        given(4).unwrap_or(10.0),
    );
    let platform = given(1).unwrap_or(330.0);
    let rest = lame_duck + 2.0 * settle + close + 1.0;
    let is_derived = given(0).is_none() && given(1).is_some();
    let (drain, room) = match is_derived {
        true => ((platform - rest - 1.0).max(0.0), platform - rest - 1.0),
        false => {
            let drain = given(0).unwrap_or(300.0);
            (drain, platform - rest - drain)
        }
    };
    match read {
        Err(ConfigError::Budget { .. }) => assert!(room <= ROUNDING, "{room} s are left"),
        Err(error) => panic!("every value is one: {error}"),
        Ok(read) => {
            assert!(room >= -ROUNDING, "{} s are missing", -room);
            for (read, meant) in [
                (read.lame_duck, lame_duck),
                (read.settle, settle),
                (read.close, close),
                (read.platform, platform),
                (read.drain, drain),
            ] {
                let off = (read.as_secs_f64() - meant).abs();
                assert!(off < ROUNDING, "{read:?} is not {meant}");
            }
        }
    }
}

/// Digits with at most one point among them, read one by one; at most a year.
fn meaning(value: &[u8]) -> Option<f64> {
    let (mut seconds, mut place, mut digits) = (0.0, None, 0);
    for &byte in value {
        match (byte, &mut place) {
            (b'0'..=b'9', None) => seconds = seconds * 10.0 + f64::from(byte - b'0'),
            (b'0'..=b'9', Some(place)) => {
                *place /= 10.0;
                seconds += *place * f64::from(byte - b'0');
            }
            (b'.', None) => place = Some(1.0),
            _ => return None,
        }
        digits += usize::from(byte != b'.');
    }
    // Less than half a nanosecond more is still a year.
    let is_short = Duration::try_from_secs_f64(seconds).is_ok_and(|it| it.as_secs_f64() <= YEAR);
    (digits > 0 && is_short).then_some(seconds)
}

fn signals(sigint: Option<&[u8]>, second: Option<&[u8]>, read: Result<Signals, ConfigError>) {
    let mut meant = Signals::default();
    for (name, value) in [(SIGINT, sigint), (SECOND, second)] {
        meant = match (name, value) {
            (_, None) => meant,
            (SIGINT, Some(b"drain")) => meant.sigint(OnSignal::Drain),
            (SIGINT, Some(b"cut")) => meant.sigint(OnSignal::Cut),
            (SECOND, Some(b"cut")) => meant.second(OnSignal::Cut),
            (SECOND, Some(b"ignore")) => meant.second(OnSignal::Ignore),
            (_, Some(wrong)) => return names(read, name, &String::from_utf8_lossy(wrong)),
        };
    }
    assert_eq!(read.ok(), Some(meant));
}

/// Asserts that it is an error about this variable and value.
fn names<T>(read: Result<T, ConfigError>, variable: &str, text: &str) {
    match read {
        Err(ConfigError::Variable { name, value, .. }) => {
            assert_eq!((name, &*value), (variable, text))
        }
        Err(error) => panic!("{variable}={text:?}: {error}"),
        Ok(_) => panic!("{variable}={text:?} was taken"),
    }
}
