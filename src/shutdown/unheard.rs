//! Signals that no sequence hears: before a [`Shutdown`](crate::Shutdown) runs, and after it was dropped without an end.
//!
//! Its handlers keep them from ending the process, and nothing takes handlers back. So a thread looks out for them,
//! which needs neither the runtime of the caller, which may be blocked or gone, nor anything of its own to be written.
//! It is there only while no sequence runs.

use std::convert::Infallible;
use std::future::{poll_fn, Future};
use std::pin::Pin;
use std::sync::{mpsc, Mutex, PoisonError};
use std::task::Poll;
use std::thread;

use tokio::sync::oneshot;

use super::handlers::Handlers;
use super::rules::Signal;

/// One Ctrl-C may be two of them, by the terminal and by a supervisor; that must not end a start.
const ENDS_A_START: u32 = 3;

/// Of the whole process, as signals are.
static STATE: Mutex<State> = Mutex::new(State::new());

#[derive(Debug)]
struct State {
    /// Shutdowns that have not run yet.
    waiting: usize,
    running: usize,
    /// One was dropped before its end, and none has run since.
    is_abandoned: bool,
    counts_sigint: bool,
    /// SIGINTs since the oldest waiting `Shutdown` was made.
    sigints: u32,
    /// Ends its thread when it is dropped.
    lookout: Option<oneshot::Sender<Infallible>>,
}

impl State {
    const fn new() -> Self {
        Self {
            waiting: 0,
            running: 0,
            is_abandoned: false,
            counts_sigint: true,
            sigints: 0,
            lookout: None,
        }
    }

    fn is_unheard(&self) -> bool {
        self.running == 0 && (self.waiting > 0 || self.is_abandoned)
    }

    fn made(&mut self) {
        if self.waiting == 0 {
            self.sigints = 0;
        }
        self.waiting += 1;
        self.is_abandoned = false;
        self.counts_sigint = true;
    }

    fn runs(&mut self) {
        self.waiting -= 1;
        self.running += 1;
        self.is_abandoned = false;
    }

    fn dropped(&mut self, stage: Stage) {
        match stage {
            Stage::Waits => self.waiting -= 1,
            Stage::Runs | Stage::IsOver => self.running -= 1,
        }
        // One that runs hears them, and what becomes of them after it is for that one to say.
        self.is_abandoned |= self.running == 0 && stage != Stage::IsOver;
    }

    /// Whether `signal` ends the process.
    fn ends_by(&mut self, signal: Signal) -> bool {
        if !self.is_unheard() || self.waiting == 0 {
            return self.is_unheard();
        }
        let counts = signal == Signal::Int && self.counts_sigint;
        self.sigints += u32::from(counts);
        counts && self.sigints >= ENDS_A_START
    }
}

fn with_state<T>(change: impl FnOnce(&mut State) -> T) -> T {
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    let changed = change(&mut state);
    match (state.is_unheard(), &state.lookout) {
        (true, None) => state.lookout = look_out(),
        (false, Some(_)) => state.lookout = None,
        _ => {}
    }
    changed
}

/// Starts the thread and returns once its handlers are installed. `None` if no thread can be had: signals are swallowed
/// then.
fn look_out() -> Option<oneshot::Sender<Infallible>> {
    let (end, mut ended) = oneshot::channel();
    let (sees, is_seeing) = mpsc::channel::<()>();
    let look = async move {
        let Ok(mut handlers) = Handlers::install() else {
            return;
        };
        drop(sees);
        loop {
            let next = poll_fn(|cx| match Pin::new(&mut ended).poll(cx) {
                Poll::Ready(_) => Poll::Ready(None),
                Poll::Pending => handlers.poll_next(cx).map(Some),
            });
            match next.await {
                Some(signal) if with_state(|state| state.ends_by(signal)) => {
                    std::process::exit(128 + signal.number());
                }
                Some(_) => {}
                None => return,
            }
        }
    };
    let thread = thread::Builder::new().name("tower-drain-signals".into());
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        if let Ok(runtime) = runtime {
            runtime.block_on(look);
        }
    };
    thread.spawn(run).ok()?;
    // An error: the other end is dropped by then.
    let _ = is_seeing.recv();
    Some(end)
}

/// Says of one [`Shutdown`](crate::Shutdown) whether it hears signals.
#[derive(Debug)]
pub(super) struct Claim(Stage);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Waits,
    Runs,
    IsOver,
}

impl Claim {
    pub(super) fn new() -> Self {
        with_state(State::made);
        Self(Stage::Waits)
    }

    /// Sets whether SIGINT counts. The last call wins.
    pub(super) fn counts_sigint(&self, counts: bool) {
        with_state(|state| state.counts_sigint = counts);
    }

    pub(super) fn runs(&mut self) {
        with_state(State::runs);
        self.0 = Stage::Runs;
    }

    /// From here on signals stay caught: the process is on its way out.
    pub(super) fn ends(mut self) {
        self.0 = Stage::IsOver;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        with_state(|state| state.dropped(self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::Signal::{Int, Term};
    use super::*;

    #[test]
    fn the_third_sigint_ends_a_start_unless_it_is_ignored() {
        let mut state = State::new();
        state.made();
        assert!(!state.ends_by(Int) && !state.ends_by(Term) && !state.ends_by(Int));
        // A second one that waits does not take them back; one that is made after the last has gone does.
        state.made();
        state.dropped(Stage::Waits);
        assert!(state.ends_by(Int));
        state.dropped(Stage::Waits);
        state.made();
        assert!(!state.ends_by(Int) && !state.ends_by(Int));

        state.counts_sigint = false;
        assert!((0..9).all(|_| !state.ends_by(Int)));
    }

    #[test]
    fn one_that_runs_hears_the_signals_of_all() {
        let mut state = State::new();
        state.made();
        state.made();
        state.runs();
        for signal in [Int, Int, Int, Term] {
            assert!(!state.ends_by(signal));
        }
        // The other one is dropped, and this one ends as it should.
        state.dropped(Stage::Waits);
        assert!(!state.ends_by(Term));
        state.dropped(Stage::IsOver);
        assert!(!state.ends_by(Term) && !state.is_unheard());
    }

    #[test]
    fn any_signal_ends_what_was_left_without_one() {
        for (begun, signal) in [(false, Int), (false, Term), (true, Int), (true, Term)] {
            let mut state = State::new();
            state.made();
            if begun {
                state.runs();
            }
            state.dropped(if begun { Stage::Runs } else { Stage::Waits });
            assert!(state.ends_by(signal));
            // Until there is another.
            state.made();
            assert!(!state.ends_by(Term));
        }
    }
}
