//! Coordinates of tiles and bundles: every tile has one path, and hostile paths are refused.

use log_core::tile::TilePathError;
use log_core::{BundleId, LeafIndex, NodeId, TileId, TileNodes, TreeSize};
use proptest::prelude::*;

/// Numbers of every magnitude.
fn any_number() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0..64u32).prop_map(|(number, shift)| number >> shift)
}

proptest! {
    #[test]
    fn every_tile_has_one_path(level in 0..64u8, index in any_number(), width in 1..=256u16) {
        let tile = TileId::new(level, index, width).unwrap();
        prop_assert_eq!(TileId::parse(&tile.to_string()), Ok(tile));
        let bundle = BundleId::new(index, width).unwrap();
        prop_assert_eq!(BundleId::parse(&bundle.to_string()), Ok(bundle));
    }

    #[test]
    fn what_is_read_is_written_the_same(
        path in "tile/(entries|[0-9]{1,2})(/x[0-9]{3}){0,6}/[0-9]{2,4}(\\.p/[0-9]{1,3})?",
    ) {
        if let Ok(tile) = TileId::parse(&path) {
            prop_assert_eq!(tile.to_string(), path);
        } else if let Ok(bundle) = BundleId::parse(&path) {
            prop_assert_eq!(bundle.to_string(), path);
        }
    }

    #[test]
    fn no_path_is_too_odd(path in any::<String>()) {
        prop_assert!(TileId::parse(&path).is_err());
        let below = format!("tile/0/{path}");
        prop_assert!(TileId::parse(&below).map_or(true, |id| id.to_string() == below));
        prop_assert!(BundleId::parse(&path).is_err());
    }

    #[test]
    fn existence_is_about_the_last_hash(
        level in 0..10u8, index in 0..300u64, width in 1..=256u16, size in any_number(),
    ) {
        let tile = TileId::new(level, index, width).unwrap();
        // The first size that has the tile, where there is one.
        let end = u128::from(index * 256 + u64::from(width)) << (8 * level);
        prop_assert_eq!(tile.exists_in(TreeSize::new(size)), end <= u128::from(size));
        let last = u64::try_from(end).ok().map(|end| LeafIndex::new(end - 1));
        prop_assert_eq!(tile.last_leaf(), last);
    }

    #[test]
    fn a_complete_node_lies_in_one_tile(
        level in prop_oneof![0..64u8, any::<u8>()], index in any_number(), size in any::<u64>(),
    ) {
        let (id, size) = (NodeId { level, index }, TreeSize::new(size));
        match TileId::holding(id, size) {
            None => prop_assert!(!id.is_complete_in(size)),
            Some(tile) => {
                prop_assert!(id.is_complete_in(size));
                prop_assert!(tile.exists_in(size));
                let wider = TileId::new(tile.level(), tile.index(), tile.width() + 1);
                prop_assert!(wider.is_none_or(|wider| !wider.exists_in(size)));
                // The node's leaves are the tile's, and it is below the tile's root.
                let above = id.level - 8 * tile.level();
                prop_assert!(above < 8);
                prop_assert_eq!(id.index >> (8 - above), tile.index());
            }
        }
    }

    #[test]
    fn any_bytes_are_a_tile_or_not(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        match TileNodes::from_bytes(&bytes) {
            Ok(tile) => prop_assert_eq!(tile.to_bytes(tile.width()), bytes),
            Err(_) => prop_assert!(bytes.is_empty() || bytes.len() % 32 != 0),
        }
    }
}

#[test]
fn each_part_of_a_path_is_checked() {
    use TilePathError::{Index, Kind, Level, Width};
    let cases = [
        ("", Kind),
        ("tile/", Kind),
        ("tile/0", Kind),
        ("/tile/0/000", Kind),
        ("tiles/0/000", Kind),
        ("tile//000", Level),
        ("tile/00/000", Level),
        ("tile/+1/000", Level),
        ("tile/64/000", Level),
        ("tile/256/000", Level),
        ("tile/entries/000", Level),
        ("tile/0/", Index),
        ("tile/0/0", Index),
        ("tile/0/0000", Index),
        ("tile/0/x000", Index),
        ("tile/0/x001", Index),
        ("tile/0/x000/000", Index),
        ("tile/0/001/000", Index),
        ("tile/0/x001/x000", Index),
        ("tile/0/xx01/000", Index),
        ("tile/0/X001/000", Index),
        ("tile/0/000/", Index),
        ("tile/0//000", Index),
        ("tile/0/+00", Index),
        ("tile/0/00\u{661}", Index),
        ("tile/0/000.p", Index),
        // 2^64.
        ("tile/0/x018/x446/x744/x073/x709/x551/616", Index),
        ("tile/0/x018/x446/x744/x073/x709/x551/x615/x001/000", Index),
        ("tile/0/x001/x000/x000/x000/x000/x000/x000/000", Index),
        ("tile/0/000.p/", Width),
        ("tile/0/000.p/0", Width),
        ("tile/0/000.p/01", Width),
        ("tile/0/000.p/256", Width),
        ("tile/0/000.p/+1", Width),
        ("tile/0/000.p/65537", Width),
        ("tile/0/000.p/1/", Width),
        ("tile/0/000.p/1.p/1", Width),
    ];
    for (path, error) in cases {
        assert_eq!(TileId::parse(path), Err(error), "{path}");
    }
    for (path, error) in [("tile/0/000", Kind), ("tile/entries/", Index), ("tile/entries", Kind)] {
        assert_eq!(BundleId::parse(path), Err(error), "{path}");
    }
    let largest = "tile/0/x018/x446/x744/x073/x709/x551/615";
    assert_eq!(TileId::parse(largest), Ok(TileId::full(0, u64::MAX)));
}

#[test]
fn widths_and_levels_have_limits() {
    assert_eq!(TileId::new(0, 0, 0), None);
    assert_eq!(TileId::new(0, 0, 257), None);
    assert_eq!(TileId::new(64, 0, 1), None);
    assert_eq!(BundleId::new(0, 0), None);
    assert_eq!(BundleId::new(0, 257), None);
    assert_eq!(TileId::new(63, u64::MAX, 256), Some(TileId::full(63, u64::MAX)));
}

#[test]
fn a_bundle_exists_with_its_leaves() {
    let bundle = BundleId::new(2, 3).unwrap();
    assert_eq!(bundle.first_leaf(), Some(LeafIndex::new(512)));
    assert!(bundle.exists_in(TreeSize::new(515)));
    assert!(!bundle.exists_in(TreeSize::new(514)));
    let beyond = BundleId::new(u64::MAX, 1).unwrap();
    assert_eq!(beyond.first_leaf(), None);
    assert!(!beyond.exists_in(TreeSize::new(u64::MAX)));
    assert!(!TileId::full(0, u64::MAX).exists_in(TreeSize::new(u64::MAX)));
}
