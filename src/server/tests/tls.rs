//! TLS as the caller's own handshake.

use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tower::service_fn;

use super::support::*;
use crate::server::Accept;

fn configs() -> (TlsAcceptor, TlsConnector) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let certificate: CertificateDer<'static> = made.cert.der().clone();
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.into())
        .unwrap();
    let mut trusted = RootCertStore::empty();
    trusted.add(certificate).unwrap();
    let client = ClientConfig::builder()
        .with_root_certificates(trusted)
        .with_no_client_auth();
    (Arc::new(server).into(), Arc::new(client).into())
}

async fn over_tls(connector: &TlsConnector, tcp: TcpStream) -> TlsStream<TcpStream> {
    let name = ServerName::try_from("localhost").unwrap();
    within("a handshake", connector.connect(name, tcp))
        .await
        .unwrap()
}

#[tokio::test]
async fn tls_is_served_and_closed_in_order_whatever_others_do_at_their_handshakes() {
    const LENGTH: usize = 4 << 20;
    let (acceptor, connector) = configs();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let mut server = Server::on(
        listener.handshake(move |tcp| acceptor.accept(tcp)),
        service_fn(|_| async { text(vec![b'x'; LENGTH]) }),
    );
    let mut silent = connect(addr).await;
    let mut plain = connect(addr).await;
    send(&mut plain, GET).await;
    let mut peer = over_tls(&connector, connect(addr).await).await;
    send(&mut peer, GET).await;
    read_until(&mut peer, "\r\n\r\n").await;

    server.close_and_stop();
    // An end without TLS's own would be an error here.
    assert_eq!(read_to_end(&mut peer).await.len(), LENGTH);
    drop(peer);
    assert_eq!(server.returned().await, 0);
    is_dropped(&mut silent).await;
}
