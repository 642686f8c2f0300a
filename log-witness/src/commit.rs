//! Commit: one writes at a time. Whatever waits while a transaction is written goes into the next
//! one, so that many origins share one sync of the disk and none of them waits for a tick. A
//! request that is alone in the process writes by itself: handing its row to another thread and the
//! outcome back would take as long as a sync.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
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

/// Takes what is to be written. Dropping it ends its thread once all work is done.
pub struct Writer {
    desk: Arc<Desk>,
    work: Mutex<Option<Sender<Work>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// A request that may come to a write; as long as there are several of them they share writes.
pub struct Announced<'a>(&'a Writer);

/// Where one writes at a time: the writer's thread, or a request that is alone.
struct Desk {
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    on_fatal: OnFatal,
    /// Whoever holds it writes. `false`: a write failed or the writer was stopped, none may follow.
    open: Mutex<bool>,
    /// Requests that may come to a write.
    announced: AtomicUsize,
}

enum Work {
    Advance(Waiting),
    Order(Order),
}

/// Something rare that an operator or an accident wants, in a transaction of its own. If it fails,
/// no write may follow.
type Order = Box<dyn FnOnce(&Store) -> Result<(), StoreError> + Send>;

impl Writer {
    /// Starts the writer.
    pub fn start(store: Arc<Store>, metrics: Arc<Metrics>, on_fatal: OnFatal) -> Self {
        let (work, waiting) = channel();
        let (open, announced) = (Mutex::new(true), AtomicUsize::new(0));
        let desk = Arc::new(Desk { store, metrics, on_fatal, open, announced });
        let of_thread = Arc::clone(&desk);
        let thread = std::thread::Builder::new()
            .name("commit".into())
            .spawn(move || write(&of_thread, &waiting))
            .expect("invariant: the system starts a thread at the start of the process");
        Self { desk, work: Mutex::new(Some(work)), thread: Mutex::new(Some(thread)) }
    }

    /// Says that a request is under way; the sooner, the more of them share a write.
    pub fn announce(&self) -> Announced<'_> {
        self.desk.announced.fetch_add(1, Ordering::Relaxed);
        Announced(self)
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
        *self.desk.lock() = false;
    }

    fn send(&self, work: Work) -> Result<(), Stopped> {
        let sender = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        sender.as_ref().ok_or(Stopped)?.send(work).map_err(|_| Stopped)
    }
}

impl Announced<'_> {
    /// Moves one origin forward. When this returns `Ok`, the head is durable, and every later
    /// decision sees it. The thread that runs this waits for the disk if nobody else is announced.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn advance(
        &self,
        log: Arc<Log>,
        advance: Advance,
    ) -> Result<Result<(), Conflict>, Stopped> {
        let Self(writer) = self;
        let (answer, answered) = oneshot::channel();
        if let Some(waiting) = writer.desk.write_alone((advance, log, answer)) {
            writer.send(Work::Advance(waiting))?;
        }
        answered.await.map_err(|_| Stopped)
    }
}

impl Drop for Announced<'_> {
    fn drop(&mut self) {
        self.0.desk.announced.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Desk {
    /// Writes here and now, or gives back what others are about to write as well.
    fn write_alone(&self, waiting: Waiting) -> Option<Waiting> {
        if self.announced.load(Ordering::Relaxed) > 1 {
            return Some(waiting);
        }
        let open = match self.open.try_lock() {
            Ok(open) => open,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Some(waiting),
        };
        // If it fails the answer is dropped with the rest: whoever waits is told.
        let _ = self.write(open, |store| commit(store, vec![waiting], &self.metrics));
        None
    }

    /// Does one write while nobody else can.
    fn write(
        &self,
        mut open: MutexGuard<'_, bool>,
        writing: impl FnOnce(&Store) -> Result<(), StoreError>,
    ) -> Result<(), Stopped> {
        if !*open {
            return Err(Stopped);
        }
        let writing = AssertUnwindSafe(|| writing(&self.store));
        // A panic here is an assertion about heads: what it saw must not be written over.
        let ended = catch_unwind(writing).unwrap_or(Err(StoreError::Defect));
        ended.map_err(|error| {
            *open = false;
            (self.on_fatal)(&error);
            Stopped
        })
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writer's thread, until there is nobody left who could ask, or a write has failed. Then
/// everybody who waits is told that the outcome is unknown: their channels are gone.
fn write(desk: &Desk, waiting: &Receiver<Work>) {
    while let Ok(first) = waiting.recv() {
        // What comes while another one writes goes into this transaction too.
        let open = desk.lock();
        let (mut batch, mut order, mut next) = (Vec::new(), None, Some(first));
        while let Some(work) = next {
            match work {
                Work::Advance(waiting) => batch.push(waiting),
                Work::Order(run) => order = Some(run),
            }
            let more = order.is_none() && batch.len() < BATCH_MAX;
            next = if more { waiting.try_recv().ok() } else { None };
        }
        let ended = desk.write(open, |store| {
            commit(store, batch, &desk.metrics)?;
            order.map_or(Ok(()), |order| order(store))
        });
        if ended.is_err() {
            return;
        }
    }
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
    use std::pin::Pin;
    use std::task::Poll;
    use std::thread::ThreadId;

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
        /// The thread of the write that failed last.
        fatal_on: Arc<Mutex<Option<ThreadId>>>,
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
        let fatal_on = Arc::new(Mutex::new(None));
        let (count, on) = (Arc::clone(&fatal), Arc::clone(&fatal_on));
        let on_fatal = Arc::new(move |_: &StoreError| {
            count.fetch_add(1, Ordering::SeqCst);
            *on.lock().unwrap() = Some(std::thread::current().id());
        });
        let writer = Writer::start(Arc::new(store), Arc::default(), on_fatal);
        Rig { _dir: dir, writer, log, fatal, fatal_on }
    }

    impl Rig {
        fn to_size(&self, expected: Standing, size: u64) -> Advance {
            let root_hash = Hash::EMPTY_ROOT;
            Advance {
                origin_hash: self.log.hash,
                expected,
                head: TreeHead { size: TreeSize::new(size), root_hash },
                time_s: 1,
                note: String::new(),
                journal_note: String::new(),
            }
        }

        fn advance(&self, expected: Standing, size: u64) -> Result<Result<(), Conflict>, Stopped> {
            let advance = self.to_size(expected, size);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(self.writer.announce().advance(Arc::clone(&self.log), advance))
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

    #[tokio::test]
    async fn while_another_one_writes_a_request_waits_and_blocks_nobody() {
        let rig = rig();
        let (begun, begins) = channel();
        let (release, released) = channel();
        let order = rig.writer.order(move |_| {
            begun.send(()).unwrap();
            released.recv().unwrap();
            Ok(())
        });
        let mut order = std::pin::pin!(order);
        assert!(poll_once(order.as_mut()).await.is_pending());
        begins.recv().unwrap();
        let alone = rig.writer.announce();
        let advance = rig.to_size(Standing::NeverCosigned, 3);
        let mut advance = std::pin::pin!(alone.advance(Arc::clone(&rig.log), advance));
        assert!(poll_once(advance.as_mut()).await.is_pending());
        assert_eq!(rig.standing(), Standing::NeverCosigned);
        release.send(()).unwrap();
        assert_eq!(order.await, Ok(()));
        assert_eq!(advance.await, Ok(Ok(())));
    }

    #[test]
    fn a_request_writes_by_itself_only_if_it_is_alone() {
        let (rig, other_rig) = (rig(), rig());
        let defect = |rig: &Rig| {
            assert_eq!(rig.advance(Standing::NeverCosigned, 3), Ok(Ok(())));
            assert_eq!(rig.advance(rig.standing(), 2), Err(Stopped));
            rig.writer.stop();
            rig.fatal_on.lock().unwrap().take()
        };
        let here = std::thread::current().id();
        assert_eq!(defect(&rig), Some(here));
        let _another = other_rig.writer.announce();
        assert!(defect(&other_rig).is_some_and(|there| there != here));
    }

    /// Polls once.
    async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
        std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
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
