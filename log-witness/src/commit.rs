//! Commit: the one writer. Whatever waits while a transaction is written goes into the next one,
//! so that many origins share one sync of the disk and none of them waits for a tick.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::oneshot;

use crate::logs::Log;
use crate::metrics::Metrics;
use crate::state::{Advance, Conflict, Store, StoreError};

/// Origins in one transaction: it bounds the time that the first one waits for the last.
const BATCH_MAX: usize = 1024;

/// What to do when the outcome of a write is unknown. In the program it ends the process: the next
/// start decides by what is on disk.
pub type OnFatal = Arc<dyn Fn(&StoreError) + Send + Sync>;

/// The writer has stopped, so the outcome is unknown; nothing may be answered but that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the state cannot be written")]
pub struct Stopped;

/// Hands work to the writer. Dropping it ends the writer once all work is done.
pub struct Writer {
    work: Mutex<Option<Sender<Work>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

enum Work {
    Advance { advance: Advance, log: Arc<Log>, answer: oneshot::Sender<Result<(), Conflict>> },
    Order(Order),
}

/// Something rare that an operator or an accident wants, in a transaction of its own. If it fails,
/// no write may follow.
type Order = Box<dyn FnOnce(&Store) -> Result<(), StoreError> + Send>;

impl Writer {
    /// Starts the writer.
    pub fn start(store: Arc<Store>, metrics: Arc<Metrics>, on_fatal: OnFatal) -> Self {
        let (work, waiting) = channel();
        let thread = std::thread::Builder::new()
            .name("commit".into())
            .spawn(move || {
                let writing = AssertUnwindSafe(|| write(&store, &waiting, &metrics));
                // A panic here is an assertion about heads: what it saw must not be written over.
                let ended = catch_unwind(writing).unwrap_or(Err(StoreError::Defect));
                if let Err(error) = ended {
                    // Everybody who waits is told that the outcome is unknown: their channels are
                    // gone.
                    on_fatal(&error);
                }
            })
            .expect("invariant: the system starts a thread at the start of the process");
        Self { work: Mutex::new(Some(work)), thread: Mutex::new(Some(thread)) }
    }

    /// Moves one origin forward. When this returns `Ok`, the head is durable, and every later
    /// decision sees it.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn advance(
        &self,
        log: Arc<Log>,
        advance: Advance,
    ) -> Result<Result<(), Conflict>, Stopped> {
        let (answer, answered) = oneshot::channel();
        self.send(Work::Advance { advance, log, answer })?;
        answered.await.map_err(|_| Stopped)
    }

    /// Runs something in the writer's order and gives what it gives.
    ///
    /// # Errors
    /// [`Stopped`]: it failed, or was not run.
    pub async fn order<T: Send + 'static>(
        &self,
        order: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Stopped> {
        let (answer, answered) = oneshot::channel();
        self.send(Work::Order(Box::new(move |store| {
            let given = order(store)?;
            // Whoever ordered it may be gone.
            let _ = answer.send(given);
            Ok(())
        })))?;
        answered.await.map_err(|_| Stopped)
    }

    /// Finishes what waits and stops.
    pub fn stop(&self) {
        self.work.lock().unwrap_or_else(PoisonError::into_inner).take();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the writer did not stop cleanly");
        }
    }

    fn send(&self, work: Work) -> Result<(), Stopped> {
        let sender = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        sender.as_ref().ok_or(Stopped)?.send(work).map_err(|_| Stopped)
    }
}

/// The writer's thread, until there is nobody left who could ask.
fn write(store: &Store, waiting: &Receiver<Work>, metrics: &Metrics) -> Result<(), StoreError> {
    while let Ok(first) = waiting.recv() {
        let (mut batch, mut order, mut next) = (Vec::new(), None, Some(first));
        while let Some(work) = next {
            match work {
                Work::Advance { advance, log, answer } => batch.push((advance, log, answer)),
                Work::Order(run) => order = Some(run),
            }
            let more = order.is_none() && batch.len() < BATCH_MAX;
            next = if more { waiting.try_recv().ok() } else { None };
        }
        commit(store, batch, metrics)?;
        order.map_or(Ok(()), |order| order(store))?;
    }
    Ok(())
}

type Waiting = (Advance, Arc<Log>, oneshot::Sender<Result<(), Conflict>>);

fn commit(store: &Store, batch: Vec<Waiting>, metrics: &Metrics) -> Result<(), StoreError> {
    if batch.is_empty() {
        return Ok(());
    }
    let began = Instant::now();
    let advances: Vec<&Advance> = batch.iter().map(|(advance, ..)| advance).collect();
    let outcomes = store.advance(&advances)?;
    metrics.committed(batch.len(), began.elapsed());
    for ((_, log, answer), outcome) in batch.into_iter().zip(outcomes) {
        // First the memory, then the answer: whoever has the signatures finds the new size.
        let outcome = outcome.map(|row| log.set_row(row));
        // Whoever asked may have hung up.
        let _ = answer.send(outcome);
    }
    Ok(())
}
