//! Only the canonical path of a tile or of an entry bundle is read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use log_core::{BundleId, TileId, TreeSize};

fuzz_target!(|path: &str| {
    if let Ok(tile) = TileId::parse(path) {
        assert_eq!(tile.to_string(), path);
        assert_eq!(TileId::new(tile.level(), tile.index(), tile.width()), Some(tile));
        assert!(!tile.exists_in(TreeSize::new(0)));
        let _ = (tile.last_leaf(), tile.exists_in(TreeSize::MAX_SIGNED));
    }
    if let Ok(bundle) = BundleId::parse(path) {
        assert_eq!(bundle.to_string(), path);
        assert_eq!(BundleId::new(bundle.index(), bundle.width()), Some(bundle));
        assert!(!bundle.exists_in(TreeSize::new(0)));
        let _ = (bundle.first_leaf(), bundle.exists_in(TreeSize::MAX_SIGNED));
        assert!(TileId::parse(path).is_err());
    }
});
