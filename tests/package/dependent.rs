//! A crate that depends on `tower-drain` alone, and names something of each feature. See `tests/package.sh`.

fn main() {
    let layer = tower_drain::DrainLayer::new();
    #[cfg(feature = "stream")]
    let layer = layer
        .stream_policy(|_| tower_drain::StreamPolicy::End)
        .goodbye(tower_drain::Goodbye::event("goodbye"));
    let handle = layer.share_guard().handle();
    #[cfg(any(feature = "default", feature = "shutdown"))]
    let _ = tower_drain::Shutdown::new(handle.clone())
        .timeouts(tower_drain::Timeouts::default())
        .check();
    #[cfg(feature = "server")]
    let _ = std::any::type_name::<tower_drain::TcpBacklog>();
    #[cfg(feature = "axum")]
    let _ = std::any::type_name::<tower_drain::DrainListener>();
    #[cfg(feature = "admin")]
    let _ = tower_drain::Admin::new(handle.clone(), "a token").map(|admin| admin.detailed());
    #[cfg(feature = "agent")]
    let _ = tower_drain::GoodbyeListener::new(()).goodbye();
    #[cfg(feature = "metrics")]
    let _ = handle.record_metrics(std::time::Duration::from_secs(10));
    #[cfg(feature = "testing")]
    let _ = tower_drain::testing::End::Complete;
    handle.begin_shutdown();
}
