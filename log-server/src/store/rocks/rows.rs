//! Keys and values of the families, as FORMAT.md prints them. The row of a leaf is in
//! `store/leaf_row.rs`, that of a head in `store/head.rs`.

use log_core::LeafIndex;

use crate::store::{Head, SearchKey, StoreError, StoredLeaf, TileKey};

/// The first possible key after `key`: all keys of a family have one length.
pub(super) fn start<K: AsRef<[u8]>>(key: Option<K>) -> Vec<u8> {
    key.map_or_else(Vec::new, |key| [key.as_ref(), &[0]].concat())
}

pub(super) fn tile_row_key(key: TileKey) -> [u8; 9] {
    let mut row = [0; 9];
    row[..8].copy_from_slice(&key.last_leaf.to_be_bytes());
    row[8] = key.level;
    row
}

pub(super) fn read_tile_key(row: &[u8]) -> Result<TileKey, StoreError> {
    let (last_leaf, level) = row.split_first_chunk().ok_or_else(|| corrupt("tile", row))?;
    let [level] = *level else { return Err(corrupt("tile", row)) };
    Ok(TileKey { last_leaf: u64::from_be_bytes(*last_leaf), level })
}

pub(super) fn search_row_key(key: &SearchKey, index: LeafIndex) -> [u8; SEARCH_ROW_BYTES] {
    let mut row = [0; SEARCH_ROW_BYTES];
    row[..SearchKey::LEN].copy_from_slice(key.as_bytes());
    row[SearchKey::LEN..].copy_from_slice(&index.get().to_be_bytes());
    row
}

/// Reads a row of the search index, whose value is empty.
pub(super) fn read_search_row(
    row: &[u8],
    value: &[u8],
) -> Result<(SearchKey, LeafIndex), StoreError> {
    if !value.is_empty() {
        return Err(corrupt("value of a search row", value));
    }
    let (key, index) = row.split_first_chunk().ok_or_else(|| corrupt("search row", row))?;
    let index = index.try_into().map_err(|_| corrupt("search row", row))?;
    Ok((SearchKey::from_bytes(*key), LeafIndex::new(u64::from_be_bytes(index))))
}

pub(super) fn read_head(key: &[u8], value: &[u8]) -> Result<Head, StoreError> {
    let head = Head::decode(value)
        .map_err(|error| StoreError::Corrupt(format!("head {}: {error}", hex(key))))?;
    if key != head.batch.to_be_bytes() {
        return Err(StoreError::Corrupt(format!("head {} under {}", head.batch, hex(key))));
    }
    Ok(head)
}

pub(super) fn read_leaf(key: &[u8], value: &[u8]) -> Result<StoredLeaf, StoreError> {
    StoredLeaf::decode(value)
        .map_err(|reason| StoreError::Corrupt(format!("leaf {}: {reason}", hex(key))))
}

pub(super) fn read_index(bytes: &[u8]) -> Result<LeafIndex, StoreError> {
    let bytes = bytes.try_into().map_err(|_| corrupt("index", bytes))?;
    Ok(LeafIndex::new(u64::from_be_bytes(bytes)))
}

pub(super) fn corrupt(what: &str, bytes: &[u8]) -> StoreError {
    StoreError::Corrupt(format!("{what} of {} bytes: {}", bytes.len(), hex(bytes)))
}

/// The first bytes in hexadecimal, for an error message.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Length of a key of the family `keys`: the search key, then the index of the leaf.
const SEARCH_ROW_BYTES: usize = SearchKey::LEN + 8;
