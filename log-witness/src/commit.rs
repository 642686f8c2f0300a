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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use log_core::key::{KeyName, NoteSigner};
    use log_core::{Hash, Origin, TreeHead, TreeSize};

    use super::*;
    use crate::keys::StateId;
    use crate::logs::Logs;
    use crate::row::{Row, Standing};

    struct Rig {
        _dir: tempfile::TempDir,
        writer: Writer,
        log: Arc<Log>,
        fatal: Arc<AtomicUsize>,
    }

    fn rig() -> Rig {
        let dir = tempfile::tempdir().unwrap();
        let state_id = StateId::random();
        let store = Store::create(&dir.path().join("db"), state_id, 1, false).unwrap();
        let origin = Origin::parse("log.example/a").unwrap();
        let key = NoteSigner::ed25519(KeyName::parse("log.example/a").unwrap(), [1; 32]);
        let keys = vec![key.verifier_key()];
        store.put_logs(&[(origin.clone(), keys.clone())], false).unwrap();
        let logs = Logs::default();
        logs.put(origin, keys, Row::new(false));
        let log = logs.all().remove(0);
        let fatal = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&fatal);
        let on_fatal = Arc::new(move |_: &StoreError| {
            count.fetch_add(1, Ordering::SeqCst);
        });
        let writer = Writer::start(Arc::new(store), Arc::default(), on_fatal);
        Rig { _dir: dir, writer, log, fatal }
    }

    impl Rig {
        fn advance(&self, expected: Standing, size: u64) -> Result<Result<(), Conflict>, Stopped> {
            let root_hash = Hash::EMPTY_ROOT;
            let advance = Advance {
                origin_hash: self.log.hash,
                expected,
                head: TreeHead { size: TreeSize::new(size), root_hash },
                time_s: 1,
                note: String::new(),
                journal_note: String::new(),
            };
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(self.writer.advance(Arc::clone(&self.log), advance))
        }

        fn standing(&self) -> Standing {
            self.log.current().row.header.standing
        }
    }

    #[test]
    fn who_has_the_answer_finds_the_new_size() {
        let rig = rig();
        assert_eq!(rig.advance(Standing::NeverCosigned, 3), Ok(Ok(())));
        assert_eq!(rig.log.current().row.header.latest_size(), TreeSize::new(3));
        assert_eq!(rig.advance(Standing::NeverCosigned, 5), Ok(Err(Conflict)));
        assert_eq!(rig.advance(rig.standing(), 5), Ok(Ok(())));
        assert_eq!(rig.fatal.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn after_a_write_that_failed_nothing_is_written_or_promised() {
        let rig = rig();
        assert_eq!(rig.advance(Standing::NeverCosigned, 3), Ok(Ok(())));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let failing = rig.writer.order(|_| Err::<(), _>(StoreError::Malformed("test")));
        assert_eq!(runtime.block_on(failing), Err(Stopped));
        assert_eq!(rig.advance(rig.standing(), 5), Err(Stopped));
        rig.writer.stop();
        assert_eq!(rig.fatal.load(Ordering::SeqCst), 1);
        assert_eq!(rig.log.current().row.header.latest_size(), TreeSize::new(3));
    }

    #[test]
    fn a_defect_in_the_writer_is_fatal_and_answers_nobody() {
        let rig = rig();
        assert_eq!(rig.advance(Standing::NeverCosigned, 3), Ok(Ok(())));
        assert_eq!(rig.advance(rig.standing(), 2), Err(Stopped));
        rig.writer.stop();
        assert_eq!(rig.fatal.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_writer_that_was_stopped_refuses_work() {
        let rig = rig();
        rig.writer.stop();
        assert_eq!(rig.advance(Standing::NeverCosigned, 3), Err(Stopped));
        assert_eq!(rig.fatal.load(Ordering::SeqCst), 0);
    }
}
