//! Only the canonical form of a request to cosign is read; the answer's size has one form too.
#![no_main]

use libfuzzer_sys::fuzz_target;
use log_core::AddCheckpointRequest;
use log_core::witness::{PROOF_HASHES_MAX, parse_size};

fuzz_target!(|body: &[u8]| {
    if let Some(size) = parse_size(body) {
        assert_eq!(format!("{size}\n").as_bytes(), body);
    }
    let Ok(request) = AddCheckpointRequest::parse(body) else { return };
    assert_eq!(request.to_string().as_bytes(), body);
    assert!(request.proof.hashes().len() <= PROOF_HASHES_MAX);
});
