//! Pool: admitted leaves wait here for the next batch, each behind a [`Ticket`].
//!
//! The pool is bounded: full means that the submitter is told to come back, before any memory is
//! spent on the leaf. The sequencer takes everything at once as soon as its last commit is done.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use log_core::{Hash, Leaf, LeafIndex};
use tokio::sync::oneshot;

use super::publish::Published;
use crate::store::SearchKey;

/// An entry to log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The canonical bytes.
    pub leaf: Leaf,
    /// What the entry is found by, committed with it.
    pub search_keys: Vec<SearchKey>,
}

impl From<Leaf> for Submission {
    fn from(leaf: Leaf) -> Self {
        Self { leaf, search_keys: Vec::new() }
    }
}

/// An entry that waits for its index, and the way back to whoever submitted it.
pub(super) struct Waiting {
    pub(super) submission: Submission,
    /// The leaf hash, which is also the identity under which a duplicate is found.
    pub(super) identity: Hash,
    reply: oneshot::Sender<Result<Placed, AnswerError>>,
}

impl Waiting {
    pub(super) fn new(submission: Submission, identity: Hash) -> (Self, Ticket) {
        let (reply, answer) = oneshot::channel();
        (Self { submission, identity, reply }, Ticket { answer })
    }

    /// Tells the submitter that the leaf is not in the log.
    pub(super) fn refuse(self, reason: AnswerError) {
        let _ = self.reply.send(Err(reason));
    }

    /// The leaf has its index now, and, unless it is a duplicate, its time; the answer waits for a
    /// published tree that covers it.
    pub(super) fn placed(self, index: LeafIndex, committed_s: Option<u64>) -> PlacedTicket {
        PlacedTicket { index, committed_s, reply: self.reply }
    }
}

/// A leaf with its index, and the way back to its submitter. The leaf itself is in the store.
pub(super) struct PlacedTicket {
    index: LeafIndex,
    committed_s: Option<u64>,
    reply: oneshot::Sender<Result<Placed, AnswerError>>,
}

impl PlacedTicket {
    pub(super) fn index(&self) -> LeafIndex {
        self.index
    }

    /// Tells the submitter. One that has gone away meanwhile is no error: the entry is in the log.
    pub(super) fn answer(self, published: &Arc<Published>) {
        let Self { index, committed_s, reply } = self;
        let _ = reply.send(Ok(Placed { index, committed_s, published: Arc::clone(published) }));
    }

    /// Whether the submitter has gone away.
    pub(super) fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }
}

/// Where a submitted leaf stands, and the published tree that covers it.
#[derive(Clone)]
pub(super) struct Placed {
    /// The leaf's index, below the published size.
    pub(super) index: LeafIndex,
    /// When it was committed, in seconds since 1970; `None` if it was in the log already, or came
    /// more than once in its batch.
    pub(super) committed_s: Option<u64>,
    /// The snapshot from which the whole answer has to be made.
    pub(super) published: Arc<Published>,
}

/// The right to one answer.
pub(super) struct Ticket {
    answer: oneshot::Receiver<Result<Placed, AnswerError>>,
}

impl Ticket {
    /// Waits until a published tree covers the leaf.
    ///
    /// # Errors
    /// The batch failed with nothing written, or the log stopped before it could answer.
    pub(super) async fn wait(self) -> Result<Placed, AnswerError> {
        self.answer.await.unwrap_or(Err(AnswerError::Stopped))
    }
}

/// Why a waiting leaf got no index.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The leaf's batch failed and nothing of it was written; the same leaf may be sent again.
    #[error("the batch was not written: {0}")]
    BatchFailed(String),
    /// The disk is below its headroom; nothing was written.
    #[error("free space is below headroom_bytes")]
    NoSpace,
    /// The wall clock cannot be believed, so the entry's time cannot be committed.
    #[error("clock: the time of day is not to be trusted, and this log commits times")]
    Clock,
    /// The log ended before it could answer. Whether the leaf is in it shows after the restart.
    #[error("the log stopped before it could answer")]
    Stopped,
}

/// Why a leaf was not taken into the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PoolRefusal {
    /// As many leaves wait as the log's `pool_leaves_max` allows.
    #[error("the pool is full (pool_leaves_max = {0})")]
    Full(usize),
    /// The log is stopping.
    #[error("the log is stopping")]
    Closed,
}

/// The bounded waiting room of one log.
pub(super) struct Pool {
    leaves_max: usize,
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Default)]
struct State {
    /// Invariant: at most `leaves_max` long.
    waiting: Vec<Waiting>,
    closed: bool,
}

impl Pool {
    pub(super) fn new(leaves_max: usize) -> Self {
        Self { leaves_max, state: Mutex::default(), filled: Condvar::new() }
    }

    pub(super) fn add(&self, waiting: Waiting) -> Result<(), PoolRefusal> {
        let mut state = self.lock();
        if state.closed {
            return Err(PoolRefusal::Closed);
        }
        if state.waiting.len() >= self.leaves_max {
            return Err(PoolRefusal::Full(self.leaves_max));
        }
        state.waiting.push(waiting);
        // The sequencer sleeps only on an empty pool, so only the first leaf has to wake it.
        let first = state.waiting.len() == 1;
        drop(state);
        if first {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Takes everything that waits, sleeping while there is nothing. `None`: closed, and empty.
    pub(super) fn take_all(&self) -> Option<Vec<Waiting>> {
        let mut state = self.lock();
        while state.waiting.is_empty() {
            if state.closed {
                return None;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Some(std::mem::take(&mut state.waiting))
    }

    /// Refuses new leaves from here on; what waits already is still taken.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }

    /// Refuses new leaves and drops those that wait: their tickets answer that the log stopped.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.waiting.clear();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    pub(super) fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    /// No code that holds this lock can panic half-way through a change, so a poisoned lock
    /// still guards a sound state.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(text: &str) -> (Waiting, Ticket) {
        let leaf = Leaf::new(text.into()).expect("short");
        let identity = leaf.hash();
        Waiting::new(leaf.into(), identity)
    }

    #[test]
    fn a_full_pool_refuses_and_names_its_setting() {
        let pool = Pool::new(2);
        let (first, _first) = leaf("a");
        let (second, _second) = leaf("b");
        let (third, _third) = leaf("c");
        assert_eq!(pool.add(first), Ok(()));
        assert_eq!(pool.add(second), Ok(()));
        assert_eq!(pool.add(third), Err(PoolRefusal::Full(2)));
        assert_eq!(pool.take_all().map(|all| all.len()), Some(2));
        let (fourth, _fourth) = leaf("d");
        assert_eq!(pool.add(fourth), Ok(()));
    }

    #[test]
    fn a_closed_pool_gives_up_what_it_holds_and_then_ends() {
        let pool = Pool::new(2);
        let (first, _ticket) = leaf("a");
        assert_eq!(pool.add(first), Ok(()));
        pool.close();
        let (second, _second) = leaf("b");
        assert_eq!(pool.add(second), Err(PoolRefusal::Closed));
        assert_eq!(pool.take_all().map(|all| all.len()), Some(1));
        assert!(pool.take_all().is_none());
    }

    #[tokio::test]
    async fn an_abandoned_ticket_says_that_the_log_stopped() {
        let pool = Pool::new(2);
        let (waiting, ticket) = leaf("a");
        assert_eq!(pool.add(waiting), Ok(()));
        pool.abandon();
        assert_eq!(ticket.wait().await.err(), Some(AnswerError::Stopped));
    }
}
