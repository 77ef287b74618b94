//! axum's `Router`, made ready for many requests.

/// A router without its state builds its fallback anew for every request, and the layers around that. So `axum::serve`
/// gives it its state first, and so does this.
#[cfg(feature = "axum")]
pub(super) fn ready<S: 'static>(mut app: S) -> S {
    let any: &mut dyn std::any::Any = &mut app;
    if let Some(router) = any.downcast_mut::<axum::Router>() {
        *router = std::mem::take(router).with_state(());
    }
    app
}

#[cfg(not(feature = "axum"))]
pub(super) fn ready<S>(app: S) -> S {
    app
}
