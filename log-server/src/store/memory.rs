//! A store in memory: for tests, for trying things out, and as the model that others are compared
//! with.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard};

use log_core::{Hash, LeafIndex};

use super::{Batch, CommitError, Head, SearchKey, Store, StoreError, StoredLeaf, TileKey};

/// A [`Store`] that forgets everything when it is dropped.
#[derive(Default)]
pub struct MemoryStore {
    rows: Mutex<Rows>,
}

/// What is stored; tests damage it.
#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) heads: Vec<Head>,
    pub(crate) leaves: Vec<StoredLeaf>,
    pub(crate) tiles: BTreeMap<TileKey, Vec<u8>>,
    pub(crate) identities: BTreeMap<Hash, LeafIndex>,
    pub(crate) search_keys: BTreeSet<(SearchKey, LeafIndex)>,
    note: Option<Vec<u8>>,
}

impl MemoryStore {
    /// A store without a head.
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().expect("invariant: nobody panics while holding the rows")
    }
}

impl Store for MemoryStore {
    fn head(&self) -> Result<Option<Head>, StoreError> {
        Ok(self.rows().heads.last().copied())
    }

    fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        batch.check()?;
        for (position, stored) in batch.leaves.iter().enumerate() {
            batch.check_leaf(position, stored.leaf.as_bytes()).map_err(CommitError::Refused)?;
        }
        let mut rows = self.rows();
        if rows.heads.last() != batch.previous.as_ref() {
            return Err(CommitError::Conflict);
        }
        rows.leaves.extend(batch.leaves.iter().cloned());
        for (id, bytes) in &batch.full_tiles {
            let key = TileKey::of(id).expect("invariant: check() saw only full tiles");
            rows.tiles.insert(key, bytes.clone());
        }
        rows.identities.extend(batch.identities.iter().copied());
        rows.search_keys.extend(batch.search_rows());
        rows.heads.push(batch.head);
        Ok(())
    }

    fn stored_leaves(&self, first: LeafIndex, count: usize) -> Result<Vec<StoredLeaf>, StoreError> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let rows = self.rows();
        usize::try_from(first.get())
            .ok()
            .and_then(|first| rows.leaves.get(first..first.checked_add(count)?))
            .map(<[StoredLeaf]>::to_vec)
            .ok_or_else(|| StoreError::Missing(format!("{count} leaves from {}", first.get())))
    }

    fn tile(&self, level: u8, index: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let key = TileKey::at(level, index);
        Ok(key.and_then(|key| self.rows().tiles.get(&key).cloned()))
    }

    fn find(&self, identity: &Hash) -> Result<Option<LeafIndex>, StoreError> {
        Ok(self.rows().identities.get(identity).copied())
    }

    fn search(
        &self,
        key: &SearchKey,
        from: LeafIndex,
        limit: usize,
    ) -> Result<Vec<LeafIndex>, StoreError> {
        let rows = self.rows();
        let range = rows.search_keys.range((*key, from)..=(*key, LeafIndex::new(u64::MAX)));
        Ok(range.take(limit).map(|(_, index)| *index).collect())
    }

    fn note(&self) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.rows().note.clone())
    }

    fn put_note(&self, note: &[u8]) -> Result<(), StoreError> {
        self.rows().note = Some(note.to_vec());
        Ok(())
    }

    fn last_leaf(&self) -> Result<Option<LeafIndex>, StoreError> {
        let count = self.rows().leaves.len() as u64;
        Ok(count.checked_sub(1).map(LeafIndex::new))
    }

    fn heads_after(&self, after: Option<u64>, limit: usize) -> Result<Vec<Head>, StoreError> {
        let rows = self.rows();
        let later = rows.heads.iter().filter(|head| after.is_none_or(|after| head.batch > after));
        Ok(later.take(limit).copied().collect())
    }

    fn tiles_after(
        &self,
        after: Option<TileKey>,
        limit: usize,
    ) -> Result<Vec<(TileKey, Vec<u8>)>, StoreError> {
        let rows = self.rows();
        let range = rows.tiles.range((start(after), Bound::Unbounded));
        Ok(range.take(limit).map(|(key, bytes)| (*key, bytes.clone())).collect())
    }

    fn identities_after(
        &self,
        after: Option<Hash>,
        limit: usize,
    ) -> Result<Vec<(Hash, LeafIndex)>, StoreError> {
        let rows = self.rows();
        let range = rows.identities.range((start(after), Bound::Unbounded));
        Ok(range.take(limit).map(|(identity, index)| (*identity, *index)).collect())
    }

    fn search_keys_after(
        &self,
        after: Option<(SearchKey, LeafIndex)>,
        limit: usize,
    ) -> Result<Vec<(SearchKey, LeafIndex)>, StoreError> {
        let rows = self.rows();
        let range = rows.search_keys.range((start(after), Bound::Unbounded));
        Ok(range.take(limit).copied().collect())
    }
}

fn start<K>(after: Option<K>) -> Bound<K> {
    after.map_or(Bound::Unbounded, Bound::Excluded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract::check_store;

    #[test]
    fn the_memory_store_keeps_the_contract() {
        check_store(|| Box::new(MemoryStore::new()));
    }
}
