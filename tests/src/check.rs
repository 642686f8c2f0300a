//! The check after every scenario: a whole log, recomputed from the bytes that anybody can read.

use std::net::SocketAddr;

use log_core::checkpoint::{Origin, SignedCheckpoint};
use log_core::{
    BundleId, CompactRange, EntryBundle, Hash, Leaf, LeafIndex, RightEdge, TILE_WIDTH, TileId,
    TreeHead, TreeSize, VerifierKey, integrate,
};

use crate::http::{Connection, Request};

/// A log whose every leaf, bundle and tile was read and fits its signed checkpoint.
#[derive(Debug)]
pub struct CheckedLog {
    /// The signed size and root.
    pub head: TreeHead,
    /// The checkpoint as a note.
    pub note: String,
    /// All entries in their order.
    pub leaves: Vec<Leaf>,
}

impl CheckedLog {
    /// The head that the log had when it was this large.
    ///
    /// # Panics
    /// When it never was.
    pub fn head_at(&self, size: TreeSize) -> TreeHead {
        assert!(size <= self.head.size, "the log has {} leaves, not {size}", self.head.size);
        let count = usize::try_from(size.get()).expect("fits memory");
        head_of(self.leaves.iter().take(count).map(Leaf::hash))
    }

    /// Checks a head seen earlier: the log must extend that very tree.
    #[track_caller]
    pub fn assert_extends(&self, earlier: &TreeHead) {
        assert_eq!(self.head_at(earlier.size), *earlier, "another history");
    }

    /// Checks that the entry is where its answer said.
    #[track_caller]
    pub fn assert_holds(&self, index: LeafIndex, leaf: &Leaf) {
        let at = usize::try_from(index.get()).expect("fits memory");
        let found = self.leaves.get(at).unwrap_or_else(|| {
            panic!("index {index} was acknowledged, the log has {} leaves", self.head.size)
        });
        assert_eq!(found.as_bytes(), leaf.as_bytes(), "index {index} holds something else");
    }
}

/// Recomputes the log at `url` (`http://ADDRESS`, or with `/logs/NAME` after it) and compares every
/// byte it publishes.
///
/// # Panics
/// At the first difference.
#[track_caller]
pub fn check_log(url: &str, key: &VerifierKey) -> CheckedLog {
    check_log_of(url, &Origin::parse(key.name().as_str()).expect("an origin"), key)
}

/// The same of a log whose origin is not the name of its key.
///
/// # Panics
/// At the first difference.
#[track_caller]
pub fn check_log_of(url: &str, origin: &Origin, key: &VerifierKey) -> CheckedLog {
    let mut log = Reader::of(url);
    let note = String::from_utf8(log.read("checkpoint")).expect("a note is text");
    let signed = SignedCheckpoint::open(note.as_bytes(), origin, key).expect("a signed checkpoint");
    let head = signed.head();
    let leaves = log.leaves(head.size);
    let hashes: Vec<Hash> = leaves.iter().map(Leaf::hash).collect();
    // Two ways to the same root: one leaf after the other, and tile by tile.
    assert_eq!(head_of(hashes.iter().copied()), head, "the leaves hash to another root");
    let whole = integrate(&RightEdge::empty(), &hashes);
    assert_eq!(whole.edge.head(), head);
    for full in &whole.full_tiles {
        let expected = full.nodes.to_bytes(full.id.width());
        assert_eq!(log.read(&full.id.to_string()), expected, "{}", full.id);
    }
    for id in partial_tiles(head.size) {
        let expected = whole.edge.tile_bytes(&id).expect("on the right edge");
        assert_eq!(log.read(&id.to_string()), expected, "{id}");
    }
    CheckedLog { head, note, leaves }
}

/// The head of a tree with these leaves, one appended after the other.
pub fn head_of(leaf_hashes: impl Iterator<Item = Hash>) -> TreeHead {
    let mut range = CompactRange::new();
    leaf_hashes.for_each(|hash| range.append(hash));
    TreeHead { size: range.size(), root_hash: range.root() }
}

/// The incomplete tile of each level.
fn partial_tiles(size: TreeSize) -> Vec<TileId> {
    let mut tiles = Vec::new();
    let (mut level, mut nodes) = (0, size.get());
    while nodes > 0 {
        let width = u16::try_from(nodes % TILE_WIDTH).expect("below 256");
        tiles.extend(TileId::new(level, nodes / TILE_WIDTH, width));
        (level, nodes) = (level + 1, nodes / TILE_WIDTH);
    }
    tiles
}

/// Reads of one log over one connection.
struct Reader {
    connection: Connection,
    prefix: String,
}

impl Reader {
    fn of(url: &str) -> Self {
        let rest = url.strip_prefix("http://").expect("an http URL");
        let (address, prefix) = match rest.split_once('/') {
            Some((address, path)) => (address, format!("/{path}")),
            None => (rest, String::new()),
        };
        let address: SocketAddr = address.parse().expect("an address with a port");
        Self { connection: Connection::open(address).expect("the server accepts"), prefix }
    }

    #[track_caller]
    fn read(&mut self, path: &str) -> Vec<u8> {
        self.connection.send(&Request::get(&format!("{}/{path}", self.prefix))).expect(200).body
    }

    fn leaves(&mut self, size: TreeSize) -> Vec<Leaf> {
        let mut leaves = Vec::new();
        let mut left = size.get();
        for index in 0.. {
            let width = u16::try_from(left.min(TILE_WIDTH)).expect("at most 256");
            let Some(id) = BundleId::new(index, width) else { break };
            let bytes = self.read(&id.to_string());
            let bundle = EntryBundle::parse(&bytes, width).expect("a bundle of this width");
            leaves.extend(bundle.entries().map(|entry| Leaf::new(entry.into()).expect("a leaf")));
            left -= u64::from(width);
        }
        leaves
    }
}
