use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "shutdown")]
use crate::exit::{AcceptClosed, Exit};
use crate::tracker::{Called, Tracker, Waiter};
use crate::{
    Changed, DrainGuard, DrainNonce, DrainReason, DrainStatus, Draining, Leaving, Phase,
    ResumeError, ShuttingDown, Straggler, Tracked, WaitForDrain,
};

/// Begins a drain, watches it and waits for its end. Clones are the same handle.
///
/// Every call works outside a runtime. The futures are `Send + 'static` and cancel safe: one that is dropped loses
/// nothing, and one that is made anew goes on from what is the case then.
///
/// A waker that panics when it is woken does not keep the others from being woken, and its panic ends there: the call, or
/// the drop, that woke it goes on.
#[derive(Clone)]
pub struct DrainHandle {
    tracker: Arc<Tracker>,
    #[cfg(feature = "shutdown")]
    exit: Arc<Exit>,
}

impl DrainHandle {
    /// A handle without a layer, for [`DrainLayer::from_handle`](crate::DrainLayer::from_handle) or for work that is
    /// not HTTP.
    pub fn new() -> Self {
        Self {
            tracker: Tracker::new(),
            #[cfg(feature = "shutdown")]
            exit: Arc::default(),
        }
    }

    pub(crate) fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    /// The tracker as it is now: a drain whose time is over is lifted, however late its timer is.
    fn now(&self) -> &Arc<Tracker> {
        self.tracker.lift_if_due();
        &self.tracker
    }

    #[cfg(feature = "admin")]
    pub(crate) fn carried(&self) -> Option<crate::tracker::Carried> {
        self.now().carried()
    }

    #[cfg(feature = "admin")]
    pub(crate) fn downgrade(&self) -> std::sync::Weak<Tracker> {
        Arc::downgrade(&self.tracker)
    }

    /// The phase that is on.
    pub fn phase(&self) -> Phase {
        self.now().staged().phase
    }

    /// Whether requests are rejected: [`Phase::Draining`] or [`Phase::Drained`].
    pub fn is_draining(&self) -> bool {
        self.phase() >= Phase::Draining
    }

    /// Why the drain began; `None` while serving.
    pub fn reason(&self) -> Option<DrainReason> {
        self.now().reason()
    }

    /// Resolves once the phase is another than at this call, with the phase of that moment. Phases that came and went
    /// between two polls are not told one by one.
    ///
    /// To follow the phases, make the next future before looking at the phase:
    ///
    /// ```
    /// # use tower_drain::{DrainHandle, Phase};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let handle = DrainHandle::new();
    /// # handle.begin_shutdown();
    /// loop {
    ///     let changed = handle.changed();
    ///     if handle.phase() == Phase::Drained {
    ///         break;
    ///     }
    ///     changed.await;
    /// }
    /// # }
    /// ```
    pub fn changed(&self) -> Changed {
        Changed::new(self.now().clone())
    }

    /// Resolves once the phase has left [`Phase::Serving`]; at once if it has. A resume in between does not undo it.
    pub fn leaving(&self) -> Leaving {
        Leaving::new(self.now())
    }

    /// Resolves once rejecting began; at once if it has. A resume in between does not undo it.
    pub fn draining(&self) -> Draining {
        Draining::new(Waiter::new(self.now().door().shard().clone()))
    }

    /// To [`Phase::LameDuck`]: requests are still served, readiness says 503, and HTTP/1 answers close their
    /// connection. `true` if this call changed the phase.
    pub fn begin_lame_duck(&self) -> bool {
        self.begin_lame_duck_because(DrainReason::Requested)
            .is_some()
    }

    /// [`begin_lame_duck`](Self::begin_lame_duck) with a reason. Returns the drain's nonce if this call changed the phase.
    pub fn begin_lame_duck_because(&self, reason: DrainReason) -> Option<DrainNonce> {
        self.now().leave(reason)
    }

    /// To [`Phase::Draining`]: requests are rejected from here on. `true` for the one call that began it; when a call
    /// returns, with `true` or `false`, every later request is rejected.
    ///
    /// What was admitted goes on. See [`wait_for_drain`](Self::wait_for_drain) and [`cut`](Self::cut).
    pub fn begin_shutdown(&self) -> bool {
        self.begin_shutdown_because(DrainReason::Requested)
            .is_some()
    }

    /// [`begin_shutdown`](Self::begin_shutdown) with a reason, which stands if no lame duck had one. Returns the drain's
    /// nonce to the one call that began it.
    pub fn begin_shutdown_because(&self, reason: DrainReason) -> Option<DrainNonce> {
        self.now().begin(reason)
    }

    /// How many requests have a response body that is not dropped yet, plus guards and tracked futures.
    ///
    /// A rejected request is not among them, but for the instant in which one that crosses a begin is turned away. The
    /// figure is exact once the service drains and no guard is being cloned; while serving it is added up shard by shard,
    /// and requests come and go meanwhile.
    pub fn in_flight(&self) -> usize {
        self.now().in_flight()
    }

    /// Waits until nothing is in flight, for at most `timeout` after rejecting began, or after this call if that
    /// was later. `Duration::MAX` is no limit.
    ///
    /// It waits for the drain that is on at this call, or else for the next one. Any number may wait.
    ///
    /// # Errors
    ///
    /// [`DrainError::TimedOut`](crate::DrainError::TimedOut) if something is in flight when the time is over, and
    /// [`DrainError::Resumed`](crate::DrainError::Resumed) if the drain is taken back, also after its end.
    ///
    /// # Panics
    ///
    /// When it is polled while rejecting, with a limit, outside a tokio runtime with time.
    ///
    /// # Cancel safety
    ///
    /// It may be dropped and called again; the clock of the new call starts anew.
    pub fn wait_for_drain(&self, timeout: Duration) -> WaitForDrain {
        WaitForDrain::new(self.now().clone(), timeout)
    }

    /// Ends the requests and tracked futures that were admitted before this call; returns how many. Those that an
    /// earlier call ended are not counted again. One that ends by itself, or arrives, in the very moment of the call may be
    /// counted without having been ended; none is ended without being counted.
    ///
    /// A handler that has not answered is dropped and answered for with 500, without `retry-after` because it may have
    /// run half way; for gRPC with `CANCELLED`. An open body ends in a [`CutError`](crate::CutError), in gRPC in trailers.
    /// Each ends when it is polled next, for which it is woken. A body that the server does not poll, because its
    /// peer does not read, stays in flight until its connection ends. Guards are told by
    /// [`DrainGuard::cut`] and not ended.
    pub fn cut(&self) -> usize {
        self.now().cut()
    }

    /// Holds the drain for work that is not a request.
    ///
    /// # Errors
    ///
    /// While requests are rejected. Cloning a guard that is held always succeeds.
    pub fn try_guard(&self) -> Result<DrainGuard, ShuttingDown> {
        self.guard(Called::Nothing)
    }

    /// [`try_guard`](Self::try_guard) with a label for the list of [stragglers](Self::stragglers).
    ///
    /// # Errors
    ///
    /// As `try_guard`.
    pub fn try_guard_as(
        &self,
        label: impl Into<Cow<'static, str>>,
    ) -> Result<DrainGuard, ShuttingDown> {
        self.guard(Called::Label(label.into()))
    }

    fn guard(&self, called: Called) -> Result<DrainGuard, ShuttingDown> {
        match self.now().door().admit_guard(called) {
            Some(held) => Ok(DrainGuard::new(held)),
            None => Err(ShuttingDown::new()),
        }
    }

    /// Counts `future` from this call until it ends or is dropped. Its output is `None` if it was [cut](Self::cut).
    ///
    /// # Errors
    ///
    /// While requests are rejected; `future` is dropped.
    pub fn track<F: Future>(&self, future: F) -> Result<Tracked<F>, ShuttingDown> {
        match self.now().door().admit() {
            Some(admitted) => Ok(Tracked::new(future, admitted)),
            None => Err(ShuttingDown::new()),
        }
    }

    /// The nonce of the drain that is on; `None` while serving.
    pub fn nonce(&self) -> Option<DrainNonce> {
        self.now().nonce()
    }

    /// Takes the drain with this nonce back: requests are served again.
    ///
    /// # Errors
    ///
    /// If no drain is on, or another, or it is [sealed](Self::seal). Nothing changes then.
    pub fn resume(&self, nonce: DrainNonce) -> Result<(), ResumeError> {
        self.now().resume(nonce)
    }

    /// Makes the drain that is on, or else the next one, final: it cannot be resumed. `true` if this call did it.
    pub fn seal(&self) -> bool {
        self.now().seal()
    }

    /// Asks the [`Shutdown`](crate::Shutdown) of this handle to begin, as a signal does, also before it runs. `true` for
    /// the first call, whose reason stands.
    ///
    /// It ends the process, where [`begin_shutdown`](Self::begin_shutdown) only drains.
    #[cfg(feature = "shutdown")]
    pub fn request_exit(&self, reason: impl Into<DrainReason>) -> bool {
        self.exit.request(reason.into())
    }

    /// Resolves once the [`Shutdown`](crate::Shutdown) of this handle wants listening sockets closed; at once if it
    /// has. Connections that wait in the backlog of the socket are to be accepted first.
    ///
    /// For accept loops that the sequence does not own: it comes before their connections are told to stop.
    #[cfg(feature = "shutdown")]
    pub fn accept_closed(&self) -> AcceptClosed {
        self.exit.accept_closed()
    }

    /// Returns how many were cut in the drain that is on, by whatever call.
    #[cfg(feature = "shutdown")]
    pub(crate) fn cut_so_far(&self) -> usize {
        self.now().cut_so_far()
    }

    #[cfg(feature = "shutdown")]
    pub(crate) fn exit(&self) -> &Exit {
        &self.exit
    }

    /// How the drain stands, read in one go.
    pub fn status(&self) -> DrainStatus {
        self.now().status()
    }

    /// Who holds the drain, oldest first. Those that were never seen waiting come last, without a name.
    pub fn stragglers(&self) -> Vec<Straggler> {
        self.now().stragglers()
    }
}

impl Default for DrainHandle {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for DrainHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DrainHandle")
            .field("phase", &self.tracker.staged().phase)
            .field("in_flight", &self.tracker.in_flight())
            .finish_non_exhaustive()
    }
}
