//! The members `merkle` and `tiles` of tests/vectors/c2sp.json, and of `mirror` what is tree.

use log_core::hash::{hash_children, hash_leaf};
use log_core::{
    BundleId, CompactRange, ConsistencyProof, EntryBundle, Hash, InclusionProof, LeafIndex, NodeId,
    RightEdge, Subtree, SubtreeProof, TileId, TileNodes, TreeHead, TreeSize, integrate,
};
use serde_json::Value;

use crate::reference::ReferenceTree;

const VECTORS: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/c2sp.json"));

pub(crate) fn member(name: &str) -> Value {
    let all: Value = serde_json::from_str(VECTORS).unwrap();
    assert!(all[name].is_object(), "{name}");
    all[name].clone()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

fn hash(value: &Value) -> Hash {
    Hash::from_hex(value.as_str().unwrap()).unwrap()
}

fn hashes(value: &Value) -> Vec<Hash> {
    value.as_array().unwrap().iter().map(hash).collect()
}

fn bytes(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap();
    let pair = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(pair).collect()
}

fn rows(value: &Value) -> &[Value] {
    let rows = value.as_array().unwrap();
    assert!(!rows.is_empty());
    rows
}

/// Builds a proof's hashes with the nodes of the reference tree.
fn fetch(tree: &ReferenceTree, nodes: &[NodeId]) -> Vec<Hash> {
    nodes.iter().map(|id| tree.node(*id)).collect()
}

#[test]
fn leaf_hashes_and_roots() {
    let merkle = member("merkle");
    let leaves: Vec<Hash> =
        rows(&merkle["leaf_inputs_hex"]).iter().map(|leaf| hash_leaf(&bytes(leaf))).collect();
    assert_eq!(leaves, hashes(&merkle["leaf_hashes_hex"]));
    let roots = hashes(&merkle["roots_hex_by_size"]);
    assert_eq!(roots.len(), leaves.len() + 1);
    let tree = ReferenceTree::of(&leaves);
    for (size, root) in roots.iter().enumerate() {
        let mut range = CompactRange::new();
        leaves[..size].iter().for_each(|leaf| range.append(*leaf));
        assert_eq!(range.root(), *root);
        let integrated = integrate(&RightEdge::empty(), &leaves[..size]);
        assert_eq!(integrated.head, TreeHead { size: range.size(), root_hash: *root });
        assert_eq!(tree.head(size as u64).root_hash, *root);
    }
}

#[test]
fn inclusion_proofs() {
    let merkle = member("merkle");
    let tree = ReferenceTree::of(&hashes(&merkle["leaf_hashes_hex"]));
    for row in rows(&merkle["inclusion"]) {
        let (index, size) = (number(&row["index"]), number(&row["size"]));
        let wanted = hashes(&row["proof_hex"]);
        let index_of = LeafIndex::new(index);
        let plan = InclusionProof::plan(index_of, TreeSize::new(size)).unwrap();
        let built = InclusionProof::build(&plan, &fetch(&tree, plan.nodes())).unwrap();
        assert_eq!(built.hashes(), wanted);
        InclusionProof::from_hashes(wanted)
            .verify(&tree.leaf(index), index_of, &tree.head(size))
            .unwrap();
    }
}

#[test]
fn consistency_proofs() {
    let merkle = member("merkle");
    let tree = ReferenceTree::of(&hashes(&merkle["leaf_hashes_hex"]));
    for row in rows(&merkle["consistency"]) {
        let (old, new) = (number(&row["old"]), number(&row["new"]));
        let wanted = hashes(&row["proof_hex"]);
        let plan = ConsistencyProof::plan(TreeSize::new(old), TreeSize::new(new)).unwrap();
        let built = ConsistencyProof::build(&plan, &fetch(&tree, plan.nodes())).unwrap();
        assert_eq!(built.hashes(), wanted);
        ConsistencyProof::from_hashes(wanted).verify(&tree.head(old), &tree.head(new)).unwrap();
    }
}

#[test]
fn subtree_consistency_proofs() {
    let merkle = member("merkle");
    let tree = ReferenceTree::of(&hashes(&merkle["leaf_hashes_hex"]));
    for row in rows(&merkle["subtree_consistency"]) {
        let (start, end) = (number(&row["start"]), number(&row["end"]));
        let size = number(&row["size"]);
        let subtree = Subtree::new(start, end).unwrap();
        let subtree_hash = hash(&row["subtree_hash_hex"]);
        assert_eq!(tree.hash(start, end), subtree_hash);
        let proof = hashes(&row["proof_hex"]);
        assert_eq!(tree.subtree_consistency(start, end, size), proof);
        SubtreeProof::from_hashes(proof).verify(subtree, &subtree_hash, &tree.head(size)).unwrap();
    }
}

#[test]
fn ranges_that_are_no_subtrees() {
    for row in rows(&member("merkle")["invalid_subtrees"]) {
        assert_eq!(Subtree::new(number(&row[0]), number(&row[1])), None, "{row}");
    }
}

#[test]
fn tile_paths() {
    for row in rows(&member("tiles")["paths"]) {
        let path = row["path"].as_str().unwrap();
        let index = number(&row["index"]);
        let width = u16::try_from(number(&row["width"])).unwrap();
        if row["level"] == "entries" {
            let id = BundleId::new(index, width).unwrap();
            assert_eq!(id.to_string(), path);
            assert_eq!(BundleId::parse(path), Ok(id));
            TileId::parse(path).unwrap_err();
        } else {
            let level = u8::try_from(number(&row["level"])).unwrap();
            let id = TileId::new(level, index, width).unwrap();
            assert_eq!(id.to_string(), path);
            assert_eq!(TileId::parse(path), Ok(id));
            BundleId::parse(path).unwrap_err();
        }
    }
}

#[test]
fn invalid_tile_paths() {
    for row in rows(&member("tiles")["invalid_paths"]) {
        let path = row.as_str().unwrap();
        assert!(TileId::parse(path).is_err(), "{path}");
        assert!(BundleId::parse(path).is_err(), "{path}");
    }
}

#[test]
fn tile_layouts() {
    for row in rows(&member("tiles")["layouts"]) {
        let size = TreeSize::new(number(&row["size"]));
        let levels = row["levels"].as_array().unwrap();
        assert_eq!(RightEdge::parts(size).tiles.len(), levels.len().saturating_sub(1));
        for level in levels {
            let full = number(&level["full_tiles"]);
            let level_number = u8::try_from(number(&level["level"])).unwrap();
            let exists = |index, width| {
                TileId::new(level_number, index, width).is_some_and(|id| id.exists_in(size))
            };
            assert!(full == 0 || exists(full - 1, 256));
            match level["partial"].as_str() {
                Some(path) => {
                    let partial = TileId::parse(path).unwrap();
                    assert_eq!((partial.level(), partial.index()), (level_number, full));
                    assert!(partial.exists_in(size));
                    assert!(!exists(full, partial.width() + 1), "{path}");
                }
                None => assert!(!exists(full, 1)),
            }
        }
        assert!(!TileId::full(u8::try_from(levels.len()).unwrap(), 0).exists_in(size));
    }
}

#[test]
fn a_bundle_and_its_tile() {
    let vector = &member("tiles")["bundle"];
    let wanted: Vec<Vec<u8>> = rows(&vector["entries_hex"]).iter().map(bytes).collect();
    let width = u16::try_from(wanted.len()).unwrap();
    let bundle_bytes = bytes(&vector["bundle_hex"]);
    let bundle = EntryBundle::parse(&bundle_bytes, width).unwrap();
    assert_eq!(bundle.entries().collect::<Vec<_>>(), wanted);
    let mut encoded = Vec::new();
    for entry in &wanted {
        log_core::bundle::append_entry(&mut encoded, entry).unwrap();
    }
    assert_eq!(encoded, bundle_bytes);

    let tile_bytes = bytes(&vector["level0_tile_hex"]);
    let tile = TileNodes::from_bytes(&tile_bytes).unwrap();
    let leaves: Vec<Hash> = bundle.entries().map(hash_leaf).collect();
    assert_eq!(tile.hashes(), leaves);
    assert_eq!(tile.to_bytes(width), tile_bytes);
    let root = hash(&vector["root_hex"]);
    assert_eq!(integrate(&RightEdge::empty(), &leaves).head.root_hash, root);
    assert_eq!(hash_children(&tile.node(1, 0).unwrap(), &leaves[2]), root);
}

#[test]
fn packages_for_a_mirror_lie_in_subtrees() {
    let mirror = member("mirror");
    for row in rows(&mirror["package_ranges"]) {
        let mut next = number(&row["upload_start"]);
        for package in row["packages"].as_array().unwrap() {
            let [entries, proven] = [&package["entries"], &package["proof_subtree"]]
                .map(|range| [number(&range[0]), number(&range[1])]);
            let subtree = Subtree::new(proven[0], proven[1]).unwrap();
            assert!(subtree.start() <= entries[0] && subtree.end() == entries[1], "{row}");
            assert_eq!(entries[0], next, "{row}");
            next = entries[1];
        }
        assert_eq!(next, number(&row["upload_end"]), "{row}");
    }
    let body = &mirror["add_entries_body"];
    let leaf = |entry: &Value| hash_leaf(entry.as_str().unwrap().as_bytes());
    let leaves: Vec<Hash> = rows(&body["entries"]).iter().map(leaf).collect();
    let (head, root) = (integrate(&RightEdge::empty(), &leaves).head, hash(&body["root_hex"]));
    assert_eq!((head.size.get(), head.root_hash), (number(&body["upload_end"]), root));
    // The one package is the whole tree: nothing is needed to prove it.
    let whole = Subtree::new(0, head.size.get()).unwrap();
    SubtreeProof::from_hashes(Vec::new()).verify(whole, &root, &head).unwrap();
}
