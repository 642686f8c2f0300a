//! Only the canonical spelling of a verifier key is read, and a key judges any signature.
#![no_main]

use libfuzzer_sys::fuzz_target;
use log_core::{KeyAlgorithm, VerifierKey};

fuzz_target!(|text: &str| {
    // What follows the first line stands for a signature.
    let (vkey, signature) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(key) = VerifierKey::parse(vkey) else { return };
    assert_eq!(key.to_string(), vkey);
    match key.spki_der() {
        Some(spki) => assert!(spki.ends_with(&key.public_key_bytes())),
        None => assert_eq!(key.algorithm(), KeyAlgorithm::CosignatureMlDsa44),
    }
    assert!(key.is_log_key() || key.is_cosigner_key());
    assert!(key.same_public_key(&key));
    let _ = key.verify(b"text\n", signature.as_bytes());
});
