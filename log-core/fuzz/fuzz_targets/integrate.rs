//! Batches grow the same tree as single leaves do, from any size that a log can sign.
#![no_main]

use libfuzzer_sys::fuzz_target;
use log_core::{CompactRange, Hash, RightEdge, TileId, TreeSize, integrate};
use log_core_fuzz::leaf_hash;

/// Batches of one run: enough to fill a tile of level 0 several times.
const BATCHES_MAX: usize = 8;

fuzz_target!(|input: (u64, bool, Vec<u16>)| {
    let (size, small, batches) = input;
    let mut edge = start(if small { size % 70_000 } else { size });
    let mut range = range_of(&edge);
    assert_eq!(range.root(), edge.head().root_hash);
    let mut next = 0;
    for batch in batches.into_iter().take(BATCHES_MAX) {
        let leaves: Vec<Hash> = (next..).take(usize::from(batch % 700)).map(leaf_hash).collect();
        next += leaves.len() as u64;
        if edge.size().get() + leaves.len() as u64 > TreeSize::MAX_SIGNED.get() {
            return;
        }
        let integrated = integrate(&edge, &leaves);
        leaves.iter().for_each(|leaf| range.append(*leaf));
        assert_eq!(integrated.head.size, range.size());
        assert_eq!(integrated.head.root_hash, range.root());
        assert_eq!(integrated.edge.head(), integrated.head);
        for full in &integrated.full_tiles {
            assert!(full.id.is_full() && full.nodes.width() == 256);
            assert!(full.id.exists_in(integrated.head.size) && !full.id.exists_in(edge.size()));
        }
        edge = integrated.edge;
        assert_eq!(range_of(&edge), range);
        check_rebuild(&edge);
    }
});

/// The edge of a tree of at most that size, which nobody could have grown here.
fn start(size: u64) -> RightEdge {
    let size = TreeSize::new(size & TreeSize::MAX_SIGNED.get());
    let parts = RightEdge::parts(size);
    let mut levels = vec![parts.leaves.map(leaf_hash).collect()];
    for level in parts.tiles {
        levels.push(level.indices.map(leaf_hash).collect());
    }
    RightEdge::rebuild(size, levels).expect("the parts are what an edge is made of")
}

fn range_of(edge: &RightEdge) -> CompactRange {
    let peaks = edge.size().peaks().map(|id| edge.node(id).expect("peaks lie on the edge"));
    CompactRange::from_nodes(edge.size(), peaks.collect()).expect("one hash a peak")
}

/// What the edge serves is enough to make it again.
fn check_rebuild(edge: &RightEdge) {
    let parts = RightEdge::parts(edge.size());
    let widths = std::iter::once(parts.leaves)
        .chain(parts.tiles.into_iter().map(|level| level.indices))
        .map(|range| (range.start / 256, range.end - range.start));
    let mut levels = Vec::new();
    for (level, (index, width)) in (0..).zip(widths) {
        let width = u16::try_from(width).expect("an unfinished tile is not wide");
        let tile = TileId::new(level, index, width);
        let bytes = tile.map_or(Vec::new(), |id| edge.tile_bytes(&id).expect("it is on the edge"));
        levels.push(bytes.as_chunks().0.iter().map(|hash| Hash::from_bytes(*hash)).collect());
    }
    let rebuilt = RightEdge::rebuild(edge.size(), levels).expect("the parts of the edge");
    assert_eq!(rebuilt.head(), edge.head());
}
