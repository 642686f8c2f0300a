//! Mailbox: committed heads and placed tickets wait here for their publication.
//!
//! The sequencer brings them and goes on; the cosigner takes the newest head, and answers the
//! tickets that a published tree covers. What may wait is bounded: see [`Mailbox::is_full`].

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use log_core::tree::TreeSize;
use tokio::sync::Notify;

use super::commit::Committed;
use super::pool::PlacedTicket;
use super::publish::Published;

/// Commits may run ahead of publication for this long. A ticket that comes later could not be
/// answered within its life anyway.
const BACKLOG_AGE_MAX: Duration = Duration::from_secs(3);
/// Entries that may be committed and not published: what a missing quorum may add to a tree whose
/// submitters were told nothing.
const BACKLOG_ENTRIES_MAX: u64 = 4096;
/// Waiting tickets at which those whose submitters are gone are looked for.
const PRUNE_MIN: usize = 1024;

/// Where the sequencer and the cosigner of one log meet.
pub(super) struct Mailbox {
    inbox: Mutex<Inbox>,
    delivered: Notify,
    ended: Notify,
}

struct Inbox {
    newest: Committed,
    /// Size of the published tree, as far as tickets were answered from it.
    published: TreeSize,
    /// Tickets that no published tree covers yet.
    waiting: Vec<PlacedTicket>,
    prune_at: usize,
    /// When each unpublished head was committed; the oldest first.
    unpublished: VecDeque<(TreeSize, Instant)>,
    closed: bool,
    abandoned: bool,
}

impl Mailbox {
    /// Starts with the recovered head, of which `published` was published before.
    pub(super) fn new(recovered: Committed, published: Option<TreeSize>) -> Self {
        let size = recovered.head.tree.size;
        let unpublished = if published == Some(size) { None } else { Some((size, Instant::now())) };
        let inbox = Inbox {
            newest: recovered,
            published: published.unwrap_or(TreeSize::new(0)),
            waiting: Vec::new(),
            prune_at: PRUNE_MIN,
            unpublished: unpublished.into_iter().collect(),
            closed: false,
            abandoned: false,
        };
        Self { inbox: Mutex::new(inbox), delivered: Notify::new(), ended: Notify::new() }
    }

    /// Takes what a batch came to: its head, if it had new leaves, and where everybody stands.
    /// Tickets that `visible` covers already are answered at once.
    pub(super) fn deliver(
        &self,
        committed: Option<Committed>,
        tickets: impl Iterator<Item = PlacedTicket>,
        visible: &ArcSwapOption<Published>,
    ) {
        let mut inbox = self.lock();
        if let Some(committed) = committed {
            inbox.unpublished.push_back((committed.head.tree.size, Instant::now()));
            inbox.newest = committed;
        }
        // Loaded under the lock: a tree that becomes visible after this takes its tickets later.
        let published = visible.load_full();
        for ticket in tickets {
            match &published {
                Some(published) if published.head().size.contains(ticket.index()) => {
                    ticket.answer(published);
                }
                _ => inbox.waiting.push(ticket),
            }
        }
        inbox.prune();
        drop(inbox);
        self.delivered.notify_one();
    }

    /// Answers every ticket that a tree covers which is visible already.
    pub(super) fn published(&self, published: &Arc<Published>) {
        let size = published.head().size;
        let mut inbox = self.lock();
        inbox.published = size;
        while inbox.unpublished.front().is_some_and(|(committed, _)| *committed <= size) {
            inbox.unpublished.pop_front();
        }
        let covered = inbox.waiting.extract_if(.., |ticket| size.contains(ticket.index()));
        let covered: Vec<_> = covered.collect();
        drop(inbox);
        for ticket in covered {
            ticket.answer(published);
        }
    }

    /// The newest committed head.
    pub(super) fn newest(&self) -> Committed {
        self.lock().newest.clone()
    }

    /// The size of the newest committed head.
    pub(super) fn committed_size(&self) -> TreeSize {
        self.lock().newest.head.tree.size
    }

    /// Whether so much is committed and not published that new entries have to be refused.
    pub(super) fn is_full(&self) -> bool {
        let inbox = self.lock();
        let is_old = |(size, since): &(TreeSize, Instant)| {
            // The head of a new log has nobody waiting for it.
            size.get() > 0 && since.elapsed() >= BACKLOG_AGE_MAX
        };
        inbox.unpublished_entries() >= BACKLOG_ENTRIES_MAX
            || inbox.unpublished.front().is_some_and(is_old)
    }

    /// Entries that are committed and not published, and when the oldest of them was committed.
    pub(super) fn backlog(&self) -> (u64, Option<Instant>) {
        let inbox = self.lock();
        (inbox.unpublished_entries(), inbox.unpublished.front().map(|(_, since)| *since))
    }

    /// Whether somebody still waits for an answer.
    pub(super) fn has_waiting(&self) -> bool {
        self.lock().waiting.iter().any(|ticket| !ticket.is_abandoned())
    }

    /// Nothing will be delivered any more: the sequencer has ended.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.ended.notify_one();
    }

    /// Closes, and drops the tickets that wait: they answer that the log stopped.
    pub(super) fn abandon(&self) {
        let mut inbox = self.lock();
        inbox.closed = true;
        inbox.abandoned = true;
        inbox.waiting.clear();
        drop(inbox);
        self.ended.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Whether the log ended because of a fault: nothing is written any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.lock().abandoned
    }

    /// Waits for a delivery. One thread waits; nothing is lost in between.
    pub(super) async fn delivered(&self) {
        self.delivered.notified().await;
    }

    /// Waits until the mailbox is closed; the caller then looks at what still waits.
    pub(super) async fn ended(&self) {
        while !self.is_closed() {
            self.ended.notified().await;
        }
    }

    /// No code that holds this lock can panic half-way through a change.
    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox {
    fn unpublished_entries(&self) -> u64 {
        self.newest.head.tree.size.get().saturating_sub(self.published.get())
    }

    /// Forgets tickets whose submitters are gone, once they may be half of those that wait.
    fn prune(&mut self) {
        if self.waiting.len() < self.prune_at {
            return;
        }
        self.waiting.retain(|ticket| !ticket.is_abandoned());
        self.prune_at = PRUNE_MIN.max(self.waiting.len() * 2);
    }
}
