use std::net::SocketAddr;

use http::Extensions;

/// Where a request came from, in its extensions. `A` is the listener's [`Addr`](crate::Accept::Addr).
///
/// With the feature `axum` there is axum's `ConnectInfo<A>` beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerAddr<A = SocketAddr>(pub A);

impl<A: Clone + Send + Sync + 'static> PeerAddr<A> {
    pub(super) fn put_into(&self, extensions: &mut Extensions) {
        #[cfg(feature = "axum")]
        extensions.insert(axum::extract::ConnectInfo(self.0.clone()));
        extensions.insert(self.clone());
    }
}
