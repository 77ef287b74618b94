//! What cannot run here.

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

const MUST_RUN: &str = "LINKS_MUST_RUN";

/// Says so where one of the programs is missing.
pub(crate) fn lacks(what: &str, programs: &[&str]) -> bool {
    let missing = |program: &&&str| find(program).is_none();
    match programs.iter().find(missing) {
        Some(program) => skip(what, &format!("no {program}")),
        None => false,
    }
}

/// Whether this process may make network namespaces.
pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// # Panics
///
/// Where everything must run.
pub(crate) fn skip(what: &str, why: &str) -> bool {
    assert!(std::env::var_os(MUST_RUN).is_none(), "{what}: {why}");
    say(what, why)
}

pub(crate) fn say(what: &str, why: &str) -> bool {
    // The test harness keeps what a test prints, unless it fails.
    let _ = writeln!(std::io::stdout(), "links  SKIPPED {what}: {why}");
    true
}

pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let sbin = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    let mut files = std::env::split_paths(&path).chain(sbin);
    files.find_map(|folder| Some(folder.join(program)).filter(|file| file.is_file()))
}
