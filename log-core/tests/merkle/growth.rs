//! A tree that grows: whatever the batches, the heads, tiles and nodes are those of the text.

use std::collections::HashMap;
use std::sync::Arc;

use log_core::integrate::EdgeError;
use log_core::{
    CompactRange, FullTile, Hash, Integrated, NodeId, RightEdge, TileId, TileNodes, TreeSize,
    integrate,
};
use proptest::prelude::*;

use crate::reference::{ReferenceTree, distinct_leaves};

/// The tiles that a log would have stored, and its right edge.
struct Grown {
    edge: RightEdge,
    full: HashMap<TileId, Arc<TileNodes>>,
    order: Vec<TileId>,
}

impl Grown {
    fn new() -> Self {
        Self { edge: RightEdge::empty(), full: HashMap::new(), order: Vec::new() }
    }

    fn add(&mut self, leaves: &[Hash]) {
        let Integrated { head, edge, full_tiles } = integrate(&self.edge, leaves);
        assert_eq!(head, edge.head());
        assert_eq!(head.size.get(), self.edge.size().get() + leaves.len() as u64);
        self.edge = edge;
        for FullTile { id, nodes } in full_tiles {
            assert!(id.is_full() && nodes.width() == 256);
            assert!(self.full.insert(id, nodes).is_none(), "{id} filled twice");
            self.order.push(id);
        }
    }

    /// A complete node, from the one place where it lies.
    fn node(&self, id: NodeId) -> Option<Hash> {
        let tile = TileId::holding(id, self.edge.size())?;
        let stored = self.full.get(&tile).and_then(|nodes| nodes.tree_node(id));
        assert!(stored.is_none() || self.edge.node(id).is_none(), "{id:?} lies in two places");
        stored.or_else(|| self.edge.node(id))
    }

    fn tile_bytes(&self, id: &TileId) -> Option<Vec<u8>> {
        let stored = self.full.get(id).map(|nodes| nodes.to_bytes(id.width()));
        stored.or_else(|| self.edge.tile_bytes(id))
    }

    /// Reads what a restart would read, and rebuilds the edge of it.
    fn rebuild(&self, tree: &ReferenceTree) -> RightEdge {
        let parts = RightEdge::parts(self.edge.size());
        let mut levels: Vec<Vec<Hash>> = vec![parts.leaves.map(|leaf| tree.leaf(leaf)).collect()];
        for tiles in parts.tiles {
            let root = |index| self.full[&TileId::full(tiles.level, index)].root().unwrap();
            levels.push(tiles.indices.map(root).collect());
        }
        RightEdge::rebuild(self.edge.size(), levels).unwrap()
    }

    /// Compares everything with the reference.
    fn check(&self, tree: &ReferenceTree) {
        let size = self.edge.size();
        assert_eq!(self.edge.head(), tree.head(size.get()));
        for level in 0..20u8 {
            let complete = size.get() >> level;
            for index in 0..complete {
                let id = NodeId { level, index };
                assert_eq!(self.node(id), Some(tree.node(id)), "{id:?}");
            }
            assert_eq!(self.node(NodeId { level, index: complete }), None);
        }
        assert_eq!(self.rebuild(tree), self.edge);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn batches_of_any_size_make_the_same_tree(batches in prop::collection::vec(0..700usize, 0..6)) {
        let leaves = distinct_leaves(batches.iter().sum::<usize>() as u64);
        let tree = ReferenceTree::of(&leaves);
        let (mut grown, mut range) = (Grown::new(), CompactRange::new());
        let mut rest = leaves.as_slice();
        for count in batches {
            let (batch, after) = rest.split_at(count);
            rest = after;
            grown.add(batch);
            batch.iter().for_each(|leaf| range.append(*leaf));
            prop_assert_eq!(grown.edge.head().root_hash, range.root());
            prop_assert_eq!(grown.edge.size(), range.size());
            let peaks: Vec<_> = range.size().peaks().map(|id| grown.node(id).unwrap()).collect();
            prop_assert_eq!(peaks, range.nodes());
        }
        grown.check(&tree);
    }

    #[test]
    fn a_huge_tree_grows_as_a_small_one(
        size in 0..=TreeSize::MAX_SIGNED.get(), shift in 0..63u32,
        aligned in 0..64u32, back in 0..300u64, count in 0..600u64,
    ) {
        // Often just before a power of two, where many tiles fill at once.
        let size = ((size >> shift) >> aligned << aligned).saturating_sub(back);
        let marked = distinct_leaves(count);
        let tree = ReferenceTree::sparse((size..).zip(marked.iter().copied()));
        let edge = edge_of(&tree, size);
        prop_assert_eq!(edge.head(), tree.head(size));
        let integrated = integrate(&edge, &marked);
        prop_assert_eq!(integrated.head, tree.head(size + count));
        for tile in &integrated.full_tiles {
            check_tile(&tree, &tile.id, &tile.nodes.to_bytes(256));
        }
    }
}

/// The right edge of a tree, read from the reference.
fn edge_of(tree: &ReferenceTree, size: u64) -> RightEdge {
    let parts = RightEdge::parts(TreeSize::new(size));
    let mut levels: Vec<Vec<Hash>> = vec![parts.leaves.map(|leaf| tree.leaf(leaf)).collect()];
    for tiles in parts.tiles {
        let level = 8 * (tiles.level + 1);
        let root = |index| tree.node(NodeId { level, index });
        levels.push(tiles.indices.map(root).collect());
    }
    RightEdge::rebuild(TreeSize::new(size), levels).unwrap()
}

fn check_tile(tree: &ReferenceTree, id: &TileId, bytes: &[u8]) {
    let level = 8 * id.level();
    let first = id.index() * 256;
    assert_eq!(bytes.len(), 32 * usize::from(id.width()));
    for (index, hash) in (first..).zip(bytes.chunks(32)) {
        let wanted = tree.node(NodeId { level, index });
        assert_eq!(hash, wanted.as_bytes(), "{id} at {index}");
    }
}

#[test]
fn tiles_fill_in_order_through_three_levels() {
    let leaves = distinct_leaves(70_000);
    let tree = ReferenceTree::of(&leaves);
    let mut grown = Grown::new();
    for batch in leaves.chunks(1_000) {
        grown.add(batch);
    }
    let full = |level, index| TileId::full(level, index);
    let mut wanted: Vec<TileId> = (0..=255).map(|index| full(0, index)).collect();
    wanted.push(full(1, 0));
    wanted.extend((256..273).map(|index| full(0, index)));
    assert_eq!(grown.order, wanted);
    assert_eq!(grown.edge.head(), tree.head(70_000));

    // The example of the specification, each tile as wide as it may be asked for.
    for (level, index, width) in [(0, 273, 112), (1, 1, 17), (2, 0, 1)] {
        for width in 1..=width {
            let id = TileId::new(level, index, width).unwrap();
            check_tile(&tree, &id, &grown.tile_bytes(&id).unwrap());
        }
        let wider = TileId::new(level, index, width + 1).unwrap();
        assert_eq!(grown.tile_bytes(&wider), None);
    }
    for id in &grown.order {
        check_tile(&tree, id, &grown.tile_bytes(id).unwrap());
    }
    assert_eq!(grown.rebuild(&tree), grown.edge);
}

#[test]
fn one_batch_fills_the_same_tiles_as_many() {
    let leaves = distinct_leaves(66_000);
    let mut one = Grown::new();
    one.add(&leaves);
    let mut many = Grown::new();
    leaves.chunks(777).for_each(|batch| many.add(batch));
    assert_eq!((one.order, one.edge), (many.order, many.edge));
    assert_eq!(one.full, many.full);
}

#[test]
fn an_edge_stays_as_it_was_when_its_clone_grows() {
    let leaves = distinct_leaves(300);
    let before = integrate(&RightEdge::empty(), &leaves).edge;
    let kept = before.clone();
    let first = integrate(&before, &leaves[..250]);
    let second = integrate(&before, &leaves[50..]);
    assert_eq!(before, kept);
    assert_ne!(first.head, second.head);
    let tree = ReferenceTree::of(&[leaves.as_slice(), &leaves[..250]].concat());
    assert_eq!(first.head, tree.head(550));
}

#[test]
fn no_leaves_change_nothing() {
    let edge = integrate(&RightEdge::empty(), &distinct_leaves(256)).edge;
    for edge in [RightEdge::empty(), edge] {
        let integrated = integrate(&edge, &[]);
        assert_eq!(integrated.edge, edge);
        assert_eq!(integrated.head, edge.head());
        assert_eq!(integrated.full_tiles, []);
    }
}

#[test]
fn the_largest_log_can_still_grow() {
    let size = TreeSize::MAX_SIGNED.get();
    let marked = distinct_leaves(300);
    let tree = ReferenceTree::sparse((size..).zip(marked.iter().copied()));
    let integrated = integrate(&edge_of(&tree, size), &marked);
    assert_eq!(integrated.head, tree.head(size + 300));
    let levels: Vec<u8> = integrated.full_tiles.iter().map(|tile| tile.id.level()).collect();
    assert_eq!(levels, [0, 1, 2, 3, 4, 5, 6, 0]);
}

#[test]
fn hashes_that_do_not_fit_the_size_make_no_edge() {
    let rebuild = |size, widths: &[usize]| {
        let levels = widths.iter().map(|width| vec![Hash::EMPTY_ROOT; *width]).collect();
        RightEdge::rebuild(TreeSize::new(size), levels)
    };
    assert_eq!(rebuild(0, &[0]), Ok(RightEdge::empty()));
    assert_eq!(rebuild(0, &[]), Ok(RightEdge::empty()));
    assert!(rebuild(257, &[1, 1]).is_ok());
    let levels = |expected, got| Err(EdgeError::Levels { expected, got });
    assert_eq!(rebuild(1, &[]), levels(1, 0));
    assert_eq!(rebuild(0, &[0, 0]), levels(1, 2));
    assert_eq!(rebuild(257, &[1]), levels(2, 1));
    assert_eq!(rebuild(257, &[1, 1, 0]), levels(2, 3));
    let width = |level, expected, got| Err(EdgeError::Width { level, expected, got });
    assert_eq!(rebuild(257, &[2, 1]), width(0, 1, 2));
    assert_eq!(rebuild(256, &[256, 1]), width(0, 0, 256));
    assert_eq!(rebuild(257, &[1, 0]), width(1, 1, 0));
    let size = TreeSize::new(1 << 63);
    assert_eq!(rebuild(size.get(), &[0; 8]), Err(EdgeError::TooLarge { size }));
}

#[test]
fn the_parts_of_the_largest_sizes_are_named_without_overflow() {
    for size in [0, 1, 255, 256, TreeSize::MAX_SIGNED.get(), 1 << 63, u64::MAX] {
        let parts = RightEdge::parts(TreeSize::new(size));
        assert_eq!(parts.leaves.end, size);
        assert!(parts.leaves.clone().count() < 256);
        for tiles in parts.tiles {
            assert!(tiles.indices.clone().count() < 256);
            let exists = |index| TileId::full(tiles.level, index).exists_in(TreeSize::new(size));
            assert!(tiles.indices.clone().all(exists));
            assert!(!exists(tiles.indices.end));
        }
    }
}
