//! Only the canonical spelling of a verifier key is read, and a key judges any signature.
#![no_main]

use libfuzzer_sys::fuzz_target;
use log_core::VerifierKey;

fuzz_target!(|input: (&[u8], &str)| {
    let (signature, vkey) = input;
    let Ok(key) = VerifierKey::parse(vkey) else { return };
    assert_eq!(key.to_string(), vkey);
    let _ = key.verify(vkey.as_bytes(), signature);
    let ends_with_key = key.spki_der().ends_with(&key.public_key_bytes());
    assert!(ends_with_key);
});
