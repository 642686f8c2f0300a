//! Only the canonical spelling of a verifier key is read, and a key judges any signature.
#![no_main]

use libfuzzer_sys::fuzz_target;
use log_core::VerifierKey;

fuzz_target!(|text: &str| {
    // What follows the first line stands for a signature.
    let (vkey, signature) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(key) = VerifierKey::parse(vkey) else { return };
    assert_eq!(key.to_string(), vkey);
    assert!(key.spki_der().ends_with(&key.public_key_bytes()));
    let _ = key.verify(b"text\n", signature.as_bytes());
});
