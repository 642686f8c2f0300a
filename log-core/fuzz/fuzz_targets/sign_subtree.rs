//! Only the canonical form of a request to sign a subtree is read, and only for a subtree.
#![no_main]

use libfuzzer_sys::fuzz_target;
use log_core::witness::PROOF_HASHES_MAX;
use log_core::{SignSubtreeRequest, Subtree};

fuzz_target!(|body: &[u8]| {
    let Ok(request) = SignSubtreeRequest::parse(body) else { return };
    assert_eq!(request.to_string().as_bytes(), body);
    assert!(request.proof.hashes().len() <= PROOF_HASHES_MAX);
    let (start, end) = (request.subtree.start(), request.subtree.end());
    assert!(start < end && Subtree::new(start, end) == Some(request.subtree));
});
