use std::net::SocketAddr;

use http::Extensions;

/// Where a request came from, in its extensions. `A` is the listener's [`Addr`](crate::Accept::Addr).
///
/// With the feature `axum` there is axum's `ConnectInfo<A>` beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerAddr<A = SocketAddr>(pub A);

/// The extensions that every request of a connection begins with. A copy has the room of the original, and with what a
/// router adds it need not grow, which costs more than all the insertions.
#[derive(Clone)]
pub(super) struct Origin(Extensions);

#[derive(Clone)]
struct Room<const N: usize>;

impl Origin {
    pub(super) fn new<A: Clone + Send + Sync + 'static>(peer: PeerAddr<A>) -> Self {
        let mut extensions = Extensions::new();
        extensions.insert(Room::<0>);
        extensions.insert(Room::<1>);
        extensions.insert(Room::<2>);
        extensions.insert(Room::<3>);
        extensions.clear();
        #[cfg(feature = "axum")]
        extensions.insert(axum::extract::ConnectInfo(peer.0.clone()));
        extensions.insert(peer);
        Self(extensions)
    }

    pub(super) fn put_into(&self, extensions: &mut Extensions) {
        let own = std::mem::replace(extensions, self.0.clone());
        extensions.extend(own);
    }
}
