//! `Shutdown::serve` behind TLS, with a certificate made on the spot.
//!
//! ```text
//! cargo run --features server --example tls
//! curl --insecure https://127.0.0.1:3443
//! ```
//!
//! The handshake of each connection runs in its own task and may take 10 s: a peer that is slow at it, or never begins,
//! holds up nobody, neither while serving nor at the stop. HTTP/2 is offered by ALPN. `ADDR` says where else it is to
//! listen.

use std::sync::Arc;

use axum::{routing::get, Router};
use tokio::net::TcpListener;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;
use tower_drain::{Accept, BoxError, DrainLayer, Shutdown, ShutdownReport, Timeouts};

#[tokio::main]
async fn main() -> Result<ShutdownReport, BoxError> {
    let layer = DrainLayer::new();
    let shutdown = Shutdown::new(layer.handle()).timeouts(Timeouts::from_env()?);
    let app = Router::new()
        .route("/", get(|| async { "hello\n" }))
        .layer(layer);

    let acceptor = TlsAcceptor::from(Arc::new(config()?));
    let addr = std::env::var("ADDR").unwrap_or_else(|_| "127.0.0.1:3443".into());
    let listener = TcpListener::bind(addr).await?;
    println!("listening on https://{}", listener.local_addr()?);
    let listener = listener.handshake(move |tcp| acceptor.accept(tcp));
    shutdown.serve(listener, app).await
}

fn config() -> Result<ServerConfig, BoxError> {
    let made =
        rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
