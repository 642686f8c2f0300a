//! The pure core: growing the tree, and proofs from nodes that are in memory.
//!
//! The naive compact range is what a log gets with a hash crate and a stack: the figure to compare
//! `integrate` with.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use log_core::{
    ConsistencyProof, Hash, InclusionProof, LeafIndex, NodeId, ProofPlan, RightEdge, TILE_WIDTH,
    TileNodes, TreeHead, TreeSize, hash_leaf, integrate,
};
use sha2::{Digest, Sha256};

/// Leaves in the tree that is grown and proved.
const LEAVES: u64 = 1_000_000;
/// Leaves that a loaded log takes at once.
const BATCH: usize = 256;

/// Compact range with one hash at a time: what `integrate` must beat.
#[derive(Clone, Default)]
struct NaiveRange {
    size: u64,
    stack: Vec<[u8; 32]>,
}

impl NaiveRange {
    fn append(&mut self, leaf_hash: [u8; 32]) {
        let mut node = leaf_hash;
        for _ in 0..self.size.trailing_ones() {
            let left = self.stack.pop().expect("invariant: one node for each bit of the size");
            node = naive_parent(&left, &node);
        }
        self.stack.push(node);
        self.size += 1;
    }

    fn root(&self) -> [u8; 32] {
        let (last, rest) = self.stack.split_last().expect("invariant: not empty");
        rest.iter().rev().fold(*last, |right, left| naive_parent(left, &right))
    }
}

fn naive_parent(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let mut node = Sha256::new();
    node.update([1]);
    node.update(left);
    node.update(right);
    node.finalize().into()
}

/// A tree with all nodes in memory, as a server's cache holds the newest of them.
struct Tree {
    edge: RightEdge,
    /// Full tiles by level and index.
    tiles: Vec<Vec<Arc<TileNodes>>>,
}

impl Tree {
    fn of(leaf_hashes: &[Hash]) -> Self {
        let grown = integrate(&RightEdge::empty(), leaf_hashes);
        let mut tiles: Vec<Vec<Arc<TileNodes>>> = Vec::new();
        for tile in grown.full_tiles {
            let level = usize::from(tile.id.level());
            tiles.resize_with(tiles.len().max(level + 1), Vec::new);
            tiles[level].push(tile.nodes);
        }
        Self { edge: grown.edge, tiles }
    }

    fn head(&self) -> TreeHead {
        self.edge.head()
    }

    fn node(&self, id: NodeId) -> Hash {
        if let Some(hash) = self.edge.node(id) {
            return hash;
        }
        let (level, height) = (usize::from(id.level / 8), id.level % 8);
        let width = TILE_WIDTH >> height;
        let index = usize::try_from(id.index / width).expect("invariant: a small tree");
        let node = self.tiles[level][index].node(height, id.index % width);
        node.expect("invariant: a full tile holds all its nodes")
    }

    fn nodes(&self, plan: &ProofPlan) -> Vec<Hash> {
        plan.nodes().iter().map(|id| self.node(*id)).collect()
    }
}

fn leaf_hashes(count: u64) -> Vec<Hash> {
    (0..count).map(|leaf: u64| hash_leaf(&leaf.to_be_bytes())).collect()
}

/// Visits all residues below `LEAVES`, far apart from each other.
fn scattered(turn: &mut u64) -> u64 {
    *turn = (*turn + 618_033_989) % LEAVES;
    *turn
}

fn append(criterion: &mut Criterion) {
    let leaves = leaf_hashes(LEAVES);
    let batch = leaf_hashes(BATCH as u64);
    let edge = integrate(&RightEdge::empty(), &leaves).edge;
    let mut naive = NaiveRange::default();
    leaves.iter().for_each(|leaf| naive.append(*leaf.as_bytes()));

    let grown = integrate(&edge, &batch).head;
    let mut copy = naive.clone();
    batch.iter().for_each(|leaf| copy.append(*leaf.as_bytes()));
    assert_eq!(grown.root_hash.as_bytes(), &copy.root(), "both grow the same tree");

    let mut group = criterion.benchmark_group("append 256 leaves and take the root");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("integrate", |bench| {
        bench.iter(|| integrate(black_box(&edge), black_box(&batch)));
    });
    group.bench_function("naive compact range", |bench| {
        bench.iter(|| {
            let mut range = naive.clone();
            black_box(&batch).iter().for_each(|leaf| range.append(*leaf.as_bytes()));
            range.root()
        });
    });
    group.finish();
}

fn proofs(criterion: &mut Criterion) {
    let leaves = leaf_hashes(LEAVES);
    let tree = Tree::of(&leaves);
    let size = tree.head().size;

    let mut group = criterion.benchmark_group("proof in a tree of 1,000,000");
    let mut turn = 0;
    let inclusion = |index: u64| {
        let plan = InclusionProof::plan(LeafIndex::new(index), size).expect("index is in range");
        InclusionProof::build(&plan, &tree.nodes(&plan)).expect("the plan's nodes")
    };
    group.bench_function("inclusion, build", |bench| {
        bench.iter(|| inclusion(scattered(&mut turn)));
    });
    group.bench_function("inclusion, verify", |bench| {
        let index = scattered(&mut turn);
        let leaf = &leaves[usize::try_from(index).expect("invariant: a small tree")];
        let proof = inclusion(index);
        bench.iter(|| {
            let verified = black_box(&proof).verify(leaf, LeafIndex::new(index), &tree.head());
            verified.expect("the proof is good");
        });
    });
    group.bench_function("consistency, build", |bench| {
        bench.iter(|| {
            let old = TreeSize::new(scattered(&mut turn).max(1));
            let plan = ConsistencyProof::plan(old, size).expect("size is in range");
            ConsistencyProof::build(&plan, &tree.nodes(&plan)).expect("the plan's nodes")
        });
    });
    group.finish();
}

criterion_group!(benches, append, proofs);
criterion_main!(benches);
