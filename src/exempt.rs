//! How the layer tells the server of an exempt request.

use std::fmt;
use std::sync::Arc;

use http::Request;

/// Put into the extensions of a request by a server that counts requests itself.
#[derive(Clone)]
pub(crate) struct Exemptible(Arc<dyn OnExempt>);

/// What a server does with a request that the layer leaves alone.
pub(crate) trait OnExempt: Send + Sync {
    /// Marks the request as exempt: it neither holds the drain nor counts as lost. May be called more than once.
    fn exempt(&self);
}

impl Exemptible {
    pub(crate) fn new(on_exempt: Arc<dyn OnExempt>) -> Self {
        Self(on_exempt)
    }

    /// Tells the server, if there is one that wants to know.
    pub(crate) fn tell<B>(request: &Request<B>) {
        if let Some(Self(server)) = request.extensions().get() {
            server.exempt();
        }
    }
}

impl fmt::Debug for Exemptible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exemptible(..)")
    }
}
