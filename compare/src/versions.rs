//! The versions that this program was built with.

use crate::peer::Peer;

const LOCK: &str = include_str!("../Cargo.lock");

/// The version of a package in the lock file of the build.
///
/// # Panics
///
/// If it is not there.
pub fn version_of(name: &str) -> &'static str {
    let line = format!("name = \"{name}\"\nversion = \"");
    let version = LOCK.split(&line).nth(1).and_then(|it| it.split('"').next());
    version.unwrap_or_else(|| panic!("the lock file has no `{name}`"))
}

/// All of them in a sentence.
pub fn versions() -> String {
    let peers = Peer::ALL.map(|peer| format!("{} {}", peer.name(), version_of(peer.name())));
    let hyper = version_of("hyper");
    format!("{}, all on hyper {hyper}.", peers.join(", "))
}
