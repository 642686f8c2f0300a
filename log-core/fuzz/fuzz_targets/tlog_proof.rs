//! Only the canonical spelling of a tlog-proof is read, and a stranger's key proves nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use log_core::{Hash, KeyName, NoteSigner, Origin, TlogProof};

fuzz_target!(|file: &[u8]| {
    let Ok(proof) = TlogProof::parse(file) else { return };
    assert_eq!(proof.to_string().as_bytes(), file);
    let name = KeyName::parse("log.example").expect("a valid name");
    let key = NoteSigner::ed25519(name, [1; 32]).verifier_key();
    let origin = Origin::parse("log.example").expect("a valid origin");
    assert!(proof.verify(&Hash::EMPTY_ROOT, &origin, &key).is_err());
});
