//! What sockets cannot be made to do in the right moment.

use std::cell::Cell;
use std::future::{poll_fn, Future};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{advance, Instant};
use tokio_test::{assert_pending, assert_ready_eq, task};

use crate::server::connection::Ended;
use crate::server::delivery::Carrier;
use crate::server::held::{Held, Piece};
use crate::server::stopping::Stopping;
use crate::server::tally::{Standing, Tally, ABANDON, DRAINED, STOP};

fn tally() -> Arc<Tally> {
    Tally::new(Carrier::Other, 0, Arc::default())
}

fn request(tally: &Arc<Tally>, http2: bool) -> Held {
    tally.called(http2, false);
    Held::new(tally.clone(), None)
}

fn stream(tally: &Arc<Tally>) -> Piece {
    Piece::task(tally.clone())
}

fn listening(tally: &Tally) -> task::Spawn<impl Future<Output = Standing> + '_> {
    task::spawn(poll_fn(|cx| {
        let standing = tally.listen(cx.waker());
        match standing.was_told(STOP | DRAINED | ABANDON) && standing.is_over() {
            true => Poll::Ready(standing),
            false => Poll::Pending,
        }
    }))
}

#[test]
fn the_release_of_the_last_thing_in_flight_wakes_a_connection_that_was_told() {
    let tally = tally();
    let (request, stream) = (request(&tally, true), stream(&tally));
    let bytes = request.piece();
    let mut task = listening(&tally);
    assert_pending!(task.poll());
    tally.tell(STOP);
    assert!(task.is_woken());

    assert_pending!(task.poll());
    drop(request);
    drop(bytes);
    assert_pending!(task.poll());
    drop(stream);
    assert!(task.is_woken());
    assert!(task.poll().is_ready());
}

#[test]
fn a_release_before_the_stop_wakes_nobody() {
    let tally = tally();
    let request = request(&tally, false);
    let mut task = listening(&tally);
    assert_pending!(task.poll());
    drop(request);
    assert!(!task.is_woken());
}

#[test]
fn a_tunnel_is_no_request_and_over_with_the_drain() {
    let tally = tally();
    let _tunnel = stream(&tally);
    assert!(!tally.standing().has_requests());
    assert!(!tally.standing().is_over());
    tally.tell(DRAINED);
    assert!(tally.standing().is_over());

    let _request = request(&tally, true);
    assert!(tally.standing().has_requests());
    assert!(!tally.standing().is_over());
}

#[test]
fn a_peer_counts_as_slow_until_it_sends_the_next_request() {
    for http2 in [false, true] {
        let tally = tally();
        let first = request(&tally, http2);
        tally.notes.blocked.set(true);
        let second = request(&tally, http2);
        assert!(tally.may_be_slow());
        drop((first, second));
        assert!(tally.may_be_slow());
        let _third = request(&tally, http2);
        assert!(!tally.may_be_slow());
    }
}

/// On another thread, the last stream hands its last frame over while the connection is polled.
#[tokio::test(start_paused = true)]
async fn a_connection_is_polled_once_more_after_its_last_stream() {
    let tally = tally();
    let last = Cell::new(Some(request(&tally, true)));
    let (is_told, is_late) = (Cell::new(false), Cell::new(false));
    let connection = pin!(poll_fn(|_| {
        match (is_late.get(), last.take()) {
            (true, Some(last)) => drop(last),
            (true, None) => {
                tally.notes.writes();
                tally.notes.wrote(1);
            }
            (false, held) => last.set(held),
        }
        Poll::<()>::Pending
    }));
    let mut stopping = Stopping::new(connection, Instant::now(), &tally, |_| is_told.set(true));
    let mut stopping = task::spawn(poll_fn(|cx| stopping.poll(cx)));
    assert_pending!(stopping.poll());
    assert!(is_told.get());
    advance(Duration::from_secs(60)).await;

    is_late.set(true);
    assert_pending!(stopping.poll());
    tally.notes.unflushed.set(false);
    tally.tell(ABANDON);
    // Nothing says that the peer has read it.
    assert_ready_eq!(stopping.poll(), Ended::Unflushed);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_flushed_is_not_dropped_but_counted_when_it_is_abandoned() {
    let tally = tally();
    drop(request(&tally, false));
    tally.notes.writes();
    let connection = pin!(std::future::pending::<()>());
    let long_ago = Instant::now();
    advance(Duration::from_secs(60)).await;
    let mut stopping = Stopping::new(connection, long_ago, &tally, |_| {});
    let mut stopping = task::spawn(poll_fn(|cx| stopping.poll(cx)));
    assert_pending!(stopping.poll());
    advance(Duration::from_secs(60)).await;
    assert_pending!(stopping.poll());
    tally.tell(ABANDON);
    assert!(stopping.is_woken());
    assert_ready_eq!(stopping.poll(), Ended::Unflushed);
}

#[test]
fn a_response_without_a_length_is_cut_short_until_its_end_is_written() {
    let tally = tally();
    let notes = &tally.notes;
    notes.answered(false);
    assert!(!notes.is_cut_short(), "it has a length");
    notes.answered(true);
    assert!(notes.is_cut_short());
    notes.writes();
    notes.ended.set(true);
    assert!(notes.is_cut_short());
    notes.unflushed.set(false);
    assert!(!notes.is_cut_short());
}
