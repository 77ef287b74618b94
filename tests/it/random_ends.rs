//! Requests that end in every way there is, in no order.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::mpsc;

use tokio_test::task::spawn;
use tower_drain::{DrainLayer, Phase};

use crate::support::{get, poll_frame, App, Script};

const REQUESTS: usize = 50_000;

/// What is dropped by another thread than the one it was made on.
type Elsewhere = Box<dyn Send>;

/// One request to its end. Another thread's cut may come at any point, so no step relies on the one before.
fn one(app: &mut App, random: &mut fastrand::Rng, elsewhere: &mpsc::Sender<Elsewhere>) {
    let mut opened = app.send(get("/"));
    let call = app.handlers.next();
    let way = random.u8(0..10);
    if way == 0 {
        return;
    }
    if random.bool() {
        let _ = opened.poll();
    }
    let script = Script::new();
    script.data("first");
    match way {
        1 => return,
        2 => call.fail(),
        3 => call.panic(),
        4 => return elsewhere.send(Box::new(opened.into_inner())).unwrap(),
        _ => call.answer(&script),
    }
    if way == 5 {
        app.handle.cut();
    }
    let polled = catch_unwind(AssertUnwindSafe(|| opened.poll()));
    let Ok(std::task::Poll::Ready(Ok(response))) = polled else {
        return;
    };
    let mut body = spawn(response.into_body());
    let _ = poll_frame(&mut body);
    match way {
        6 => {
            script.panics_when_polled();
            let _ = catch_unwind(AssertUnwindSafe(|| poll_frame(&mut body)));
        }
        7 => {
            let _ = poll_frame(&mut body);
            elsewhere.send(Box::new(body.into_inner())).unwrap();
        }
        8 => {
            script.error("broken").close();
            while let std::task::Poll::Ready(Some(_)) = poll_frame(&mut body) {}
        }
        9 => {
            script.data("last").close();
            while let std::task::Poll::Ready(Some(_)) = poll_frame(&mut body) {}
        }
        _ => {}
    }
}

#[test]
fn a_hundred_thousand_requests_that_end_anyhow_leave_the_count_at_0() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let layer = DrainLayer::new();
    let handle = layer.handle();
    std::thread::scope(|scope| {
        let (elsewhere, dropped) = mpsc::channel::<Elsewhere>();
        scope.spawn(move || dropped.into_iter().for_each(drop));
        for thread in 0..2 {
            let (layer, elsewhere) = (layer.clone(), elsewhere.clone());
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed.wrapping_add(thread));
                let mut app = App::of(layer);
                for _ in 0..REQUESTS {
                    one(&mut app, &mut random, &elsewhere);
                }
                assert_eq!(app.handlers.called(), REQUESTS);
            });
        }
    });
    assert_eq!(handle.in_flight(), 0);
    assert!(handle.stragglers().is_empty());
    assert_eq!(handle.cut(), 0);
    handle.begin_shutdown();
    assert_eq!(handle.phase(), Phase::Drained);
}
