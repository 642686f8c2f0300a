//! Bundles and tiles: what is read is written as the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use log_core::bundle::append_entry;
use log_core::{EntryBundle, TileNodes};

fuzz_target!(|input: &[u8]| {
    let Some((&width, bytes)) = input.split_first() else { return };
    let width = u16::from(width) + 1;
    if let Ok(bundle) = EntryBundle::parse(bytes, width) {
        assert_eq!(bundle.entries().len(), usize::from(width));
        let mut again = Vec::new();
        for entry in bundle.entries() {
            append_entry(&mut again, entry).expect("an entry out of a bundle fits into one");
        }
        assert_eq!(again, bytes);
    }
    if let Ok(tile) = TileNodes::from_bytes(bytes) {
        assert_eq!(tile.to_bytes(tile.width()), bytes);
        assert_eq!(tile.root().is_some(), tile.width() == 256);
    }
});
