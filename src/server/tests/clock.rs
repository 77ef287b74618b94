//! Times, over pipes with a paused clock.

use std::io;
use std::time::Duration;

use http_body_util::BodyExt;
use tokio::io::DuplexStream;
use tokio::time::{sleep, Instant};
use tower::service_fn;

use super::support::*;
use crate::server::Accept;
use crate::BoxError;

const HOUR: Duration = Duration::from_secs(3600);

async fn ends_after(peer: &mut DuplexStream) -> Duration {
    let begun = Instant::now();
    let mut rest = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(peer, &mut rest).await;
    assert!(rest.is_empty());
    Instant::now() - begun
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_request_ends_after_30_s() {
    let (pipes, listener) = Pipes::new();
    let _server = Server::on(listener, hello());
    assert_eq!(ends_after(&mut pipe(&pipes)).await.as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_is_not_complete_ends_its_connection_after_30_s() {
    let (pipes, listener) = Pipes::new();
    let _server = Server::on(listener, hello());
    let mut peer = pipe(&pipes);
    send(&mut peer, GET).await;
    read_until(&mut peer, "hello").await;
    sleep(HOUR).await;
    send(&mut peer, b"GET / HTTP").await;
    assert_eq!(ends_after(&mut peer).await.as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_connection_may_be_idle_between_two_requests() {
    let (pipes, listener) = Pipes::new();
    let _server = Server::on(
        listener,
        service_fn(|request: http::Request<hyper::body::Incoming>| async {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            text(format!("{}.", body.len()))
        }),
    );
    let mut peer = pipe(&pipes);
    for _ in 0..2 {
        // The last bytes of a body are not the first of a head.
        send(
            &mut peer,
            b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n1",
        )
        .await;
        sleep(HOUR).await;
        send(&mut peer, b"2").await;
        read_until(&mut peer, "2.").await;
        sleep(HOUR).await;
    }
}

/// Preface and settings; half a frame of headers; a whole one that wants another behind it.
#[tokio::test(start_paused = true)]
async fn http2_without_a_whole_request_ends_after_30_s() {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    const HALF: &[u8] = &[0, 0, 6, 1, 5, 0, 0, 0, 1, 0x82, 0x84];
    const NO_END: &[u8] = &[0, 0, 3, 1, 1, 0, 0, 0, 1, 0x82, 0x84, 0x86];
    for rest in [
        &[][..],
        SETTINGS,
        &[SETTINGS, HALF].concat(),
        &[SETTINGS, NO_END].concat(),
    ] {
        let (pipes, listener) = Pipes::new();
        let mut server = Server::on(listener, hello());
        let mut peer = pipe(&pipes);
        send(&mut peer, PREFACE).await;
        send(&mut peer, rest).await;
        let begun = Instant::now();
        server.has_connections(2).await;
        server.has_connections_in_time(1).await;
        // The GOAWAY has its time as well.
        assert_eq!(begun.elapsed().as_millis(), 30_500, "{rest:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn http2_may_be_idle_after_its_first_request() {
    let (pipes, listener) = Pipes::new();
    let _server = Server::on(listener, hello());
    let io = hyper_util::rt::TokioIo::new(pipe(&pipes));
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut client, connection) = hyper::client::conn::http2::handshake(executor, io)
        .await
        .unwrap();
    tokio::spawn(connection);
    for _ in 0..2 {
        let request = http::Request::new(http_body_util::Empty::<bytes::Bytes>::new());
        let answer = client.send_request(request).await.unwrap();
        assert_eq!(answer.collect().await.unwrap().to_bytes(), "hello");
        sleep(HOUR).await;
    }
}

/// The next request, its first half, or the line end that some clients send behind a body.
#[tokio::test(start_paused = true)]
async fn what_is_sent_ahead_of_a_slow_response_starts_no_timer() {
    const LENGTH: usize = 1 << 16;
    for (ahead, rest) in [(GET, &b""[..]), (&GET[..10], &GET[10..]), (b"\r\n", GET)] {
        let (pipes, listener) = Pipes::new();
        let _server = Server::on(listener, service_fn(|_| async { text(vec![b'x'; LENGTH]) }));
        let mut peer = pipe(&pipes);
        send(&mut peer, GET).await;
        read_until(&mut peer, "\r\n\r\n").await;
        send(&mut peer, ahead).await;
        // Not for the last bytes, behind which it is the peer's turn.
        let mut waits = std::iter::repeat(HOUR).take(10);
        let mut body = vec![0; LENGTH];
        for part in body.chunks_mut(4096) {
            sleep(waits.next().unwrap_or_default()).await;
            let read = tokio::io::AsyncReadExt::read_exact(&mut peer, part).await;
            read.expect("the response is not cut short");
        }
        // Nor is the connection told that its time is over.
        send(&mut peer, rest).await;
        read_until(&mut peer, "\r\n\r\n").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_line_end_between_two_requests_begins_none() {
    let (pipes, listener) = Pipes::new();
    let _server = Server::on(listener, hello());
    let mut peer = pipe(&pipes);
    for _ in 0..2 {
        send(&mut peer, GET).await;
        read_until(&mut peer, "hello").await;
        send(&mut peer, b"\r\n").await;
        sleep(HOUR).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_handshake_ends_after_10_s() {
    let (pipes, listener) = Pipes::new();
    let shake = |pipe| async move {
        let _pipe: DuplexStream = pipe;
        never::<Result<DuplexStream, BoxError>>().await
    };
    let mut server = Server::on(listener.handshake(shake), hello());
    assert_eq!(ends_after(&mut pipe(&pipes)).await.as_secs(), 10);

    // After the stop it ends with the time for a first request.
    let mut peer = pipe(&pipes);
    server.has_connections(2).await;
    server.close_and_stop();
    assert_eq!(ends_after(&mut peer).await.as_millis(), 500);
    assert_eq!(server.returned().await, 0);
}

#[tokio::test(start_paused = true)]
async fn after_the_stop_an_old_connection_is_dropped_at_once_and_a_new_one_after_half_a_second() {
    let (pipes, listener) = Pipes::new();
    let mut server = Server::on(listener, hello());
    let mut old = pipe(&pipes);
    send(&mut old, b"GET / HT").await;
    sleep(Duration::from_secs(1)).await;
    let mut new = pipe(&pipes);
    server.has_connections(3).await;

    server.close_and_stop();
    assert_eq!(ends_after(&mut old).await, LOOK);
    let first_request = Duration::from_millis(500);
    assert_eq!(ends_after(&mut new).await, first_request - LOOK);
    assert_eq!(server.returned().await, 0);
}

#[tokio::test(start_paused = true)]
async fn after_the_stop_a_ping_is_waited_for_half_a_second() {
    let (pipes, listener) = Pipes::new();
    let mut server = Server::on(listener, hello());
    let mut peer = pipe(&pipes);
    send(&mut peer, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    send(&mut peer, &[0, 0, 0, 4, 0, 0, 0, 0, 0]).await;
    send(&mut peer, &[0, 0, 0, 4, 1, 0, 0, 0, 0]).await;
    sleep(Duration::from_secs(1)).await;

    let stopped = Instant::now();
    server.close_and_stop();
    assert_eq!(server.returned().await, 0);
    assert_eq!(stopped.elapsed(), LOOK + Duration::from_millis(500));
}

#[tokio::test(start_paused = true)]
async fn a_slow_peer_that_does_not_close_is_waited_for_5_s_after_the_last_byte() {
    let (pipes, listener) = Pipes::new();
    let app = service_fn(|_| async { text(vec![b'x'; 8192]) });
    let mut server = Server::on(listener, app);
    let mut peer = pipe(&pipes);
    send(&mut peer, GET).await;
    sleep(HOUR).await;
    server.close_and_stop();
    sleep(Duration::from_secs(60)).await;
    assert!(!server.serving.is_finished());

    read_until(&mut peer, "\r\n\r\n").await;
    let mut body = vec![0; 8192];
    let all = tokio::io::AsyncReadExt::read_exact(&mut peer, &mut body);
    within("the body", all).await.unwrap();
    let read = Instant::now();
    // A pipe does not say what its peer has read, and this one was slow.
    assert_eq!(server.returned().await, 1);
    assert_eq!(read.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn accepting_goes_on_at_once_after_an_error_and_pauses_where_something_ran_out() {
    use libc::{
        ECONNABORTED, ECONNREFUSED, ECONNRESET, EHOSTDOWN, EHOSTUNREACH, EINTR, EMFILE, ENETDOWN,
        ENETUNREACH, ENFILE, ENOBUFS, ENOMEM, ENOPROTOOPT, EOPNOTSUPP, EPERM, EPIPE, EPROTO,
        ETIMEDOUT,
    };

    async fn takes(errors: impl IntoIterator<Item = io::Error>) -> Duration {
        let (pipes, listener) = Pipes::new();
        let _server = Server::on(listener, hello());
        let begun = Instant::now();
        for error in errors {
            pipes.send(Err(error)).unwrap();
        }
        let mut peer = pipe(&pipes);
        send(&mut peer, GET).await;
        read_until(&mut peer, "hello").await;
        begun.elapsed()
    }
    // What accept(2) lists of one connection or of the network under it, and what a handshake makes up.
    let numbers = [
        ECONNABORTED,
        ECONNREFUSED,
        ECONNRESET,
        EHOSTDOWN,
        EHOSTUNREACH,
        EINTR,
        ENETDOWN,
        ENETUNREACH,
        ENOPROTOOPT,
        EOPNOTSUPP,
        EPERM,
        EPIPE,
        EPROTO,
        ETIMEDOUT,
    ];
    let errors = numbers.map(io::Error::from_raw_os_error);
    assert_eq!(takes(errors).await, Duration::ZERO);
    let own = io::Error::new(io::ErrorKind::Other, "no header");
    assert_eq!(takes([own]).await, Duration::ZERO);

    for number in [EMFILE, ENFILE, ENOBUFS, ENOMEM] {
        let error = io::Error::from_raw_os_error(number);
        assert_eq!(takes([error]).await.as_millis(), 1000, "{number}");
    }
}

#[tokio::test(start_paused = true)]
async fn errors_that_go_on_and_on_are_not_asked_for_without_a_pause() {
    let (pipes, listener) = Pipes::new();
    let _server = Server::on(listener, hello());
    let fails = || pipes.send(Err(io::ErrorKind::InvalidData.into())).unwrap();
    // Connections between them begin the count anew.
    let begun = Instant::now();
    for _ in 0..200 {
        fails();
        let mut peer = pipe(&pipes);
        send(&mut peer, GET).await;
        read_until(&mut peer, "hello").await;
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);

    for _ in 0..1000 {
        fails();
    }
    let mut peer = pipe(&pipes);
    send(&mut peer, GET).await;
    read_until(&mut peer, "hello").await;
    let took = begun.elapsed();
    assert!(took > Duration::from_secs(1), "{took:?}");
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_does_not_hold_up_the_close_nor_lose_the_backlog() {
    let (pipes, mut listener) = Pipes::new();
    let (mut peer, queued) = tokio::io::duplex(4096);
    let pause = Duration::from_millis(20);
    let full = || Err(io::Error::from_raw_os_error(24));
    listener.backlog.extend([full(), full(), Ok(queued)]);
    let mut server = Server::on(listener, hello());
    pipes.send(full()).unwrap();
    tokio::task::yield_now().await;
    let begun = Instant::now();
    send(&mut peer, GET).await;
    server.close_and_stop();
    assert!(read_to_end(&mut peer).await.ends_with("hello"));
    assert_eq!(begun.elapsed(), 2 * pause);
    assert_eq!(server.returned().await, 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_in_flight_may_take_an_hour_after_the_stop() {
    let (pipes, listener) = Pipes::new();
    let app = service_fn(|request: http::Request<hyper::body::Incoming>| async {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        sleep(HOUR).await;
        text(format!("{}.", body.len()))
    });
    let mut server = Server::on(listener, app);
    let mut uploading = pipe(&pipes);
    let head = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n1";
    send(&mut uploading, head).await;
    let mut handled = pipe(&pipes);
    send(&mut handled, GET).await;
    sleep(Duration::from_secs(60)).await;

    server.close_and_stop();
    sleep(HOUR).await;
    assert!(read_to_end(&mut handled).await.ends_with("0."));
    send(&mut uploading, b"2").await;
    sleep(HOUR).await;
    assert!(read_to_end(&mut uploading).await.ends_with("2."));
    assert_eq!(server.returned().await, 0);
}
