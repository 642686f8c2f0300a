//! Only canonical leaves are entries.
#![no_main]

use libfuzzer_sys::fuzz_target;
use log_core::Entry;

fuzz_target!(|leaf: &[u8]| {
    let Ok(entry) = Entry::parse(leaf) else { return };
    assert_eq!(entry.to_leaf().expect("it was a leaf").as_bytes(), leaf);
});
