use std::borrow::Cow;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use super::beside::Beside;
use super::handlers::Handlers;
use super::hooks::{Hook, Hooks};
use super::rules::Signal;
use super::signals::{OnSignal, Signals};
use super::timeouts::{Budget, Timeouts};
use super::unheard::Claim;
use super::{Cut, ShutdownReport, Stop};
use crate::env::ConfigError;
use crate::{BoxError, DrainHandle, DrainReason, DrainStatus};

/// When the listening socket closes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StopAccepting {
    /// First of all, before the lame duck: for fronts that learn only from a refused connection.
    AtLameDuck,
    /// After the lame duck, before connections are told to stop and before anything is rejected.
    #[default]
    AtDrain,
    /// Last, after everything was rejected and drained: for fronts that repeat a 503 elsewhere, but fail on a refused
    /// connection.
    AfterDrain,
}

pub(super) type Trigger = Pin<Box<dyn Future<Output = DrainReason> + Send>>;

/// The sequence from a signal to the exit of the process.
///
/// ```no_run
/// use std::time::Duration;
///
/// use axum::{routing::get, Router};
/// use tower_drain::{BoxError, DrainLayer, Shutdown, ShutdownReport, Timeouts};
///
/// # async fn close_the_pool() -> Result<(), BoxError> { Ok(()) }
/// #[tokio::main]
/// async fn main() -> Result<ShutdownReport, BoxError> {
///     let layer = DrainLayer::new();
///     let shutdown = Shutdown::new(layer.handle())
///         .timeouts(Timeouts::from_env()?)
///         .on_drained("close the pool", Duration::from_secs(2), |_| close_the_pool());
///     let app = Router::new().route("/", get(|| async { "hello" })).layer(layer);
///     let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
///     shutdown
///         .run(|stop| axum::serve(listener, app).with_graceful_shutdown(stop))
///         .await
/// }
/// ```
///
/// In order: the trigger, from which on the drain is [sealed](DrainHandle::seal); the lame duck, with `on_begin` hooks
/// beside it; the listening socket closes, and its backlog is served; settling; connections are told to stop;
/// settling; rejecting begins; the wait for what was admitted; if that takes too long the cut and the `on_cut` hooks;
/// the closing of connections; the `on_drained` hooks; the report. [`StopAccepting`] moves the closing of the socket.
///
/// A drain that is begun by [`begin_shutdown`](DrainHandle::begin_shutdown) and the like on the handle is maintenance:
/// it does not end the process, and can be taken back. A later trigger joins the one that is on and seals it; the lame
/// duck is left out if requests are rejected already.
///
/// A cut by a signal goes through the same steps without their waits. Only hooks and the closing keep their bounds.
///
/// # Log
///
/// These lines have the target `tower_drain::shutdown`. Changes of the phase, the number that a cut ended, empty
/// variables and errors of accepting have the target `tower_drain`; the filter `tower_drain=info` takes all lines of this crate. Times are in
/// seconds, and what has no limit has no field.
///
/// | line | level | fields |
/// |---|---|---|
/// | the budget, when the server starts | info | `worst_case_s`, `grace_period_s`, `platform_s`, `lame_duck_s`, `settle_s`, `drain_s`, `close_s` |
/// | a `GRACEFUL_SHUTDOWN_` variable that nobody reads | warn | `name` |
/// | SIGTERM or SIGINT is blocked in the process's signal mask, when the server starts (Linux) | warn | `signals` |
/// | systemd cannot be told something, once for each message (feature `systemd`) | warn | `error`, and `socket` if its address cannot be used |
/// | a signal | info | `signal`, `meaning` |
/// | `shutdown begins` | info | `reason`, `phase`, `in_flight` |
/// | every step, when it begins; that the listening socket closes only where something closes it: `serve`, a `DrainListener` or [`accept_closed`](DrainHandle::accept_closed) | info | `step`, `at_most_s`, `in_flight` |
/// | who is waited for, every 5 s | info | `step`, `waited_s`, `in_flight`, `oldest` (five of them) |
/// | each request and tracked future that was cut, and each guard that was told of it | warn | `id`, `method`, `path` (never the query), `label`, `part`, `age_s`, `is_gone` |
/// | each hook, when it ends | info, warn | `stage`, `hook`, `outcome`, `took_s` |
/// | the last line: the whole [report](ShutdownReport) | info, warn | `reason`, `took_s`, `lame_duck_s`, `settle_s`, `drain_s`, `cut_s`, `close_s`, `on_drained_s`, `in_flight`, `cut`, `rejected`, `unflushed`, `still_held`, `hooks` |
#[must_use = "a `Shutdown` does nothing until it runs or serves"]
pub struct Shutdown {
    pub(crate) handle: DrainHandle,
    pub(super) handlers: Result<Handlers, ConfigError>,
    /// `None` where the handlers are not installed.
    pub(super) claim: Option<Claim>,
    pub(super) timeouts: Timeouts,
    pub(super) signals: Signals,
    pub(super) hooks: Hooks,
    pub(super) triggers: Vec<Trigger>,
    pub(super) stop_accepting: StopAccepting,
    pub(super) beside: Vec<Beside>,
}

impl Shutdown {
    /// Installs the signal handlers here and now: a signal that comes before the server runs begins the sequence
    /// when it does, and does not kill the process. Make it first, before anything that takes time.
    ///
    /// A start that hangs is ended by a third SIGINT, with exit code 130, unless SIGINT is
    /// [ignored](OnSignal::Ignore). One Ctrl-C, which may be two of them, does not end it, and SIGTERM never does.
    /// A `Shutdown` that is dropped without an end cannot take the handlers back: the next signal ends the process then,
    /// with 143 for SIGTERM and 130 for SIGINT, unless another `Shutdown` is there to hear it. A thread looks out for such
    /// signals, which is there only while no sequence runs. It leaves by [`std::process::exit`], which runs no
    /// destructors.
    ///
    /// Outside a tokio runtime, or where the handlers cannot be installed, [`check`](Self::check) is an error.
    ///
    /// # Panics
    ///
    /// In a tokio runtime that was built without `enable_io`.
    pub fn new(handle: DrainHandle) -> Self {
        let handlers = Handlers::install();
        Self {
            handle,
            claim: handlers.is_ok().then(Claim::new),
            handlers,
            timeouts: Timeouts::default(),
            signals: Signals::default(),
            hooks: Hooks::default(),
            triggers: Vec::new(),
            stop_accepting: StopAccepting::default(),
            beside: Vec::new(),
        }
    }

    /// How long the phases may take. `Duration::MAX` is [no limit](Timeouts).
    pub fn timeouts(self, timeouts: Timeouts) -> Self {
        Self { timeouts, ..self }
    }

    /// What the signals mean.
    pub fn signals(self, signals: Signals) -> Self {
        if let Some(claim) = &self.claim {
            claim.counts_sigint(signals.own(Signal::Int) != OnSignal::Ignore);
        }
        Self { signals, ..self }
    }

    /// Runs `hook` from the begin of the lame duck, beside the sequence and beside other such hooks. It delays only the
    /// return, at most until `bound` after its begin.
    ///
    /// Every hook runs in a task of its own. One that fails, panics or reaches its bound is in the
    /// [report](ShutdownReport::hooks) and stops nothing. The same holds if its error panics in `Display`, `source` or its
    /// drop; of the causes of an error the first 16 are told. A `bound` of `Duration::MAX` is none.
    pub fn on_begin<F, T>(
        mut self,
        name: impl Into<Cow<'static, str>>,
        bound: Duration,
        hook: F,
    ) -> Self
    where
        F: FnOnce(DrainStatus) -> T + Send + 'static,
        T: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        let hook = Hook::new(name.into(), bound, hook);
        self.hooks.on_begin.push(hook);
        self
    }

    /// Runs `hook` after something was cut, beside other such hooks, for at most `bound`. `Duration::MAX` is no bound, and
    /// fits only where [`Timeouts::platform`] is no limit.
    pub fn on_cut<F, T>(
        mut self,
        name: impl Into<Cow<'static, str>>,
        bound: Duration,
        hook: F,
    ) -> Self
    where
        F: FnOnce(Cut) -> T + Send + 'static,
        T: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        let hook = Hook::new(name.into(), bound, hook);
        self.hooks.on_cut.push(hook);
        self
    }

    /// Runs `hook` after the server has returned, one such hook after the other, for at most `bound`. This is where to
    /// close what requests need, such as a pool of connections. `Duration::MAX` is no bound, and fits only where
    /// [`Timeouts::platform`] is no limit.
    pub fn on_drained<F, T>(
        mut self,
        name: impl Into<Cow<'static, str>>,
        bound: Duration,
        hook: F,
    ) -> Self
    where
        F: FnOnce(ShutdownReport) -> T + Send + 'static,
        T: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        let hook = Hook::new(name.into(), bound, hook);
        self.hooks.on_drained.push(hook);
        self
    }

    /// Begins the sequence when `trigger` resolves, as a signal does. Of several triggers and signals the first counts,
    /// and the others are dropped. A panic in that drop ends there; one in a poll is passed on by what runs the sequence.
    pub fn trigger<F>(mut self, trigger: F) -> Self
    where
        F: Future<Output = DrainReason> + Send + 'static,
    {
        self.triggers.push(Box::pin(trigger));
        self
    }

    /// When the listening socket closes. The default is [`StopAccepting::AtDrain`].
    pub fn stop_accepting(self, stop_accepting: StopAccepting) -> Self {
        Self {
            stop_accepting,
            ..self
        }
    }

    /// Runs a second server in a task of its own that lives until the `on_drained` hooks are over: for probes, metrics
    /// and administration. It is then told to stop by the future it was given, and dropped after at most 1 s.
    ///
    /// If it fails it is logged, and the sequence does not begin.
    pub fn beside<F, S, E>(mut self, server: F) -> Self
    where
        F: FnOnce(Stop) -> S + Send + 'static,
        S: IntoFuture<Output = Result<(), E>>,
        S::IntoFuture: Send + 'static,
        E: Into<BoxError>,
    {
        self.beside.push(Beside::new(server));
        self
    }

    /// Whether the configuration holds. [`run`](Self::run) and `serve` call it before the first connection is
    /// accepted; a program that binds its socket early may call it before that.
    ///
    /// # Errors
    ///
    /// If the phases and hooks do not fit below the [platform's limit](Timeouts::platform), or the signal handlers could
    /// not be installed.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.budget().map(drop)
    }

    pub(super) fn budget(&self) -> Result<Budget, ConfigError> {
        if let Err(error) = &self.handlers {
            return Err(error.clone());
        }
        self.timeouts.budget(self.hooks.bounds())
    }
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown")
            .field("handle", &self.handle)
            .field("timeouts", &self.timeouts)
            .field("signals", &self.signals)
            .field("hooks", &self.hooks)
            .field("triggers", &self.triggers.len())
            .field("stop_accepting", &self.stop_accepting)
            .field("beside", &self.beside)
            .finish_non_exhaustive()
    }
}
