//! Where tasks run, what time it is and what luck decides: tokio in the daemon, a scheduler of one thread in a simulation.
//!
//! ```text
//! openraft ─┐                         ┌─▶ tokio, the machine's clock, the library's random generator
//!           ├─▶ this module ─▶ is a   │
//! ours ─────┘   scheduler here? ──────┴─▶ Scheduler: virtual time, choices by a seed
//! ```
//!
//! openraft asks for its runtime by type and not by value, and the same code must run in both: so a scheduler is entered for a thread
//! ([`enter`]), and everything that waits, spawns or draws asks here. Channels are tokio's in both: they need no runtime. What would
//! wait without awaiting (a thread, a sleep of a thread, a blocking receive) has no place in this crate but at the ends of
//! these functions. docs/decisions/0002-simulation.md says why it is not a simulator from elsewhere.

use std::cell::RefCell;
use std::fmt;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use openraft::AsyncRuntime;
use openraft::async_runtime::AsyncOneshotSendExt;
use tokio::sync::oneshot;

use crate::member::Later;

/// A wait for a moment.
pub type Timer = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

/// What a simulation gives in place of tokio. Tasks belong to groups, of which each is one HSM: a crash ends a group.
pub trait Scheduler: Send + Sync {
    /// The group of the task that runs now.
    fn group(&self) -> u64;
    /// Runs a task in a group.
    fn spawn(&self, group: u64, task: Later<()>);
    /// The time since the simulation began, as the group that runs now measures it.
    fn now(&self) -> Duration;
    /// A wait until then. It is never over when it is first asked.
    fn sleep_until(&self, at: Duration) -> Timer;
    /// A number by the seed.
    fn random(&self) -> u64;
    /// Passes when the disk of the group that runs now has done its next fsync.
    fn sync_time(&self) -> Timer;
}

thread_local! {
    static SCHEDULER: RefCell<Option<(Arc<dyn Scheduler>, tokio::time::Instant)>> = const { RefCell::new(None) };
}

/// From now on, what this thread runs is simulated. The scheduler that was there before comes back when the guard goes.
#[must_use]
pub fn enter(scheduler: Arc<dyn Scheduler>) -> Entered {
    let start = tokio::time::Instant::now();
    Entered { before: SCHEDULER.replace(Some((scheduler, start))) }
}

/// A thread on which a scheduler is entered.
pub struct Entered {
    before: Option<(Arc<dyn Scheduler>, tokio::time::Instant)>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        SCHEDULER.set(self.before.take());
    }
}

fn scheduler() -> Option<Arc<dyn Scheduler>> {
    SCHEDULER.with_borrow(|entered| entered.as_ref().map(|(scheduler, _)| Arc::clone(scheduler)))
}

/// Where the tasks of a cluster run.
pub(crate) enum Home {
    /// On threads of its own.
    Threads(tokio::runtime::Runtime),
    /// In a group of a simulation.
    Simulated(Arc<dyn Scheduler>, u64),
}

impl Home {
    /// Threads of its own.
    ///
    /// # Errors
    /// If they cannot be made.
    pub(crate) fn threads() -> std::io::Result<Self> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder
            .worker_threads(2)
            .thread_name("casemate-raft")
            .enable_all()
            .build()
            .map(Self::Threads)
    }

    /// The group of the task that runs now; none if nothing is simulated.
    pub(crate) fn simulated() -> Option<Self> {
        scheduler().map(|scheduler| {
            let group = scheduler.group();
            Self::Simulated(scheduler, group)
        })
    }

    /// The way to it, for those who do not own it.
    pub(crate) fn way(&self) -> Way {
        match self {
            Self::Threads(runtime) => Way::Threads(runtime.handle().clone()),
            Self::Simulated(scheduler, group) => Way::Simulated(Arc::clone(scheduler), *group),
        }
    }

    /// Runs a future to its end on this thread. None in a simulation, where nobody may block.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> Option<F::Output> {
        match self {
            Self::Threads(runtime) => Some(runtime.block_on(future)),
            Self::Simulated(..) => None,
        }
    }
}

/// The way to a [`Home`].
#[derive(Clone)]
pub(crate) enum Way {
    Threads(tokio::runtime::Handle),
    Simulated(Arc<dyn Scheduler>, u64),
}

impl Way {
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> Task<T> {
        match self {
            Self::Threads(handle) => Task::Threads(handle.spawn(task)),
            Self::Simulated(scheduler, group) => spawn_in(scheduler.as_ref(), *group, task),
        }
    }
}

fn spawn_in<T: Send + 'static>(
    scheduler: &dyn Scheduler,
    group: u64,
    task: impl Future<Output = T> + Send + 'static,
) -> Task<T> {
    let (sender, receiver) = oneshot::channel();
    scheduler.spawn(
        group,
        Box::pin(async move {
            // Whoever spawned it may not want to know.
            let _told = sender.send(task.await).is_ok();
        }),
    );
    Task::Simulated(receiver)
}

/// Runs what blocks: it holds up this task only.
pub(crate) fn blocking<T>(work: impl FnOnce() -> T) -> T {
    if scheduler().is_some() { work() } else { tokio::task::block_in_place(work) }
}

/// Runs what never waits in this thread: outside a simulation, [`pause`] blocks.
///
/// # Panics
/// If it waits for something after all.
pub(crate) fn run_here<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        #[expect(
            clippy::panic,
            reason = "the writer awaits nothing but pauses and its own functions"
        )]
        Poll::Pending => panic!("what runs on a thread of its own waits for a task"),
    }
}

/// Holds up a thread of its own, or a simulated task in its place.
pub(crate) async fn pause(time: Duration) {
    if scheduler().is_some() {
        sleep(time).await;
    } else {
        std::thread::sleep(time);
    }
}

/// Passes when a simulated disk has done an fsync; a real one takes its time in the call itself.
pub(crate) async fn sync_time() {
    if let Some(scheduler) = scheduler() {
        scheduler.sync_time().await;
    }
}

pub(crate) async fn sleep(time: Duration) {
    Sleep::until(Instant::now() + time).await;
}

/// The time is over.
#[derive(Debug)]
pub(crate) struct Late;

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time is over")
    }
}

pub(crate) fn timeout_at<F: Future>(deadline: Instant, future: F) -> Timeout<F> {
    Timeout { future: Box::pin(future), sleep: Sleep::until(deadline) }
}

pub(crate) fn timeout<F: Future>(within: Duration, future: F) -> Timeout<F> {
    timeout_at(Instant::now() + within, future)
}

/// What is done in time, or not.
pub(crate) struct Timeout<F> {
    future: Pin<Box<F>>,
    sleep: Sleep,
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Late>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(output) = self.future.as_mut().poll(context) {
            return Poll::Ready(Ok(output));
        }
        Pin::new(&mut self.sleep).poll(context).map(|()| Err(Late))
    }
}

/// A wait for a moment.
pub(crate) struct Sleep(Timer);

impl Sleep {
    fn until(Instant(at): Instant) -> Self {
        let simulated = SCHEDULER.with_borrow(|entered| {
            let (scheduler, start) = entered.as_ref()?;
            Some(scheduler.sleep_until(at.saturating_duration_since(*start)))
        });
        Self(simulated.unwrap_or_else(|| Box::pin(tokio::time::sleep_until(at))))
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(context)
    }
}

/// A moment of the clock that only goes forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(tokio::time::Instant);

impl Instant {
    pub(crate) fn now() -> Self {
        let simulated = SCHEDULER.with_borrow(|entered| {
            entered.as_ref().map(|(scheduler, start)| *start + scheduler.now())
        });
        Self(simulated.unwrap_or_else(tokio::time::Instant::now))
    }
}

impl openraft::Instant for Instant {
    fn now() -> Self {
        Self::now()
    }
}

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, time: Duration) -> Self {
        Self(self.0 + time)
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, time: Duration) {
        self.0 += time;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;
    fn sub(self, time: Duration) -> Self {
        Self(self.0 - time)
    }
}

impl SubAssign<Duration> for Instant {
    fn sub_assign(&mut self, time: Duration) {
        self.0 -= time;
    }
}

impl Sub for Instant {
    type Output = Duration;
    fn sub(self, earlier: Self) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }
}

/// A task that was spawned. It goes on if this is dropped.
pub(crate) enum Task<T> {
    Threads(tokio::task::JoinHandle<T>),
    Simulated(oneshot::Receiver<T>),
}

/// Why a task has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TaskError {
    #[error(transparent)]
    Tokio(#[from] tokio::task::JoinError),
    #[error("its HSM crashed")]
    Gone(#[from] oneshot::error::RecvError),
}

impl<T> Future for Task<T> {
    type Output = Result<T, TaskError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Threads(handle) => Pin::new(handle).poll(context).map_err(TaskError::from),
            Self::Simulated(receiver) => Pin::new(receiver).poll(context).map_err(TaskError::from),
        }
    }
}

/// Luck, as openraft uses it: for the time-outs of elections.
pub(crate) struct Luck;

impl rand_core::RngCore for Luck {
    fn next_u32(&mut self) -> u32 {
        rand_core::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rand_core::impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, out: &mut [u8]) {
        let Some(scheduler) = scheduler() else { return casemate_crypto::random::fill(out) };
        for bytes in out.chunks_mut(8) {
            bytes.copy_from_slice(&scheduler.random().to_le_bytes()[..bytes.len()]);
        }
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(out);
        Ok(())
    }
}

/// The sender of a channel for one value.
pub(crate) struct OneshotSender<T>(oneshot::Sender<T>);

impl<T> fmt::Debug for OneshotSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneshotSender")
    }
}

impl<T: Send> AsyncOneshotSendExt<T> for OneshotSender<T> {
    fn send(self, value: T) -> Result<(), T> {
        self.0.send(value)
    }
}

/// This module, as openraft asks for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Runtime;

impl AsyncRuntime for Runtime {
    type JoinError = TaskError;
    type JoinHandle<T: Send + 'static> = Task<T>;
    type Sleep = Sleep;
    type Instant = Instant;
    type TimeoutError = Late;
    type Timeout<R, T: Future<Output = R> + Send> = Timeout<T>;
    type ThreadLocalRng = Luck;
    type OneshotSender<T: Send> = OneshotSender<T>;
    type OneshotReceiver<T: Send> = oneshot::Receiver<T>;
    type OneshotReceiverError = oneshot::error::RecvError;

    fn spawn<T>(future: T) -> Task<T::Output>
    where
        T: Future + Send + 'static,
        T::Output: Send + 'static,
    {
        match scheduler() {
            Some(scheduler) => spawn_in(scheduler.as_ref(), scheduler.group(), future),
            None => Task::Threads(tokio::spawn(future)),
        }
    }

    fn sleep(time: Duration) -> Sleep {
        Sleep::until(Instant::now() + time)
    }

    fn sleep_until(deadline: Instant) -> Sleep {
        Sleep::until(deadline)
    }

    fn timeout<R, F: Future<Output = R> + Send>(time: Duration, future: F) -> Timeout<F> {
        timeout(time, future)
    }

    fn timeout_at<R, F: Future<Output = R> + Send>(deadline: Instant, future: F) -> Timeout<F> {
        timeout_at(deadline, future)
    }

    fn is_panic(error: &TaskError) -> bool {
        matches!(error, TaskError::Tokio(error) if error.is_panic())
    }

    fn thread_rng() -> Luck {
        Luck
    }

    fn oneshot<T: Send>() -> (OneshotSender<T>, oneshot::Receiver<T>) {
        let (sender, receiver) = oneshot::channel();
        (OneshotSender(sender), receiver)
    }
}
