//! The search index: one row for each key of each leaf, under the key, then the leaf.

use log_core::LeafIndex;
use rocksdb::{ReadOptions, WriteBatch};

use super::finished::FamilyIds;
use super::rows::{read_search_row, search_row_key};
use super::settings::{self, Family};
use super::{RocksShared, RocksStore, failed, synced};
use crate::store::{SearchKey, StoreError};

impl RocksStore {
    /// The rows of one key: it reads these alone, or nothing if the filters know that there are
    /// none.
    pub(super) fn search_rows(
        &self,
        key: &SearchKey,
        from: LeafIndex,
        limit: usize,
    ) -> Result<Vec<LeafIndex>, StoreError> {
        let mut options = ReadOptions::default();
        options.set_prefix_same_as_start(true);
        options.set_iterate_upper_bound(behind(key));
        let mut rows = self.db.raw_iterator_cf_opt(self.family(Family::Keys), options);
        let mut found = Vec::new();
        if limit > 0 {
            rows.seek(search_row_key(key, from));
        }
        while found.len() < limit {
            let Some((row, value)) = rows.item() else { break };
            found.push(read_search_row(row, value)?.1);
            rows.next();
        }
        rows.status().map_err(failed)?;
        Ok(found)
    }

    /// Adds rows that commits should have written; they are durable on return. Only a rebuild of
    /// the index, offline, calls this and the next two.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn put_search_rows(
        &self,
        rows: &[(SearchKey, LeafIndex)],
    ) -> Result<(), StoreError> {
        let mut batch = WriteBatch::default();
        for (key, index) in rows {
            batch.put_cf(self.family(Family::Keys), search_row_key(key, *index), []);
        }
        self.db.write_opt(batch, &synced()).map_err(failed)
    }

    /// Removes rows that no commit wrote; they are gone for good on return.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn remove_search_rows(
        &self,
        rows: &[(SearchKey, LeafIndex)],
    ) -> Result<(), StoreError> {
        let mut batch = WriteBatch::default();
        for (key, index) in rows {
            batch.delete_cf(self.family(Family::Keys), search_row_key(key, *index));
        }
        self.db.write_opt(batch, &synced()).map_err(failed)
    }

    /// Throws the whole index away, readable or not, and makes an empty one. Between the two
    /// there is none, which [`RocksStore::open_to_rebuild`] puts right.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn empty_search_index(&mut self, shared: &RocksShared) -> Result<(), StoreError> {
        let options = settings::family_options(Family::Keys, shared)
            .map_err(|error| StoreError::Failed(error.to_string()))?;
        self.db.drop_cf(Family::Keys.name()).map_err(failed)?;
        self.db.create_cf(Family::Keys.name(), &options).map_err(failed)?;
        self.family_ids = FamilyIds::of(&self.db);
        Ok(())
    }
}

/// A key after all rows of `key` and before those of every later one.
fn behind(key: &SearchKey) -> Vec<u8> {
    [&search_row_key(key, LeafIndex::new(u64::MAX))[..], &[0]].concat()
}

/// What other tests do to an index, or to the leaves beneath it.
#[cfg(test)]
impl RocksStore {
    pub(crate) fn drop_search_index(mut self) {
        self.db.drop_cf(Family::Keys.name()).unwrap();
    }

    /// Names of the index's tables.
    pub(crate) fn search_tables(&self) -> Vec<String> {
        let tables = self.db.live_files().unwrap().into_iter();
        let of_index = tables.filter(|table| table.column_family_name == Family::Keys.name());
        of_index.map(|table| table.name).collect()
    }

    pub(crate) fn break_leaf(&self, index: LeafIndex) {
        self.db.put_cf(self.family(Family::Leaves), index.get().to_be_bytes(), b"\x02").unwrap();
    }
}
