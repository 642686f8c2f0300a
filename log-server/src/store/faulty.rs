//! A store that fails on order: for tests of what the engine does then. Never part of a release.
//!
//! A fault names an operation, the number of the call that fails, and what is true afterwards: a
//! write that fails may have happened or not, and the caller must be right in both cases.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use log_core::{Hash, Leaf, LeafIndex};

use super::{Batch, CommitError, Head, SearchKey, Store, StoreError, StoredLeaf, TileKey};

/// The operations of a [`Store`] by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// [`Store::head`]
    Head,
    /// [`Store::commit`]
    Commit,
    /// [`Store::stored_leaves`], and with it [`Store::leaves`]
    Leaves,
    /// [`Store::tile`]
    Tile,
    /// [`Store::find`]
    Find,
    /// [`Store::search`]
    Search,
    /// [`Store::note`]
    Note,
    /// [`Store::put_note`]
    PutNote,
    /// [`Store::last_leaf`] and the methods that end in `_after`, counted together.
    Scan,
}

/// What is true after the call that fails. Reads persist nothing: for them all of these are the
/// same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was written, and the caller is told so: [`CommitError::Refused`].
    Refused,
    /// Nothing was written, and the caller cannot know.
    NotPersisted,
    /// All was written, and the caller cannot know.
    Persisted,
    /// A commit goes on with one bit of its last leaf flipped, as broken memory would do it.
    LeafFlipped,
}

/// Wraps a store and fails the calls that it was told to fail.
pub struct FaultyStore<S: Store + ?Sized> {
    inner: Arc<S>,
    plan: Mutex<Plan>,
}

#[derive(Default)]
struct Plan {
    calls: HashMap<Operation, u64>,
    faults: HashMap<(Operation, u64), Outcome>,
}

impl<S: Store + ?Sized> FaultyStore<S> {
    /// Wraps `inner`, which the test may keep: it is what a restarted process would find.
    pub fn new(inner: Arc<S>) -> Self {
        Self { inner, plan: Mutex::default() }
    }

    /// Fails the `call`-th call of `operation` from now on; 1 is the next one.
    pub fn fail(&self, operation: Operation, call: u64, outcome: Outcome) {
        let mut plan = self.plan.lock().expect("invariant: nobody panics with the plan");
        let at = plan.calls.get(&operation).copied().unwrap_or(0) + call;
        plan.faults.insert((operation, at), outcome);
    }

    /// How often `operation` was called so far.
    pub fn calls(&self, operation: Operation) -> u64 {
        let plan = self.plan.lock().expect("invariant: nobody panics with the plan");
        plan.calls.get(&operation).copied().unwrap_or(0)
    }

    /// Counts a call and says how it has to fail, if at all.
    fn count(&self, operation: Operation) -> Option<Outcome> {
        let mut plan = self.plan.lock().expect("invariant: nobody panics with the plan");
        let calls = plan.calls.entry(operation).or_default();
        *calls += 1;
        let at = (operation, *calls);
        plan.faults.remove(&at)
    }

    fn read(&self, operation: Operation) -> Result<(), StoreError> {
        self.count(operation).map_or(Ok(()), |_| Err(StoreError::Failed(INJECTED.into())))
    }
}

impl<S: Store + ?Sized> Store for FaultyStore<S> {
    fn head(&self) -> Result<Option<Head>, StoreError> {
        self.read(Operation::Head)?;
        self.inner.head()
    }

    fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        match self.count(Operation::Commit) {
            None => self.inner.commit(batch),
            Some(Outcome::Refused) => Err(CommitError::Refused(INJECTED.into())),
            Some(Outcome::NotPersisted) => Err(CommitError::OutcomeUnknown(INJECTED.into())),
            Some(Outcome::Persisted) => {
                self.inner.commit(batch)?;
                Err(CommitError::OutcomeUnknown(INJECTED.into()))
            }
            Some(Outcome::LeafFlipped) => self.inner.commit(&flipped(batch)),
        }
    }

    fn stored_leaves(&self, first: LeafIndex, count: usize) -> Result<Vec<StoredLeaf>, StoreError> {
        self.read(Operation::Leaves)?;
        self.inner.stored_leaves(first, count)
    }

    fn tile(&self, level: u8, index: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(Operation::Tile)?;
        self.inner.tile(level, index)
    }

    fn find(&self, identity: &Hash) -> Result<Option<LeafIndex>, StoreError> {
        self.read(Operation::Find)?;
        self.inner.find(identity)
    }

    fn search(
        &self,
        key: &SearchKey,
        from: LeafIndex,
        limit: usize,
    ) -> Result<Vec<LeafIndex>, StoreError> {
        self.read(Operation::Search)?;
        self.inner.search(key, from, limit)
    }

    fn note(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(Operation::Note)?;
        self.inner.note()
    }

    fn put_note(&self, note: &[u8]) -> Result<(), StoreError> {
        match self.count(Operation::PutNote) {
            None => self.inner.put_note(note),
            Some(Outcome::Persisted) => {
                self.inner.put_note(note)?;
                Err(StoreError::Failed(INJECTED.into()))
            }
            Some(_) => Err(StoreError::Failed(INJECTED.into())),
        }
    }

    fn last_leaf(&self) -> Result<Option<LeafIndex>, StoreError> {
        self.read(Operation::Scan)?;
        self.inner.last_leaf()
    }

    fn heads_after(&self, after: Option<u64>, limit: usize) -> Result<Vec<Head>, StoreError> {
        self.read(Operation::Scan)?;
        self.inner.heads_after(after, limit)
    }

    fn tiles_after(
        &self,
        after: Option<TileKey>,
        limit: usize,
    ) -> Result<Vec<(TileKey, Vec<u8>)>, StoreError> {
        self.read(Operation::Scan)?;
        self.inner.tiles_after(after, limit)
    }

    fn identities_after(
        &self,
        after: Option<Hash>,
        limit: usize,
    ) -> Result<Vec<(Hash, LeafIndex)>, StoreError> {
        self.read(Operation::Scan)?;
        self.inner.identities_after(after, limit)
    }

    fn search_keys_after(
        &self,
        after: Option<(SearchKey, LeafIndex)>,
        limit: usize,
    ) -> Result<Vec<(SearchKey, LeafIndex)>, StoreError> {
        self.read(Operation::Scan)?;
        self.inner.search_keys_after(after, limit)
    }
}

/// The batch with one bit of its last leaf flipped; an empty leaf becomes a byte longer.
fn flipped(batch: &Batch) -> Batch {
    let mut batch = batch.clone();
    if let Some(StoredLeaf { leaf, .. }) = batch.leaves.last_mut() {
        let mut bytes = leaf.as_bytes().to_vec();
        match bytes.last_mut() {
            Some(byte) => *byte ^= 1,
            None => bytes.push(1),
        }
        *leaf = Leaf::new(bytes).expect("invariant: as long as a leaf that exists, or one byte");
    }
    batch
}

const INJECTED: &str = "a fault that a test ordered";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract::{Writer, check_store};
    use crate::store::memory::MemoryStore;

    #[test]
    fn without_faults_it_keeps_the_contract() {
        check_store(|| Box::new(FaultyStore::new(Arc::new(MemoryStore::new()))));
    }

    #[test]
    fn the_chosen_commit_fails_with_the_chosen_outcome() {
        let size = |store: &MemoryStore| store.head().unwrap().unwrap().tree.size.get();
        for (outcome, persisted) in [
            (Outcome::Refused, false),
            (Outcome::NotPersisted, false),
            (Outcome::Persisted, true),
            (Outcome::LeafFlipped, false),
        ] {
            let inner = Arc::new(MemoryStore::new());
            let store = FaultyStore::new(Arc::clone(&inner));
            let mut writer = Writer::default();
            store.commit(&writer.genesis()).unwrap();
            store.fail(Operation::Commit, 2, outcome);
            store.commit(&writer.batch(3)).unwrap();
            let error = store.commit(&writer.batch(4)).unwrap_err();
            let unknown = matches!(error, CommitError::OutcomeUnknown(_));
            let wanted = matches!(outcome, Outcome::NotPersisted | Outcome::Persisted);
            assert_eq!(unknown, wanted, "{outcome:?}: {error}");
            assert_eq!(size(&inner), if persisted { 7 } else { 3 }, "{outcome:?}");
            assert_eq!(store.calls(Operation::Commit), 3);
        }
    }

    #[test]
    fn the_chosen_read_or_note_fails_once() {
        let inner = Arc::new(MemoryStore::new());
        let store = FaultyStore::new(Arc::clone(&inner));
        store.fail(Operation::Head, 1, Outcome::NotPersisted);
        assert!(matches!(store.head(), Err(StoreError::Failed(_))));
        assert!(store.head().is_ok());
        store.fail(Operation::Tile, 1, Outcome::NotPersisted);
        assert!(store.tile(0, 0).is_err());
        let key = SearchKey::of("word");
        store.fail(Operation::Search, 1, Outcome::NotPersisted);
        assert!(store.search(&key, LeafIndex::new(0), 1).is_err());
        assert!(store.search(&key, LeafIndex::new(0), 1).is_ok());
        store.fail(Operation::Leaves, 2, Outcome::NotPersisted);
        assert!(store.leaves(LeafIndex::new(0), 0).is_ok());
        assert!(store.stored_leaves(LeafIndex::new(0), 0).is_err());
        store.fail(Operation::Scan, 2, Outcome::NotPersisted);
        assert!(store.last_leaf().is_ok() && store.tiles_after(None, 1).is_err());
        store.fail(Operation::PutNote, 1, Outcome::NotPersisted);
        store.fail(Operation::PutNote, 2, Outcome::Persisted);
        assert!(store.put_note(b"one").is_err());
        assert_eq!(inner.note().unwrap(), None);
        assert!(store.put_note(b"two").is_err());
        assert_eq!(inner.note().unwrap().as_deref(), Some(b"two".as_slice()));
    }
}
